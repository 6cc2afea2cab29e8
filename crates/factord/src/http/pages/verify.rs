//! `/verify/{verification_id}`: where a person answers a challenge that a short code cannot carry. Which page it is its
//! factor says. The page accepts nothing: it gives the browser a one-time code for the caller (contract, Hosted pages).

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Told, push, render};
use crate::factor::Factor;
use crate::factor::protect::Protect;
use crate::http::App;
use crate::http::error::Error;
use crate::mfa::decision::Link;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Status, Verification};
use crate::service;

/// The page of a verification
///
/// It changes nothing: only the press of its button does.
#[utoipa::path(
    get,
    path = "/verify/{verification_id}",
    operation_id = "verification_page",
    tag = "Pages",
    params(("verification_id" = String, Path, description = "The verification")),
    responses(
        (status = 200, description = "What is asked, and a button", body = String, content_type = "text/html"),
        (status = 410, description = "The verification has ended, has no page or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn ask(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    match find(&app, &id).await? {
        Some(page) if page.factor == Protect.description().name => {
            push::ask(&app, &page, request.headers())
        }
        _ => gone(&app),
    }
}

/// Press the button on the page of a verification
#[utoipa::path(
    post,
    path = "/verify/{verification_id}",
    operation_id = "press_verification_page",
    tag = "Pages",
    params(("verification_id" = String, Path, description = "The verification")),
    responses(
        (status = 200, description = "How it stands now", body = String, content_type = "text/html"),
        (status = 409, description = "Another browser shows the page", body = String, content_type = "text/html"),
        (status = 410, description = "The verification has ended, has no page or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn press(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    match find(&app, &id).await? {
        Some(page) if page.factor == Protect.description().name => {
            push::press(&app, &page, request.headers()).await
        }
        _ => gone(&app),
    }
}

/// A verification that has a page, and is pending.
pub(super) struct Page {
    /// Whose it is.
    pub(super) user: UserId,
    /// The verification.
    pub(super) verification: Verification,
    /// The name of its factor.
    pub(super) factor: &'static str,
}

/// The pending verification with this id, if it has a page.
async fn find(app: &App, id: &str) -> Result<Option<Page>, Error> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let link = app.service.store().linked_user(Link::of_verification(id));
    let Some(user) = link.await? else {
        return Ok(None);
    };
    let verification = match app.service.verification(user, id).await {
        Ok(it) if it.status == Status::Pending && it.on_page => it,
        Ok(_) | Err(service::Error::NoSuchUser | service::Error::Refused(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let factor = app
        .service
        .core()
        .catalogue
        .described(verification.factor_id);
    Ok(factor.map(|factor| Page {
        user,
        verification,
        factor: factor.name,
    }))
}

/// Also for one that never was: whoever guesses learns nothing.
pub(super) fn gone(app: &App) -> Result<Response, Error> {
    let page = Told {
        service: &app.service.core().service_name,
        title: "This page does not work any more",
        text: "It was used or denied, or its time is up. Go back to where you were signing in, and begin again.",
        next: None,
    };
    render(StatusCode::GONE, &page)
}
