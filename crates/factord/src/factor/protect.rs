//! OneLogin Protect: an app on the person's phone, with a key of its own. It is told of a login, and approves or denies it
//! with a signature over exactly what it showed; with number matching the person types what the login shows.

pub mod key;
pub mod page;
mod patience;
pub mod signed;
pub mod subscription;

use data_encoding::BASE32_NOPAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Ceremony, Codes, Description, Factor, Issued, Pending, Restored, Shown, Step};
use crate::audit::Reason;
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::crypto::sealing::{Place, Sealed};
use crate::crypto::tokens::TokenHash;
use crate::delivery::message::{Channel, Message};
use crate::messages::Content;
use crate::mfa::Core;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Device, Ending, Profile, Registration, User, Verification};
use key::AppKey;
use patience::Patience;
use signed::Challenged;
use subscription::Subscription;

/// When the person must type what the login shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberMatching {
    /// Never.
    Off,
    /// When the caller asks, since it can show a number.
    OnRequest,
    /// Always.
    Always,
}

impl NumberMatching {
    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OnRequest => "on_request",
            Self::Always => "always",
        }
    }
}

/// The factor.
pub struct Protect;

/// Its name in the configuration.
pub const KEY: &str = "protect";

impl Factor for Protect {
    fn description(&self) -> &'static Description {
        &Description {
            key: KEY,
            name: "OneLogin Protect",
            auth_factor_name: "OneLogin",
            codes: Codes::None,
            channel: None,
            works_unchallenged: false,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 1,
            open_verifications: Some(3),
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        let mut bytes = Zeroizing::new([0; 16]);
        ceremony.rng.fill_bytes(bytes.as_mut());
        let code = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_ref()));
        let place = place(ACTIVATION, ceremony.user, ceremony.device);
        let lifetime = ceremony.expires_at.since(ceremony.now);
        let record = Activation {
            code: ceremony
                .core
                .keys
                .seal(ceremony.rng, place, code.as_bytes()),
            expires_at: ceremony.now.plus(lifetime.min(LONGEST_ACTIVATION)),
        };
        Ok(Issued {
            data: Data::of(&record),
            shown: shown(ceremony.core, &code),
            links: vec![TokenHash::of(&code)],
            ..Issued::default()
        })
    }

    fn show(
        &self,
        core: &Core,
        user: UserId,
        _: &Profile,
        pending: &Registration,
    ) -> Result<Shown, Fault> {
        let record: Activation = pending.data.read()?;
        Ok(shown(core, &record.open(core, user, pending.device)?))
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, device: &Device) -> Result<Issued, Refusal> {
        let mut record: Record = device.data.read()?;
        let (core, now) = (ceremony.core, ceremony.now);
        if let Some(left) = record.patience.pause_left(now) {
            return Err(Refusal::Paused(left));
        }
        let message = record.wake_up(ceremony)?;
        let number = match ceremony.policy().number_matching {
            NumberMatching::Off => None,
            NumberMatching::OnRequest if !ceremony.number_matching => None,
            NumberMatching::OnRequest | NumberMatching::Always => {
                let digits = ceremony.policy().number_digits;
                Some(draw(ceremony.rng, digits))
            }
        };
        let on_page = number.is_some() && ceremony.redirect_to.is_some();
        let place = place(NUMBER, ceremony.user, ceremony.device);
        let sealed = number
            .as_ref()
            .map(|number| core.keys.seal(ceremony.rng, place, number.as_bytes()));
        let challenge = Challenge {
            number: sealed,
            digits: number.as_ref().map_or(0, |number| number.len()),
            browser: None,
            approved: false,
        };
        let alarm = record.patience.asked(now);
        Ok(Issued {
            data: Data::of(&challenge),
            message,
            shown: Shown {
                number: number
                    .filter(|_| !on_page)
                    .map(|number| number.as_str().to_owned()),
                ..Shown::default()
            },
            on_page,
            device: Some(Data::of(&record)),
            alarm,
            ..Issued::default()
        })
    }

    /// The word of the app or of the page: an [`Answer`].
    fn answer(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: Pending<'_>,
        answer: &Data,
    ) -> Result<Step, Fault> {
        match (answer.read(), pending) {
            (Ok(Answer::Activate(app)), Pending::Registration(pending)) => {
                activate(ceremony, pending, app)
            }
            (Ok(Answer::Decide(decision)), Pending::Verification(device, pending)) => {
                decide(ceremony, device, pending, &decision)
            }
            (Ok(Answer::Open(browser)), Pending::Verification(_, pending)) => {
                page::open(ceremony, pending, &browser)
            }
            (Ok(Answer::Take(browser)), Pending::Verification(device, pending)) => {
                page::take(ceremony, device, pending, &browser)
            }
            _ => Ok(Step::Wrong(Reason::Invalid)),
        }
    }

    /// What is open has ended, and what the app has signed is right for nothing else.
    fn restored(&self, _: &Core, _: &Device, _: Timestamp) -> Result<Restored, Fault> {
        Ok(Restored::Keep)
    }

    fn detail(&self, device: &Device) -> Option<String> {
        device.data.read::<Record>().ok()?.app
    }
}

