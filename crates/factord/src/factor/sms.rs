//! OneLogin SMS: a code by text message to the user's phone.

use super::delivered_code::{DIGITS, DeliveredCode};
use super::{Ceremony, Codes, Description};
use crate::delivery::message::{Channel, Message};
use crate::messages::Content;

/// The factor.
pub static SMS: DeliveredCode = DeliveredCode {
    description: Description {
        key: "sms",
        name: "OneLogin SMS",
        auth_factor_name: "SMS",
        codes: Codes::Digits(DIGITS),
        channel: Some(Channel::Sms),
        works_unchallenged: false,
        confirmed_without_code: false,
        replaces_older: false,
        devices: 1,
        open_verifications: Some(1),
    },
    write,
};

fn write(ceremony: &Ceremony<'_>, code: &str, minutes: i64) -> Message {
    let core = ceremony.core;
    let body = if let Some(template) = ceremony.custom_message {
        core.texts.bind_custom(fill(template, code, minutes), code)
    } else {
        let content = Content::Code { code, minutes };
        core.write(Channel::Sms, ceremony.profile, &content).body
    };
    Message {
        channel: Channel::Sms,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: None,
        body,
        html: None,
        code: Some(code.to_owned()),
        link: None,
        about: Some(ceremony.id),
        expires_at: ceremony.expires_at,
    }
}

/// A `custom_message` with its placeholders filled in (contract, create_factor_registration).
pub fn fill(template: &str, code: &str, minutes: i64) -> String {
    template
        .replace(CODE_PLACEHOLDER, code)
        .replace(EXPIRY_PLACEHOLDER, &minutes.to_string())
}

/// Where a `custom_message` gets the code; it must have one.
pub const CODE_PLACEHOLDER: &str = "{{otp_code}}";
/// Where a `custom_message` gets the minutes that the code lives.
pub const EXPIRY_PLACEHOLDER: &str = "{{otp_expiry}}";
