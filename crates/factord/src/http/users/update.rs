//! PUT /api/2/users/{user_id}: a user changes.

use axum::extract::{Request, State};
use onelogin::models::{User, UserRequest};
use serde_json::{Map, Value};

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::Updating;

/// Change a user
///
/// What is absent, or `null`, stays as it is. Suspending or locking a user ends what is open. A new phone number or
/// address moves no device that is enrolled already.
#[utoipa::path(
    put,
    path = "/api/2/users/{user_id}",
    operation_id = "update_user2",
    tag = "Users",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = UserRequest,
    responses(
        (status = 200, description = "The user as it is now", body = User, example = json!({
            "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 2,
            "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-02-01T09:30:00Z"
        })),
        Updating,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<Map<String, Value>>, Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<UserRequest>>(Permission::WriteUsers, request)
        .await?;
    let profile = app.service.decide(user, super::change(asked)).await?;
    Ok(axum::Json(super::render(user, profile)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{SMS, Server};

    #[tokio::test]
    async fn what_is_absent_or_null_stays_as_it_is() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person
            .update(json!({"firstname": "Ada", "title": "Countess"}))
            .await;
        server.advance(60);
        let changed = person
            .update(json!({"firstname": null, "phone": null, "lastname": "King", "id": 7}))
            .await;
        insta::assert_json_snapshot!(changed.shown());
        person.update(json!({})).await;
        assert_eq!(
            admin.get(&format!("/api/2/users/{}", person.id)).await.body["lastname"],
            "King"
        );
    }

    #[tokio::test]
    async fn a_value_that_is_not_allowed_changes_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, other) = (admin.person().await, admin.person().await);
        let path = format!("/api/2/users/{}", person.id);
        let before = admin.get(&path).await.body;
        for (field, value) in [
            ("phone", json!("12345")),
            ("email", json!("nobody")),
            ("state", json!(4)),
            ("status", json!(6)),
            ("username", json!("PERSON1")),
        ] {
            let mut body = json!({"firstname": "Changed"});
            body[field] = value;
            person.update(body).await.invalid(&[field]);
        }
        assert_eq!(admin.get(&path).await.body, before);
        other.update(json!({"username": "Person1"})).await; // the case of one's own name may change
        assert_eq!(
            admin.get(&format!("/api/2/users/{}", other.id)).await.body["username"],
            "Person1"
        );
        admin
            .put("/api/2/users/99", json!({"status": 6}))
            .await
            .no_such_user();
    }

    #[tokio::test]
    async fn suspending_ends_what_is_open() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, _) = person.challenge(&person.enrol(SMS).await).await;
        person.update(json!({"status": "2"})).await;
        assert_eq!(person.get(&tail).await.body["status"], "rejected");
    }
}
