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
use crate::node::CLOCK_OFFSET;

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
            .set_setting(CLOCK_OFFSET, offset.to_string())
            .await?;
        dev.clock.set_offset(offset);
    }
    drop(moving);
    let now = wire::time(dev.clock.now()).ok_or(Error::Internal)?;
    Ok(axum::Json(Now { now }))
}

/// A hundred years: every time that follows from it can still be written.
const FURTHEST: i64 = 100 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::clock::Clock;
    use crate::http::tests::Server;
    use crate::node::CLOCK_OFFSET;

    const PATH: &str = "/dev/clock";

    #[tokio::test]
    async fn the_clock_moves_forward_and_says_the_new_time_and_keeps_it() {
        let server = Server::new();
        let stranger = server.client_by("");
        for (seconds, now, offset) in [
            (0, "2023-11-14T22:13:20Z", None),
            (121, "2023-11-14T22:15:21Z", Some("121")),
            (0, "2023-11-14T22:15:21Z", Some("121")),
            (86_400, "2023-11-15T22:15:21Z", Some("86521")),
        ] {
            let answer = stranger
                .post(PATH, json!({"advance_seconds": seconds}))
                .await;
            assert_eq!((answer.status, answer.body), (200, json!({"now": now})));
            assert_eq!(
                server.store.setting(CLOCK_OFFSET).await.unwrap().as_deref(),
                offset
            );
        }
    }

    #[tokio::test]
    async fn moves_that_come_at_once_are_all_made() {
        let server = Server::new();
        let (one, two) = (server.client_by(""), server.client_by(""));
        let moved = || json!({"advance_seconds": 10});
        tokio::join!(one.post(PATH, moved()), two.post(PATH, moved()));
        assert_eq!(server.clock.offset(), 20);
    }

    #[tokio::test]
    async fn it_never_goes_back_nor_beyond_all_time() {
        let server = Server::new();
        let stranger = server.client_by("");
        for seconds in [-1, -3_600, 3_153_600_001, i64::MAX, i64::MIN] {
            let refused = stranger
                .post(PATH, json!({"advance_seconds": seconds}))
                .await;
            refused.invalid(&["advance_seconds"]);
        }
        assert_eq!(server.clock.offset(), 0);
        assert_eq!(
            stranger
                .post(PATH, json!({"advance_seconds": 3_153_600_000_i64}))
                .await
                .status,
            200
        );
        stranger
            .post(PATH, json!({"advance_seconds": 1}))
            .await
            .invalid(&["advance_seconds"]);
    }

    #[tokio::test]
    async fn a_move_that_cannot_be_read_is_a_bad_request() {
        let server = Server::new();
        let stranger = server.client_by("");
        for body in [
            "",
            "{}",
            r#"{"advance_seconds": "x"}"#,
            r#"{"advance_seconds": []}"#,
            "[",
        ] {
            let refused = stranger
                .raw("POST", PATH, Some("application/json"), body)
                .await;
            assert_eq!(
                (refused.status, &refused.body["name"]),
                (400, &json!("BadRequest")),
                "{body}"
            );
        }
    }
}
