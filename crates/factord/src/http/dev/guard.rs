//! Keeps foreign pages out of `factord dev`: neither a name that was pointed at this machine (DNS rebinding) nor a page of
//! another origin (CSRF) reaches any route.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::future::{Either, Ready, ready};
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use tower::{Layer, Service};

use super::Dev;
use crate::http::error::Error;
use crate::http::shaped_for;

/// The layer: 403 for a request whose `Host` is none of this machine's own names, or whose `Origin` is another than that
/// host.
#[derive(Clone)]
pub(in crate::http) struct Guard(pub(in crate::http) Arc<Dev>);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            dev: Arc::clone(&self.0),
        }
    }
}

/// A service that foreign pages do not reach.
#[derive(Clone)]
pub(in crate::http) struct Guarded<S> {
    inner: S,
    dev: Arc<Dev>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Guarded<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let host = host(request.uri(), request.headers());
        let admitted = host.is_some_and(|host| {
            is_allowed(&self.dev, &host) && is_own_page(&host, request.headers())
        });
        if admitted {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(ready(Ok(shaped_for(&request, Error::Foreign))))
        }
    }
}

/// An address cannot be pointed elsewhere, as a name can: where other machines are meant to reach the service, they do
/// so by its address.
fn is_allowed(dev: &Dev, host: &Authority) -> bool {
    is_loopback(host) || (dev.exposed && address(host).is_some())
}

/// The host that was asked for: `Host`, which the target must not contradict.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut sent = headers.get_all(HOST).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let host = Authority::try_from(value.as_bytes()).ok()?;
    let agrees = uri.authority().is_none_or(|target| *target == host);
    (agrees && !host.as_str().contains('@')).then_some(host)
}

/// `localhost` and the names below it, and the loopback addresses; whatever the port, which may have been forwarded.
fn is_loopback(host: &Authority) -> bool {
    let name = host.host().trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|it| it.is_loopback())
}

/// The host as an address, if it is one.
fn address(host: &Authority) -> Option<IpAddr> {
    let name = host.host().trim_end_matches('.');
    let v6 = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    v6.unwrap_or(name).parse().ok()
}

/// Whether the request comes from no page, or from one of the service itself.
fn is_own_page(host: &Authority, headers: &HeaderMap) -> bool {
    // A page that tells nobody its address (`Referrer-Policy: no-referrer`) sends forms with the origin `null`.
    let is_same_site = headers
        .get("sec-fetch-site")
        .is_some_and(|it| it == "same-origin");
    headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        if origin == "null" && is_same_site {
            return true;
        }
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use http::Request;

    use crate::clock::ManualClock;
    use crate::clock::Timestamp;
    use crate::http::Dev;
    use crate::http::tests::Server;

    async fn status(server: &Server, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        if answer.status == 403 {
            assert_eq!(answer.header("access-control-allow-origin"), None);
            if !path.contains("/auth/") {
                answer.forbidden("The request comes by a foreign host name or from a foreign page");
            }
        }
        answer.status
    }

    const PATHS: [&str; 6] = [
        "/dev/outbox",
        "/dev/outbox.html",
        "/dev/messages",
        "/openapi.json",
        "//dev/outbox",
        "/nothing",
    ];

    #[tokio::test]
    async fn a_name_that_was_pointed_here_reaches_nothing() {
        let server = Server::new();
        for host in [
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "169.254.169.254",
            "",
            "user@localhost",
            "[::2]",
            "128.0.0.1",
            "localhost:80:80",
            "0.0.0.0",
        ] {
            for path in PATHS {
                assert_eq!(
                    status(&server, path, &[("host", host)]).await,
                    403,
                    "{host} {path}"
                );
            }
            assert_eq!(
                status(&server, "/auth/rate_limit", &[("host", host)]).await,
                403
            );
        }
        assert_eq!(
            status(&server, "/healthz", &[]).await,
            403,
            "no host at all"
        );
        assert_eq!(
            status(
                &server,
                "/healthz",
                &[("host", "localhost"), ("host", "localhost")]
            )
            .await,
            403
        );
        assert_eq!(
            status(
                &server,
                "http://evil.example/healthz",
                &[("host", "localhost")]
            )
            .await,
            403
        );
    }

    #[tokio::test]
    async fn every_name_of_this_machine_is_served() {
        let server = Server::new();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:9",
            "127.1.2.3",
            "[::1]:8080",
            "app.localhost",
            "localhost.",
        ] {
            assert_eq!(
                status(&server, "/dev/outbox", &[("host", host)]).await,
                200,
                "{host}"
            );
        }
        assert_eq!(
            status(
                &server,
                "http://localhost:1/healthz",
                &[("host", "localhost:1")]
            )
            .await,
            200
        );
    }

    #[tokio::test]
    async fn a_page_of_another_origin_reaches_nothing() {
        let server = Server::new();
        let own = ("host", "localhost:8080");
        for origin in [
            "http://evil.example",
            "https://evil.example",
            "null",
            "http://localhost:8080.evil.example",
            "file://",
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8080",
            "",
        ] {
            for path in PATHS {
                assert_eq!(
                    status(&server, path, &[own, ("origin", origin)]).await,
                    403,
                    "{origin}"
                );
            }
        }
        assert_eq!(
            status(
                &server,
                "/healthz",
                &[own, ("origin", "http://localhost:8080")]
            )
            .await,
            200
        );
        let form = [own, ("origin", "null"), ("sec-fetch-site", "same-origin")];
        assert_eq!(status(&server, "/healthz", &form).await, 200);
        let foreign = [own, ("origin", "null"), ("sec-fetch-site", "cross-site")];
        assert_eq!(status(&server, "/healthz", &foreign).await, 403);
    }

    #[tokio::test]
    async fn an_exposed_service_is_reached_by_its_address_but_by_no_name_and_from_no_other_page() {
        let exposed = Server::with(None, |state| {
            let clock = ManualClock::at(Timestamp::from_seconds(0));
            state.dev = Some(Dev::new(Arc::new(clock), true, Arc::default()).into());
        });
        let host = ("host", "192.168.7.7:8080");
        let name = ("host", "factord.internal:8080");
        assert_eq!(status(&exposed, "/healthz", &[name]).await, 403);
        assert_eq!(status(&exposed, "/healthz", &[host]).await, 200);
        assert_eq!(
            status(
                &exposed,
                "/healthz",
                &[host, ("origin", "http://192.168.7.7:8080")]
            )
            .await,
            200
        );
        assert_eq!(
            status(
                &exposed,
                "/healthz",
                &[host, ("origin", "http://evil.example")]
            )
            .await,
            403
        );
    }

    #[tokio::test]
    async fn production_does_not_look_at_the_host() {
        let server = Server::with(None, |state| state.dev = None);
        assert_eq!(
            status(
                &server,
                "/healthz",
                &[("host", "evil.example"), ("origin", "null")]
            )
            .await,
            200
        );
    }
}
