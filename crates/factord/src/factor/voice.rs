//! OneLogin Voice: the caller is told a code, the user's phone rings, and only what is typed on the phone counts. What the
//! gateway reports of the call comes by a link that nobody else knows (`http/voice/`).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::delivered_code::{DIGITS, draw};
use super::{Ceremony, Codes, Description, Factor, Issued, Pending, Shown, Step};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::crypto::sealing::{Place, Sealed};
use crate::crypto::tokens::{self, TokenHash};
use crate::delivery::message::{Channel, Message};
use crate::mfa::Core;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Ending, Profile, Registration};

/// The factor.
pub struct Voice;

/// What the gateway reports of a call: the answer that the factor takes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The token of the call's link.
    pub token: String,
    /// What has happened.
    pub event: CallEvent,
}

/// What happens in a call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEvent {
    /// Somebody typed this.
    Digits(String),
    /// Somebody took the call and hung up.
    HungUp,
    /// Nobody took the call, or it could not be made.
    NoAnswer,
}

impl Factor for Voice {
    fn description(&self) -> &'static Description {
        &Description {
            name: "OneLogin Voice",
            key: "voice",
            auth_factor_name: "OneLogin Voice",
            codes: Codes::Typed(DIGITS),
            channel: Some(Channel::Voice),
            works_unchallenged: false,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 1,
            open_verifications: Some(1),
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        let code = draw(ceremony.rng);
        let place = place(ceremony.user, ceremony.device);
        let sealed = ceremony
            .core
            .keys
            .seal(ceremony.rng, place, code.as_bytes());
        Ok(issue(ceremony, code, Some(sealed)))
    }

    fn show(
        &self,
        core: &Core,
        user: UserId,
        _: &Profile,
        pending: &Registration,
    ) -> Result<Shown, Fault> {
        let record: Record = pending.data.read()?;
        let sealed = record.shown.ok_or(Fault::Record)?;
        let code = core.keys.open(place(user, pending.device), &sealed)?;
        let code = std::str::from_utf8(&code).map_err(|_| Fault::Record)?;
        Ok(shown(code.into()))
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        let code = draw(ceremony.rng);
        Ok(issue(ceremony, code, None))
    }

    fn is_guess(&self, answer: &Data) -> bool {
        let report = answer.read::<Report>();
        report.map_or(true, |report| matches!(report.event, CallEvent::Digits(_)))
    }

    /// What the gateway reports of the call: `answer` is a [`Report`].
    fn answer(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: Pending<'_>,
        answer: &Data,
    ) -> Result<Step, Fault> {
        let Ok(report) = answer.read::<Report>() else {
            return Ok(Step::Wrong(Reason::Invalid));
        };
        let record: Record = pending.data().read()?;
        let (core, user, id) = (ceremony.core, ceremony.user, ceremony.id);
        if record.link != hash(core, user, id, b"call", &report.token) {
            return Ok(Step::Wrong(Reason::Forged));
        }
        let digits = match report.event {
            CallEvent::Digits(digits) => digits,
            CallEvent::HungUp => {
                return Ok(Step::rejected(Ending::HungUp, Reason::HungUp));
            }
            CallEvent::NoAnswer => {
                return Ok(Step::rejected(Ending::NoAnswer, Reason::NoAnswer));
            }
        };
        if record.expires_at <= ceremony.now {
            return Ok(Step::rejected(Ending::Expired, Reason::Expired));
        }
        if record.code == hash(core, user, id, b"typed", &digits) {
            return Ok(Step::Accepted(match pending {
                Pending::Registration(_) => Data::default(),
                Pending::Verification(device, _) => device.data.clone(),
            }));
        }
        let tries = TRIES.min(core.rules.guesses_per_verification);
        Ok(if pending.guesses().saturating_add(1) < tries {
            Step::Wrong(Reason::Wrong)
        } else {
            Step::rejected(Ending::TooManyGuesses, Reason::Wrong)
        })
    }
}

/// What is kept of a call.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The code that must be typed.
    code: KeyedHash,
    /// The token of the call's link.
    link: KeyedHash,
    /// The code, for the caller of a registration to read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<Sealed>,
    /// The first moment at which the code counts no more.
    expires_at: Timestamp,
}

/// Whether `token` is that of the call about what `data` is kept of, and its code still counts.
pub fn is_open(
    core: &Core,
    user: UserId,
    id: Uuid,
    data: &Data,
    token: &SecretString,
    now: Timestamp,
) -> bool {
    data.read::<Record>().is_ok_and(|record| {
        now < record.expires_at
            && record.link == hash(core, user, id, b"call", token.expose_secret())
    })
}

/// Has the user called; the caller is shown the code.
fn issue(ceremony: &mut Ceremony<'_>, code: String, sealed: Option<Sealed>) -> Issued {
    let token = tokens::generate(ceremony.rng);
    let lifetime = ceremony.expires_at.since(ceremony.now);
    let lifetime = lifetime.min(ceremony.core.rules.max_code_lifetime);
    let (core, user, id) = (ceremony.core, ceremony.user, ceremony.id);
    let record = Record {
        code: hash(core, user, id, b"typed", &code),
        link: hash(core, user, id, b"call", token.expose_secret()),
        shown: sealed,
        expires_at: ceremony.now.plus(lifetime),
    };
    Issued {
        data: Data::of(&record),
        message: Some(write(ceremony, &token, record.expires_at)),
        shown: shown(code.into()),
        links: vec![TokenHash::of_secret(&token)],
        ..Issued::default()
    }
}

/// What the phone says first. The code is not in it: whoever takes the call must have it from the caller.
fn write(ceremony: &Ceremony<'_>, token: &SecretString, expires_at: Timestamp) -> Message {
    let core = ceremony.core;
    Message {
        channel: Channel::Voice,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: None,
        body: core.call_lines(ceremony.profile).prompt,
        html: None,
        code: None,
        link: Some(core.link(&path(ceremony.id, token))),
        about: Some(ceremony.id),
        expires_at,
    }
}

/// The path of a call's link; what the gateway reports goes to paths below it.
pub fn path(id: Uuid, token: &SecretString) -> String {
    format!("{PATH}{id}/{}", token.expose_secret())
}

/// What a call's link is about, and its token.
pub fn of_link(link: &str) -> Option<(Uuid, SecretString)> {
    let (_, path) = link.rsplit_once(PATH)?;
    let (id, token) = path.split_once('/')?;
    Some((id.parse().ok()?, token.into()))
}

fn shown(code: SecretString) -> Shown {
    Shown {
        verification_token: Some(code),
        ..Shown::default()
    }
}

fn hash(core: &Core, user: UserId, id: Uuid, what: &[u8], text: &str) -> KeyedHash {
    core.keys
        .code_hash(&[what, &user.get().to_be_bytes(), id.as_bytes()], text)
}

const fn place(user: UserId, device: DeviceNumber) -> Place {
    Place {
        purpose: "voice code",
        user: user.unsigned(),
        record: device.get() as u64,
    }
}

/// Digits of a code.
pub const CODE_DIGITS: usize = DIGITS;
/// Wrong digits after which a call has failed.
const TRIES: u32 = 3;
const PATH: &str = "voice/";
