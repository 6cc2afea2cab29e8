//! verify_user_registration: a code confirms an enrolment.

use axum::extract::{Request, State};
use onelogin::models::{RegistrationResult, VerifyUserRegistrationRequest};

use super::error::Error;
use super::extract::Json;
use super::openapi::Answering;
use super::{App, wire};
use crate::auth::scope::Permission;

/// Confirm a registration
///
/// With the code that the user has received or the app shows. A number is padded with zeros to the factor's length.
#[utoipa::path(
    put,
    path = "/api/2/mfa/users/{user_id}/registrations/{registration_id}",
    operation_id = "verify_user_registration",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("registration_id" = onelogin::models::RegistrationId, Path, description = "The registration"),
    ),
    request_body = VerifyUserRegistrationRequest,
    responses(
        (status = 200, description = "The device is enrolled", body = RegistrationResult, example = json!({
            "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "accepted", "device_id": "39203710"
        })),
        Answering,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<RegistrationResult>, Error> {
    let ((user, id), Json(answer)) = app
        .admit::<_, Json<VerifyUserRegistrationRequest>>(Permission::ManageMfa, request)
        .await?;
    let code = answer.otp.as_ref().map(wire::code);
    let has_answer = code.is_some() || answer.credential.is_some();
    let confirmed = match (id, answer.credential.filter(|_| code.is_none())) {
        (Some(id), Some(credential)) => {
            let answered = app.service.register_credential(user, id, credential);
            answered.await.map_err(Error::from)
        }
        (Some(id), None) => {
            let confirmed = app.service.confirm(user, id, code);
            confirmed.await.map_err(Error::from)
        }
        (None, _) => Err(app.nothing(user).await),
    };
    let confirmed = confirmed.map_err(|error| error.of_answer(has_answer))?;
    Ok(axum::Json(RegistrationResult {
        id: confirmed.id.into(),
        status: wire::status(confirmed.status),
        device_id: Some(wire::device_number(confirmed.device)),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{AUTHENTICATOR, EMAIL, NO_ID, SMS, Server, a_device, a_uuid, other};

    #[tokio::test]
    async fn the_right_code_enrols_the_device_once() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let made = person.register(EMAIL).await;
        let (tail, code) = (format!("/registrations/{}", made.id()), person.code().await);
        let confirmed = person.put(&tail, json!({"otp": code})).await;
        insta::assert_json_snapshot!(confirmed.shown(), {
            ".body.id" => a_uuid(),
            ".body.device_id" => a_device(),
        });
        assert_eq!(confirmed.body["device_id"], made.body["device_id"]);
        person.put(&tail, json!({"otp": code})).await.wrong_code();
        assert_eq!(
            person.get("/devices").await.body.as_array().map(Vec::len),
            Some(1)
        );
    }

    #[tokio::test]
    async fn a_code_that_came_as_a_number_has_its_zeros_back() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        // One code in ten begins with a zero.
        loop {
            let made = person.register(AUTHENTICATOR).await;
            let tail = format!("/registrations/{}", made.id());
            let secret = made.body["factor_data"]["verification_token"]
                .as_str()
                .unwrap();
            let code = person.totp(secret, 0);
            if code.starts_with('0') {
                let number: u64 = code.parse().unwrap();
                let confirmed = person.put(&tail, json!({"otp": number})).await;
                assert_eq!(confirmed.body["status"], "accepted");
                return;
            }
        }
    }

    #[tokio::test]
    async fn five_wrong_codes_reject_it_and_say_no_more_than_wrong() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let tail = format!("/registrations/{}", person.register(SMS).await.id());
        let code = person.code().await;
        for wrong in [
            &code[1..],
            &format!("{code}7"),
            &format!(" {code}"),
            "１２３４５６",
            &other(&code),
        ] {
            person.put(&tail, json!({"otp": wrong})).await.wrong_code();
        }
        let body = person.get(&tail).await.body;
        assert_eq!(
            (&body["status"], body.get("reason")),
            (&json!("rejected"), None)
        );
        person.put(&tail, json!({"otp": code})).await.delayed(30);
        server.advance(30);
        person.put(&tail, json!({"otp": code})).await.wrong_code();
    }

    #[tokio::test]
    async fn without_a_code_or_with_a_mistyped_one_nothing_is_guessed() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let tail = format!("/registrations/{}", person.register(SMS).await.id());
        let code = person.code().await;
        for _ in 0..6 {
            person
                .put(&tail, json!({}))
                .await
                .bad_request("otp is required");
            person
                .put(&tail, json!({"otp": null}))
                .await
                .bad_request("otp is required");
            let mistyped = person.put(&tail, json!({"otp": [code]})).await;
            mistyped
                .bad_request("otp: invalid type: an array, expected a string or a whole number");
        }
        assert_eq!(person.put(&tail, json!({"otp": code})).await.status, 200);
    }

    #[tokio::test]
    async fn one_of_another_user_reads_like_one_that_does_not_exist_or_cannot() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let theirs = owner.register(SMS).await;
        let code = owner.code().await;
        for id in [theirs.id(), NO_ID, "nonsense"] {
            let tail = format!("/registrations/{id}");
            other.put(&tail, json!({"otp": code})).await.not_found();
            other
                .put(&tail, json!({}))
                .await
                .bad_request("otp is required");
        }
        assert_eq!(
            owner
                .put(
                    &format!("/registrations/{}", theirs.id()),
                    json!({"otp": code})
                )
                .await
                .status,
            200
        );
    }

    #[tokio::test]
    async fn a_temporary_token_confirms_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let token = person.post("/mfa_token", json!({})).await.body["mfa_token"].clone();
        let tail = format!("/registrations/{}", person.register(SMS).await.id());
        person.put(&tail, json!({"otp": token})).await.wrong_code();
    }
}
