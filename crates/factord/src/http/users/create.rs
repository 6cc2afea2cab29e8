//! POST /api/2/users: a new user.

use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::{User, UserRequest};
use serde_json::{Map, Value};

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::Creating;

/// Create a user
///
/// `email` or `username` is required. The user is approved and active unless `state` and `status` say otherwise. Passwords
/// are accepted and dropped.
#[utoipa::path(
    post,
    path = "/api/2/users",
    operation_id = "create_user2",
    tag = "Users",
    security(("bearer" = [])),
    request_body = UserRequest,
    responses(
        (status = 201, description = "The user", body = User, example = json!({
            "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 1,
            "firstname": "Ada", "lastname": "Lovelace", "created_at": "2026-01-31T12:00:00Z",
            "updated_at": "2026-01-31T12:00:00Z"
        })),
        Creating,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Map<String, Value>>), Error> {
    let ((), Json(asked)) = app
        .admit::<_, Json<UserRequest>>(Permission::WriteUsers, request)
        .await?;
    if asked.email.is_none() && asked.username.is_none() {
        return Err(Error::bad_request("email or username is required"));
    }
    let profile = super::change(asked).create(app.service.store().now())?;
    let user = app.service.create_user(profile).await?;
    let shown = super::render(user.id, user.profile);
    Ok((StatusCode::CREATED, axum::Json(shown)))
}
