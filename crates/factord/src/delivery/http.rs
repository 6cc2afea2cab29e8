//! What the providers that speak HTTP share: one client each, which follows no redirect and reads no more of an answer
//! than it needs.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use url::{Host, Url};

use super::provider::{Failure, Meaning};
use super::settings::SetupError;

/// A client for `url`, which trusts the system's authorities and `roots`. It keeps connections open, and goes through the
/// proxy that the environment names, but not to this machine.
pub(crate) fn client(url: &Url, roots: &[CertificateDer<'static>]) -> Result<Client, SetupError> {
    let builder = builder(roots)?;
    let builder = if is_loopback(url) {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .build()
        .map_err(|error| SetupError(error.to_string()))
}

/// What every client is built from: it follows no redirect.
pub(super) fn builder(roots: &[CertificateDer<'static>]) -> Result<ClientBuilder, SetupError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls(roots)?)
        .redirect(Policy::none())
        .user_agent(concat!("factord/", env!("CARGO_PKG_VERSION"))))
}

fn tls(roots: &[CertificateDer<'static>]) -> Result<ClientConfig, SetupError> {
    let unusable = |error: rustls::Error| SetupError(format!("TLS: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots.to_vec(), Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous() // rustls' word for any verifier that is not its own; this one is the operating system's
        .with_custom_certificate_verifier(Arc::new(verifier.map_err(unusable)?))
        .with_no_client_auth();
    Ok(config)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// There was no answer. The words are those of the network and TLS libraries, which know nothing of the message.
pub(super) fn unreachable(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut what = "cannot be reached".to_owned();
    let mut source = error.source();
    while let Some(cause) = source {
        what.push_str(": ");
        what.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure::new(Meaning::Unavailable, what)
}

/// The body of an answer, as far as it is not longer than any that means something to us.
pub(crate) async fn short_body(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

const LONGEST_BODY: usize = 65_536;
