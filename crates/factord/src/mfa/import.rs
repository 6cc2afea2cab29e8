//! Binding a hardware token to a user: an administrator imports it, and the user has a device without doing anything.

use std::fmt;

use super::Core;
use super::decision::{Decide, Draft, Reads};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::throttle::Throttle;
use super::user::{Device, User};
use super::values::Values;
use crate::audit::Action;
use crate::factor::authenticator::record_of_token;
use crate::factor::catalogue::AUTHENTICATOR;
use crate::factor::token::NewToken;

/// Binds a token to the user.
pub struct ImportToken {
    /// The token.
    pub token: NewToken,
}

impl fmt::Debug for ImportToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportToken({})", self.token.serial)
    }
}

impl Decide for ImportToken {
    type Answer = DeviceId;
    const ACTION: Action = Action::ImportDevice;

    fn reads(&self, _: &Core, _: &User) -> Reads {
        Reads {
            hardware: vec![self.token.id()],
            ..Reads::default()
        }
    }

    /// A token that is somebody's stays theirs: it must be deleted there first.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<DeviceId, Refusal> {
        let id = self.token.id();
        let known = draft.hardware.get(&id).cloned();
        let imported = draft.user.mfa.devices.iter().filter(|it| it.imported);
        let mut values = Values::default();
        values.require(
            "serial",
            known.as_ref().is_none_or(|known| known.owner.is_none()),
        );
        values.require("user", imported.count() < MOST_TOKENS);
        values.check()?;

        let number = draft.draw_device_number();
        let now = draft.now;
        let mut ceremony = draft.ceremony(uuid::Uuid::nil(), number, now);
        let kept = self.token.keep(&mut ceremony, known.as_ref())?;
        draft.hardware.insert(id, kept);
        draft.add_device(Device {
            number,
            factor_id: AUTHENTICATOR,
            display_name: format!("Token {}", self.token.serial),
            created_at: now,
            imported: true,
            destination: None,
            throttle: Throttle::default(),
            last_code: None,
            data: record_of_token(&self.token.serial),
        });
        let device = DeviceId::Device(number);
        draft.record(Some(device), Self::ACTION, None);
        Ok(device)
    }
}

/// Tokens that one user may have: more are a mistake in the file.
pub const MOST_TOKENS: usize = 10;
