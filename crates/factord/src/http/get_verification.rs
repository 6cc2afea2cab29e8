//! get_user_verification: how a challenge stands. Clients poll it twice a second.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::Verification;

use super::App;
use super::error::Error;
use super::openapi::ReadingOne;
use super::wire;
use crate::auth::scope::Permission;

/// Read a verification
///
/// It stays readable for a day after it has finished.
#[utoipa::path(
    get,
    path = "/api/2/mfa/users/{user_id}/verifications/{verification_id}",
    operation_id = "get_user_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("verification_id" = onelogin::models::VerificationId, Path, description = "The verification"),
    ),
    responses(
        (status = 200, description = "The verification", body = Verification, examples(
            ("accepted" = (value = json!({
                "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "accepted", "device_id": "39203600"
            }))),
            ("expired" = (value = json!({
                "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "rejected", "device_id": "39203600",
                "reason": "expired"
            }))),
        )),
        ReadingOne,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Verification>, Error> {
    let ((user, id), ()) = app.admit(Permission::Verify, request).await?;
    let Some(id) = id else {
        return Err(app.nothing(user).await);
    };
    let verification = app.service.verification(user, id).await?;
    Ok(Json(Verification {
        id: verification.id.into(),
        status: wire::status(verification.status),
        device_id: Some(wire::device_number(verification.device)),
        reason: wire::reason(verification.ending),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{NO_ID, SMS, Server, a_device, a_uuid, other};

    #[tokio::test]
    async fn it_is_pending_until_it_is_accepted_and_says_no_more() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        insta::assert_json_snapshot!(person.get(&tail).await.shown(), {
            ".body.id" => a_uuid(),
            ".body.device_id" => a_device(),
        });
        person.put(&tail, json!({"otp": code})).await.accepted();
        let body = person.get(&tail).await.body;
        assert_eq!(
            (&body["status"], body.get("reason")),
            (&json!("accepted"), None)
        );
    }

    #[tokio::test]
    async fn one_that_has_expired_says_so_and_one_that_was_guessed_at_does_not() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let (expired, _) = person.challenge(&device).await;
        server.advance(120);
        let body = person.get(&expired).await.body;
        assert_eq!(
            (&body["status"], &body["reason"]),
            (&json!("rejected"), &json!("expired"))
        );
        let (guessed, code) = person.challenge(&device).await;
        for _ in 0..5 {
            person
                .put(&guessed, json!({"otp": other(&code)}))
                .await
                .wrong_code();
        }
        let body = person.get(&guessed).await.body;
        assert_eq!(
            (&body["status"], body.get("reason")),
            (&json!("rejected"), None)
        );
    }

    #[tokio::test]
    async fn one_of_another_user_reads_like_one_that_does_not_exist_or_cannot() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let (theirs, _) = owner.challenge(&owner.enrol(SMS).await).await;
        other.get(&theirs).await.not_found();
        for id in [NO_ID, "nonsense", "0", &NO_ID[1..], &NO_ID.replace('-', "")] {
            other.get(&format!("/verifications/{id}")).await.not_found();
        }
    }

    #[tokio::test]
    async fn it_stays_readable_for_a_day() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        person.put(&tail, json!({"otp": code})).await.accepted();
        for _ in 0..4 {
            server.advance(6 * 3_600 - 1);
            let admin = server.admin().await; // a token lives for ten hours
            let read = admin.get(&person.path(&tail)).await;
            assert_eq!(read.body["status"], "accepted");
        }
    }
}
