//! A word about something pending that somebody sent in the gateway's name: nothing changes, but the audit trail tells.

use uuid::Uuid;

use super::decision::{Decide, Draft};
use super::ids::DeviceId;
use super::refusal::Refusal;
use crate::audit::{Action, Reason};

/// A request that names a link, but whose signature is wrong.
#[derive(Debug)]
pub struct NoteForgery {
    /// What the link claims to be about.
    pub about: Uuid,
}

impl Decide for NoteForgery {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let mfa = &draft.user.mfa;
        let registered = mfa.registrations.iter().find(|it| it.id == self.about);
        let verified = mfa.verifications.iter().find(|it| it.id == self.about);
        let (device, action) = match (registered, verified) {
            (Some(it), _) => (Some(it.device), Action::ConfirmRegistration),
            (None, it) => (it.map(|it| it.device), Self::ACTION),
        };
        draft.record(device.map(DeviceId::Device), action, Some(Reason::Forged));
        Ok(())
    }
}
