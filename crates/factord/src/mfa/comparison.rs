//! A code against everything that it may be right for: which accepts it, and what a wrong one costs.

use uuid::Uuid;

use super::Core;
use super::code::Code;
use super::data::Data;
use super::decision::Draft;
use super::ids::{DeviceId, DeviceNumber};
use super::refusal::Refusal;
use super::temporary_token;
use super::user::{Device, Ending, Finished, Verification};
use crate::audit::{Action, Reason};
use crate::crypto::keys::KeyedHash;
use crate::factor::{Ceremony, Verdict};

/// A code, and everything of one user that it is compared with. It counts against all of it.
pub(super) struct Comparison<'a> {
    pub(super) candidates: Vec<Candidate>,
    /// Whether a temporary token completes the verification that it is sent for: not where none was named.
    pub(super) token_completes: bool,
    /// What the factor of one of them computed beforehand.
    pub(super) evidence: Option<&'a Evidence>,
}

/// What the factor of a device computed before the decision.
#[derive(Debug)]
pub struct Evidence {
    /// The device.
    pub device: DeviceNumber,
    /// What the factor reads.
    pub data: Data,
}

/// A device that is not locked, and the verification that the code is for.
pub(super) struct Candidate {
    pub(super) device: Device,
    pub(super) verification: Option<Verification>,
}

impl Comparison<'_> {
    /// Accepts the first thing that the code is right for. A temporary token may stand in for the device.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] if it is right for nothing; it has been counted then, unless all that it was compared
    /// with knows it as the code that was accepted last. Short digits that a device accepted last it refuses, whatever they
    /// are right for.
    pub(super) fn decide(self, draft: &mut Draft<'_>, code: &Code) -> Result<(), Refusal> {
        let mut refused = Vec::with_capacity(self.candidates.len());
        let mut fault = None;
        for candidate in &self.candidates {
            let device = &candidate.device;
            let hash = device.code_hash(draft.core, draft.user.id, code);
            let is_used = device.accepted_last(hash);
            // Short digits are not asked whether they are right: the next code may have the same by chance.
            let verdict = if is_used && candidate.has_short_codes(draft.core) {
                Ok(Verdict::Wrong(Reason::Used))
            } else {
                candidate.check(draft, code, self.evidence)
            };
            let verdict = match verdict {
                Ok(verdict) => verdict,
                // The others are compared and counted all the same.
                Err(refusal) => {
                    fault = Some(refusal);
                    continue;
                }
            };
            match verdict {
                Verdict::Accepted(data) => {
                    candidate.accept(draft, data, hash);
                    return Ok(());
                }
                Verdict::Wrong(reason) => refused.push(Refused {
                    candidate,
                    reason: if is_used { Reason::Used } else { reason },
                    is_guess: !is_used,
                }),
            }
        }
        let named = self.candidates.first().filter(|_| self.token_completes);
        if temporary_token::accept(draft, code, named.and_then(Candidate::verification_id)) {
            return Ok(());
        }
        if temporary_token::accepted_last(draft, code) {
            return Err(Refusal::Unauthorized(Reason::Used));
        }
        let refusal = refuse(draft, Some(code), &refused);
        Err(fault.unwrap_or(refusal))
    }
}

/// A candidate that the code is not right for.
pub(super) struct Refused<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) reason: Reason,
    /// Whether it counts: the code that a device accepted last, sent again, does not.
    pub(super) is_guess: bool,
}

impl Candidate {
    fn verification_id(&self) -> Option<Uuid> {
        self.verification
            .as_ref()
            .map(|verification| verification.id)
    }

    /// Whether its codes are few enough to be guessed, and so to come twice by chance.
    fn has_short_codes(&self, core: &Core) -> bool {
        let described = core.catalogue.described(self.device.factor_id);
        described.is_some_and(|it| it.codes.are_guessable())
    }

