//! create_factor_registration: an enrolment begins.

use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::{CreateFactorRegistrationRequest, Registration};

use super::App;
use super::error::Error;
use super::extract::Json;
use super::get_registration::render;
use super::openapi::Enrolling;
use crate::auth::scope::Permission;
use crate::mfa::registration::CreateRegistration;

/// Enrol a factor
///
/// The registration is pending until the user has confirmed it. What the user must be shown is in `factor_data`. With
/// `verified` the stored phone number or address is taken as proven, and the device is enrolled at once.
#[utoipa::path(
    post,
    path = "/api/2/mfa/users/{user_id}/registrations",
    operation_id = "create_factor_registration",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = CreateFactorRegistrationRequest,
    responses(
        (status = 201, description = "The registration", body = Registration, examples(
            ("SMS" = (value = json!({
                "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "pending", "user_id": "64515901",
                "device_id": "39203710", "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
                "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z"
            }))),
            ("Authenticator" = (value = json!({
                "id": "4e4f0b8c-1c3e-4d0f-9b57-0a3f4a2c7a11", "status": "pending", "user_id": "64515901",
                "device_id": "39203711", "auth_factor_name": "Google Authenticator",
                "type_display_name": "Authenticator", "user_display_name": "My app",
                "expires_at": "2020-07-21T20:26:44Z", "factor_data": {
                    "verification_token": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                    "totp_url": "otpauth://totp/factord:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=factord&algorithm=SHA1&digits=6&period=30"
                }
            }))),
        )),
        Enrolling,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Registration>), Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<CreateFactorRegistrationRequest>>(Permission::ManageMfa, request)
        .await?;
    let command = CreateRegistration {
        factor_id: asked.factor_id.0,
        display_name: asked.display_name,
        expires_in: asked.expires_in,
        verified: asked.verified.unwrap_or(false),
        redirect_to: asked.redirect_to,
        custom_message: asked.custom_message,
    };
    let created = app.service.decide(user, command).await?;
    Ok((StatusCode::CREATED, axum::Json(render(user, created))))
}
