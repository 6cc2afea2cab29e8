//! POST /voice/{id}/{token}/digits: something was typed on the phone.

use axum::extract::{Request, State};
use axum::response::Response;

use super::call::Call;
use super::{Fields, ToSay};
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::OfReports;

/// Tell what was typed in a call
///
/// For the gateway that makes the call, which signs the request (docs/factors/voice.md). The right digits complete what
/// the call is about; the third wrong ones end it.
#[utoipa::path(
    post,
    path = "/voice/{id}/{token}/digits",
    operation_id = "voice_digits",
    tag = "Calls",
    params(
        ("id" = String, Path, description = "The registration or verification"),
        ("token" = String, Path, description = "The token of the link"),
    ),
    request_body(content((Fields = "application/x-www-form-urlencoded"), (Fields = "application/json", example = json!({"digits": "123456"})))),
    responses(
        (status = 200, description = "What the phone says, and whether it listens once more", content(
            (String = "application/xml"),
            (ToSay = "application/json", example = json!({
                "language": "en-US", "say": ["Thank you, the code is right.", "Goodbye."], "gather": null
            })),
        )),
        OfReports,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Error> {
    let asked = app.hear(request).await?;
    let digits = asked
        .fields
        .digits
        .ok_or_else(|| Error::invalid("digits"))?;
    let spoken = match &asked.call {
        Some(call) => call.typed(&app, digits).await?,
        None => Call::nobody(&app),
    };
    asked.way.render(asked.call.as_ref(), spoken)
}
