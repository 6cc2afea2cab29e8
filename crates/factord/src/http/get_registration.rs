//! get_user_registration: how an enrolment stands.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::Registration;

use super::App;
use super::error::Error;
use super::openapi::ReadingOne;
use super::wire;
use crate::auth::scope::Permission;
use crate::mfa::ids::UserId;
use crate::mfa::registration::RegistrationView;

/// Read a registration
///
/// While it is pending, `factor_data` shows the same as when it was created.
#[utoipa::path(
    get,
    path = "/api/2/mfa/users/{user_id}/registrations/{registration_id}",
    operation_id = "get_user_registration",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("registration_id" = onelogin::models::RegistrationId, Path, description = "The registration"),
    ),
    responses(
        (status = 200, description = "The registration", body = Registration, examples(
            ("accepted" = (value = json!({
                "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "accepted", "user_id": "64515901",
                "device_id": "39203710", "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
                "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z"
            }))),
            ("expired" = (value = json!({
                "id": "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10", "status": "rejected", "user_id": "64515901",
                "device_id": "39203710", "auth_factor_name": "SMS", "type_display_name": "OneLogin SMS",
                "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z", "reason": "expired"
            }))),
        )),
        ReadingOne,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Registration>, Error> {
    let ((user, id), ()) = app.admit(Permission::ManageMfa, request).await?;
    let Some(id) = id else {
        return Err(app.nothing(user).await);
    };
    let view = app.service.registration(user, id).await?;
    Ok(Json(render(user, view)))
}

/// A registration on the wire (contract, Responses).
pub(super) fn render(user: UserId, view: RegistrationView) -> Registration {
    let RegistrationView {
        registration,
        factor,
        shown,
    } = view;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Registration {
        id: registration.id.into(),
        status: wire::status(registration.status),
        user_id: Some(wire::user_id(user)),
        device_id: Some(wire::device_number(registration.device)),
        auth_factor_name: text(factor.map(|factor| factor.auth_factor_name)),
        type_display_name: text(factor.map(|factor| factor.name)),
        user_display_name: registration.display_name,
        expires_at: wire::time(registration.expires_at),
        factor_data: wire::factor_data(shown),
        reason: wire::reason(registration.ending),
    }
}
