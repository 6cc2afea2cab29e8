//! DELETE /api/2/users/{user_id}: a user goes, and all that is known of them but the audit trail.

use axum::extract::{Request, State};
use http::StatusCode;

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::Reading;
use crate::mfa::profile::DeleteUser;

/// Delete a user
///
/// Their personal data and devices are erased; the audit trail, which holds neither, is kept.
#[utoipa::path(
    delete,
    path = "/api/2/users/{user_id}",
    operation_id = "delete_user2",
    tag = "Users",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    responses((status = 204, description = "The user is gone"), Reading),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Error> {
    let (user, ()) = app.admit(Permission::WriteUsers, request).await?;
    app.service.decide(user, DeleteUser).await?;
    Ok(StatusCode::NO_CONTENT)
}
