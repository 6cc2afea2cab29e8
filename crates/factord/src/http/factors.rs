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
