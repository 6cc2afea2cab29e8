//! `onelogin enroll`: begins a registration, shows what the user needs, and brings it to its end.

use std::time::Duration;

use onelogin::{
    models::{
        AuthFactor, CreateFactorRegistrationRequest, FactorData, FactorId, FactorKind,
        Registration, Status, UserId,
    },
    secrecy::ExposeSecret,
};

use super::{Session, poll, verify};
use crate::{
    arguments::Enroll,
    exit::{Exit, Failure, Outcome},
    terminal::{draw_qr, spin, tell},
};

pub(crate) async fn run(session: &Session, arguments: Enroll) -> Outcome<Exit> {
    let mfa = session.mfa();
    let user_id = session.user_id(&arguments.user).await?;
    let factor_id = factor(session, user_id, &arguments.factor).await?;
    let mut request = CreateFactorRegistrationRequest::new(factor_id, &arguments.name);
    request.expires_in = arguments.lifetime.expires_in;
    request.verified = arguments.verified.then_some(true);
    request.redirect_to = arguments.redirect_to;
    request.custom_message = arguments.message;
    let registration = mfa.create_factor_registration(user_id, &request).await?;
    if registration.status != Status::Pending
        || (session.output.is_json() && !arguments.waiting.watch)
    {
        // A program finishes it by itself; it has all it needs in the registration.
        let exit = poll::show_registration(session, &registration)?;
        return Ok(if exit == Exit::Pending {
            Exit::Done
        } else {
            exit
        });
    }
    if let Some(data) = &registration.factor_data {
        show(data, kind(&registration), arguments.qr);
    }
    if kind(&registration).takes_code() && !arguments.waiting.watch {
        return verify::confirm(session, user_id, &registration.id, None).await;
    }
    let wait = Duration::from_secs(arguments.waiting.timeout);
    let waiting = mfa.wait_for_registration(user_id, &registration.id, wait);
    poll::show_registration(session, &spin("waiting for the user", waiting).await?)
}

fn kind(registration: &Registration) -> FactorKind {
    FactorKind::of(&registration.auth_factor_name)
}

/// Shows what the user must scan, open, type or keep.
fn show(data: &FactorData, kind: FactorKind, qr: bool) {
    if let Some(url) = data
        .totp_url
        .as_ref()
        .or(data.url.as_ref())
        .map(ExposeSecret::expose_secret)
    {
        draw_qr(url, qr);
        tell(&format!("Scan the code, or open: {url}"));
    }
    if let Some(token) = data
        .verification_token
        .as_ref()
        .map(ExposeSecret::expose_secret)
    {
        match kind {
            FactorKind::Voice => tell(&format!("The phone rings. Type there: {token}")),
            _ => tell(&format!("Or type into the app: {token}")),
        }
    }
    if let Some(codes) = &data.recovery_codes {
        tell("Keep these codes where nobody else finds them; each works once:");
        for code in codes {
            tell(&format!("  {}", code.expose_secret()));
        }
    }
}

/// The factor that is named by id or by one of its names.
async fn factor(session: &Session, user_id: UserId, wanted: &str) -> Outcome<FactorId> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let factors = session.mfa().get_auth_factors(user_id).await?;
    let named = |factor: &&AuthFactor| {
        let short = factor.name.trim_start_matches("OneLogin ");
        [
            factor.name.as_str(),
            factor.auth_factor_name.as_str(),
            short,
        ]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(wanted))
    };
    factors
        .iter()
        .find(named)
        .map(|factor| factor.factor_id)
        .ok_or_else(|| {
            let names: Vec<_> = factors.iter().map(|factor| factor.name.as_str()).collect();
            Failure::new(
                Exit::NotFound,
                format!("the user cannot enrol a factor {wanted:?}"),
            )
            .advice(format!(
                "possible now: {}",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            ))
        })
}
