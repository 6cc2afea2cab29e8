//! generate_otp: a temporary token for a user who has lost a device.

use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::{GenerateOtpRequest, MfaToken};

use super::error::Error;
use super::extract::Json;
use super::openapi::Issuing;
use super::{App, wire};
use crate::auth::scope::Permission;
use crate::mfa::temporary_token::CreateTemporaryToken;

/// Issue a temporary token
///
/// Eight digits that stand in for any code of the user in a verification, once or (`reusable`) until they expire. They
/// are shown here and never again.
#[utoipa::path(
    post,
    path = "/api/2/mfa/users/{user_id}/mfa_token",
    operation_id = "generate_otp",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = Option<GenerateOtpRequest>,
    responses(
        (status = 201, description = "The token", body = MfaToken, example = json!({
            "mfa_token": "25992782", "expires_at": "2020-07-24T20:26:44Z", "reusable": false,
            "device_id": "user_temp_otp_36216766"
        })),
        Issuing,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<MfaToken>), Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<GenerateOtpRequest>>(Permission::IssueTokens, request)
        .await?;
    let command = CreateTemporaryToken {
        expires_in: asked.expires_in,
        reusable: asked.reusable.unwrap_or(false),
    };
    let issued = app.service.decide(user, command).await?;
    let token = MfaToken {
        mfa_token: issued.digits.as_str().into(),
        expires_at: wire::time(issued.expires_at),
        reusable: issued.reusable,
        device_id: Some(wire::device_id(issued.device)),
    };
    Ok((StatusCode::CREATED, axum::Json(token)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{Server, a_token_device, digits};

    #[tokio::test]
    async fn a_token_lives_for_three_days_and_works_once_unless_it_is_said_otherwise() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        insta::assert_json_snapshot!(person.post("/mfa_token", json!({})).await.shown(), {
            ".body.mfa_token" => digits(),
            ".body.device_id" => a_token_device(),
        });
        let asked = json!({"expires_in": "120", "reusable": "true"});
        let made = person.post("/mfa_token", asked).await.body;
        assert_eq!(
            (&made["reusable"], &made["expires_at"]),
            (&json!(true), &json!("2023-11-14T22:15:20Z"))
        );
    }

    #[tokio::test]
    async fn no_body_at_all_is_enough() {
        let server = Server::new();
        let admin = server.admin().await;
        let path = admin.person().await.path("/mfa_token");
        for content_type in [Some("application/json"), None] {
            assert_eq!(admin.raw("POST", &path, content_type, "").await.status, 201);
        }
    }

    #[tokio::test]
    async fn a_mistyped_field_and_a_value_that_is_not_allowed_are_named() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for seconds in [
            json!(119),
            json!(259_201),
            json!("0"),
            json!(-1),
            json!(u64::MAX),
            json!(1e30),
        ] {
            person
                .post("/mfa_token", json!({"expires_in": seconds}))
                .await
                .invalid(&["expires_in"]);
        }
        let refused = person.post("/mfa_token", json!({"reusable": 7})).await;
        refused.bad_request(
            r#"reusable: invalid type: a number, expected a boolean, "true" or "false""#,
        );
        let refused = person
            .post("/mfa_token", json!({"expires_in": 120.5}))
            .await;
        refused.bad_request("expires_in: invalid type: a fractional number, expected an integer or a decimal string");
        assert_eq!(person.get("/devices").await.body, json!([]));
    }

    #[tokio::test]
    async fn a_fourth_token_alive_is_refused_and_so_is_one_for_a_suspended_user() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        for _ in 0..3 {
            assert_eq!(
                person
                    .post("/mfa_token", json!({"expires_in": 120}))
                    .await
                    .status,
                201
            );
        }
        person
            .post("/mfa_token", json!({}))
            .await
            .invalid(&["mfa_token"]);
        server.advance(120);
        person.update(json!({"status": 2})).await;
        let refused = person.post("/mfa_token", json!({})).await;
        refused.forbidden("The user is suspended, locked or not approved");
        person.update(json!({"status": 1})).await;
        assert_eq!(person.post("/mfa_token", json!({})).await.status, 201);
    }
}
