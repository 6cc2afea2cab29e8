//! OneLogin SMS: a code by text message to the user's phone.

use super::{Ceremony, Codes, Description, Factor, Issued, Shown, Verdict, delivered_code};
use crate::delivery::message::{Channel, Message};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::Fault;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Device, Profile, Registration, Verification};

/// The factor.
pub struct Sms;

impl Factor for Sms {
    fn description(&self) -> &'static Description {
        &Description {
            name: "OneLogin SMS",
            auth_factor_name: "SMS",
            codes: Codes::Digits(delivered_code::DIGITS),
            channel: Some(Channel::Sms),
            works_unchallenged: false,
            confirmed_without_code: false,
            replaces_older: false,
            devices: 1,
        }
    }

    fn enrol(&self, ceremony: &mut Ceremony<'_>) -> Result<Issued, Fault> {
        Ok(delivered_code::issue(ceremony, write))
    }

    fn show(&self, _: &Core, _: UserId, _: &Profile, _: &Registration) -> Result<Shown, Fault> {
        Ok(Shown::default())
    }

    fn confirm(
        &self,
        ceremony: &mut Ceremony<'_>,
        pending: &Registration,
        code: Option<&Code>,
    ) -> Result<Verdict, Fault> {
        delivered_code::confirm(ceremony, pending, code)
    }

    fn challenge(&self, ceremony: &mut Ceremony<'_>, _: &Device) -> Result<Issued, Fault> {
        Ok(delivered_code::issue(ceremony, write))
    }

    fn check(
        &self,
        ceremony: &mut Ceremony<'_>,
        _: &Device,
        pending: Option<&Verification>,
        code: &Code,
    ) -> Result<Verdict, Fault> {
        delivered_code::check_pending(ceremony, pending, code)
    }
}

fn write(ceremony: &Ceremony<'_>, code: &str, minutes: i64) -> Message {
    let body = match ceremony.custom_message {
        Some(template) => fill(template, code, minutes),
        None => format!(
            "{code} is your {} code. It is valid for {minutes} minutes.",
            ceremony.core.service_name
        ),
    };
    Message {
        channel: Channel::Sms,
        to: ceremony.destination.unwrap_or_default().to_owned(),
        subject: None,
        body,
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
