//! create_device_verification: a device is challenged, or a code that is there already is checked at once.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use onelogin::models::{
    CreateDeviceVerificationRequest, DeviceVerification, Otp, VerificationResult,
};

use super::error::Error;
use super::extract::Json;
use super::openapi::Challenging;
use super::{App, wire};
use crate::auth::scope::Permission;
use crate::mfa::completion::VerifyCode;
use crate::mfa::ids::{DeviceId, UserId};
use crate::mfa::verification::{CreateVerification, Options, VerificationView};

/// Challenge a device, or verify a code at once
///
/// Without `otp` the device is challenged, and the verification is pending until it is answered or expires. With `otp` the
/// code is checked at once: against the device, or without `device_id` against the user's open verifications and
/// temporary tokens.
#[utoipa::path(
    post,
    path = "/api/2/mfa/users/{user_id}/verifications",
    operation_id = "create_device_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = CreateDeviceVerificationRequest,
    responses(
        (status = 201, description = "The device is challenged", body = DeviceVerification, example = json!({
            "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "pending", "user_id": "64515901",
            "device_id": 39_203_600, "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
            "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z"
        })),
        (status = 200, description = "The code is accepted", body = VerificationResult, example = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        })),
        Challenging,
    ),
)]
pub(super) async fn handler(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<CreateDeviceVerificationRequest>>(Permission::Verify, request)
        .await?;
    let device = match &asked.device_id {
        None => None,
        Some(text) => match text.as_str().parse() {
            Ok(device) => Some(device),
            Err(_) => return Err(app.nothing(user).await),
        },
    };
    let options = Options {
        expires_in: asked.expires_in,
        display_name: asked.display_name,
        redirect_to: asked.redirect_to,
        custom_message: asked.custom_message,
        number_matching: asked.number_matching.unwrap_or(false),
    };
    match (device, asked.otp) {
        (device, Some(otp)) => verify(&app, user, device, options, &otp).await,
        (Some(device), None) => challenge(&app, user, device, options).await,
        (None, None) => Err(Error::bad_request(
            "device_id is required, unless otp is given",
        )),
    }
}

async fn challenge(
    app: &App,
    user: UserId,
    device: DeviceId,
    options: Options,
) -> Result<Response, Error> {
    let command = CreateVerification { device, options };
    let VerificationView {
        verification,
        device_name,
        factor,
        shown,
    } = app.service.challenge(user, command).await?;
    let created = DeviceVerification {
        id: verification.id.into(),
        status: wire::status(verification.status),
        user_id: Some(wire::user_id(user)),
        device_id: Some(wire::device_number(verification.device)),
        auth_factor_name: factor.auth_factor_name.to_owned(),
        type_display_name: factor.name.to_owned(),
        user_display_name: device_name,
        expires_at: wire::time(verification.expires_at),
        display_name: verification.display_name,
        redirect_to: verification.redirect_to,
        factor_data: wire::factor_data(shown),
    };
    Ok((StatusCode::CREATED, axum::Json(created)).into_response())
}

