//! POST /dev/voice/{message}: whoever tries the service out plays the person whose phone rings.

use axum::extract::{Path, Request, State};
use onelogin::models::Status;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::outbox::MOST;
use crate::factor::voice::{CallEvent, of_link};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::DevCalling;
use crate::http::voice::call::Call;
use crate::http::wire;
use crate::mfa::refusal::Refusal;
use crate::service;
use crate::store::OutboxFilter;

/// What the person does: without either the call is taken, and nothing more.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Play {
    /// Types this.
    #[schema(examples("123456"))]
    digits: Option<String>,
    /// Hangs up.
    #[serde(default)]
    hang_up: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Played {
    /// What the phone said then.
    heard: String,
    /// How the registration or verification stands.
    status: Status,
}

/// Answer a call that was not made
///
/// The id is that of the outbox's message, one of the newest thousand.
#[utoipa::path(
    post,
    path = "/dev/voice/{message}",
    operation_id = "dev_voice",
    tag = "Development",
    params(("message" = i64, Path, description = "The id of the message in the outbox")),
    request_body(content = Play, example = json!({"digits": "123456"})),
    responses(
        (status = 200, description = "What the phone said", body = Played, example = json!({
            "heard": "Thank you, the code is right. Goodbye.", "status": "accepted"
        })),
        DevCalling,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    Path(message): Path<String>,
    request: Request,
) -> Result<axum::Json<Played>, Error> {
    let Json(play) = app.read_body::<Json<Play>>(request).await?;
    let call = called(&app, &message).await?;
    let said = match (play.digits, play.hang_up) {
        (Some(_), true) => return Err(Error::invalid("hang_up")),
        (Some(digits), false) => call.typed(&app, digits).await?.say,
        (None, true) => {
            call.over(&app, CallEvent::HungUp).await?;
            Vec::new()
        }
        (None, false) => call.greet().say,
    };
    let (user, id) = call.about();
    let status = match app.service.verification(user, id).await {
        Ok(verification) => verification.status,
        Err(service::Error::Refused(Refusal::NotFound)) => {
            let view = app.service.registration(user, id).await?;
            view.registration.status
        }
        Err(error) => return Err(error.into()),
    };
    Ok(axum::Json(Played {
        heard: said.join(" "),
        status: wire::status(status),
    }))
}

/// The call of a message in the outbox.
async fn called(app: &App, message: &str) -> Result<Call, Error> {
    let id: i64 = message.parse().map_err(|_| Error::NotFound)?;
    let filter = OutboxFilter {
        after: Some(id.saturating_sub(1)),
        limit: MOST,
        ..OutboxFilter::default()
    };
    let messages = app.service.store().outbox(filter).await?;
    let link = messages
        .iter()
        .find(|stored| stored.id == id)
        .and_then(|stored| of_link(stored.message.link.as_deref()?));
    let (about, token) = link.ok_or(Error::NotFound)?;
    let call = Call::find(app, about, token).await?;
    call.ok_or(Error::NotFound)
}
