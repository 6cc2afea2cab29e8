//! A message that cannot be sent ends what it was for: nobody waits for a code that will not come.

use uuid::Uuid;

use super::decision::{Decide, Draft};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::user::Ending;
use crate::audit::{Action, Reason};

/// Whoever sends messages has given up.
#[derive(Debug)]
pub struct GiveUpMessage {
    /// The registration or verification that the message was for.
    pub about: Uuid,
}

impl Decide for GiveUpMessage {
    type Answer = ();
    const ACTION: Action = Action::GiveUpMessage;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let mfa = &draft.user.mfa;
        let verified = mfa.verifications.iter().find(|it| it.id == self.about);
        let registered = mfa.registrations.iter().find(|it| it.id == self.about);
        let device = verified
            .map(|it| it.device)
            .or(registered.map(|it| it.device));
        draft.end_verifications(Ending::DeliveryFailed, |pending| pending.id == self.about);
        draft.end_registrations(Ending::DeliveryFailed, |pending| pending.id == self.about);
        let device = device.map(DeviceId::Device);
        draft.record(device, Self::ACTION, Some(Reason::Undeliverable));
        Ok(())
    }
}