/// What an app or a page says.
#[derive(Deserialize, Serialize)]
pub enum Answer {
    /// An app has the activation code.
    Activate(App),
    /// The app's person has decided.
    Decide(Decision),
    /// A browser with this secret shows the number from now on, if no other does.
    Open(String),
    /// The browser with this secret takes the page's code, once the app has approved.
    Take(String),
}

/// An app that is being activated.
#[derive(Clone, Deserialize, Serialize)]
pub struct App {
    /// The activation code as [`normal`] writes it.
    pub code: String,
    /// The app's key.
    pub key: AppKey,
    /// What the app calls itself.
    pub name: Option<String>,
    /// Where it is woken up.
    pub subscription: Option<Subscription>,
}

/// What the app's person has decided.
#[derive(Deserialize, Serialize)]
pub struct Decision {
    /// Whether the login is theirs.
    pub approve: bool,
    /// What they typed; empty where no number is to be matched.
    pub number: String,
    /// The app's signature over [`signed::answer`].
    pub signature: String,
}

/// What is kept of a pending registration.
#[derive(Deserialize, Serialize)]
struct Activation {
    code: Sealed,
    expires_at: Timestamp,
}

impl Activation {
    fn open(
        &self,
        core: &Core,
        user: UserId,
        device: DeviceNumber,
    ) -> Result<Zeroizing<String>, Fault> {
        open_text(core, place(ACTIVATION, user, device), &self.code)
    }
}

/// What is kept of a device.
#[derive(Deserialize, Serialize)]
struct Record {
    key: AppKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription: Option<Sealed>,
    #[serde(default)]
    patience: Patience,
}

impl Record {
    /// The message that wakes the app up, if it has said where.
    fn wake_up(&self, ceremony: &Ceremony<'_>) -> Result<Option<Message>, Fault> {
        let (Some(sealed), Some(_)) = (&self.subscription, ceremony.core.push) else {
            return Ok(None);
        };
        let place = place(SUBSCRIPTION, ceremony.user, ceremony.device);
        let to = open_text(ceremony.core, place, sealed)?;
        let content = Content::Push {
            display_name: ceremony.display_name,
            time: ceremony.now,
        };
        let text = ceremony
            .core
            .write(Channel::Push, ceremony.profile, &content);
        let body = serde_json::json!({
            "title": text.subject,
            "body": text.body,
            "verification_id": ceremony.id,
            "user_id": ceremony.user.to_string(),
            "device_id": ceremony.device.get().to_string(),
            "expires_at": ceremony.expires_at.to_string(),
        });
        Ok(Some(Message {
            channel: Channel::Push,
            to: to.as_str().to_owned(),
            subject: None,
            body: body.to_string(),
            html: None,
            code: None,
            link: None,
            // The app also asks by itself: what is pending does not end because it was not woken up.
            about: None,
            expires_at: ceremony.expires_at,
        }))
    }
}

/// What is kept of a challenge, until it is answered.
#[derive(Deserialize, Serialize)]
struct Challenge {
    /// What the login shows, and the person types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<Sealed>,
    #[serde(default)]
    digits: usize,
    /// The browser that shows the number on a hosted page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    browser: Option<KeyedHash>,
    /// Whether the app has approved, and the page's code waits to be taken.
    #[serde(default)]
    approved: bool,
}

impl Challenge {
    /// The number that the person can see by now.
    fn visible_number(
        &self,
        ceremony: &Ceremony<'_>,
        pending: &Verification,
    ) -> Result<Option<Zeroizing<String>>, Fault> {
        match &self.number {
            None => Ok(Some(Zeroizing::default())),
            Some(_) if pending.on_page && self.browser.is_none() => Ok(None),
            Some(sealed) => {
                let place = place(NUMBER, ceremony.user, pending.device);
                open_text(ceremony.core, place, sealed).map(Some)
            }
        }
    }
}

/// An app shows that it has the code: it becomes the device.
fn activate(ceremony: &mut Ceremony<'_>, pending: &Registration, app: App) -> Result<Step, Fault> {
    let record: Activation = pending.data.read()?;
    let code = record.open(ceremony.core, ceremony.user, pending.device)?;
    if !bool::from(code.as_bytes().ct_eq(app.code.as_bytes())) {
        return Ok(Step::Wrong(Reason::Wrong));
    }
    if record.expires_at <= ceremony.now {
        return Ok(Step::Wrong(Reason::Expired));
    }
    let place = place(SUBSCRIPTION, ceremony.user, pending.device);
    let subscription = app.subscription.map(|subscription| {
        let text = Zeroizing::new(serde_json::to_vec(&subscription).unwrap_or_default());
        ceremony.core.keys.seal(ceremony.rng, place, &text)
    });
    Ok(Step::Accepted(Data::of(&Record {
        key: app.key,
        app: app.name,
        subscription,
        patience: Patience::default(),
    })))
}

