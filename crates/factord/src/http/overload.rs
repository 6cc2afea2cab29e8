//! Overload: while there is more to do than can be done in time, requests are turned away before anything is made of them,
//! so that turning away costs little of what there is too little of. Nothing was looked at then, so that sending such a
//! request again is no second guess (contract, Requests). It is counted, and leaves no line in the access log.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Serialize;

use super::error::Error;
use crate::net::Observe;

/// What [`Server::turning_away`](crate::net::Server::turning_away) takes: 503 with `Retry-After` for requests of the API and
/// for tokens while `overloaded` says so. Probes, pages and what gateways call are let in.
pub fn turning_away(
    observe: Observe,
    overloaded: impl Fn() -> bool + Send + Sync + 'static,
) -> impl Fn(&Uri) -> Option<Response> + Send + Sync + 'static {
    let shed = metrics::counter!("factord_requests_shed_total");
    let (api, tokens) = (
        Prepared::of(&Error::Unavailable.body()),
        Prepared::of(&Error::Unavailable.v1()),
    );
    move |uri| {
        let path = uri.path().trim_start_matches('/');
        let prepared = if path.starts_with("api/") {
            &api
        } else if path.starts_with("auth/") {
            &tokens
        } else {
            return None;
        };
        overloaded().then(|| {
            shed.increment(1);
            let mut response = prepared.response();
            observe.stamp(response.headers_mut());
            response
        })
    }
}

/// A response that is made once.
struct Prepared {
    headers: HeaderMap,
    body: Bytes,
}

impl Prepared {
    fn of(body: &impl Serialize) -> Self {
        let mut headers = Error::Unavailable.headers();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json);
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            headers,
            body: body.into(),
        }
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn while_it_lasts_the_api_and_tokens_are_turned_away_and_nothing_else() {
        let overloaded = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&overloaded);
        let turn_away = turning_away(Observe::new(1), move || told.load(Ordering::Relaxed));
        let asked = |path: &str| turn_away(&path.parse().unwrap());
        assert!(asked("/api/2/users").is_none());
        overloaded.store(true, Ordering::Relaxed);
        for (path, said) in [
            ("/api/2/mfa/users/1/verifications", r#""statusCode":503"#),
            ("//api/2/users/", r#""statusCode":503"#),
            ("/auth/oauth2/v2/token", r#""code":503"#),
        ] {
            let refused = asked(path).unwrap();
            assert_eq!(refused.status(), 503);
            assert_eq!(refused.headers()["retry-after"], "1");
            assert_eq!(refused.headers()["content-type"], "application/json");
            assert_eq!(refused.headers()["cache-control"], "no-store");
            assert!(refused.headers().contains_key("x-request-id"));
            let body = refused.into_body().collect().await.unwrap().to_bytes();
            let body = std::str::from_utf8(&body).unwrap();
            assert!(body.contains(said), "{body}");
        }
        for path in [
            "/healthz", "/readyz", "/metrics", "/pages/a", "/", "*", "/apiary",
        ] {
            assert!(asked(path).is_none(), "{path}");
        }
        overloaded.store(false, Ordering::Relaxed);
        assert!(asked("/auth/oauth2/v2/token").is_none());
    }
}
