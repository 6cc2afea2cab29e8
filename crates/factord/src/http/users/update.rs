//! PUT /api/2/users/{user_id}: a user changes.

use axum::extract::{Request, State};
use onelogin::models::{User, UserRequest};
use serde_json::{Map, Value};

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::Updating;

/// Change a user
///
/// What is absent, or `null`, stays as it is. Suspending or locking a user ends what is open. A new phone number or
/// address moves no device that is enrolled already.
#[utoipa::path(
    put,
    path = "/api/2/users/{user_id}",
    operation_id = "update_user2",
    tag = "Users",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = UserRequest,
    responses(
        (status = 200, description = "The user as it is now", body = User, example = json!({
            "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 2,
            "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-02-01T09:30:00Z"
        })),
        Updating,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<Map<String, Value>>, Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<UserRequest>>(Permission::WriteUsers, request)
        .await?;
    let profile = app.service.decide(user, super::change(asked)).await?;
    Ok(axum::Json(super::render(user, profile)))
}
