//! POST /voice/{id}/{token}/status: the call is over, and how.

use axum::extract::{Request, State};
use http::StatusCode;

use super::Fields;
use crate::factor::voice::CallEvent;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::OfReports;

/// Tell how a call ended
///
/// For the gateway that makes the call, which signs the request (docs/factors/voice.md). What the call is about ends with
/// it, unless it was completed before.
#[utoipa::path(
    post,
    path = "/voice/{id}/{token}/status",
    operation_id = "voice_status",
    tag = "Calls",
    params(
        ("id" = String, Path, description = "The registration or verification"),
        ("token" = String, Path, description = "The token of the link"),
    ),
    request_body(content((Fields = "application/x-www-form-urlencoded"), (Fields = "application/json", example = json!({"status": "completed"})))),
    responses((status = 204, description = "It is noted"), OfReports),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Error> {
    let asked = app.hear(request).await?;
    let status = asked
        .fields
        .status
        .ok_or_else(|| Error::invalid("status"))?;
    let event = match status.as_str() {
        "completed" => Some(CallEvent::HungUp),
        "busy" | "no-answer" | "failed" | "canceled" => Some(CallEvent::NoAnswer),
        _ => None,
    };
    if let Some((call, event)) = asked.call.zip(event) {
        call.over(&app, event).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
