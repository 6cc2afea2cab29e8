//! Answers that are no codes: digits typed on a phone, a press on a page, the word of an app, a credential. What such an
//! answer is worth its factor says; that it counts, and what follows from it, is the same for all.

use secrecy::SecretString;
use uuid::Uuid;

use super::Core;
use super::comparison::{Candidate, Refused, refuse};
use super::data::Data;
use super::decision::{Decide, Draft, Reads};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::user::{Registration, Status, User, Verification};
use super::verification::{ended_reason, gate_answer};
use super::{confirmation, page, registration, verification};
use crate::audit::{Action, Reason};
use crate::factor::{Ceremony, Codes, Factor, Pending, Step};

/// An answer to a pending registration or verification that is no code.
#[derive(Debug)]
pub struct GiveAnswer {
    /// The registration or verification.
    pub id: Uuid,
    /// Who gives it.
    pub from: Origin,
    /// The answer, in its factor's form.
    pub answer: Data,
}

/// Who gives an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller, as `credential`, and the device that it says the answer is of.
    Caller(Option<DeviceId>),
    /// The person, by a phone, a page or an app.
    Person,
}

/// What came of an answer.
#[derive(Debug)]
pub enum Outcome {
    /// What was pending is accepted.
    Accepted(Accepted),
    /// The answer was right; the browser takes `otp` to the caller.
    OnPage {
        /// The page's one-time code.
        otp: SecretString,
        /// Where the caller wants the browser back.
        redirect_to: Option<String>,
    },
    /// Nothing is decided yet.
    Pending,
    /// What was pending has ended, as the person wished.
    Ended,
}

/// What was accepted.
#[derive(Debug)]
pub enum Accepted {
    /// A registration: there is a new device.
    Registration(Registration),
    /// A verification.
    Verification(Verification),
}

impl Decide for GiveAnswer {
    type Answer = Outcome;
    const ACTION: Action = Action::CompleteVerification;

    fn reads(&self, _: &Core, user: &User) -> Reads {
        let mut pending = user.mfa.registrations.iter();
        let pending = pending.find(|pending| pending.id == self.id);
        Reads {
            destination: pending.and_then(|pending| pending.destination.clone()),
            finished: Some(self.id),
            ..Reads::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let (just_finished, finished) = (&draft.effects.finished, draft.finished);
        if let Some(it) = verification::find(draft.user, just_finished, finished, self.id).cloned()
        {
            let answer = self.to_verification(draft, &it);
            let action = match answer {
                Ok(Outcome::Pending | Outcome::OnPage { .. }) => Action::ContinueVerification,
                _ => Action::CompleteVerification,
            };
            return record(draft, action, it.device, answer);
        }
        let registration = registration::find(draft.user, just_finished, finished, self.id);
        let it = registration.ok_or(Refusal::NotFound)?.clone();
        let answer = self.to_registration(draft, &it);
        record(draft, Action::ConfirmRegistration, it.device, answer)
    }
}

/// Leaves an event of the answer, unless it left one of its own.
fn record(
    draft: &mut Draft<'_>,
    action: Action,
    device: super::ids::DeviceNumber,
    answer: Result<Outcome, Refusal>,
) -> Result<Outcome, Refusal> {
    if !draft.effects.is_recorded() {
        let refused = answer.as_ref().err().map(Refusal::reason);
        draft.record(Some(DeviceId::Device(device)), action, refused);
    }
    answer
}

impl GiveAnswer {
    fn to_verification(
        &self,
        draft: &mut Draft<'_>,
        verification: &Verification,
    ) -> Result<Outcome, Refusal> {
        let factor = self.admit(draft, verification.factor_id)?;
        let number = verification.device;
        if let Origin::Caller(Some(device)) = self.from
            && device != DeviceId::Device(number)
        {
            return Err(Refusal::invalid("device_id"));
        }
        let device = draft.user.mfa.device(number).cloned();
        gate_answer(
            draft.user,
            device.as_ref(),
            factor.description(),
            factor.is_guess(&self.answer),
            draft.now,
            draft.core,
        )
        .pass()?;
        if verification.status != Status::Pending {
            return Err(Refusal::Unauthorized(ended_reason(verification.ending)));
        }
        let device = device.ok_or(Refusal::NotFound)?;
        let step = factor.answer(
            &mut Ceremony {
                redirect_to: verification.redirect_to.as_deref(),
                display_name: verification.display_name.as_deref(),
                ..draft.ceremony(self.id, number, verification.expires_at)
            },
            Pending::Verification(&device, verification),
            &self.answer,
        )?;
        let candidate = Candidate {
            device,
            verification: Some(verification.clone()),
        };
        match step {
            Step::Accepted(data) => {
                candidate.accept(draft, data, None);
                Ok(Outcome::Accepted(Accepted::Verification(
                    verification.clone(),
                )))
            }
            Step::AcceptedOnPage(data) => {
                if let Some(device) = draft.user.mfa.device_mut(number) {
                    device.data = data;
                }
                change(draft, self.id, &Data::default());
                Ok(Outcome::OnPage {
                    otp: page::issue(draft, self.id),
                    redirect_to: verification.redirect_to.clone(),
                })
            }
            Step::Continue(data) => {
                change(draft, self.id, &data);
                Ok(Outcome::Pending)
            }
            Step::Wrong(reason) => Err(count_wrong(draft, &candidate, reason)),
            Step::Rejected {
                ending,
                reason,
                device,
                alarm,
            } => {
                if let Some((device, data)) = draft.user.mfa.device_mut(number).zip(device) {
                    device.data = data;
                }
                if reason == Reason::Wrong {
                    count_wrong(draft, &candidate, reason);
                } else {
                    let device = Some(DeviceId::Device(number));
                    draft.record(device, Action::CompleteVerification, Some(reason));
                }
                draft.alarm(number, alarm);
                draft.end_verifications(ending, |pending| pending.id == self.id);
                Ok(Outcome::Ended)
            }
        }
    }

