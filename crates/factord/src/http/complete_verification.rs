//! verify_user_verification: a code answers a challenge.

use axum::extract::{Request, State};
use axum::response::Response;
use onelogin::models::{DeviceId, VerificationResult, VerifyUserVerificationRequest};

use super::error::Error;
use super::extract::Json;
use super::openapi::Answering;
use super::{App, wire};
use crate::auth::scope::Permission;
use crate::mfa::completion::CompleteVerification;
use crate::mfa::ids;

/// Complete a verification
///
/// With the code that the user has received or the app shows, or with a temporary token in its place. A code is accepted
/// once; five wrong ones reject the verification.
#[utoipa::path(
    put,
    path = "/api/2/mfa/users/{user_id}/verifications/{verification_id}",
    operation_id = "verify_user_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("verification_id" = onelogin::models::VerificationId, Path, description = "The verification"),
    ),
    request_body = VerifyUserVerificationRequest,
    responses(
        (status = 200, description = "The code is accepted", body = VerificationResult, example = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        })),
        Answering,
    ),
)]
pub(super) async fn handler(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let ((user, id), Json(answer)) = app
        .admit::<_, Json<VerifyUserVerificationRequest>>(Permission::Verify, request)
        .await?;
    let device = answer.device_id.as_ref().and_then(claimed);
    let code = answer.otp.as_ref().map(wire::code);
    let has_code = code.is_some();
    let completed = match id {
        Some(id) => {
            let command = CompleteVerification {
                id,
                device,
                code,
                evidence: None,
            };
            app.service
                .complete(user, command)
                .await
                .map_err(Error::from)
        }
        None => Err(app.nothing(user).await),
    };
    completed.map_err(|error| error.of_answer(has_code))?;
    Ok(wire::accepted())
}

/// The device that the caller says it is of. A malformed id is not the verification's own, no more than that of a
/// temporary token is.
fn claimed(id: &DeviceId) -> Option<ids::DeviceId> {
    id.as_str().parse().or_else(|_| NOBODYS.parse()).ok()
}

/// A well-formed device id that no verification can be of.
const NOBODYS: &str = "user_temp_otp_0";
