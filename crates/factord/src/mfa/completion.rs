//! Answering a challenge: a code for one verification, or a code that is to be checked at once.

use uuid::Uuid;

use super::Core;
use super::code::Code;
use super::comparison::{Candidate, Comparison, Evidence};
use super::decision::{Decide, Draft, Reads};
use super::ids::{DeviceId, DeviceNumber};
use super::page;
use super::refusal::Refusal;
use super::temporary_token;
use super::throttle::Gate;
use super::user::{Device, Status, User, Verification};
use super::verification::{Options, ended_reason, find, gate, known};
use crate::audit::{Action, Reason};
use crate::factor::Codes;

/// verify_user_verification: a code for one verification.
#[derive(Debug)]
pub struct CompleteVerification {
    /// The verification.
    pub id: Uuid,
    /// The device that the caller says it is of.
    pub device: Option<DeviceId>,
    /// The code, if one was sent.
    pub code: Option<Code>,
    /// What the device's factor computed beforehand.
    pub evidence: Option<Evidence>,
}

impl Decide for CompleteVerification {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn reads(&self, core: &Core, user: &User) -> Reads {
        let mut pending = user.mfa.verifications.iter();
        let pending = pending.find(|pending| pending.id == self.id);
        let device = pending.and_then(|pending| user.mfa.device(pending.device));
        let code = self.code.as_ref();
        Reads {
            finished: Some(self.id),
            hardware: code.map_or_else(Vec::new, |code| hardware(core, device, code)),
            ..Reads::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let verification = find(draft.user, &draft.effects.finished, draft.finished, self.id)
            .ok_or(Refusal::NotFound)?
            .clone();
        let answer = self.complete(draft, &verification);
        if !draft.effects.is_recorded() {
            let refused = answer.as_ref().err().map(Refusal::reason);
            draft.record(
                Some(DeviceId::Device(verification.device)),
                Self::ACTION,
                refused,
            );
        }
        answer
    }
}

impl CompleteVerification {
    fn complete(&self, draft: &mut Draft<'_>, verification: &Verification) -> Result<(), Refusal> {
        let (core, now) = (draft.core, draft.now);
        let factor = core.catalogue.factor(verification.factor_id);
        let description = factor.ok_or(Refusal::FactorDisabled)?.description();
        let codes = description.codes;
        if self.code.is_none() {
            match codes {
                Codes::Digits(_) | Codes::Long => return Err(Refusal::NoCode),
                _ if verification.on_page => return Err(Refusal::NoCode),
                Codes::Credential => return Err(Refusal::NoCredential),
                Codes::Typed(_) | Codes::None => {}
            }
        }
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        if self
            .device
            .is_some_and(|device| device != DeviceId::Device(verification.device))
        {
            return Err(Refusal::invalid("device_id"));
        }
        let code = self.code.as_ref().ok_or(Refusal::NotByCode)?;
        let device = draft.user.mfa.device(verification.device).cloned();
        gate(draft.user, device.as_ref(), description, now, core).pass()?;
        if verification.status != Status::Pending {
            return Err(Refusal::Unauthorized(reason_of_finished(
                draft,
                verification,
                device.as_ref(),
                code,
            )));
        }
        let Some(device) = device else {
            return Err(Refusal::NotFound);
        };
        if page::accepts(draft, verification, code) {
            let candidate = Candidate {
                verification: Some(verification.clone()),
                device,
            };
            let data = candidate.device.data.clone();
            candidate.accept(draft, data, None);
            return Ok(());
        }
        Comparison {
            candidates: vec![Candidate {
                device,
                verification: Some(verification.clone()),
            }],
            token_completes: true,
            evidence: self.evidence.as_ref(),
        }
        .decide(draft, code)
    }
}

/// create_device_verification with a code: it is checked at once.
#[derive(Debug)]
pub struct VerifyCode {
    /// The device; without one the user's open verifications and temporary tokens are tried.
    pub device: Option<DeviceId>,
    /// What else the caller asks for.
    pub options: Options,
    /// The code.
    pub code: Code,
    /// What a device's factor computed beforehand.
    pub evidence: Option<Evidence>,
}

impl Decide for VerifyCode {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn reads(&self, core: &Core, user: &User) -> Reads {
        let pending = user.mfa.verifications.iter();
        let devices: Vec<_> = match self.device {
            Some(device) => user.mfa.device(device.number()).into_iter().collect(),
            None => pending
                .filter_map(|pending| user.mfa.device(pending.device))
                .collect(),
        };
        Reads {
            hardware: hardware(core, devices, &self.code),
            ..Reads::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let device = self.device.and_then(|device| known(draft.user, device));
        let answer = self.verify(draft);
        if !draft.effects.is_recorded() {
            draft.record(
                device,
                Self::ACTION,
                answer.as_ref().err().map(Refusal::reason),
            );
        }
        answer
    }
}

impl VerifyCode {
    fn verify(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        if let Some(device) = self.device {
            known(draft.user, device).ok_or(Refusal::NotFound)?;
        }
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        match self.device {
            None => self.verify_any(draft),
            Some(DeviceId::Device(number)) => self.verify_device(draft, number),
            Some(DeviceId::TemporaryToken(number)) => {
                self.options.check(draft.core, draft.user, None)?;
                draft.user.mfa.throttle.delay(draft.now).pass()?;
                temporary_token::verify(draft, number, &self.code)
            }
        }
    }

