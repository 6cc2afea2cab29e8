//! How a decision is put to the core: what it reads, what it may change, and how its audit event is written.

use rand::CryptoRng;
use uuid::Uuid;

use super::Core;
use super::hardware::Known;
use super::history::History;
use super::ids::{DeviceId, DeviceNumber};
use super::refusal::Refusal;
use super::user::{Ending, Finished, Status, User};
use crate::audit::{Action, Event, Reason, Repeatable};
use crate::clock::{Moment, Timestamp};
use crate::crypto::tokens::TokenHash;
use crate::delivery::message::Message;
use crate::factor::Ceremony;

/// A command about one user. It may be decided more than once (a store that finds its commit stale loads and asks
/// again), so it changes nothing but the draft.
pub trait Decide: Send + 'static {
    /// What the caller gets if it is done.
    type Answer: Send + 'static;

    /// What the audit event says was asked for.
    const ACTION: Action;

    /// What the decision reads besides the user.
    fn reads(&self, _core: &Core, _user: &User) -> Reads {
        Reads::default()
    }

    /// Decides, and writes what follows from it into the draft.
    ///
    /// # Errors
    /// A [`Refusal`]. What the draft holds is committed all the same: a wrong code counts. Whatever can fail comes
    /// before the first change.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Self::Answer, Refusal>;
}

/// What a decision reads besides the user; loaded with the user, and as fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The destination whose message history is needed: an address or a number.
    pub destination: Option<String>,
    /// The registration or verification that is needed if it has finished.
    pub finished: Option<Uuid>,
    /// The hardware that is needed, by its ids.
    pub hardware: Vec<String>,
}

/// What a decision sees and changes.
pub struct Draft<'a> {
    /// What every decision knows.
    pub core: &'a Core,
    /// The time of the decision.
    pub now: Timestamp,
    /// The same, for the ids that are drawn.
    pub moment: Moment,
    /// The generator for codes, secrets and ids.
    pub rng: &'a mut dyn CryptoRng,
    /// The user; committed if it changed.
    pub user: &'a mut User,
    /// The message history of [`Reads::destination`]; committed if it changed.
    pub history: &'a mut History,
    /// What is known of the hardware that [`Reads::hardware`] names; what changed or was added is committed.
    pub hardware: &'a mut Known,
    /// The finished registration or verification that [`Reads::finished`] names, if there is one.
    pub finished: Option<&'a Finished>,
    /// What is committed with the user.
    pub effects: &'a mut Effects,
}

/// What is committed with the user, all or nothing.
#[derive(Debug, Default)]
pub struct Effects {
    /// The audit events.
    pub events: Vec<Event>,
    /// Refusals that happened once more: each is counted in its newest event.
    pub repeats: Vec<Repeatable>,
    /// The messages to send once this is committed.
    pub messages: Vec<Message>,
    /// What ended, to be read for a while.
    pub finished: Vec<Finished>,
    /// The links by which the user is found until they expire.
    pub links: Vec<Link>,
    /// Devices that are gone: the hardware that they were is nobody's.
    pub released: Vec<DeviceNumber>,
    /// Whether the user is deleted: all of it but the audit trail.
    pub delete_user: bool,
}

/// A link that leads to the user: a single-use link's token, or the id of a verification that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is found by.
    pub token: TokenHash,
    /// The first moment at which it leads nowhere.
    pub expires_at: Timestamp,
}

impl Link {
    /// A link to what ends at `end`. It leads to the user for a while longer, so that whoever comes too late is
    /// refused, and the audit trail tells.
    pub fn until(token: TokenHash, end: Timestamp) -> Self {
        Self {
            token,
            expires_at: end.plus(LINGERING),
        }
    }

    /// What a verification with a hosted page is found by: its id, which is no secret.
    pub fn of_verification(id: Uuid) -> TokenHash {
        TokenHash::of(&format!("verification {id}"))
    }
}

/// Decides `command`: ends first what has expired, and leaves at least one audit event, whatever the answer.
///
/// # Errors
/// The command's own refusal.
pub fn run<D: Decide>(command: &D, draft: &mut Draft<'_>) -> Result<D::Answer, Refusal> {
    draft.end_expired();
    let answer = command.decide(draft);
    if !draft.effects.is_recorded() {
        draft.record(None, D::ACTION, answer.as_ref().err().map(Refusal::reason));
    }
    answer
}

