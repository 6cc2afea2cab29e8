//! Challenging a device and checking the answer. Whatever factor it is, the order is the same: is there such a thing,
//! may the user, are the values allowed, is it locked, is it still open, is the code right (contract, Fine points).

use uuid::Uuid;

use super::Core;
use super::code::Code;
use super::data::Data;
use super::decision::{Decide, Draft, Reads};
use super::ids::{DeviceId, DeviceNumber, UserId};
use super::refusal::Refusal;
use super::temporary_token;
use super::throttle::Gate;
use super::user::{Device, Ending, Finished, Status, User, Verification};
use super::values::Values;
use crate::audit::{Action, Reason};
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::delivery::message::Channel;
use crate::factor::{Ceremony, Codes, Description, Factor, Verdict};

/// What a caller may ask of a verification.
#[derive(Debug, Default)]
pub struct Options {
    /// Seconds until it expires.
    pub expires_in: Option<i64>,
    /// A name for it.
    pub display_name: Option<String>,
    /// Where the browser goes after a page.
    pub redirect_to: Option<String>,
    /// The text of the message.
    pub custom_message: Option<String>,
}

impl Options {
    /// Checks the values, and gives the seconds until the verification expires.
    fn check(&self, core: &Core, channel: Option<Channel>) -> Result<i64, Refusal> {
        let mut values = Values::default();
        let expires_in = values.expires_in(self.expires_in, &core.rules);
        if let Some(name) = &self.display_name {
            values.display_name(name);
        }
        values.redirect_to(self.redirect_to.as_deref(), &core.redirects);
        if channel == Some(Channel::Sms) {
            values.custom_message(self.custom_message.as_deref(), expires_in);
        }
        values.check()?;
        Ok(expires_in)
    }
}

/// create_device_verification without a code: the device is challenged.
#[derive(Debug)]
pub struct CreateVerification {
    /// The device.
    pub device: DeviceId,
    /// What else the caller asks for.
    pub options: Options,
}

/// A new verification, and its device.
#[derive(Debug)]
pub struct VerificationView {
    /// The verification.
    pub verification: Verification,
    /// The name of its device.
    pub device_name: String,
    /// Its factor.
    pub factor: &'static Description,
}

impl Decide for CreateVerification {
    type Answer = VerificationView;
    const ACTION: Action = Action::CreateVerification;

