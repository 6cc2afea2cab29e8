//! POST /api/2/users: a new user.

use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::{User, UserRequest};
use serde_json::{Map, Value};

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::Creating;

/// Create a user
///
/// `email` or `username` is required. The user is approved and active unless `state` and `status` say otherwise. Passwords
/// are accepted and dropped.
#[utoipa::path(
    post,
    path = "/api/2/users",
    operation_id = "create_user2",
    tag = "Users",
    security(("bearer" = [])),
    request_body = UserRequest,
    responses(
        (status = 201, description = "The user", body = User, example = json!({
            "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 1,
            "firstname": "Ada", "lastname": "Lovelace", "created_at": "2026-01-31T12:00:00Z",
            "updated_at": "2026-01-31T12:00:00Z"
        })),
        Creating,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Map<String, Value>>), Error> {
    let ((), Json(asked)) = app
        .admit::<_, Json<UserRequest>>(Permission::WriteUsers, request)
        .await?;
    if asked.email.is_none() && asked.username.is_none() {
        return Err(Error::bad_request("email or username is required"));
    }
    let profile = super::change(asked).create(app.service.store().now())?;
    let user = app.service.create_user(profile).await?;
    let shown = super::render(user.id, user.profile);
    Ok((StatusCode::CREATED, axum::Json(shown)))
}

#[cfg(test)]
mod tests {
    use onelogin::models::User;
    use serde_json::{Value, json};

    use crate::http::tests::Server;

    const PATH: &str = "/api/2/users";

    #[tokio::test]
    async fn a_new_user_is_approved_and_active_and_keeps_every_field() {
        let server = Server::new();
        let admin = server.admin().await;
        let given = json!({
            "username": "ada", "email": "ada@example.com", "firstname": "Ada", "lastname": "Byron",
            "phone": "+14155550100", "external_id": "hr-7", "title": "Countess", "role_ids": [1, "2"], "group_id": "3",
            "custom_attributes": {"shoe": "38", "deep": {"er": [1]}}, "id": 424_242, "colour": "blue"
        });
        let made = admin.post(PATH, given).await;
        insta::assert_json_snapshot!(made.shown());
        let read: User = serde_json::from_str(&made.text).unwrap();
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            made.body,
            "it is a user as clients read one"
        );
    }

    #[tokio::test]
    async fn an_email_or_a_username_is_enough_and_one_of_them_is_required() {
        let server = Server::new();
        let admin = server.admin().await;
        for body in [
            json!({"email": "only@example.com"}),
            json!({"username": "only", "email": null}),
        ] {
            assert_eq!(admin.post(PATH, body).await.status, 201);
        }
        let refused = admin
            .post(PATH, json!({"firstname": "Nobody", "phone": "x"}))
            .await;
        refused.bad_request("email or username is required");
    }

    #[tokio::test]
    async fn a_mistyped_field_is_named() {
        let server = Server::new();
        let admin = server.admin().await;
        for (field, value) in [
            ("username", json!([])),
            ("email", json!(7)),
            ("phone", json!(14_155_550_100_u64)),
            ("firstname", json!(true)),
            ("state", json!("x")),
            ("status", json!({})),
            ("custom_attributes", json!("x")),
            ("role_ids", json!({})),
        ] {
            let mut body = json!({"username": "typed"});
            body[field] = value;
            let refused = admin.post(PATH, body).await;
            assert_eq!(
                (refused.status, &refused.body["name"]),
                (400, &json!("BadRequest"))
            );
            let message = refused.body["message"].as_str().unwrap();
            assert!(
                message.starts_with(&format!("{field}: invalid type")),
                "{message}"
            );
        }
        assert_eq!(admin.get(PATH).await.body, json!([]));
    }

    #[tokio::test]
    async fn a_value_that_is_not_allowed_is_named_and_nobody_is_made() {
        let server = Server::new();
        let admin = server.admin().await;
        let cases: [(&str, Value); 12] = [
            ("phone", json!("12345")),
            ("phone", json!("+1 415 555 0100")),
            ("phone", json!("")),
            ("email", json!("nobody")),
            ("email", json!("a@example.com\r\nBcc: b@example.com")),
            ("username", json!("")),
            ("state", json!(4)),
            ("state", json!(-1)),
            ("state", json!(257)),
            ("status", json!(6)),
            ("status", json!("9")),
            ("status", json!(u64::MAX)),
        ];
        for (field, value) in cases {
            let mut body = json!({"email": "typed@example.com"});
            body[field] = value;
            admin.post(PATH, body).await.invalid(&[field]);
        }
        admin
            .post(PATH, json!({"email": "x", "phone": "x", "status": 6}))
            .await
            .invalid(&["email", "phone", "status"]);
        assert_eq!(admin.get(PATH).await.body, json!([]));
    }

    #[tokio::test]
    async fn a_username_that_is_taken_is_refused_whatever_its_case() {
        let server = Server::new();
        let admin = server.admin().await;
        assert_eq!(
            admin.post(PATH, json!({"username": "ada"})).await.status,
            201
        );
        admin
            .post(PATH, json!({"username": "Ada"}))
            .await
            .invalid(&["username"]);
    }

    #[tokio::test]
    async fn a_password_is_accepted_and_dropped() {
        let server = Server::new();
        let admin = server.admin().await;
        let body = json!({
            "username": "secretive", "password": "hush", "password_confirmation": "hush", "salt": "hush",
            "password_algorithm": "hush"
        });
        let made = admin.post(PATH, body.clone()).await;
        let path = format!("{PATH}/{}", made.body["id"]);
        let changed = admin.put(&path, body).await;
        for answer in [made, changed, admin.get(&path).await, admin.get(PATH).await] {
            assert!(
                answer.status < 300 && !answer.text.contains("hush"),
                "{}",
                answer.text
            );
        }
    }
}
