//! Confirming a registration: the right code makes it a device.

use uuid::Uuid;

use super::Core;
use super::code::Code;
use super::data::Data;
use super::decision::{Decide, Draft, Reads};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::registration::{find, still_offered};
use super::user::{Ending, Finished, Registration, Status, User};
use super::verification::ended_reason;
use crate::audit::{Action, Reason};
use crate::factor::{Ceremony, Codes, Description, Verdict};

/// verify_user_registration.
#[derive(Debug)]
pub struct ConfirmRegistration {
    /// The registration.
    pub id: Uuid,
    /// The code, if one was sent.
    pub code: Option<Code>,
    /// What the factor computed beforehand.
    pub evidence: Option<Data>,
}

impl Decide for ConfirmRegistration {
    type Answer = Registration;
    const ACTION: Action = Action::ConfirmRegistration;

    fn reads(&self, core: &Core, user: &User) -> Reads {
        let pending = user
            .mfa
            .registrations
            .iter()
            .find(|registration| registration.id == self.id);
        let factor = pending.and_then(|pending| core.catalogue.factor(pending.factor_id));
        let hardware = factor
            .zip(self.code.as_ref())
            .and_then(|(factor, code)| factor.hardware(None, code));
        Reads {
            destination: pending.and_then(|pending| pending.destination.clone()),
            finished: Some(self.id),
            hardware: hardware.into_iter().collect(),
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Registration, Refusal> {
        let registration = find(draft.user, &draft.effects.finished, draft.finished, self.id)
            .ok_or(Refusal::NotFound)?
            .clone();
        let answer = self.confirm(draft, &registration);
        let refused = answer.as_ref().err().map(Refusal::reason);
        draft.record(
            Some(DeviceId::Device(registration.device)),
            Self::ACTION,
            refused,
        );
        answer
    }
}

impl ConfirmRegistration {
    fn confirm(
        &self,
        draft: &mut Draft<'_>,
        registration: &Registration,
    ) -> Result<Registration, Refusal> {
        let factor = draft.core.catalogue.factor(registration.factor_id);
        let factor = factor.ok_or(Refusal::FactorDisabled)?;
        let Description {
            codes,
            confirmed_without_code,
            ..
        } = *factor.description();
        match codes {
            Codes::Digits(_) | Codes::Long if self.code.is_none() && !confirmed_without_code => {
                return Err(Refusal::NoCode);
            }
            Codes::Credential => return Err(Refusal::NoCredential),
            _ => {}
        }
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        if matches!(codes, Codes::Typed(_) | Codes::None) {
            return Err(Refusal::NotByCode);
        }
        if registration.status == Status::Pending {
            still_offered(draft.core, draft.user, registration)?;
        }
        if codes.are_guessable() {
            draft.user.mfa.throttle.delay(draft.now).pass()?;
        }
        if registration.status != Status::Pending {
            return Err(Refusal::Unauthorized(ended_reason(registration.ending)));
        }
        let verdict = factor.confirm(
            &mut Ceremony {
                evidence: self.evidence.as_ref(),
                ..draft.ceremony(
                    registration.id,
                    registration.device,
                    registration.expires_at,
                )
            },
            registration,
            self.code.as_ref(),
        )?;
        match verdict {
            Verdict::Accepted(data) => Ok(accept(draft, registration, data, self.code.as_ref())),
            Verdict::Wrong(reason) => Err(refuse(draft, registration.id, codes, reason)),
        }
    }
}

/// The registration becomes a device, and the code counts as used.
pub(super) fn accept(
    draft: &mut Draft<'_>,
    registration: &Registration,
    data: Data,
    code: Option<&Code>,
) -> Registration {
    let mut device = registration.device(draft.now, data);
    device.last_code = code.and_then(|code| device.code_hash(draft.core, draft.user.id, code));
    replace_older(draft, registration.factor_id);
    draft.add_device(device);
    if code.is_some() {
        draft.user.mfa.throttle.clear();
    }
    draft.history.confirm_registration(registration.id);

    let mut accepted = registration.clone();
    accepted.finish(None);
    draft
        .user
        .mfa
        .registrations
        .retain(|pending| pending.id != registration.id);
    draft
        .effects
        .finished
        .push(Finished::Registration(accepted.clone()));
    accepted
}

/// Where a factor's newer device takes the place of the older, that one goes.
fn replace_older(draft: &mut Draft<'_>, factor_id: i64) {
    let factor = draft.core.catalogue.described(factor_id);
    if factor.is_some_and(|factor| factor.replaces_older) {
        draft.remove_devices(|device| device.factor_id == factor_id);
    }
}

/// A wrong code counts for the user, if it is a guessable one, and at the fifth ends the registration.
pub(super) fn refuse(draft: &mut Draft<'_>, id: Uuid, codes: Codes, reason: Reason) -> Refusal {
    let (now, rules) = (draft.now, &draft.core.rules);
    if codes.are_guessable() {
        draft.user.mfa.throttle.fail(now, rules);
    }
    for pending in draft
        .user
        .mfa
        .registrations
        .iter_mut()
        .filter(|pending| pending.id == id)
    {
        pending.guesses += 1;
    }
    let most = rules.guesses_per_verification;
    draft.end_registrations(Ending::TooManyGuesses, |pending| pending.guesses >= most);
    Refusal::Unauthorized(reason)
}
