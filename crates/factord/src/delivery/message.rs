//! A message to a person, as it is sealed in the database until it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroize;

use crate::clock::Timestamp;
use crate::crypto::sealing::Place;
use crate::mfa::ids::UserId;

/// By what way a message reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A text message.
    Sms,
    /// An e-mail.
    Email,
    /// A telephone call.
    Voice,
    /// A push to the authenticator app.
    Push,
}

impl Channel {
    /// The word on the wire and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Voice => "voice",
            Self::Push => "push",
        }
    }
}

/// A message, complete: whoever sends it needs nothing else. Does not print, and is erased when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// By what way.
    pub channel: Channel,
    /// The number or address.
    pub to: String,
    /// The subject, where the channel has one.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// The text in HTML, where an e-mail has one.
    #[serde(default)]
    pub html: Option<String>,
    /// The code in it, for the outbox of `factord dev`.
    pub code: Option<String>,
    /// The link in it, for the outbox of `factord dev`.
    pub link: Option<String>,
    /// The registration or verification that it is for, which ends if it cannot be sent.
    #[serde(default)]
    pub about: Option<Uuid>,
    /// The moment from which it is of no use any more.
    pub expires_at: Timestamp,
}

impl Message {
    /// All that [`Message::kind`] may say.
    pub const KINDS: [&str; 5] = ["code", "link", "call", "push", "notice"];

    /// What it is: `code`, `link`, `call`, `push`, or a `notice` of something that has happened.
    pub const fn kind(&self) -> &'static str {
        match self.channel {
            Channel::Voice => "call",
            Channel::Push => "push",
            _ if self.is_notice() => "notice",
            _ if self.link.is_some() => "link",
            _ => "code",
        }
    }

    /// Whether it only tells of something that has happened: nobody waits for it.
    pub const fn is_notice(&self) -> bool {
        let written = matches!(self.channel, Channel::Sms | Channel::Email);
        written && self.code.is_none() && self.link.is_none()
    }

    /// Where a message to `user` is sealed.
    pub const fn place(user: UserId) -> Place {
        Place {
            purpose: "message",
            user: user.unsigned(),
            record: 0,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, …)", self.channel)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.to.zeroize();
        self.body.zeroize();
        self.html.zeroize();
        self.code.zeroize();
        self.link.zeroize();
    }
}
