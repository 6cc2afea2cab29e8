//! create_device_verification: a device is challenged, or a code that is there already is checked at once.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use onelogin::models::{
    CreateDeviceVerificationRequest, DeviceVerification, Otp, VerificationResult,
};

use super::error::Error;
use super::extract::Json;
use super::openapi::Challenging;
use super::{App, wire};
use crate::auth::scope::Permission;
use crate::mfa::completion::VerifyCode;
use crate::mfa::ids::{DeviceId, UserId};
use crate::mfa::verification::{CreateVerification, Options, VerificationView};

/// Challenge a device, or verify a code at once
///
/// Without `otp` the device is challenged, and the verification is pending until it is answered or expires. With `otp` the
/// code is checked at once: against the device, or without `device_id` against the user's open verifications and
/// temporary tokens.
#[utoipa::path(
    post,
    path = "/api/2/mfa/users/{user_id}/verifications",
    operation_id = "create_device_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(("user_id" = onelogin::models::UserId, Path, description = "The user")),
    request_body = CreateDeviceVerificationRequest,
    responses(
        (status = 201, description = "The device is challenged", body = DeviceVerification, example = json!({
            "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "status": "pending", "user_id": "64515901",
            "device_id": 39_203_600, "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
            "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z"
        })),
        (status = 200, description = "The code is accepted", body = VerificationResult, example = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        })),
        Challenging,
    ),
)]
pub(super) async fn handler(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let (user, Json(asked)) = app
        .admit::<_, Json<CreateDeviceVerificationRequest>>(Permission::Verify, request)
        .await?;
    let device = match &asked.device_id {
        None => None,
        Some(text) => match text.as_str().parse() {
            Ok(device) => Some(device),
            Err(_) => return Err(app.nothing(user).await),
        },
    };
    let options = Options {
        expires_in: asked.expires_in,
        display_name: asked.display_name,
        redirect_to: asked.redirect_to,
        custom_message: asked.custom_message,
    };
    match (device, asked.otp) {
        (device, Some(otp)) => verify(&app, user, device, options, &otp).await,
        (Some(device), None) => challenge(&app, user, device, options).await,
        (None, None) => Err(Error::bad_request(
            "device_id is required, unless otp is given",
        )),
    }
}

async fn challenge(
    app: &App,
    user: UserId,
    device: DeviceId,
    options: Options,
) -> Result<Response, Error> {
    let command = CreateVerification { device, options };
    let VerificationView {
        verification,
        device_name,
        factor,
    } = app.service.decide(user, command).await?;
    let created = DeviceVerification {
        id: verification.id.into(),
        status: wire::status(verification.status),
        user_id: Some(wire::user_id(user)),
        device_id: Some(wire::device_number(verification.device)),
        auth_factor_name: factor.auth_factor_name.to_owned(),
        type_display_name: factor.name.to_owned(),
        user_display_name: device_name,
        expires_at: wire::time(verification.expires_at),
        display_name: verification.display_name,
        redirect_to: verification.redirect_to,
        factor_data: None,
    };
    Ok((StatusCode::CREATED, axum::Json(created)).into_response())
}

async fn verify(
    app: &App,
    user: UserId,
    device: Option<DeviceId>,
    options: Options,
    otp: &Otp,
) -> Result<Response, Error> {
    let code = wire::code(otp);
    let command = VerifyCode {
        device,
        options,
        code,
        evidence: None,
    };
    app.service.verify(user, command).await?;
    Ok(wire::accepted())
}