    fn check(
        &self,
        draft: &mut Draft<'_>,
        code: &Code,
        evidence: Option<&Evidence>,
    ) -> Result<Verdict, Refusal> {
        let factor = draft
            .core
            .catalogue
            .factor(self.device.factor_id)
            .ok_or(Refusal::FactorDisabled)?;
        let verification = self.verification.as_ref();
        let evidence = evidence.filter(|evidence| evidence.device == self.device.number);
        let mut ceremony = Ceremony {
            evidence: evidence.map(|evidence| &evidence.data),
            ..draft.ceremony(
                self.verification_id().unwrap_or_default(),
                self.device.number,
                verification.map_or(draft.now, |verification| verification.expires_at),
            )
        };
        Ok(factor.check(&mut ceremony, &self.device, verification, code)?)
    }

    /// The device goes on with its new record and the hash of the code that it accepted, if it was a code, and the
    /// verification is accepted. The success clears the count of this device, and the user's.
    pub(super) fn accept(&self, draft: &mut Draft<'_>, data: Data, last_code: Option<KeyedHash>) {
        if let Some(device) = draft.user.mfa.device_mut(self.device.number) {
            device.data = data;
            device.last_code = last_code;
            device.throttle.clear();
            let factor = draft.core.catalogue.factor(device.factor_id);
            if let Some(left) = factor.and_then(|factor| factor.codes_left(device)) {
                draft.used_recovery_code(left);
            }
        }
        draft.user.mfa.throttle.clear();
        if let Some(id) = self.verification_id() {
            accept_verification(draft, id);
        }
        draft.record(
            Some(DeviceId::Device(self.device.number)),
            Action::CompleteVerification,
            None,
        );
    }
}

/// Counts a wrong code against everything it was compared with, and once for the user if any of it was guessable: a
/// user's delay holds back short codes, so that nothing else may lengthen it.
pub(super) fn refuse(
    draft: &mut Draft<'_>,
    code: Option<&Code>,
    refused: &[Refused<'_>],
) -> Refusal {
    let (now, rules) = (draft.now, &draft.core.rules);
    let core = draft.core;
    let guessed_short =
        |refused: &Refused<'_>| refused.is_guess && refused.candidate.has_short_codes(core);
    let guesses_token = refused.is_empty() || refused.iter().any(|refused| refused.is_guess);
    let tried_token =
        guesses_token && code.is_some_and(|code| temporary_token::count_wrong(draft, code));
    if refused.is_empty() || tried_token || refused.iter().any(guessed_short) {
        draft.user.mfa.throttle.fail(now, rules);
    }
    let mut counted: Vec<DeviceNumber> = Vec::new();
    for Refused {
        candidate,
        reason,
        is_guess,
    } in refused
    {
        let number = candidate.device.number;
        if counted.contains(&number) {
            continue;
        }
        counted.push(number);
        if *is_guess && let Some(device) = draft.user.mfa.device_mut(number) {
            device.throttle.fail(now, rules);
        }
        draft.record(
            Some(DeviceId::Device(number)),
            Action::CompleteVerification,
            Some(*reason),
        );
    }
    let guesses = refused.iter().filter(|refused| refused.is_guess);
    let guessed: Vec<_> = guesses
        .filter_map(|refused| refused.candidate.verification_id())
        .collect();
    for pending in draft
        .user
        .mfa
        .verifications
        .iter_mut()
        .filter(|pending| guessed.contains(&pending.id))
    {
        pending.guesses += 1;
    }
    let most = rules.guesses_per_verification;
    draft.end_verifications(Ending::TooManyGuesses, |pending| pending.guesses >= most);
    Refusal::Unauthorized(
        refused
            .first()
            .map_or(Reason::Wrong, |refused| refused.reason),
    )
}

/// Ends a pending verification as accepted.
pub(super) fn accept_verification(draft: &mut Draft<'_>, id: Uuid) {
    for mut accepted in draft
        .user
        .mfa
        .verifications
        .extract_if(.., |pending| pending.id == id)
    {
        accepted.finish(None);
        draft
            .effects
            .finished
            .push(Finished::Verification(accepted));
    }
}
