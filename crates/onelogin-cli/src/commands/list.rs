//! `onelogin factors` and `onelogin devices`.

use super::Session;
use crate::{
    arguments::User,
    exit::{Exit, Outcome},
};

/// Lists what the user may still enrol.
pub(crate) async fn factors(session: &Session, user: &User) -> Outcome<Exit> {
    let factors = session
        .mfa()
        .get_auth_factors(session.user_id(user).await?)
        .await?;
    session
        .output
        .list(&factors, ["ID", "NAME", "FACTOR"], |factor| {
            [
                factor.factor_id.to_string(),
                factor.name.clone(),
                factor.auth_factor_name.clone(),
            ]
        })?;
    Ok(Exit::Done)
}

/// Lists what the user has enrolled.
pub(crate) async fn devices(session: &Session, user: &User) -> Outcome<Exit> {
    let devices = session
        .mfa()
        .get_authentication_devices(session.user_id(user).await?)
        .await?;
    session.output.list(
        &devices,
        ["ID", "NAME", "TYPE", "FACTOR", "DEFAULT"],
        |device| {
            [
                device.device_id.to_string(),
                device.user_display_name.clone(),
                device.type_display_name.clone(),
                device.auth_factor_name.clone(),
                if device.default { "yes" } else { "" }.to_owned(),
            ]
        },
    )?;
    Ok(Exit::Done)
}
