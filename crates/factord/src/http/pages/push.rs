//! The page of a push with number matching: the number that the person types into the app is shown here, in one browser
//! alone, and that browser gets the one-time code when the app has approved.

use askama::Template;
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::verify::{Page, gone};
use super::{Told, render, render_and_go, with_otp};
use crate::clock;
use crate::crypto::tokens;
use crate::factor::protect::{self, Answer, PageState};
use crate::http::App;
use crate::http::error::Error;
use crate::http::wire;
use crate::mfa::answer::{GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::refusal::Refusal;
use crate::service;

/// What is asked, and the button that shows the number. A browser that shows it already has the button too.
pub(super) fn ask(app: &App, page: &Page, headers: &HeaderMap) -> Result<Response, Error> {
    match state(app, page, secret(headers))? {
        PageState::Unopened | PageState::Here { .. } => {
            let it = &page.verification;
            let asked = Ask {
                service: &app.service.core().service_name,
                name: it.display_name.as_deref(),
                asked_at: wire::time(it.created_at)
                    .map_or_else(String::new, |time| time.to_string()),
            };
            render(StatusCode::OK, &asked)
        }
        PageState::Elsewhere => elsewhere(app),
        PageState::Done => gone(app),
    }
}

/// The first press binds the browser and shows the number; the next look whether the app has approved.
pub(super) async fn press(app: &App, page: &Page, headers: &HeaderMap) -> Result<Response, Error> {
    match state(app, page, secret(headers))? {
        PageState::Unopened => open(app, page).await,
        PageState::Here {
            number,
            approved: false,
        } => show(app, &number),
        PageState::Here { approved: true, .. } => take(app, page, headers).await,
        PageState::Elsewhere => elsewhere(app),
        PageState::Done => gone(app),
    }
}

fn state(app: &App, page: &Page, secret: Option<&str>) -> Result<PageState, Error> {
    let core = app.service.core();
    let state = protect::page(core, page.user, &page.verification, secret);
    Ok(state.map_err(Refusal::Fault)?)
}

/// Binds this browser by a cookie that no script reads and no other site sends. Two browsers at once: one is the first.
async fn open(app: &App, page: &Page) -> Result<Response, Error> {
    let secret = tokens::generate(&mut clock::system_rng());
    let opening = Answer::Open(secret.expose_secret().to_owned());
    let Some(_) = give(app, page, &opening).await? else {
        return gone(app);
    };
    let id = page.verification.id;
    let verification = app.service.verification(page.user, id).await?;
    let bound = Page {
        verification,
        ..*page
    };
    let PageState::Here { number, .. } = state(app, &bound, Some(secret.expose_secret()))? else {
        return elsewhere(app);
    };
    let mut response = show(app, &number)?;
    let https = app.service.core().public_url.scheme() == "https";
    let cookie = format!(
        "{COOKIE_NAME}={}; Path=/verify/{id}; HttpOnly; SameSite=Strict{}",
        secret.expose_secret(),
        if https { "; Secure" } else { "" },
    );
    let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Error::Internal)?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

async fn take(app: &App, page: &Page, headers: &HeaderMap) -> Result<Response, Error> {
    let taking = Answer::Take(secret(headers).unwrap_or_default().to_owned());
    let Some(Outcome::OnPage { otp, redirect_to }) = give(app, page, &taking).await? else {
        return gone(app);
    };
    let redirect_to = redirect_to.ok_or(Error::Internal)?;
    let next = with_otp(&redirect_to, page.verification.id, otp.expose_secret())?;
    let told = Told {
        service: &app.service.core().service_name,
        title: "Thank you",
        text: "You are being taken back to where you were signing in.",
        next: Some(&next),
    };
    render_and_go(&told, 0, &next)
}

/// `None` if what was pending has ended meanwhile.
async fn give(app: &App, page: &Page, answer: &Answer) -> Result<Option<Outcome>, Error> {
    let command = GiveAnswer {
        id: page.verification.id,
        from: Origin::Person,
        answer: Data::of(answer),
    };
    match app.service.decide(page.user, command).await {
        Ok(outcome) => Ok(Some(outcome)),
        Err(service::Error::Refused(
            Refusal::NotFound | Refusal::Unauthorized(_) | Refusal::NotActive | Refusal::Disabled,
        )) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "push_ask.html")]
struct Ask<'a> {
    service: &'a str,
    name: Option<&'a str>,
    asked_at: String,
}

#[derive(Template)]
#[template(path = "push_number.html")]
struct Number<'a> {
    service: &'a str,
    number: &'a str,
}

fn show(app: &App, number: &SecretString) -> Result<Response, Error> {
    let page = Number {
        service: &app.service.core().service_name,
        number: number.expose_secret(),
    };
    render(StatusCode::OK, &page)
}

fn elsewhere(app: &App) -> Result<Response, Error> {
    let page = Told {
        service: &app.service.core().service_name,
        title: "This page is open elsewhere",
        text: "Another browser shows the number of this sign-in. If that is not yours, deny it in the app, and begin again where you were signing in.",
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
