//! GET /api/2/users/{user_id}: one user.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::User;
use serde_json::{Map, Value};

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::Reading;

/// Read a user
#[utoipa::path(
    get,
    path = "/api/2/users/{user_id}",
    operation_id = "get_user_by_id2",
    tag = "Users",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The user", body = User, example = json!({
            "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 1,
            "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"
        })),
        Reading,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Map<String, Value>>, Error> {
    let (user, ()) = app.admit(Permission::ReadUsers, request).await?;
    let user = app.service.user(user).await?;
    Ok(Json(super::render(user.id, user.profile)))
}

#[cfg(test)]
mod tests {
    use crate::http::tests::Server;

    #[tokio::test]
    async fn a_user_reads_as_it_was_made() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let path = format!("/api/2/users/{}", person.id);
        let read = admin.get(&path).await;
        assert_eq!(read.status, 200);
        assert_eq!(admin.get("/api/2/users").await.body[0], read.body);
        admin.get("/api/2/users/99").await.no_such_user();
    }
}