    fn to_registration(
        &self,
        draft: &mut Draft<'_>,
        registration: &Registration,
    ) -> Result<Outcome, Refusal> {
        let factor = self.admit(draft, registration.factor_id)?;
        let codes = factor.description().codes;
        if factor.is_guess(&self.answer) {
            draft.user.mfa.throttle.delay(draft.now).pass()?;
        }
        if registration.status == Status::Pending {
            registration::still_offered(draft.core, draft.user, registration)?;
        } else {
            return Err(Refusal::Unauthorized(ended_reason(registration.ending)));
        }
        let step = factor.answer(
            &mut Ceremony {
                redirect_to: registration.redirect_to.as_deref(),
                display_name: Some(&registration.display_name),
                ..draft.ceremony(self.id, registration.device, registration.expires_at)
            },
            Pending::Registration(registration),
            &self.answer,
        )?;
        match step {
            Step::Accepted(data) | Step::AcceptedOnPage(data) => {
                let accepted = confirmation::accept(draft, registration, data, None);
                Ok(Outcome::Accepted(Accepted::Registration(accepted)))
            }
            Step::Continue(data) => {
                change(draft, self.id, &data);
                Ok(Outcome::Pending)
            }
            Step::Wrong(reason) => Err(confirmation::refuse(draft, self.id, codes, reason)),
            Step::Rejected { ending, reason, .. } => {
                if reason == Reason::Wrong {
                    confirmation::refuse(draft, self.id, codes, reason);
                }
                let device = Some(DeviceId::Device(registration.device));
                draft.record(device, Action::ConfirmRegistration, Some(reason));
                draft.end_registrations(ending, |pending| pending.id == self.id);
                Ok(Outcome::Ended)
            }
        }
    }

    /// The factor, if the answer may be looked at.
    fn admit(&self, draft: &Draft<'_>, factor_id: i64) -> Result<&'static dyn Factor, Refusal> {
        let factor = draft.core.catalogue.factor(factor_id);
        let factor = factor.ok_or(Refusal::FactorDisabled)?;
        if matches!(self.from, Origin::Caller(_)) {
            match factor.description().codes {
                Codes::Credential => {}
                Codes::Digits(_) | Codes::Long => return Err(Refusal::NoCode),
                Codes::Typed(_) | Codes::None => return Err(Refusal::NotByCode),
            }
        }
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        Ok(factor)
    }
}

/// Counts a wrong answer as a wrong code is counted.
fn count_wrong(draft: &mut Draft<'_>, candidate: &Candidate, reason: Reason) -> Refusal {
    let refused = Refused {
        candidate,
        reason,
        is_guess: true,
    };
    let refusal = refuse(draft, None, &[refused]);
    draft.alarm(candidate.device.number, Some(reason));
    refusal
}

/// Gives what is pending a new record of its factor.
fn change(draft: &mut Draft<'_>, id: Uuid, data: &Data) {
    let mfa = &mut draft.user.mfa;
    let verifications = mfa.verifications.iter_mut().filter(|it| it.id == id);
    let registrations = mfa.registrations.iter_mut().filter(|it| it.id == id);
    let records = verifications
        .map(|it| &mut it.data)
        .chain(registrations.map(|it| &mut it.data));
    for record in records {
        *record = data.clone();
    }
}
