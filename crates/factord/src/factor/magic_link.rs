//! Email MagicLink: a link by e-mail to a page with a button. Opening it changes nothing, since mail scanners open links;
//! only the press counts. Whoever presses would finish a login that somebody else began, so that there are modes.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ceremony, Codes, Description, Factor, Issued, Pending, Step};
use crate::audit::Reason;
use crate::crypto::keys::KeyedHash;
use crate::crypto::tokens::{self, TokenHash};
use crate::delivery::message::{Channel, Message};
use crate::messages::Content;
use crate::mfa::Core;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::Device;

/// What pressing the button does to a verification. Enrolling always ends with the press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MagicLinkMode {
    /// It accepts the verification, as OneLogin's does: the page warns that a stranger may have asked.
    Polled,
    /// It takes the browser back to the caller with a one-time code, so that a login ends in the browser it began in; a
    /// verification needs a `redirect_to`.
    Bound,
    /// The factor is disabled.
    Off,
}

impl MagicLinkMode {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::Bound => "bound",
            Self::Off => "off",
        }
    }
}

/// The key of the factor.
pub const KEY: &str = "magic_link";

/// The factor.
pub struct MagicLink;

impl Factor for MagicLink {
    fn description(&self) -> &'static Description {
        &Description {
            key: KEY,
            name: "Email MagicLink",
            auth_factor_name: "Email MagicLink",
            codes: Codes::None,
            channel: Some(Channel::Email),
            works_unchallenged: false,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 1,
            open_verifications: Some(1),
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        Ok(issue(ceremony))
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Refusal> {
        let on_page = ceremony.policy().magic_link == MagicLinkMode::Bound;
        if on_page && ceremony.redirect_to.is_none() {
            return Err(Refusal::invalid("redirect_to"));
        }
        Ok(Issued {
            on_page,
            ..issue(ceremony)
        })
    }

    /// The press of the button: `answer` is the link's token.
    fn answer(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: Pending<'_>,
        answer: &Data,
    ) -> Result<Step, Fault> {
        let Ok(token) = answer.read::<String>().map(SecretString::from) else {
            return Ok(Step::Wrong(Reason::Invalid));
        };
        // The record is erased by the first press.
        let Some(record) = pending.data().read::<Option<Record>>()? else {
            return Ok(Step::Wrong(Reason::Used));
        };
        if record.token != hash(ceremony.core, ceremony.user, ceremony.id, &token) {
            return Ok(Step::Wrong(Reason::Wrong));
        }
        Ok(match pending {
            Pending::Registration(_) => Step::Accepted(Data::default()),
            Pending::Verification(device, pending) if pending.on_page => {
                Step::AcceptedOnPage(device.data.clone())
            }
            Pending::Verification(device, _) => Step::Accepted(device.data.clone()),
        })
    }
}

/// What is kept of a link until its button is pressed.
#[derive(Serialize, Deserialize)]
struct Record {
    token: KeyedHash,
}

/// Whether `token` is that of a link whose button has not been pressed.
pub fn is_open(core: &Core, user: UserId, id: Uuid, data: &Data, token: &SecretString) -> bool {
    let record = data.read::<Option<Record>>().ok().flatten();
    record.is_some_and(|record| record.token == hash(core, user, id, token))
}

/// Draws a token and has its link sent.
fn issue(ceremony: &mut Ceremony<'_>) -> Issued {
    let token = tokens::generate(ceremony.rng);
    let record = Record {
        token: hash(ceremony.core, ceremony.user, ceremony.id, &token),
    };
    Issued {
        data: Data::of(&record),
        message: Some(write(ceremony, &token)),
        links: vec![TokenHash::of_secret(&token)],
        ..Issued::default()
    }
}

fn hash(core: &Core, user: UserId, id: Uuid, token: &SecretString) -> KeyedHash {
    core.keys.code_hash(
        &[b"link", &user.get().to_be_bytes(), id.as_bytes()],
        token.expose_secret(),
    )
}

fn write(ceremony: &Ceremony<'_>, token: &SecretString) -> Message {
    let core = ceremony.core;
    let link = core.link(&format!("link/{}/{}", ceremony.id, token.expose_secret()));
    let content = Content::Link {
        link: &link,
        minutes: (ceremony.expires_at.since(ceremony.now) / 60).max(1),
        display_name: ceremony.display_name,
        time: ceremony.now,
    };
    let text = core.write(Channel::Email, ceremony.profile, &content);
    Message {
        channel: Channel::Email,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: text.subject,
        body: text.body,
        html: text.html,
        code: None,
        link: Some(link),
        about: Some(ceremony.id),
        expires_at: ceremony.expires_at,
    }
}
