//! Values that are well-formed but may not be allowed: each check adds the parameter's name to the one 422.

use super::policy::Policy;
use super::redirect::RedirectPolicy;
use super::refusal::Refusal;
use super::rules::{CUSTOM_MESSAGE_CHARACTERS, DISPLAY_NAME_CHARACTERS, MIN_EXPIRES_IN};
use crate::factor::sms;

/// Collects the parameters whose values are not allowed.
#[derive(Debug, Default)]
pub struct Values {
    invalid: Vec<&'static str>,
}

impl Values {
    /// Notes `parameter` unless `valid`.
    pub fn require(&mut self, parameter: &'static str, valid: bool) {
        if !valid && !self.invalid.contains(&parameter) {
            self.invalid.push(parameter);
        }
    }

    /// Passes if every value was allowed.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with the names of those that were not.
    pub fn check(self) -> Result<(), Refusal> {
        if self.invalid.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(self.invalid))
        }
    }

    /// `expires_in`: 120 to 900 seconds, or to what the policy says (contract, create_factor_registration).
    pub fn expires_in(&mut self, asked: Option<i64>, policy: &Policy) -> i64 {
        let seconds = asked.unwrap_or(policy.default_expires_in);
        self.require(
            "expires_in",
            (MIN_EXPIRES_IN..=policy.max_expires_in).contains(&seconds),
        );
        seconds
    }

    /// `display_name`: 1 to 200 characters, none of them a control character.
    pub fn display_name(&mut self, name: &str) {
        let length = name.chars().take(DISPLAY_NAME_CHARACTERS + 1).count();
        let valid =
            (1..=DISPLAY_NAME_CHARACTERS).contains(&length) && !name.chars().any(char::is_control);
        self.require("display_name", valid && !name.trim().is_empty());
    }

    /// `phone`: E.164, a plus sign and 8 to 15 digits, the first not 0 (ITU-T E.164 section 6).
    pub fn phone(&mut self, phone: &str) {
        let valid = phone.strip_prefix('+').is_some_and(|digits| {
            (8..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0')
        });
        self.require("phone", valid);
    }

    /// `email`: something, an @, and a domain, in at most 254 characters without blanks (RFC 5321 section 4.5.3.1.3).
    pub fn email(&mut self, email: &str) {
        let valid = email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        });
        let plain = |character: char| !character.is_control() && !character.is_whitespace();
        self.require(
            "email",
            valid && email.len() <= 254 && email.chars().all(plain),
        );
    }

    /// `username`: 1 to 200 characters, none of them a control character.
    pub fn username(&mut self, username: &str) {
        let length = username.chars().take(DISPLAY_NAME_CHARACTERS + 1).count();
        let blank = username.trim().is_empty();
        let valid =
            !blank && length <= DISPLAY_NAME_CHARACTERS && !username.chars().any(char::is_control);
        self.require("username", valid);
    }

    /// `redirect_to`: where the policy allows it.
    pub fn redirect_to(&mut self, address: Option<&str>, policy: &RedirectPolicy) {
        self.require(
            "redirect_to",
            address.is_none_or(|address| policy.allows(address)),
        );
    }

    /// `custom_message`: has the code's placeholder and no other than the two, at most 160 characters once they are
    /// filled in, no control characters.
    pub fn custom_message(&mut self, template: Option<&str>, expires_in: i64) {
        let valid = template.is_none_or(|template| {
            let filled = sms::fill(template, "000000", expires_in / 60);
            template.contains(sms::CODE_PLACEHOLDER)
                && !filled.contains("{{")
                && !filled.contains("}}")
                && !filled.chars().any(char::is_control)
                && filled.chars().count() <= CUSTOM_MESSAGE_CHARACTERS
        });
        self.require("custom_message", valid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom_message_is_valid(template: &str) -> bool {
        let mut values = Values::default();
        values.custom_message(Some(template), 120);
        values.check().is_ok()
    }

    #[test]
    fn a_custom_message_holds_the_code_and_fits_once_it_is_filled_in() {
        assert!(custom_message_is_valid("{{otp_code}}"));
        assert!(custom_message_is_valid(&format!(
            "{{{{otp_code}}}} {}",
            "é".repeat(153)
        )));
        assert!(!custom_message_is_valid(&format!(
            "{{{{otp_code}}}} {}",
            "é".repeat(154)
        )));
        for wrong in [
            "",
            "no code",
            "{{otp_code}} {{other}}",
            "{{otp_code}}\n",
            "{{otp_expiry}}",
            "{{ otp_code }}",
        ] {
            assert!(!custom_message_is_valid(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_phone_number_is_e_164_and_an_address_has_two_sides() {
        let phone = |text| {
            let mut values = Values::default();
            values.phone(text);
            values.check().is_ok()
        };
        assert!(phone("+14155550100") && phone("+49301234567"));
        for wrong in [
            "",
            "14155550100",
            "+0155550100",
            "+1415555",
            "+1 415 555 0100",
            "+1234567890123456",
            "+１２３４５６７８",
        ] {
            assert!(!phone(wrong), "{wrong}");
        }
        let email = |text: &str| {
            let mut values = Values::default();
            values.email(text);
            values.check().is_ok()
        };
        assert!(email("ada@example.com") && email("\"a@b\"@localhost"));
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@.com",
            "a da@example.com",
            "ada@example.com\n",
        ] {
            assert!(!email(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_value_that_is_not_allowed_is_named_once() {
        let (mut values, policy) = (Values::default(), Policy::default());
        values.expires_in(Some(119), &policy);
        values.expires_in(Some(901), &policy);
        values.display_name("  ");
        values.redirect_to(Some("https://elsewhere.test/"), &RedirectPolicy::Loopback);
        assert_eq!(
            values.check(),
            Err(Refusal::Invalid(vec![
                "expires_in",
                "display_name",
                "redirect_to"
            ]))
        );
    }
}
