//! What a device knows of its codes, and deleting it.

use super::Core;
use super::code::Code;
use super::decision::{Decide, Draft};
use super::ids::{DeviceId, UserId};
use super::refusal::Refusal;
use super::user::Device;
use crate::audit::Action;
use crate::crypto::keys::KeyedHash;
use crate::factor::Codes;

impl Device {
    /// Whether the code with this hash is the one that the device accepted last: sent again it is refused, and is no
    /// guess (RFC 6238 section 5.2).
    pub(super) fn accepted_last(&self, hash: Option<KeyedHash>) -> bool {
        self.last_code.is_some() && hash == self.last_code
    }

    /// The hash by which the device knows a code, should it be sent again.
    pub(super) fn code_hash(&self, core: &Core, user: UserId, code: &Code) -> Option<KeyedHash> {
        let normal = match core.catalogue.described(self.factor_id)?.codes {
            Codes::Digits(digits) => code.at_length(digits),
            Codes::Long => code.normal(),
            Codes::Typed(_) | Codes::Credential | Codes::None => return None,
        };
        let (user, device) = (user.get().to_be_bytes(), self.number.get().to_be_bytes());
        Some(core.keys.code_hash(&[b"last", &user, &device], &normal))
    }
}

/// delete_enrolled_factor. A user who is not active may still be rid of a device.
#[derive(Debug)]
pub struct DeleteDevice {
    /// The device or the temporary token.
    pub device: DeviceId,
}

impl Decide for DeleteDevice {
    type Answer = ();
    const ACTION: Action = Action::DeleteDevice;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let (action, deleted) = match self.device {
            DeviceId::Device(number) => (
                Action::DeleteDevice,
                draft.remove_devices(|device| device.number == number),
            ),
            DeviceId::TemporaryToken(number) => (
                Action::DeleteTemporaryToken,
                draft
                    .user
                    .mfa
                    .temporary_tokens
                    .extract_if(.., |token| token.number == number)
                    .count(),
            ),
        };
        if deleted == 0 {
            return Err(Refusal::NotFound);
        }
        draft.record(Some(self.device), action, None);
        Ok(())
    }
}
