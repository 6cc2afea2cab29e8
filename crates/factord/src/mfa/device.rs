//! Deleting a device or a temporary token.

use super::decision::{Decide, Draft};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::user::Ending;
use crate::audit::Action;

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
        let (mfa, number) = (&mut draft.user.mfa, self.device.number());
        let (action, deleted) = match self.device {
            DeviceId::Device(_) => (
                Action::DeleteDevice,
                mfa.devices
                    .extract_if(.., |device| device.number == number)
                    .count(),
            ),
            DeviceId::TemporaryToken(_) => (
                Action::DeleteTemporaryToken,
                mfa.temporary_tokens
                    .extract_if(.., |token| token.number == number)
                    .count(),
            ),
        };
        if deleted == 0 {
            return Err(Refusal::NotFound);
        }
        draft.end_verifications(Ending::DeviceDeleted, |pending| pending.device == number);
        draft.record(Some(self.device), action, None);
        Ok(())
    }
}
