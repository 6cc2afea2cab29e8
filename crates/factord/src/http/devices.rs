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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{EMAIL, SMS, Server, a_device, a_token_device};

    #[tokio::test]
    async fn confirmed_devices_and_living_tokens_are_listed_and_nothing_else() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        assert_eq!(person.get("/devices").await.body, json!([]));
        person.enrol(SMS).await;
        person.register(EMAIL).await;
        person.post("/mfa_token", json!({"expires_in": 600})).await;
        insta::assert_json_snapshot!(person.get("/devices").await.shown(), {
            ".body[0].device_id" => a_device(),
            ".body[1].device_id" => a_token_device(),
        });
        server.advance(600);
        assert_eq!(
            person.get("/devices").await.body.as_array().map(Vec::len),
            Some(1)
        );
    }

    #[tokio::test]
    async fn the_oldest_device_is_the_default_one() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (first, second) = (person.enrol(EMAIL).await, person.enrol(SMS).await);
        let devices = person.get("/devices").await.body;
        let shown: Vec<_> = devices
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (&it["device_id"], &it["default"]))
            .collect();
        assert_eq!(
            shown,
            [
                (&json!(first), &json!(true)),
                (&json!(second), &json!(false))
            ]
        );
    }
}
