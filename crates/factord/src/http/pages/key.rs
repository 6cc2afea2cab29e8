//! What the pages have in common on which a WebAuthn key is made or used: they run a script, which posts what comes of the
//! ceremony to the page's own address and goes where the answer says.

use askama::Template;
use axum::Json;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::asked::Asked;
use super::reader::Reader;
use super::{render, with_otp};
use crate::factor::webauthn::Answer;
use crate::http::App;
use crate::http::error::Error;
use crate::mfa::answer::{Accepted, GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::ids::UserId;

/// The page.
#[derive(Template)]
#[template(path = "key.html")]
pub(super) struct KeyPage<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) title: &'static str,
    pub(super) asked: Asked<'a>,
    /// `create` or `get`.
    pub(super) ceremony: &'static str,
    /// The options of the ceremony.
    pub(super) options: &'a Value,
    pub(super) button: &'static str,
    /// What is told at the end.
    pub(super) done: &'static str,
}

impl KeyPage<'_> {
    pub(super) fn response(&self) -> Result<Response, Error> {
        render(StatusCode::OK, self)
    }
}

/// What the script is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Next {
    /// Where the browser goes now, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    go_to: Option<String>,
}

/// Gives the answer of the page's visitor, who never finishes what somebody else has begun.
pub(super) async fn answer(
    app: &App,
    user: UserId,
    id: Uuid,
    credential: Value,
) -> Result<Json<Next>, Error> {
    let command = GiveAnswer {
        id,
        from: Origin::Person,
        answer: Data::of(&Answer::Page(credential)),
    };
    let go_to = match app.service.decide(user, command).await? {
        Outcome::Accepted(Accepted::Registration(accepted)) => accepted.redirect_to,
        Outcome::OnPage { otp, redirect_to } => Some(with_otp(redirect_to.as_deref(), id, &otp)?),
        Outcome::Accepted(Accepted::Verification(_)) | Outcome::Pending | Outcome::Ended => {
            return Err(Error::Internal);
        }
    };
    Ok(Json(Next { go_to }))
}
