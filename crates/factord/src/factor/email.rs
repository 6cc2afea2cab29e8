//! OneLogin Email: a code by e-mail. Not an authenticator by NIST SP 800-63B-4 §3.1.3.1; offered since the wire has it.

use super::{Ceremony, Codes, Description, Factor, Issued, Shown, Verdict, delivered_code};
use crate::delivery::message::{Channel, Message};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::Fault;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Device, Profile, Registration, Verification};

/// The factor.
pub struct Email;

impl Factor for Email {
    fn description(&self) -> &'static Description {
        &Description {
            name: "OneLogin Email",
            auth_factor_name: "OneLogin Email",
            codes: Codes::Digits(delivered_code::DIGITS),
            channel: Some(Channel::Email),
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
