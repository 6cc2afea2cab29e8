//! OneLogin Email: a code by e-mail. Not an authenticator by NIST SP 800-63B-4 §3.1.3.1; offered since the wire has it.

use super::delivered_code::{DIGITS, DeliveredCode};
use super::{Ceremony, Codes, Description};
use crate::delivery::message::{Channel, Message};
use crate::messages::Content;

/// The factor.
pub static EMAIL: DeliveredCode = DeliveredCode {
    description: Description {
        key: "email",
        name: "OneLogin Email",
        auth_factor_name: "OneLogin Email",
        codes: Codes::Digits(DIGITS),
        channel: Some(Channel::Email),
        works_unchallenged: false,
        confirmed_without_code: false,
        replaces_older: false,
        devices: 1,
        open_verifications: Some(1),
    },
    write,
};

fn write(ceremony: &Ceremony<'_>, code: &str, minutes: i64) -> Message {
    let content = Content::Code { code, minutes };
    let text = ceremony
        .core
        .write(Channel::Email, ceremony.profile, &content);
    Message {
        channel: Channel::Email,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: text.subject,
        body: text.body,
        html: text.html,
        code: Some(code.to_owned()),
        link: None,
        about: Some(ceremony.id),
        expires_at: ceremony.expires_at,
    }
}
