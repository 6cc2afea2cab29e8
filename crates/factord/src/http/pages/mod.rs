//! The hosted pages (contract, Hosted pages): for people, by a browser, under a strict policy. Nothing is completed by a
//! GET, since mail scanners open links; nothing needs a script that a form can do.

mod asked;
mod enrol;
mod key;
mod link;
mod push;
mod reader;
mod texts;
mod verify;

#[cfg(test)]
mod tests;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH};
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::error::Error;
use crate::crypto::tokens::TokenHash;
use crate::mfa::answer::{GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::User;
use crate::service;
use reader::Reader;

/// The pages, which need no token.
pub(super) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(link::ask, link::press))
        .routes(routes!(enrol::page, enrol::finish))
        .routes(routes!(verify::page, verify::finish))
        .route(
            "/pages/key.js",
            file(JAVASCRIPT, include_str!("../../../templates/key.js")),
        )
        .route(
            "/pages/push.js",
            file(JAVASCRIPT, include_str!("../../../templates/push.js")),
        )
        .route(
            "/pages/page.css",
            file(CSS, include_str!("../../../templates/page.css")),
        )
}

/// A page that tells how something ended.
#[derive(Template)]
#[template(path = "told.html")]
struct Told<'a> {
    reader: Reader<'a>,
    title: &'a str,
    text: &'a str,
    /// Where the browser may go on.
    next: Option<&'a str>,
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

/// `redirect_to`, which every verification on a page has, with what the caller completes it by (contract, Hosted pages).
fn with_otp(redirect_to: Option<&str>, id: Uuid, otp: &SecretString) -> Result<String, Error> {
    let url = redirect_to.and_then(|address| Url::parse(address).ok());
    let mut url = url.ok_or(Error::Internal)?;
    url.query_pairs_mut()
        .append_pair("verification_id", &id.to_string())
        .append_pair("otp", otp.expose_secret());
    Ok(url.into())
}

/// The page that takes the browser back to the caller, with what completes the verification.
fn back(
    reader: Reader<'_>,
    redirect_to: Option<&str>,
    id: Uuid,
    otp: &SecretString,
) -> Result<Response, Error> {
    let next = with_otp(redirect_to, id, otp)?;
    let page = Told {
        reader,
        title: reader.texts.thank_you,
        text: reader.texts.taken_back,
        next: Some(&next),
    };
    render_and_go(&page, 0, &next)
}

/// Also for a link that never was: whoever guesses learns nothing.
fn gone(reader: Reader<'_>) -> Result<Response, Error> {
    let page = Told {
        reader,
        title: reader.texts.gone,
        text: reader.texts.gone_explained,
        next: None,
    };
    render(StatusCode::GONE, &page)
}

/// Gives the person's answer; `None` if what was pending is over, or may not be answered any more.
async fn give(app: &App, user: UserId, id: Uuid, answer: Data) -> Result<Option<Outcome>, Error> {
    let command = GiveAnswer {
        id,
        from: Origin::Person,
        answer,
    };
    match app.service.decide(user, command).await {
        Ok(outcome) => Ok(Some(outcome)),
        Err(
            service::Error::NoSuchUser
            | service::Error::Refused(
                Refusal::NotFound
                | Refusal::Unauthorized(_)
                | Refusal::NotActive
                | Refusal::Disabled
                | Refusal::FactorDisabled,
            ),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The user to whom a link leads, if it is one and leads to one.
async fn linked(app: &App, link: Option<TokenHash>) -> Result<Option<User>, Error> {
    let Some(link) = link else {
        return Ok(None);
    };
    let Some(user) = app.service.store().linked_user(link).await? else {
        return Ok(None);
    };
    match app.service.user(user).await {
        Ok(user) => Ok(Some(user)),
        Err(service::Error::NoSuchUser) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a page loads from us.
fn file(media_type: &'static str, text: &'static str) -> MethodRouter<App> {
    get(move || async move { ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], text) })
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// Only what we serve ourselves; a form goes back to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
