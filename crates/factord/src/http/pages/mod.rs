//! The hosted pages (contract, Hosted pages): for people, by a browser, under a strict policy. Nothing is completed by a
//! GET, since mail scanners open links; nothing needs a script that a form can do.

mod link;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH};
use http::{HeaderValue, StatusCode};
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::error::Error;

/// The pages, which need no token.
pub(super) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(link::ask, link::press))
        .route("/pages/page.css", axum::routing::get(style))
}

/// A page that tells how something ended.
#[derive(Template)]
#[template(path = "told.html")]
pub(super) struct Told<'a> {
    pub(super) service: &'a str,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    /// Where the browser may go on.
    pub(super) next: Option<&'a str>,
}

/// A page as it is sent: never kept, never framed, and its address is told to nobody.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Result<Response, Error> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Error::Internal
    })?;
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((status, headers, Html(html)).into_response())
}

/// The same, which after some seconds goes on to `next`.
pub(super) fn render_and_go(
    page: &impl Template,
    seconds: u8,
    next: &str,
) -> Result<Response, Error> {
    let mut response = render(StatusCode::OK, page)?;
    let refresh = HeaderValue::try_from(format!("{seconds}; url={next}"));
    let refresh = refresh.map_err(|_| Error::Internal)?;
    response.headers_mut().insert(REFRESH, refresh);
    Ok(response)
}

/// `redirect_to` with what the caller completes the verification by (contract, Hosted pages).
pub(super) fn with_otp(redirect_to: &str, id: uuid::Uuid, otp: &str) -> Result<String, Error> {
    let mut url = Url::parse(redirect_to).map_err(|_| Error::Internal)?;
    url.query_pairs_mut()
        .append_pair("verification_id", &id.to_string())
        .append_pair("otp", otp);
    Ok(url.into())
}

async fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    (
        [(CONTENT_TYPE, css)],
        include_str!("../../../templates/page.css"),
    )
        .into_response()
}

/// Only what we serve ourselves; a form goes back to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