/// The app's person approves or denies. Only what the app's own key has signed counts for anything.
fn decide(
    ceremony: &mut Ceremony<'_>,
    device: &Device,
    pending: &Verification,
    decision: &Decision,
) -> Result<Step, Fault> {
    let record: Record = device.data.read()?;
    let challenged = Challenged::of(ceremony.core, ceremony.user, pending);
    let text = signed::answer(&challenged, &decision.number, decision.approve);
    if !record.key.has_signed(&text, &decision.signature) {
        return Ok(Step::Wrong(Reason::Forged));
    }
    if !decision.approve {
        return Ok(reject(ceremony.now, record, Reason::Denied));
    }
    // The record is erased when the page has its code.
    let Some(challenge) = pending.data.read::<Option<Challenge>>()? else {
        return Ok(Step::Wrong(Reason::Used));
    };
    let number = challenge.visible_number(ceremony, pending)?;
    let matches =
        |number: Zeroizing<String>| bool::from(number.as_bytes().ct_eq(decision.number.as_bytes()));
    Ok(if !number.is_some_and(matches) {
        reject(ceremony.now, record, Reason::Wrong)
    } else if pending.on_page {
        Step::Continue(Data::of(&Challenge {
            approved: true,
            ..challenge
        }))
    } else {
        Step::Accepted(approved(record))
    })
}

fn approved(record: Record) -> Data {
    Data::of(&Record {
        patience: Patience::default(),
        ..record
    })
}

fn reject(now: Timestamp, mut record: Record, reason: Reason) -> Step {
    let alarm = record.patience.denied(now);
    Step::Rejected {
        ending: Ending::Denied,
        reason,
        device: Some(Data::of(&record)),
        alarm,
    }
}

/// A challenge that waits for the app.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// The verification.
    pub verification: &'a Verification,
    /// How many digits the person must type; 0 if no number is to be matched.
    pub digits: usize,
}

/// The key of the user's app on this device, and what waits for it at `now`, the oldest first. `None` if there is no such
/// app.
pub fn waiting<'a>(
    core: &Core,
    user: &'a User,
    number: DeviceNumber,
    now: Timestamp,
) -> Option<(AppKey, Vec<Waiting<'a>>)> {
    let device = user.mfa.device(number)?;
    let factor = core.catalogue.described(device.factor_id)?;
    if factor.key != KEY {
        return None;
    }
    let record: Record = device.data.read().ok()?;
    let pending = user.mfa.verifications.iter();
    let pending = pending.filter(|it| it.device == number && it.expires_at > now);
    let waiting = pending.filter_map(|verification| {
        let challenge = verification.data.read::<Option<Challenge>>().ok()??;
        (!challenge.approved).then_some(Waiting {
            verification,
            digits: challenge.digits,
        })
    });
    Some((record.key, waiting.collect()))
}

/// Whether `code` activates this pending registration.
pub fn activates(core: &Core, user: UserId, pending: &Registration, code: &str) -> bool {
    let record = pending.data.read::<Activation>();
    let code_of = |record: Activation| record.open(core, user, pending.device);
    let kept = record.and_then(code_of);
    kept.is_ok_and(|kept| kept.as_bytes().ct_eq(code.as_bytes()).into())
}

/// An activation code as a person may have typed it: without hyphens and blanks, in capitals.
pub fn normal(code: &str) -> String {
    let kept = code
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-');
    kept.map(|letter| letter.to_ascii_uppercase()).collect()
}

/// The code in groups, and the address that a QR code holds.
fn shown(core: &Core, code: &str) -> Shown {
    let groups: Vec<_> = code.as_bytes().chunks(GROUP).collect();
    let groups: Vec<_> = groups
        .into_iter()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let url = format!(
        "factord://activate?code={code}&url={}&service={}",
        encoded(core.public_url.as_str().trim_end_matches('/')),
        encoded(&core.service_name),
    );
    Shown {
        verification_token: Some(groups.join("-").into()),
        totp_url: Some(url.into()),
        ..Shown::default()
    }
}

fn draw(rng: &mut dyn CryptoRng, digits: usize) -> Zeroizing<String> {
    let below = 10_u32.pow(u32::try_from(digits).unwrap_or(2));
    Zeroizing::new(format!("{:0digits$}", rng.random_range(0..below)))
}

fn open_text(core: &Core, place: Place, sealed: &Sealed) -> Result<Zeroizing<String>, Fault> {
    let text = core.keys.open(place, sealed)?;
    let text = std::str::from_utf8(&text).map_err(|_| Fault::Record)?;
    Ok(Zeroizing::new(text.to_owned()))
}

const fn place(purpose: &'static str, user: UserId, device: DeviceNumber) -> Place {
    Place {
        purpose,
        user: user.unsigned(),
        record: device.get() as u64,
    }
}

const ACTIVATION: &str = "activation code";
const NUMBER: &str = "number of a push";
const SUBSCRIPTION: &str = "push subscription";
/// Seconds that an activation code lives, however long its registration.
const LONGEST_ACTIVATION: i64 = 600;
/// Letters in a group of the activation code.
const GROUP: usize = 4;
