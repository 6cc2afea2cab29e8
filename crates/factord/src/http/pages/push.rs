//! The page of a push with number matching: the number that the person types into the app is shown here, in one browser
//! alone, and that browser gets the one-time code when the app has approved.

use askama::Template;
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::asked::Asked;
use super::reader::Reader;
use super::{Told, back, give, gone, render};
use crate::clock;
use crate::crypto::tokens;
use crate::factor::protect::Answer;
use crate::factor::protect::page::{self, PageState};
use crate::http::App;
use crate::http::error::Error;
use crate::mfa::answer::Outcome;
use crate::mfa::data::Data;
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::Verification;

/// What is asked, and the button that shows the number. A browser that shows it already has the button too.
pub(super) fn ask(
    app: &App,
    reader: Reader<'_>,
    user: UserId,
    pending: &Verification,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    match state(app, user, pending, secret(headers))? {
        PageState::Unopened | PageState::Here { .. } => {
            let (sentence, name) = (reader.texts.confirm_login, pending.display_name.as_deref());
            let asked = Asked::new(reader, sentence, name, pending.created_at);
            render(StatusCode::OK, &Ask { reader, asked })
        }
        PageState::Elsewhere => elsewhere(reader),
        PageState::Done => gone(reader),
    }
}

/// The first press binds the browser and shows the number; the next look whether the app has approved.
pub(super) async fn press(
    app: &App,
    reader: Reader<'_>,
    user: UserId,
    pending: &Verification,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let secret = secret(headers);
    match state(app, user, pending, secret)? {
        PageState::Unopened => open(app, reader, user, pending).await,
        PageState::Here {
            number,
            approved: false,
        } => show(reader, &number),
        PageState::Here { approved: true, .. } => {
            take(app, reader, user, pending, secret.unwrap_or_default()).await
        }
        PageState::Elsewhere => elsewhere(reader),
        PageState::Done => gone(reader),
    }
}

fn state(
    app: &App,
    user: UserId,
    pending: &Verification,
    secret: Option<&str>,
) -> Result<PageState, Error> {
    let state = page::state(&app.service.core(), user, pending, secret);
    Ok(state.map_err(Refusal::Fault)?)
}

/// Binds this browser by a cookie that no script reads and no other site sends. Two browsers at once: one is the first.
async fn open(
    app: &App,
    reader: Reader<'_>,
    user: UserId,
    pending: &Verification,
) -> Result<Response, Error> {
    let core = app.service.core();
    let secret = tokens::generate(&mut clock::system_rng());
    let secret = secret.expose_secret();
    let opening = Answer::Open(secret.to_owned());
    let Some(_) = give(app, user, pending.id, Data::of(&opening)).await? else {
        return gone(reader);
    };
    let pending = app.service.verification(user, pending.id).await?;
    let PageState::Here { number, .. } = state(app, user, &pending, Some(secret))? else {
        return elsewhere(reader);
    };
    let mut response = show(reader, &number)?;
    let secure = match core.public_url.scheme() {
        "https" => "; Secure",
        _ => "",
    };
    let id = pending.id;
    let cookie =
        format!("{COOKIE_NAME}={secret}; Path=/verify/{id}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Error::Internal)?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

async fn take(
    app: &App,
    reader: Reader<'_>,
    user: UserId,
    pending: &Verification,
    secret: &str,
) -> Result<Response, Error> {
    let taking = Answer::Take(secret.to_owned());
    match give(app, user, pending.id, Data::of(&taking)).await? {
        Some(Outcome::OnPage { otp, redirect_to }) => {
            back(reader, redirect_to.as_deref(), pending.id, &otp)
        }
        _ => gone(reader),
    }
}

#[derive(Template)]
#[template(path = "push_ask.html")]
struct Ask<'a> {
    reader: Reader<'a>,
    asked: Asked<'a>,
}

#[derive(Template)]
#[template(path = "push_number.html")]
struct Number<'a> {
    reader: Reader<'a>,
    number: &'a str,
}

fn show(reader: Reader<'_>, number: &SecretString) -> Result<Response, Error> {
    let number = number.expose_secret();
    render(StatusCode::OK, &Number { reader, number })
}

fn elsewhere(reader: Reader<'_>) -> Result<Response, Error> {
    let page = Told {
        reader,
        title: reader.texts.elsewhere,
        text: reader.texts.elsewhere_explained,
        next: None,
    };
    render(StatusCode::CONFLICT, &page)
}

/// What the browser was bound by, if it sends it.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get_all(COOKIE).iter();
    let mut cookies = sent
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    cookies.find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })
}

const COOKIE_NAME: &str = "factord_page";
