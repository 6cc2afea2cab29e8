//! The protocol of the authenticator app (docs/factors/protect.md). No bearer token: the activation code is the first
//! proof, a signature every other. Whoever gives none that is right learns nothing, not even who exists.

mod activate;
mod answer;
mod pending;
mod service;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::error::Error;
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::service as core_service;

/// The operations, which need no token.
pub(super) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(service::handler))
        .routes(routes!(activate::handler))
        .routes(routes!(pending::handler))
        .routes(routes!(answer::handler))
}

/// A refusal as an app may see it: a user or a thing that does not exist reads like a signature that is not right.
fn refused(error: core_service::Error) -> Error {
    match error {
        core_service::Error::NoSuchUser
        | core_service::Error::Refused(
            Refusal::NotFound | Refusal::Disabled | Refusal::Invalid(_),
        ) => Error::Unauthorized,
        error => error.into(),
    }
}

/// The user and the device that an app says it is of.
fn named(
    user: onelogin::models::UserId,
    device: &onelogin::models::DeviceId,
) -> Option<(UserId, DeviceNumber)> {
    let user = i64::try_from(user.0).ok().and_then(UserId::new)?;
    match device.as_str().parse() {
        Ok(crate::mfa::ids::DeviceId::Device(device)) => Some((user, device)),
        _ => None,
    }
}
