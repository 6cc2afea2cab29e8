//! DELETE /api/2/users/{user_id}: a user goes, and all that is known of them but the audit trail.

use axum::extract::{Request, State};
use http::StatusCode;

use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::Reading;
use crate::mfa::profile::DeleteUser;

/// Delete a user
///
/// Their personal data and devices are erased; the audit trail, which holds neither, is kept.
#[utoipa::path(
    delete,
    path = "/api/2/users/{user_id}",
    operation_id = "delete_user2",
    tag = "Users",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    responses((status = 204, description = "The user is gone"), Reading),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Error> {
    let (user, ()) = app.admit(Permission::WriteUsers, request).await?;
    app.service.decide(user, DeleteUser).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{SMS, Server};

    #[tokio::test]
    async fn a_user_goes_with_all_that_they_have() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        let path = format!("/api/2/users/{}", person.id);
        let gone = admin.delete(&path).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        for answer in [
            admin.get(&path).await,
            admin.delete(&path).await,
            person.get("/devices").await,
            person.get(&tail).await,
            person.put(&tail, json!({"otp": code})).await,
            person.update(json!({"firstname": "x"})).await,
        ] {
            answer.no_such_user();
        }
        assert_eq!(admin.get("/api/2/users").await.body, json!([]));
    }
}
