//! Paths that mean the same: a trailing slash and a doubled leading one are tolerated (contract, The ten operations).

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use tower::ServiceExt;

/// The routes, which also answer to the other spellings of their paths. A path that is spelt as usual costs nothing:
/// only what matches no route is looked at a second time.
pub(super) fn tolerating(routes: Router) -> Router {
    let respelt = routes.clone();
    routes.fallback_service(tower::service_fn(move |mut request: Request| {
        if let Some(uri) = respell(request.uri()) {
            *request.uri_mut() = uri;
        }
        let routes = respelt.clone();
        async move {
            Ok::<_, Infallible>(
                routes
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    }))
}

/// The URI without the slashes that are too many, if there are any.
fn respell(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let bare = path.trim_matches('/');
    if path.len() == bare.len() + 1 || path.len() <= 1 {
        return None;
    }
    let mut text =
        String::with_capacity(path.len() + uri.query().map_or(0, |query| query.len() + 1));
    text.push('/');
    text.push_str(bare);
    if let Some(query) = uri.query() {
        text.push('?');
        text.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(text)).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn only_slashes_that_are_too_many_change_a_path() {
        for (sent, meant) in [
            ("//api/2/users?limit=1", "/api/2/users?limit=1"),
            ("/api/2/users/", "/api/2/users"),
            ("//api/2/users//?a=/b/", "/api/2/users?a=/b/"),
            ("///", "/"),
        ] {
            let uri = respell(&sent.parse().unwrap());
            assert_eq!(uri.unwrap().to_string(), meant);
        }
        for usual in ["/", "/api/2/users", "/api//2", "*"] {
            assert_eq!(respell(&usual.parse().unwrap()), None, "{usual}");
        }
    }
}
