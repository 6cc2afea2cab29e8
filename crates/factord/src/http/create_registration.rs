//! create_factor_registration: an enrolment begins.

use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::{CreateFactorRegistrationRequest, Registration};

use super::App;
use super::error::Error;
use super::extract::Json;
use super::get_registration::render;
use super::openapi::Enrolling;
use crate::auth::scope::Permission;
use crate::mfa::registration::CreateRegistration;

/// Enrol a factor
///
/// The registration is pending until the user has confirmed it. What the user must be shown is in `factor_data`. With
/// `verified` the stored phone number or address is taken as proven, and the device is enrolled at once.
#[utoipa::path(
    post,
    path = "/api/2/mfa/users/{user_id}/registrations",
    operation_id = "create_factor_registration",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = CreateFactorRegistrationRequest,
    responses(
        (status = 201, description = "The registration", body = Registration, examples(
            ("SMS" = (value = json!({
                "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "pending", "user_id": "64515901",
                "device_id": "39203710", "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
                "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z"
            }))),
            ("Authenticator" = (value = json!({
                "id": "4e4f0b8c-1c3e-4d0f-9b57-0a3f4a2c7a11", "status": "pending", "user_id": "64515901",
                "device_id": "39203711", "auth_factor_name": "Google Authenticator",
                "type_display_name": "Authenticator", "user_display_name": "My app",
                "expires_at": "2020-07-21T20:26:44Z", "factor_data": {
                    "verification_token": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                    "totp_url": "otpauth://totp/factord:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=factord&algorithm=SHA1&digits=6&period=30"
                }
            }))),
        )),
        Enrolling,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Registration>), Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<CreateFactorRegistrationRequest>>(Permission::ManageMfa, request)
        .await?;
    let command = CreateRegistration {
        factor_id: asked.factor_id.0,
        display_name: asked.display_name,
        expires_in: asked.expires_in,
        verified: asked.verified.unwrap_or(false),
        redirect_to: asked.redirect_to,
        custom_message: asked.custom_message,
    };
    let created = app.service.decide(user, command).await?;
    Ok((StatusCode::CREATED, axum::Json(render(user, created))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::tests::{
        AUTHENTICATOR, EMAIL, SMS, Server, a_device, a_totp_url, a_uuid, base32,
    };

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"factor_id": SMS, "display_name": "mine"});
        body[field] = value;
        body
    }

    #[tokio::test]
    async fn a_message_goes_out_and_the_registration_is_pending() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        insta::assert_json_snapshot!(person.register(SMS).await.shown(), {
            ".body.id" => a_uuid(),
            ".body.device_id" => a_device(),
        });
        assert_eq!(person.code().await.len(), 6);
        assert_eq!(person.get("/devices").await.body, json!([]));
    }

    #[tokio::test]
    async fn an_authenticator_app_is_shown_its_secret() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        insta::assert_json_snapshot!(person.register(AUTHENTICATOR).await.shown(), {
            ".body.id" => a_uuid(),
            ".body.device_id" => a_device(),
            ".body.factor_data.verification_token" => base32(),
            ".body.factor_data.totp_url" => a_totp_url(),
        });
    }

    #[tokio::test]
    async fn a_proven_destination_is_enrolled_at_once_and_nothing_is_sent() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for verified in [json!(true), json!("true"), json!("True")] {
            let made = person
                .post("/registrations", with("verified", verified))
                .await;
            assert_eq!(
                (made.status, &made.body["status"]),
                (201, &json!("accepted"))
            );
            let device = made.body["device_id"].as_str().unwrap().to_owned();
            assert_eq!(
                person.delete(&format!("/devices/{device}")).await.status,
                204
            );
        }
        assert!(server.waiting().await.is_empty());
        let app = json!({"factor_id": AUTHENTICATOR, "display_name": "x", "verified": true});
        person
            .post("/registrations", app)
            .await
            .invalid(&["verified"]);
    }

    #[tokio::test]
    async fn numbers_come_as_decimal_strings_and_unknown_fields_are_ignored() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let body = json!({"factor_id": "58959", "display_name": "x", "expires_in": "900", "colour": {"a": [1]}, "redirect_to": null});
        let made = person.post("/registrations", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.body["expires_at"], "2023-11-14T22:28:20Z");
    }

    #[tokio::test]
    async fn a_missing_or_mistyped_field_is_named_and_nothing_is_sent() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let post = async |body| person.post("/registrations", body).await;
        post(json!({"factor_id": SMS}))
            .await
            .bad_request("the body cannot be read: missing field `display_name`");
        post(json!({"display_name": "x"}))
            .await
            .bad_request("the body cannot be read: missing field `factor_id`");
        for (field, value, message) in [
            (
                "factor_id",
                json!("abc"),
                "factor_id: invalid type: another string, expected an integer or a decimal string",
            ),
            (
                "factor_id",
                json!(true),
                "factor_id: invalid type: a boolean, expected an integer or a decimal string",
            ),
            (
                "factor_id",
                json!(58959.5),
                "factor_id: invalid type: a fractional number, expected an integer or a decimal string",
            ),
            (
                "factor_id",
                json!(null),
                "factor_id: invalid type: null, expected an integer or a decimal string",
            ),
            (
                "display_name",
                json!([]),
                "display_name: invalid type: an array, expected a string",
            ),
            (
                "display_name",
                json!(true),
                "display_name: invalid type: a boolean, expected a string",
            ),
            (
                "expires_in",
                json!("abc"),
                "expires_in: invalid type: another string, expected an integer or a decimal string",
            ),
            (
                "expires_in",
                json!({}),
                "expires_in: invalid type: an object, expected an integer or a decimal string",
            ),
            (
                "verified",
                json!("maybe"),
                r#"verified: invalid type: another string, expected a boolean, "true" or "false""#,
            ),
            (
                "verified",
                json!(1),
                r#"verified: invalid type: a number, expected a boolean, "true" or "false""#,
            ),
            (
                "redirect_to",
                json!({}),
                "redirect_to: invalid type: an object, expected a string",
            ),
            (
                "custom_message",
                json!([]),
                "custom_message: invalid type: an array, expected a string",
            ),
        ] {
            post(with(field, value)).await.bad_request(message);
        }
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn a_value_that_is_not_allowed_is_named_and_nothing_is_sent() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for (field, value) in [
            ("factor_id", json!(1)),
            ("factor_id", json!(-1)),
            ("display_name", json!("")),
            ("display_name", json!("a\u{0}")),
            ("expires_in", json!(119)),
            ("expires_in", json!("901")),
            ("expires_in", json!(1e300)),
            ("redirect_to", json!("https://elsewhere.test/")),
            ("custom_message", json!("no code")),
        ] {
            person
                .post("/registrations", with(field, value))
                .await
                .invalid(&[field]);
        }
        let body = json!({"factor_id": SMS, "display_name": "", "expires_in": 1});
        person
            .post("/registrations", body)
            .await
            .invalid(&["expires_in", "display_name"]);
        assert!(server.waiting().await.is_empty());
    }

    #[tokio::test]
    async fn a_second_device_of_a_kind_and_a_missing_destination_are_refused() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person.enrol(SMS).await;
        person.register(SMS).await.invalid(&["factor_id"]);
        let made = admin
            .post("/api/2/users", json!({"username": "bare"}))
            .await;
        let path = format!("/api/2/mfa/users/{}/registrations", made.body["id"]);
        for (factor, field) in [(SMS, "phone"), (EMAIL, "email")] {
            let body = json!({"factor_id": factor, "display_name": "x"});
            admin.post(&path, body).await.invalid(&[field]);
        }
    }

    #[tokio::test]
    async fn a_user_who_is_not_active_enrols_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for change in [
            json!({"status": 2}),
            json!({"status": 3}),
            json!({"status": 1, "state": 0}),
        ] {
            person.update(change).await;
            let refused = person.register(SMS).await;
            refused.forbidden("The user is suspended, locked or not approved");
        }
    }

    #[tokio::test]
    async fn the_sixth_unconfirmed_registration_of_a_day_waits() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for _ in 0..5 {
            assert_eq!(person.register(SMS).await.status, 201);
            server.advance(1_000);
        }
        let refused = person.register(SMS).await;
        refused.refused(
            429,
            "TooManyRequests",
            "Too many messages to this destination",
        );
        assert_eq!(refused.header("retry-after"), Some("81400"));
    }
}
