//! delete_enrolled_factor: a device or a temporary token goes.

use axum::extract::{Request, State};
use http::StatusCode;

use super::App;
use super::error::Error;
use super::openapi::ReadingOne;
use crate::auth::scope::Permission;
use crate::mfa::device::DeleteDevice;

/// Delete a device
///
/// Its open verifications end as rejected. A temporary token is deleted by its `user_temp_otp_…` id.
#[utoipa::path(
    delete,
    path = "/api/2/mfa/users/{user_id}/devices/{device_id}",
    operation_id = "delete_enrolled_factor",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("device_id" = onelogin::models::DeviceId, Path, description = "The device or the temporary token"),
    ),
    responses((status = 204, description = "It is gone"), ReadingOne),
)]
pub(super) async fn handler(State(app): State<App>, request: Request) -> Result<StatusCode, Error> {
    let ((user, device), ()) = app.admit(Permission::ManageMfa, request).await?;
    let Some(device) = device else {
        return Err(app.nothing(user).await);
    };
    app.service.decide(user, DeleteDevice { device }).await?;
    Ok(StatusCode::NO_CONTENT)
}