async fn verify(
    app: &App,
    user: UserId,
    device: Option<DeviceId>,
    options: Options,
    otp: &Otp,
) -> Result<Response, Error> {
    let code = wire::code(otp);
    let command = VerifyCode {
        device,
        options,
        code,
        evidence: None,
    };
    app.service.verify(user, command).await?;
    Ok(wire::accepted())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::tests::{EMAIL, SMS, Server, a_device_number, a_uuid, other};

    #[tokio::test]
    async fn a_device_is_challenged_and_shown_as_a_number() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let body = json!({
            "device_id": device, "expires_in": "300", "display_name": "Sign in", "redirect_to": "http://localhost:3000/done"
        });
        let made = person.post("/verifications", body).await;
        insta::assert_json_snapshot!(made.shown(), {
            ".body.id" => a_uuid(),
            ".body.device_id" => a_device_number(),
        });
        assert_eq!(made.body["device_id"].to_string(), device);
        assert_eq!(person.code().await.len(), 6);
    }

    #[tokio::test]
    async fn an_app_is_challenged_without_a_message_and_its_secret_is_not_shown() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (device, _) = person.enrol_app().await;
        let number: u64 = device.parse().unwrap();
        let made = person
            .post("/verifications", json!({"device_id": number}))
            .await;
        assert_eq!((made.status, made.body.get("factor_data")), (201, None));
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn a_code_is_verified_at_once_against_its_device() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (device, secret) = person.enrol_app().await;
        let code = person.totp(&secret, 0);
        let verify = |code: &str| json!({"device_id": device, "otp": code});
        person
            .post("/verifications", verify(&other(&code)))
            .await
            .wrong_code();
        person
            .post("/verifications", verify(&code))
            .await
            .accepted();
        person
            .post("/verifications", verify(&code))
            .await
            .wrong_code();
    }

    #[tokio::test]
    async fn a_code_without_a_device_is_tried_on_what_is_open_and_on_tokens() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let (tail, code) = person.challenge(&device).await;
        person
            .post("/verifications", json!({"otp": code}))
            .await
            .accepted();
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
        let token = person.post("/mfa_token", json!({})).await.body;
        let number: u64 = token["mfa_token"].as_str().unwrap().parse().unwrap();
        person
            .post("/verifications", json!({"otp": number}))
            .await
            .accepted();
        person
            .post("/verifications", json!({"otp": token["mfa_token"]}))
            .await
            .wrong_code();
    }

    #[tokio::test]
    async fn a_token_is_verified_by_its_device_id_and_cannot_be_challenged() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let token = person
            .post("/mfa_token", json!({"reusable": "true"}))
            .await
            .body;
        let challenge = json!({"device_id": token["device_id"]});
        person
            .post("/verifications", challenge)
            .await
            .invalid(&["otp"]);
        let verify = json!({"device_id": token["device_id"], "otp": token["mfa_token"]});
        person
            .post("/verifications", verify.clone())
            .await
            .accepted();
        person.post("/verifications", verify).await.accepted();
    }

    #[tokio::test]
    async fn a_missing_or_mistyped_field_is_named_and_nothing_is_sent() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let required = "device_id is required, unless otp is given";
        for body in [
            json!({}),
            json!({"device_id": null}),
            json!({"expires_in": 1, "otp": null}),
        ] {
            person
                .post("/verifications", body)
                .await
                .bad_request(required);
        }
        for (field, value) in [
            ("device_id", json!(true)),
            ("device_id", json!([])),
            ("expires_in", json!({})),
            ("expires_in", json!("soon")),
            ("display_name", json!([])),
            ("redirect_to", json!(false)),
            ("custom_message", json!({})),
            ("otp", json!([])),
            ("otp", json!(true)),
        ] {
            let mut body = json!({"device_id": device});
            body[field] = value;
            let refused = person.post("/verifications", body).await;
            assert_eq!(
                (refused.status, &refused.body["name"]),
                (400, &json!("BadRequest")),
                "{field}"
            );
            let message = refused.body["message"].as_str().unwrap();
            assert!(
                message.starts_with(&format!("{field}: invalid type: ")),
                "{message}"
            );
        }
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn a_value_that_is_not_allowed_is_named_and_nothing_is_sent() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        for (field, value) in [
            ("expires_in", json!(119)),
            ("expires_in", json!("901")),
            ("display_name", json!("")),
            ("redirect_to", json!("javascript:alert(1)")),
            ("custom_message", json!("no code")),
        ] {
            let mut body = json!({"device_id": device});
            body[field] = value;
            person.post("/verifications", body).await.invalid(&[field]);
        }
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn a_device_of_another_user_reads_like_one_that_does_not_exist_or_cannot() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let theirs = owner.enrol(EMAIL).await;
        let ids: [Value; 9] = [
            json!(theirs),
            json!("1"),
            json!(1),
            json!(0),
            json!(-1),
            json!("abc"),
            json!(""),
            json!(u64::MAX),
            json!("user_temp_otp_1"),
        ];
        for id in ids {
            other
                .post("/verifications", json!({"device_id": id}))
                .await
                .not_found();
            other
                .post("/verifications", json!({"device_id": id, "otp": "123456"}))
                .await
                .not_found();
        }
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn the_sixth_message_in_ten_minutes_waits() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        for _ in 0..5 {
            person.challenge(&device).await;
        }
        let refused = person
            .post("/verifications", json!({"device_id": device}))
            .await;
        refused.refused(
            429,
            "TooManyRequests",
            "Too many messages to this destination",
        );
        assert_eq!(refused.header("retry-after"), Some("600"));
    }

    #[tokio::test]
    async fn a_user_who_is_not_active_verifies_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        person.update(json!({"status": 3})).await;
        for body in [
            json!({"device_id": device}),
            json!({"device_id": device, "otp": "123456"}),
            json!({"otp": "123456"}),
        ] {
            let refused = person.post("/verifications", body).await;
            refused.forbidden("The user is suspended, locked or not approved");
        }
    }
}
