//! POST /dev/clock: the service's clock moves forward, so that expiry and time steps can be tested.

use axum::extract::{Request, State};
use onelogin::models::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::DevWriting;
use crate::http::wire;

/// How far the clock is to move.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Move {
    /// Seconds: 0 only asks for the time.
    #[schema(minimum = 0)]
    advance_seconds: i64,
}

/// What the clock says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Now {
    /// The service's time.
    now: Time,
}

/// Move the clock forward
///
/// The move is kept with the data, and the clock never goes back.
#[utoipa::path(
    post,
    path = "/dev/clock",
    operation_id = "dev_clock",
    tag = "Development",
    request_body(content = Move, example = json!({"advance_seconds": 121})),
    responses(
        (status = 200, description = "The new time", body = Now, example = json!({"now": "2026-01-31T12:02:01Z"})),
        DevWriting,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<Now>, Error> {
    let Json(Move { advance_seconds }) = app.read_body(request).await?;
    let dev = app.dev.as_ref().ok_or(Error::NoSuchPath)?;
    let moving = dev.moving.lock().await;
    let offset = dev.clock.offset().saturating_add(advance_seconds);
    if advance_seconds < 0 || offset > FURTHEST {
        return Err(Error::invalid("advance_seconds"));
    }
    if advance_seconds > 0 {
        app.service
            .store()
            .set_setting(OFFSET, offset.to_string())
            .await?;
        dev.clock.set_offset(offset);
    }
    drop(moving);
    let now = wire::time(dev.clock.now()).ok_or(Error::Internal)?;
    Ok(axum::Json(Now { now }))
}

/// A hundred years: every time that follows from it can still be written.
const FURTHEST: i64 = 100 * 365 * 86_400;
/// The setting that keeps how far the clock is ahead, in seconds.
const OFFSET: &str = "clock_offset";
