//! GET /auth/rate_limit: what is left of the credential's requests.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::{RateLimit, RateLimitResponse, StatusBody};

use crate::http::App;
use crate::http::bearer;
use crate::http::error::V1;
use crate::http::openapi::RateLimitErrors;

/// Read the rate limit
///
/// How many requests the credential has left in this hour. Asking does not count.
#[utoipa::path(
    get,
    path = "/auth/rate_limit",
    operation_id = "get_rate_limit",
    tag = "OAuth 2",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The limit", body = RateLimitResponse, example = json!({
            "status": {"error": false, "code": 200, "type": "success", "message": "Success"},
            "data": {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 4994, "X-RateLimit-Reset": 1800}
        })),
        RateLimitErrors,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<RateLimitResponse>, V1> {
    let caller = bearer::caller(&app, request.headers()).await?;
    let now = app.service.store().now();
    let standing = app.access.rate_limiter.standing(&caller.credential, now);
    Ok(Json(RateLimitResponse {
        status: StatusBody::success(),
        data: RateLimit {
            limit: standing.limit.into(),
            remaining: standing.remaining.into(),
            reset: standing.reset.try_into().unwrap_or(i64::MAX),
        },
    }))
}
