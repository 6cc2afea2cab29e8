//! Somebody outside who takes messages: a mail server, a gateway, a webhook. Each says of a failure what it means for
//! the message and for itself; who is asked next is the router's affair.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::store::StoredMessage;

/// What comes of handing a message over, to be awaited.
pub type HandOver<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Sends messages on channels that it knows.
pub trait Provider: Send + Sync {
    /// The word in logs and metrics.
    fn name(&self) -> &'static str;

    /// Hands one message over, at `now`. Whoever calls ends it when it takes too long: it may be dropped anywhere.
    fn hand_over<'a>(&'a self, message: &'a StoredMessage, now: Timestamp) -> HandOver<'a>;
}

/// Why a provider did not take a message. Shows nothing of the message: neither address nor text, and so nothing that
/// the other side wrote, which may well repeat them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub meaning: Meaning,
    /// What happened, for the log.
    pub what: Cow<'static, str>,
    /// The code that the other side gave, if it gave one.
    pub code: Option<u32>,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The provider will never take this message: the address does not exist, or must not be written to.
    Refused,
    /// The provider works, but does not take this message now.
    Deferred,
    /// The provider does not work now: no other message would fare better.
    Unavailable,
}

impl Meaning {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Failure {
    /// A failure without a code.
    pub fn new(meaning: Meaning, what: impl Into<Cow<'static, str>>) -> Self {
        Self {
            meaning,
            what: what.into(),
            code: None,
        }
    }

    /// The same with the other side's code.
    pub fn with_code(self, code: impl Into<u32>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} ({code})", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// A name of the message that is the same at every attempt, so that whoever receives it twice can tell. Says nothing of
/// who it is for, nor how many there were before it.
pub fn delivery_id(message: &StoredMessage) -> String {
    let mut hash = Sha256::new();
    hash.update(b"factord delivery");
    hash.update(message.id.to_be_bytes());
    hash.update(message.user.get().to_be_bytes());
    hash.update(message.at.seconds().to_be_bytes());
    hash.update(message.message.about.unwrap_or_default());
    HEXLOWER.encode(&hash.finalize()[..16])
}

/// A short message of no particular user, for the tests of the providers.
#[cfg(test)]
pub(super) fn example(channel: super::message::Channel, to: &str) -> StoredMessage {
    StoredMessage {
        id: 17,
        user: crate::mfa::ids::UserId::new(4).unwrap(),
        at: Timestamp::from_seconds(1_700_000_000),
        attempts: 0,
        message: super::message::Message {
            channel,
            to: to.to_owned(),
            subject: Some("Your code".to_owned()),
            body: "Your code is 123456.".to_owned(),
            html: None,
            code: Some("123456".to_owned()),
            link: None,
            about: None,
            expires_at: Timestamp::from_seconds(1_700_000_120),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::message::Channel;

    #[test]
    fn a_delivery_has_the_same_id_at_every_attempt_and_another_for_every_message() {
        let first = example(Channel::Sms, "+12025550123");
        let again = StoredMessage {
            attempts: 3,
            ..first.clone()
        };
        let other = StoredMessage {
            id: 18,
            ..first.clone()
        };
        assert_eq!(delivery_id(&first), delivery_id(&again));
        assert_ne!(delivery_id(&first), delivery_id(&other));
    }

    #[test]
    fn a_failure_shows_its_code() {
        let failure = Failure::new(Meaning::Refused, "the recipient was refused").with_code(550u16);
        assert_eq!(failure.to_string(), "the recipient was refused (550)");
    }
}
