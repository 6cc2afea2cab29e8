//! verify_user_registration: a code confirms an enrolment.

use axum::extract::{Request, State};
use onelogin::models::{RegistrationResult, VerifyUserRegistrationRequest};

use super::App;
use super::error::Error;
use super::extract::Json;
use super::openapi::Answering;
use super::wire;
use crate::auth::scope::Permission;
use crate::mfa::registration::ConfirmRegistration;

/// Confirm a registration
///
/// With the code that the user has received or the app shows. A number is padded with zeros to the factor's length.
#[utoipa::path(
    put,
    path = "/api/2/mfa/users/{user_id}/registrations/{registration_id}",
    operation_id = "verify_user_registration",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("registration_id" = onelogin::models::RegistrationId, Path, description = "The registration"),
    ),
    request_body = VerifyUserRegistrationRequest,
    responses(
        (status = 200, description = "The device is enrolled", body = RegistrationResult, example = json!({
            "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "accepted", "device_id": "39203710"
        })),
        Answering,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<RegistrationResult>, Error> {
    let ((user, id), Json(answer)) = app
        .admit::<_, Json<VerifyUserRegistrationRequest>>(Permission::ManageMfa, request)
        .await?;
    let Some(id) = id else {
        return Err(app.nothing(user).await);
    };
    let code = answer.otp.as_ref().map(wire::code);
    let confirmed = app
        .service
        .decide(user, ConfirmRegistration { id, code })
        .await?;
    Ok(axum::Json(RegistrationResult {
        id: confirmed.id.into(),
        status: wire::status(confirmed.status),
        device_id: Some(wire::device_number(confirmed.device)),
    }))
}