    fn verify_device(&self, draft: &mut Draft<'_>, number: DeviceNumber) -> Result<(), Refusal> {
        let device = draft
            .user
            .mfa
            .device(number)
            .ok_or(Refusal::NotFound)?
            .clone();
        let factor = draft
            .core
            .catalogue
            .factor(device.factor_id)
            .ok_or(Refusal::FactorDisabled)?;
        self.options
            .check(draft.core, draft.user, factor.description().channel)?;
        gate(
            draft.user,
            Some(&device),
            factor.description(),
            draft.now,
            draft.core,
        )
        .pass()?;
        let mut pending = draft
            .user
            .mfa
            .verifications
            .iter()
            .filter(|pending| pending.device == number);
        let verification = if factor.description().works_unchallenged {
            None
        } else {
            pending.next_back().cloned()
        };
        Comparison {
            candidates: vec![Candidate {
                device,
                verification,
            }],
            token_completes: true,
            evidence: self.evidence.as_ref(),
        }
        .decide(draft, &self.code)
    }

    fn verify_any(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        self.options.check(draft.core, draft.user, None)?;
        let (core, now, user) = (draft.core, draft.now, &*draft.user);
        let delay = user.mfa.throttle.delay(now);
        if !self.code.is_long() {
            delay.pass()?;
        }
        let mut locked = delay;
        let mut candidates = Vec::new();
        for verification in &user.mfa.verifications {
            let device = user.mfa.device(verification.device);
            let description = core.catalogue.described(verification.factor_id);
            let Some((device, description)) = device.zip(description) else {
                continue;
            };
            match gate(user, Some(device), description, now, core) {
                Gate::Open => candidates.push(Candidate {
                    device: device.clone(),
                    verification: Some(verification.clone()),
                }),
                gate => locked = locked.and(gate),
            }
        }
        let tries_tokens = delay == Gate::Open && !user.mfa.temporary_tokens.is_empty();
        if candidates.is_empty() && !tries_tokens {
            locked.pass()?;
        }
        Comparison {
            candidates,
            token_completes: false,
            evidence: self.evidence.as_ref(),
        }
        .decide(draft, &self.code)
    }
}

/// The hardware that must be read to check `code` for any of the devices.
fn hardware<'a>(
    core: &Core,
    devices: impl IntoIterator<Item = &'a Device>,
    code: &Code,
) -> Vec<String> {
    let needed = devices.into_iter().filter_map(|device| {
        let factor = core.catalogue.factor(device.factor_id)?;
        factor.hardware(Some(device), code)
    });
    needed.collect()
}

/// Why a code for a finished verification is refused: used, if it is the one that its device accepted last.
fn reason_of_finished(
    draft: &Draft<'_>,
    verification: &Verification,
    device: Option<&Device>,
    code: &Code,
) -> Reason {
    let accepted_last =
        |device: &Device| device.accepted_last(device.code_hash(draft.core, draft.user.id, code));
    if device.is_some_and(accepted_last) {
        Reason::Used
    } else {
        ended_reason(verification.ending)
    }
}
