//! The bearer token of a request, in every form that clients in the field send it (contract, Authorization).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::AppState;
use super::error::Error;
use crate::service::access::Caller;

/// Whoever sent the request: 401 unless its token is known and alive.
pub(super) async fn caller(app: &AppState, headers: &HeaderMap) -> Result<Caller, Error> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return Err(Error::InvalidCredentials(false));
    };
    let token = value.to_str().ok().and_then(token);
    let token = token.ok_or(Error::InvalidCredentials(false))?;
    let caller = app.access.authenticate(token).await?;
    caller.ok_or(Error::InvalidCredentials(true))
}

/// `Bearer T`, `bearer T`, `bearer:T`, `bearer: T`.
fn token(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let separated = rest.starts_with([':', ' ']);
    let token = rest.strip_prefix(':').unwrap_or(rest).trim_matches(' ');
    let whole = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case(SCHEME) && separated && whole).then_some(token)
}

const SCHEME: &str = "bearer";

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_all_forms_of_the_field_and_in_no_other() {
        for form in [
            "Bearer T",
            "bearer T",
            "bearer:T",
            "bearer: T",
            "BEARER  T ",
        ] {
            assert_eq!(token(form), Some("T"), "{form:?}");
        }
        for wrong in [
            "",
            "T",
            "Bearer",
            "Bearer ",
            "bearer:",
            "Bearer T U",
            "bearer;T",
            "BearerT",
            "Basic T",
            "Token T",
            "bearér T",
        ] {
            assert_eq!(token(wrong), None, "{wrong:?}");
        }
    }
}
