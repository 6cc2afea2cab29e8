//! get_user_verification: how a challenge stands. Clients poll it twice a second.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::Verification;

use super::App;
use super::error::Error;
use super::openapi::ReadingOne;
use super::wire;
use crate::auth::scope::Permission;

/// Read a verification
///
/// It stays readable for a day after it has finished.
#[utoipa::path(
    get,
    path = "/api/2/mfa/users/{user_id}/verifications/{verification_id}",
    operation_id = "get_user_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("verification_id" = onelogin::models::VerificationId, Path, description = "The verification"),
    ),
    responses(
        (status = 200, description = "The verification", body = Verification, examples(
            ("accepted" = (value = json!({
                "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "accepted", "device_id": "39203600"
            }))),
            ("expired" = (value = json!({
                "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "rejected", "device_id": "39203600",
                "reason": "expired"
            }))),
        )),
        ReadingOne,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Verification>, Error> {
    let ((user, id), ()) = app.admit(Permission::Verify, request).await?;
    let Some(id) = id else {
        return Err(app.nothing(user).await);
    };
    let verification = app.service.verification(user, id).await?;
    Ok(Json(Verification {
        id: verification.id.into(),
        status: wire::status(verification.status),
        device_id: Some(wire::device_number(verification.device)),
        reason: wire::reason(verification.ending),
    }))
}
