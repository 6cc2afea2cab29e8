//! Keeps foreign pages out of `factord dev`: neither a name that was pointed at this machine (DNS rebinding) nor a page of
//! another origin (CSRF) reaches any route.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

use super::Dev;
use crate::http::error::Error;
use crate::http::shaped_for;

/// 403 for a request whose `Host` is none of this machine's own names, or whose `Origin` is another than that host.
pub(in crate::http) async fn guard(
    State(dev): State<Arc<Dev>>,
    request: Request,
    next: Next,
) -> Response {
    match host(request.uri(), request.headers()) {
        Some(host)
            if (dev.exposed || is_loopback(&host)) && is_own_page(&host, request.headers()) =>
        {
            next.run(request).await
        }
        _ => shaped_for(&request, Error::Foreign),
    }
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
    if let Some(address) = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address
            .parse()
            .is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
        || name
            .parse()
            .is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

/// Whether the request comes from no page, or from one of the service itself.
fn is_own_page(host: &Authority, headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
    })
}
