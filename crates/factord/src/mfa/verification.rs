//! Challenging a device and checking the answer. Whatever factor it is, the order is the same: is there such a thing,
//! may the user, are the values allowed, is it locked, is it still open, is the code right (contract, Fine points).

use uuid::Uuid;

use super::Core;
use super::data::Data;
use super::decision::{Decide, Draft, Reads};
use super::ids::{DeviceId, DeviceNumber};
use super::refusal::Refusal;
use super::throttle::Gate;
use super::user::{Device, Ending, Finished, Status, User, Verification};
use super::values::Values;
use crate::audit::{Action, Reason};
use crate::clock::Timestamp;
use crate::delivery::message::Channel;
use crate::factor::{Ceremony, Codes, Description};

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
    pub(super) fn check(
        &self,
        core: &Core,
        user: &User,
        channel: Option<Channel>,
    ) -> Result<i64, Refusal> {
        let mut values = Values::default();
        let expires_in = values.expires_in(self.expires_in, core.policy(&user.profile));
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
            .ok_or(Refusal::FactorDisabled)?;
        let description = factor.description();
        let expires_in = self.options.check(core, draft.user, description.channel)?;
        gate(draft.user, Some(device), description, now, core).pass()?;

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
                evidence: None,
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

/// What the audit trail says of a code for something that ended.
pub(super) const fn ended_reason(ending: Option<Ending>) -> Reason {
    match ending {
        Some(Ending::Expired) => Reason::Expired,
        Some(Ending::Superseded) => Reason::Superseded,
        _ => Reason::Finished,
    }
}

/// Whether a code for the device, which may be gone by now, may be looked at: its factor must not be disabled for the
/// user. Delays hold back guessable codes alone, so that whoever guesses cannot bar the owner of a security key.
pub(super) fn gate(
    user: &User,
    device: Option<&Device>,
    description: &Description,
    now: Timestamp,
    core: &Core,
) -> Gate {
    if core.policy(&user.profile).disables(description) {
        return Gate::FactorDisabled;
    }
    let Codes::Digits(_) = description.codes else {
        return Gate::Open;
    };
    let device = device.map_or(Gate::Open, |device| device.throttle.gate(now, &core.rules));
    user.mfa.throttle.delay(now).and(device)
}

/// The id, if the user has such a device or a temporary token that is alive.
pub(super) fn known(user: &User, device: DeviceId) -> Option<DeviceId> {
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
    finished: Option<&Finished>,
    id: Uuid,
    now: Timestamp,
) -> Option<Verification> {
    let mut verification = find(user, &[], finished, id)?.clone();
    if verification.status == Status::Pending && verification.expires_at <= now {
        verification.finish(Some(Ending::Expired));
    }
    Some(verification)
}

pub(super) fn find<'a>(
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