    fn reads(&self, _: &Core, user: &User) -> Reads {
        Reads {
            destination: user
                .mfa
                .device(self.device.number())
                .and_then(|device| device.destination.clone()),
            finished: None,
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<VerificationView, Refusal> {
        let answer = self.challenge(draft);
        let device = known(draft.user, self.device);
        draft.record(
            device,
            Self::ACTION,
            answer.as_ref().err().map(Refusal::reason),
        );
        answer
    }
}

impl CreateVerification {
    fn challenge(&self, draft: &mut Draft<'_>) -> Result<VerificationView, Refusal> {
        let (core, now) = (draft.core, draft.now);
        known(draft.user, self.device).ok_or(Refusal::NotFound)?;
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        let DeviceId::Device(number) = self.device else {
            return Err(Refusal::invalid("otp"));
        };
        let device = draft.user.mfa.device(number).ok_or(Refusal::NotFound)?;
        let factor = core
            .catalogue
            .factor(device.factor_id)
            .ok_or(Refusal::Disabled)?;
        let description = factor.description();
        let expires_in = self.options.check(core, description.channel)?;
        gate(draft.user, device, description, now, core).pass()?;

        let mut verification = Verification {
            id: super::ids::draw_uuid(draft.rng),
            device: number,
            factor_id: device.factor_id,
            created_at: now,
            expires_at: now.plus(expires_in),
            status: Status::Pending,
            ending: None,
            guesses: 0,
            display_name: self.options.display_name.clone(),
            redirect_to: self.options.redirect_to.clone(),
            data: Data::default(),
        };
        let device_name = device.display_name.clone();
        let issued = factor.challenge(
            &mut Ceremony {
                core,
                now,
                rng: &mut *draft.rng,
                user: draft.user.id,
                profile: &draft.user.profile,
                id: verification.id,
                device: number,
                destination: device.destination.as_deref(),
                expires_at: verification.expires_at,
                custom_message: self.options.custom_message.as_deref(),
            },
            device,
        )?;
        if issued.message.is_some() {
            let admitted = draft.history.admit_message(now, &core.rules);
            admitted.map_err(|enough| Refusal::TooManyMessages(enough.0))?;
        }
        verification.data = issued.data;
        draft.effects.messages.extend(issued.message);
        end_older(draft, number, description);
        draft.user.mfa.verifications.push(verification.clone());
        Ok(VerificationView {
            verification,
            device_name,
            factor: description,
        })
    }
}

/// A new challenge ends the older one of the same device, or, where nothing is sent, the oldest of too many.
fn end_older(draft: &mut Draft<'_>, device: DeviceNumber, description: &Description) {
    let most = if description.works_unchallenged {
        draft.core.rules.open_verifications
    } else {
        1
    };
    let of_device = |verification: &Verification| verification.device == device;
    let open = draft
        .user
        .mfa
        .verifications
        .iter()
        .filter(|pending| of_device(pending))
        .count();
    for _ in most..=open {
        let oldest = draft
            .user
            .mfa
            .verifications
            .iter()
            .find(|pending| of_device(pending))
            .map(|oldest| oldest.id);
        draft.end_verifications(Ending::Superseded, |pending| Some(pending.id) == oldest);
    }
}

/// verify_user_verification: a code for one verification.
#[derive(Debug)]
pub struct CompleteVerification {
    /// The verification.
    pub id: Uuid,
    /// The device that the caller says it is of.
    pub device: Option<DeviceId>,
    /// The code, if one was sent.
    pub code: Option<Code>,
}

impl Decide for CompleteVerification {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn reads(&self, _: &Core, _: &User) -> Reads {
        Reads {
            destination: None,
            finished: Some(self.id),
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let verification = find(draft.user, &draft.effects.finished, draft.finished, self.id)
            .ok_or(Refusal::NotFound)?
            .clone();
        let before = draft.effects.events.len();
        let answer = self.complete(draft, &verification);
        if draft.effects.events.len() == before {
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
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        let factor = core
            .catalogue
            .factor(verification.factor_id)
            .ok_or(Refusal::Disabled)?;
        let description = factor.description();
        if self
            .device
            .is_some_and(|device| device != DeviceId::Device(verification.device))
        {
            return Err(Refusal::invalid("device_id"));
        }
        let code = match (&self.code, description.codes) {
            (Some(code), _) => code,
            (None, Codes::None) => return Err(Refusal::NotByCode),
            (None, _) => return Err(Refusal::NoCode),
        };
        let device = draft.user.mfa.device(verification.device).cloned();
        let gate = device
            .as_ref()
            .map(|device| gate(draft.user, device, description, now, core));
        gate.unwrap_or_else(|| draft.user.mfa.throttle.delay(now))
            .pass()?;
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
        Comparison {
            candidates: vec![Candidate {
                device,
                verification: Some(verification.clone()),
            }],
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
}

impl Decide for VerifyCode {
    type Answer = ();
    const ACTION: Action = Action::CompleteVerification;

    fn decide(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let before = draft.effects.events.len();
        let answer = self.verify(draft);
        if draft.effects.events.len() == before {
            let device = self.device.and_then(|device| known(draft.user, device));
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
                self.options.check(draft.core, None)?;
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
            .ok_or(Refusal::Disabled)?;
        self.options
            .check(draft.core, factor.description().channel)?;
        gate(
            draft.user,
            &device,
            factor.description(),
            draft.now,
            draft.core,
        )
        .pass()?;
        let pending = draft
            .user
            .mfa
            .verifications
            .iter()
            .filter(|pending| pending.device == number);
        let verification = if factor.description().works_unchallenged {
            None
        } else {
            pending.last().cloned()
        };
        Comparison {
            candidates: vec![Candidate {
                device,
                verification,
            }],
        }
        .decide(draft, &self.code)
    }

    fn verify_any(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        self.options.check(draft.core, None)?;
        draft.user.mfa.throttle.delay(draft.now).pass()?;
        let mut locked = Gate::Open;
        let mut candidates = Vec::new();
        for verification in &draft.user.mfa.verifications {
            let Some(device) = draft.user.mfa.device(verification.device) else {
                continue;
            };
            match device.throttle.gate(draft.now, &draft.core.rules) {
                Gate::Open => candidates.push(Candidate {
                    device: device.clone(),
                    verification: Some(verification.clone()),
                }),
                gate => locked = locked.and(gate),
            }
        }
        if candidates.is_empty() && draft.user.mfa.temporary_tokens.is_empty() {
            locked.pass()?;
        }
        Comparison { candidates }.decide(draft, &self.code)
    }
}

/// A code, and everything of one user that it is compared with. It counts against all of it.
struct Comparison {
    candidates: Vec<Candidate>,
}

/// A device that is not locked, and the verification that the code is for.
struct Candidate {
    device: Device,
    verification: Option<Verification>,
}

impl Comparison {
    fn decide(self, draft: &mut Draft<'_>, code: &Code) -> Result<(), Refusal> {
        let mut wrong = Vec::new();
        for candidate in &self.candidates {
            let (verdict, codes) = candidate.check(draft, code)?;
            match verdict {
                Verdict::Accepted(data) => {
                    candidate.accept(draft, data, code, codes);
                    return Ok(());
                }
                Verdict::Wrong(reason) => {
                    wrong.push((candidate, candidate.reason(draft, code, codes, reason)))
                }
            }
        }
        let verifications: Vec<_> = self
            .candidates
            .iter()
            .filter_map(|candidate| candidate.verification.as_ref())
            .map(|it| it.id)
            .collect();
        if temporary_token::accept(draft, code, &verifications) {
            return Ok(());
        }
        if let [(candidate, Reason::Used)] = wrong.as_slice()
            && candidate.is_last_code(draft, code)
        {
            return Err(Refusal::Unauthorized(Reason::Used));
        }
        refuse(draft, code, &wrong);
        Err(Refusal::Unauthorized(Reason::Wrong))
    }
}

impl Candidate {
    fn check(&self, draft: &mut Draft<'_>, code: &Code) -> Result<(Verdict, Codes), Refusal> {
        let factor: &dyn Factor = draft
            .core
            .catalogue
            .factor(self.device.factor_id)
            .ok_or(Refusal::Disabled)?;
        let verification = self.verification.as_ref();
        let mut ceremony = Ceremony {
            core: draft.core,
            now: draft.now,
            rng: &mut *draft.rng,
            user: draft.user.id,
            profile: &draft.user.profile,
            id: verification.map_or_else(Uuid::nil, |verification| verification.id),
            device: self.device.number,
            destination: self.device.destination.as_deref(),
            expires_at: verification.map_or(draft.now, |verification| verification.expires_at),
            custom_message: None,
        };
        let verdict = factor.check(&mut ceremony, &self.device, verification, code)?;
        Ok((verdict, factor.description().codes))
    }

    /// The device goes on with its new record, and the verification is accepted. The success clears the count of this
    /// device, and the user's.
    fn accept(&self, draft: &mut Draft<'_>, data: Data, code: &Code, codes: Codes) {
        let last_code = remembered(draft.core, draft.user.id, self.device.number, code, codes);
        if let Some(device) = draft.user.mfa.device_mut(self.device.number) {
            device.data = data;
            device.last_code = last_code;
            device.throttle.clear();
        }
        draft.user.mfa.throttle.clear();
        if let Some(verification) = &self.verification {
            accept_verification(draft, verification.id);
        }
        draft.record(
            Some(DeviceId::Device(self.device.number)),
            Action::CompleteVerification,
            None,
        );
    }

    fn reason(&self, draft: &Draft<'_>, code: &Code, codes: Codes, reason: Reason) -> Reason {
        let last = self.device.last_code.is_some();
        if last
            && remembered(draft.core, draft.user.id, self.device.number, code, codes)
                == self.device.last_code
        {
            Reason::Used
        } else {
            reason
        }
    }

    fn is_last_code(&self, draft: &Draft<'_>, code: &Code) -> bool {
        let codes = draft
            .core
            .catalogue
            .factor(self.device.factor_id)
            .map(|factor| factor.description().codes);
        codes.is_some_and(|codes| {
            self.device.last_code.is_some()
                && remembered(draft.core, draft.user.id, self.device.number, code, codes)
                    == self.device.last_code
        })
    }
}

/// Counts a wrong code against everything it was compared with, and once for the user.
fn refuse(draft: &mut Draft<'_>, code: &Code, wrong: &[(&Candidate, Reason)]) {
    let (now, rules) = (draft.now, &draft.core.rules);
    draft.user.mfa.throttle.fail(now, rules);
    let mut counted: Vec<DeviceNumber> = Vec::new();
    for (candidate, reason) in wrong {
        let number = candidate.device.number;
        if !counted.contains(&number) {
            counted.push(number);
            if let Some(device) = draft.user.mfa.device_mut(number) {
                device.throttle.fail(now, rules);
            }
            draft.record(
                Some(DeviceId::Device(number)),
                Action::CompleteVerification,
                Some(*reason),
            );
        }
        let id = candidate
            .verification
            .as_ref()
            .map(|verification| verification.id);
        for pending in draft
            .user
            .mfa
            .verifications
            .iter_mut()
            .filter(|pending| Some(pending.id) == id)
        {
            pending.guesses += 1;
        }
    }
    temporary_token::count_wrong(draft, code);
    let most = rules.guesses_per_verification;
    draft.end_verifications(Ending::TooManyGuesses, |pending| pending.guesses >= most);
    if draft.effects.events.is_empty() {
        draft.record(None, Action::CompleteVerification, Some(Reason::Wrong));
    }
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

/// Why a code for a finished verification is refused: used, if it is the one that its device accepted last.
fn reason_of_finished(
    draft: &Draft<'_>,
    verification: &Verification,
    device: Option<&Device>,
    code: &Code,
) -> Reason {
    let candidate = device.map(|device| Candidate {
        device: device.clone(),
        verification: None,
    });
    if candidate.is_some_and(|candidate| candidate.is_last_code(draft, code)) {
        Reason::Used
    } else {
        ended_reason(verification.ending)
    }
}

/// What the audit trail says of a code for something that ended.
pub(super) const fn ended_reason(ending: Option<Ending>) -> Reason {
    match ending {
        Some(Ending::Expired) => Reason::Expired,
        Some(Ending::Superseded) => Reason::Superseded,
        _ => Reason::Finished,
    }
}

/// The hash by which a device knows the code that it accepted last, should it be sent again.
pub(super) fn remembered(
    core: &Core,
    user: UserId,
    device: DeviceNumber,
    code: &Code,
    codes: Codes,
) -> Option<KeyedHash> {
    let Codes::Digits(digits) = codes else {
        return None;
    };
    let context: [&[u8]; 3] = [
        b"last",
        &user.get().to_be_bytes(),
        &device.get().to_be_bytes(),
    ];
    Some(core.keys.code_hash(&context, &code.at_length(digits)))
}

/// Whether a code for the device may be looked at. Delays hold back guessable codes alone, so that whoever guesses
/// cannot bar the owner of a security key.
fn gate(
    user: &User,
    device: &Device,
    description: &Description,
    now: Timestamp,
    core: &Core,
) -> Gate {
    match description.codes {
        Codes::Digits(_) => user
            .mfa
            .throttle
            .delay(now)
            .and(device.throttle.gate(now, &core.rules)),
        Codes::Long | Codes::None => Gate::Open,
    }
}

/// The id, if the user has such a device or a temporary token that is alive.
fn known(user: &User, device: DeviceId) -> Option<DeviceId> {
    match device {
        DeviceId::Device(number) => user.mfa.device(number).is_some(),
        DeviceId::TemporaryToken(number) => user
            .mfa
            .temporary_tokens
            .iter()
            .any(|token| token.number == number),
    }
    .then_some(device)
}

/// get_user_verification: how a verification stands at `now`. `finished` is the finished one with this id, if there
/// is one.
pub fn view(
    user: &User,
    finished: Option<Finished>,
    id: Uuid,
    now: Timestamp,
) -> Option<Verification> {
    let mut verification = find(user, &[], finished.as_ref(), id)?.clone();
    if verification.status == Status::Pending && verification.expires_at <= now {
        verification.finish(Some(Ending::Expired));
    }
    Some(verification)
}

fn find<'a>(
    user: &'a User,
    just_finished: &'a [Finished],
    finished: Option<&'a Finished>,
    id: Uuid,
) -> Option<&'a Verification> {
    let ended = just_finished
        .iter()
        .chain(finished)
        .find_map(|finished| match finished {
            Finished::Verification(verification) if verification.id == id => Some(verification),
            _ => None,
        });
    user.mfa
        .verifications
        .iter()
        .find(|verification| verification.id == id)
        .or(ended)
}
