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
