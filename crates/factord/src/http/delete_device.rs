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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{SMS, Server};

    #[tokio::test]
    async fn a_device_goes_and_its_open_verifications_end() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let (tail, code) = person.challenge(&device).await;
        let gone = person.delete(&format!("/devices/{device}")).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        assert_eq!(gone.header("content-type"), None);
        assert_eq!(person.get("/devices").await.body, json!([]));
        assert_eq!(person.get(&tail).await.body["status"], "rejected");
        person.put(&tail, json!({"otp": code})).await.wrong_code();
        person
            .delete(&format!("/devices/{device}"))
            .await
            .not_found();
    }

    #[tokio::test]
    async fn a_temporary_token_is_deleted_by_its_own_id() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let token = person.post("/mfa_token", json!({})).await.body;
        let id = token["device_id"].as_str().unwrap();
        let number = id.strip_prefix("user_temp_otp_").unwrap();
        person
            .delete(&format!("/devices/{number}"))
            .await
            .not_found();
        assert_eq!(person.delete(&format!("/devices/{id}")).await.status, 204);
        let refused = person
            .post("/verifications", json!({"otp": token["mfa_token"]}))
            .await;
        refused.wrong_code();
    }

    #[tokio::test]
    async fn a_user_who_is_not_active_may_still_be_rid_of_a_device() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        person.update(json!({"status": 2})).await;
        assert_eq!(
            person.delete(&format!("/devices/{device}")).await.status,
            204
        );
    }

    #[tokio::test]
    async fn one_of_another_user_reads_like_one_that_does_not_exist_or_cannot() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let device = owner.enrol(SMS).await;
        for id in [
            &device,
            "1",
            "0",
            "-1",
            "abc",
            "99999999999",
            "user_temp_otp_1",
            "user_temp_otp_",
        ] {
            other.delete(&format!("/devices/{id}")).await.not_found();
        }
        assert_eq!(
            owner.get("/devices").await.body.as_array().map(Vec::len),
            Some(1)
        );
    }
}
