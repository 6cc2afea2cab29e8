//! OneLogin Email: a code by e-mail. Not an authenticator by NIST SP 800-63B-4 §3.1.3.1; offered since the wire has it.

use super::delivered_code::{DIGITS, DeliveredCode};
use super::{Ceremony, Codes, Description};
use crate::delivery::message::{Channel, Message};

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
    let service = &ceremony.core.service_name;
    Message {
        channel: Channel::Email,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: Some(format!("Your {service} code")),
        body: format!(
            "{code} is your {service} code. It is valid for {minutes} minutes.\n\n\
             If you did not ask for it, somebody else may be trying to sign in as you: tell no one the code.\n"
        ),
        code: Some(code.to_owned()),
        link: None,
        about: Some(ceremony.id),
        expires_at: ceremony.expires_at,
    }
}
