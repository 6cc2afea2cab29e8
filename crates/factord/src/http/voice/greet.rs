//! POST /voice/{id}/{token}: somebody took the call, and the gateway asks what to say.

use axum::extract::{Request, State};
use axum::response::Response;

use super::call::Call;
use super::{Fields, ToSay};
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::OfGateways;

/// Ask what a call shall say
///
/// For the gateway that makes the call, which signs the request (docs/factors/voice.md). It changes nothing.
#[utoipa::path(
    post,
    path = "/voice/{id}/{token}",
    operation_id = "voice_greet",
    tag = "Calls",
    params(
        ("id" = String, Path, description = "The registration or verification"),
        ("token" = String, Path, description = "The token of the link"),
    ),
    request_body(content((Fields = "application/x-www-form-urlencoded"), (Fields = "application/json", example = json!({})))),
    responses(
        (status = 200, description = "What the phone says, and whether it then listens", content(
            (String = "application/xml"),
            (ToSay = "application/json", example = json!({
                "language": "en-US", "say": ["This is factord. Please type the code that is shown to you, then press the hash key."],
                "gather": {"digits": 6, "seconds": 15}
            })),
        )),
        OfGateways,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Error> {
    let asked = app.hear(request).await?;
    let call = asked.call.as_ref();
    let spoken = call.map_or_else(|| Call::nobody(&app), Call::greet);
    asked.way.render(call, spoken)
}
