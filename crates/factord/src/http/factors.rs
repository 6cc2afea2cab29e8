//! get_auth_factors: what the user may still enrol.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::{AuthFactor, FactorId};

use super::App;
use super::error::Error;
use super::openapi::Reading;
use crate::auth::scope::Permission;

/// List the factors that the user may still enrol
///
/// A factor that the user has enrolled already is left out, where policy allows several devices of a kind once there are so many.
#[utoipa::path(
    get,
    path = "/api/2/mfa/users/{user_id}/factors",
    operation_id = "get_auth_factors",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The factors", body = [AuthFactor], example = json!([
            {"factor_id": 58957, "name": "Authenticator", "auth_factor_name": "Google Authenticator"},
            {"factor_id": 58959, "name": "OneLogin SMS", "auth_factor_name": "SMS"}
        ])),
        Reading,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Vec<AuthFactor>>, Error> {
    let (user, ()) = app.admit(Permission::ManageMfa, request).await?;
    let factors = app.service.factors(user).await?.into_iter();
    let listed = factors.map(|(id, factor)| AuthFactor {
        factor_id: FactorId(id),
        name: factor.name.to_owned(),
        auth_factor_name: factor.auth_factor_name.to_owned(),
    });
    Ok(Json(listed.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{AUTHENTICATOR, SMS, Server};

    #[tokio::test]
    async fn what_can_be_enrolled_is_listed_without_what_is_enrolled() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        insta::assert_json_snapshot!(person.get("/factors").await.shown());
        person.enrol(SMS).await;
        let left = person.get("/factors").await.body;
        let ids: Vec<_> = left
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["factor_id"])
            .collect();
        assert!(
            ids.contains(&&json!(AUTHENTICATOR)) && !ids.contains(&&json!(SMS)),
            "{left}"
        );
    }

    #[tokio::test]
    async fn a_suspended_user_can_still_be_read() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person.update(json!({"status": 2})).await;
        assert_eq!(person.get("/factors").await.status, 200);
    }
}
