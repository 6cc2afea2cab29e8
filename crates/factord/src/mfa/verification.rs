//! Challenging a device and checking the answer. Whatever factor it is, the order is the same: is there such a thing,
//! may the user, are the values allowed, is it locked, is it still open, is the code right (contract, Fine points).

use uuid::Uuid;

use super::Core;
use super::data::Data;
use super::decision::{Decide, Draft, Link, Reads};
use super::ids::{DeviceId, DeviceNumber};
use super::refusal::Refusal;
use super::throttle::Gate;
use super::user::{Device, Ending, Finished, Status, User, Verification};
use super::values::Values;
use crate::audit::{Action, Reason};
use crate::clock::Timestamp;
use crate::delivery::message::Channel;
use crate::factor::{Ceremony, Description, Issued, Shown};

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
    /// Whether the caller can show a number for the person to match.
    pub number_matching: bool,
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
    /// What its caller may see of it.
    pub shown: Shown,
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
            ..Reads::default()
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
        let device = device.clone();
        let factor = core
            .catalogue
            .factor(device.factor_id)
            .ok_or(Refusal::FactorDisabled)?;
        let description = factor.description();
        let expires_in = self.options.check(core, draft.user, description.channel)?;
        gate(draft.user, Some(&device), description, now, core).pass()?;

        let mut verification = Verification {
            id: super::ids::draw_uuid(draft.rng, draft.moment),
            device: number,
            factor_id: device.factor_id,
            created_at: now,
            expires_at: now.plus(expires_in),
            status: Status::Pending,
            ending: None,
            guesses: 0,
            display_name: self.options.display_name.clone(),
            redirect_to: self.options.redirect_to.clone(),
            on_page: false,
            page_otp: None,
            data: Data::default(),
        };
        let issued = factor.challenge(
            &mut Ceremony {
                destination: device.destination.as_deref(),
                custom_message: self.options.custom_message.as_deref(),
                redirect_to: self.options.redirect_to.as_deref(),
                display_name: self.options.display_name.as_deref(),
                number_matching: self.options.number_matching,
                ..draft.ceremony(verification.id, number, verification.expires_at)
            },
            &device,
        )?;
        if device.destination.is_some() && issued.message.is_some() {
            let admitted = draft.history.admit_message(now, &core.rules);
            admitted.map_err(|enough| Refusal::TooManyMessages(enough.0))?;
        }
        end_older(draft, number, description);
        let shown = open(draft, &mut verification, issued);
        Ok(VerificationView {
            verification,
            device_name: device.display_name,
            factor: description,
            shown,
        })
    }
}

/// Opens a verification as its factor has issued it, and gives what its caller may see of it.
fn open(draft: &mut Draft<'_>, verification: &mut Verification, issued: Issued) -> Shown {
    let Issued {
        data,
        message,
        shown,
        links,
        on_page,
        device,
        alarm,
    } = issued;
    verification.data = data;
    verification.on_page = on_page;
    let expires_at = verification.expires_at;
    let page = on_page.then(|| Link::of_verification(verification.id));
    let links = links.into_iter().chain(page);
    let links = links.map(|token| Link::until(token, expires_at));
    draft.effects.links.extend(links);
    draft.effects.messages.extend(message);
    draft.user.mfa.verifications.push(verification.clone());
    if let Some((challenged, data)) = draft.user.mfa.device_mut(verification.device).zip(device) {
        challenged.data = data;
    }
    draft.alarm(verification.device, alarm);
    shown
}

/// A new challenge ends the oldest of too many of the same device.
fn end_older(draft: &mut Draft<'_>, device: DeviceNumber, description: &Description) {
    let most = description
        .open_verifications
        .unwrap_or(draft.core.rules.open_verifications);
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

/// Whether a code for the device, which may be gone by now, may be looked at.
pub(super) fn gate(
    user: &User,
    device: Option<&Device>,
    description: &Description,
    now: Timestamp,
    core: &Core,
) -> Gate {
    let is_guess = description.codes.are_guessable();
    gate_answer(user, device, description, is_guess, now, core)
}

/// The same of any answer: its factor must not be disabled for the user, nor the device. Delays hold back guesses alone,
/// so that whoever guesses cannot bar the owner of a security key.
pub(super) fn gate_answer(
    user: &User,
    device: Option<&Device>,
    description: &Description,
    is_guess: bool,
    now: Timestamp,
    core: &Core,
) -> Gate {
    if core.policy(&user.profile).disables(description) {
        return Gate::FactorDisabled;
    }
    if device.is_some_and(|device| device.disabled) {
        return Gate::Disabled;
    }
    if !is_guess {
        return Gate::Open;
    }
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
