//! What was refused before it could be decided: nothing changes, but the audit trail tells.

use uuid::Uuid;

use super::decision::{Decide, Draft};
use super::ids::{DeviceId, DeviceNumber};
use super::refusal::Refusal;
use crate::audit::{Action, Reason};

/// A refusal that no decision has made.
#[derive(Debug)]
pub struct NoteRefusal {
    /// What was asked for.
    pub action: Action,
    /// What it was about.
    pub about: About,
    /// Why it was refused.
    pub reason: Reason,
}

/// What something was about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// A registration or verification, if the user has it: it says which device it was, and what was asked for.
    Pending(Uuid),
    /// A device.
    Device(DeviceNumber),
    /// Nothing that is known any more.
    Nothing,
}

impl Decide for NoteRefusal {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let mfa = &draft.user.mfa;
        let (device, action) = match self.about {
            About::Device(device) => (Some(device), self.action),
            About::Nothing => (None, self.action),
            About::Pending(id) => {
                let registered = mfa.registrations.iter().find(|it| it.id == id);
                let verified = mfa.verifications.iter().find(|it| it.id == id);
                match (registered, verified) {
                    (Some(it), _) => (Some(it.device), Action::ConfirmRegistration),
                    (None, it) => (it.map(|it| it.device), self.action),
                }
            }
        };
        draft.record(device.map(DeviceId::Device), action, Some(self.reason));
        Ok(())
    }
}
