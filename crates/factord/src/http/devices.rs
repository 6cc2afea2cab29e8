//! get_authentication_devices: what the user has enrolled.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::Device;

use super::App;
use super::error::Error;
use super::openapi::Reading;
use super::wire;
use crate::auth::scope::Permission;

/// List the user's devices
///
/// Confirmed devices, the oldest first, and the temporary tokens that are alive.
#[utoipa::path(
    get,
    path = "/api/2/mfa/users/{user_id}/devices",
    operation_id = "get_authentication_devices",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The devices", body = [Device], example = json!([{
            "device_id": "3920360", "user_display_name": "My phone", "type_display_name": "OneLogin SMS",
            "auth_factor_name": "SMS", "default": true
        }])),
        Reading,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Vec<Device>>, Error> {
    let (user, ()) = app.admit(Permission::Verify, request).await?;
    let devices = app.service.devices(user).await?.into_iter();
    let listed = devices.map(|device| Device {
        device_id: wire::device_id(device.id),
        user_display_name: device.display_name,
        type_display_name: device.type_display_name.to_owned(),
        auth_factor_name: device.auth_factor_name.to_owned(),
        default: device.default,
    });
    Ok(Json(listed.collect()))
}
