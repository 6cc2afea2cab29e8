//! What the pages of `factord dev` share: they run nothing, and load nothing from elsewhere.

use std::sync::LazyLock;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use data_encoding::BASE64;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use sha2::{Digest, Sha256};

use crate::http::error::Error;

/// A page whose one style is [`STYLE`].
pub(super) fn page(page: &impl Template) -> Result<Response, Error> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Error::Internal
    })?;
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, Html(html)).into_response())
}

/// The style of the pages.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\
article{border:1px solid #8888;border-radius:.5rem;padding:.25rem 1rem;margin:1rem 0}\
h2{font-size:1.1rem}code{font-size:1.3rem}pre{white-space:pre-wrap;font:inherit}time{opacity:.7}\
iframe{width:100%;height:24rem;border:1px solid #8888;background:#fff}";

/// Nothing runs, nothing is sent, and nothing is loaded but frames of this server; the one style is known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64.encode(&Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});