impl Effects {
    /// Whether there is an audit event of the decision already.
    pub fn is_recorded(&self) -> bool {
        !self.events.is_empty() || !self.repeats.is_empty()
    }
}

impl Draft<'_> {
    /// Writes an audit event. A refusal that has come before, since the last success or guess, is counted in its event.
    pub fn record(&mut self, device: Option<DeviceId>, action: Action, refused: Option<Reason>) {
        let event = Event {
            device,
            action,
            refused,
        };
        let recent = &mut self.user.mfa.recent_refusals;
        match event.repeatable() {
            Some(refusal) if recent.contains(&refusal) => self.effects.repeats.push(refusal),
            Some(refusal) => {
                if recent.len() >= MOST_RECENT_REFUSALS {
                    recent.remove(0);
                }
                recent.push(refusal);
                self.effects.events.push(event);
            }
            None => {
                recent.clear();
                self.effects.events.push(event);
            }
        }
    }

    /// Writes an audit event for an operator to look at, if `reason` is one to be alarmed by.
    pub fn alarm(&mut self, device: DeviceNumber, reason: Option<Reason>) {
        if let Some(reason) = reason.filter(|reason| reason.is_alarm()) {
            let device = Some(DeviceId::Device(device));
            self.record(device, Action::RaiseAlarm, Some(reason));
        }
    }

    /// What a factor gets about the registration or verification with this id; what it gets besides is the caller's to
    /// add.
    pub fn ceremony(
        &mut self,
        id: Uuid,
        device: DeviceNumber,
        expires_at: Timestamp,
    ) -> Ceremony<'_> {
        Ceremony {
            core: self.core,
            now: self.now,
            rng: &mut *self.rng,
            user: self.user.id,
            profile: &self.user.profile,
            devices: &self.user.mfa.devices,
            id,
            device,
            expires_at,
            destination: None,
            custom_message: None,
            redirect_to: None,
            display_name: None,
            number_matching: false,
            hardware: &mut *self.hardware,
            evidence: None,
        }
    }

    /// Ends every pending verification that `which` picks.
    pub fn end_verifications(
        &mut self,
        ending: Ending,
        which: impl Fn(&super::user::Verification) -> bool,
    ) {
        for mut ended in self
            .user
            .mfa
            .verifications
            .extract_if(.., |pending| which(pending))
        {
            ended.finish(Some(ending));
            self.effects.finished.push(Finished::Verification(ended));
        }
    }

    /// Ends every pending registration that `which` picks.
    pub fn end_registrations(
        &mut self,
        ending: Ending,
        which: impl Fn(&super::user::Registration) -> bool,
    ) {
        for mut ended in self
            .user
            .mfa
            .registrations
            .extract_if(.., |pending| which(pending))
        {
            ended.finish(Some(ending));
            self.effects.finished.push(Finished::Registration(ended));
        }
    }

    /// Draws a number that no device of the user has.
    pub fn draw_device_number(&mut self) -> DeviceNumber {
        loop {
            let number = DeviceNumber::draw(self.rng);
            if !self.user.mfa.has_number(number) {
                return number;
            }
        }
    }

    /// Ends what has expired. Every decision begins with it; for users about whom none is made a store does it.
    pub fn end_expired(&mut self) {
        let now = self.now;
        self.end_verifications(Ending::Expired, |pending| pending.expires_at <= now);
        self.end_registrations(Ending::Expired, |pending| pending.expires_at <= now);
        self.user
            .mfa
            .temporary_tokens
            .retain(|token| token.expires_at > now);
    }
}

impl super::user::Verification {
    /// Ends it: accepted, or rejected for `ending`; its factor's record is erased.
    pub fn finish(&mut self, ending: Option<Ending>) {
        (self.status, self.ending) = ended(ending);
        self.data = super::data::Data::default();
        self.page_otp = None;
    }
}

impl super::user::Registration {
    /// Ends it: accepted, or rejected for `ending`; its factor's record is erased.
    pub fn finish(&mut self, ending: Option<Ending>) {
        (self.status, self.ending) = ended(ending);
        self.data = super::data::Data::default();
    }
}

const fn ended(ending: Option<Ending>) -> (Status, Option<Ending>) {
    match ending {
        None => (Status::Accepted, None),
        Some(_) => (Status::Rejected, ending),
    }
}

/// Seconds for which a link leads to the user although what it is about has ended.
const LINGERING: i64 = 3_600;
/// Refusals that are counted instead of written again: more kinds than one client brings about by itself.
const MOST_RECENT_REFUSALS: usize = 8;
