//! `onelogin delete`: removes an enrolled device.

use serde_json::json;

use super::Session;
use crate::{
    arguments::Delete,
    exit::{Exit, Outcome},
    terminal::confirm,
};

pub(crate) async fn run(session: &Session, arguments: Delete) -> Outcome<Exit> {
    let user_id = session.user_id(&arguments.user).await?;
    if !arguments.yes {
        confirm(&format!(
            "Delete device {} of user {user_id}",
            arguments.device
        ))?;
    }
    session
        .mfa()
        .delete_enrolled_factor(user_id, arguments.device.as_str())
        .await?;
    session.output.one(
        &json!({"device_id": arguments.device, "deleted": true}),
        &[("deleted", arguments.device.clone())],
    )?;
    Ok(Exit::Done)
}
