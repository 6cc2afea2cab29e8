//! Every number that the rules use, in one place, each with the bounds within which an operator may move it.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The numbers of the rules. The defaults are what the contract and NIST SP 800-63B-4 ask for; [`Rules::validate`]
/// refuses what would break a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The longest life of a code sent by message in seconds, even if `expires_in` is longer (600 is what NIST
    /// 63B-4 §3.1.3.2 asks for).
    pub max_code_lifetime: i64,
    /// Time steps that a TOTP code may be early or late (RFC 6238 section 5.2: 1).
    pub totp_look_around: u64,
    /// Codes of a hardware token, counted from the next that is due, that are accepted (RFC 4226 section 7.4).
    pub hotp_look_ahead: u64,
    /// Wrong codes after which a registration or verification is rejected.
    pub guesses_per_verification: u32,
    /// Consecutive wrong codes from which a device or user is delayed.
    pub delay_from_failures: u32,
    /// Seconds of the first delay; each further failure doubles it.
    pub first_delay: i64,
    /// The longest delay in seconds (NIST 63B-4 §3.2.2 speaks of 30 s to 1 h).
    pub longest_delay: i64,
    /// Consecutive wrong codes at which a device is disabled for good (NIST 63B-4 §3.2.2: at most 100).
    pub disable_at_failures: u32,
    /// Messages to one destination in ten minutes.
    pub messages_per_ten_minutes: usize,
    /// Messages to one destination in a day.
    pub messages_per_day: usize,
    /// Messages for registrations that were not confirmed, to one destination in a day.
    pub registrations_per_day: usize,
    /// Temporary tokens that one user may have alive.
    pub temporary_tokens: usize,
    /// Open verifications of one device whose factor does not replace the older by the newer.
    pub open_verifications: usize,
    /// Seconds for which finished registrations and verifications stay readable.
    pub finished_readable: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_code_lifetime: 900,
            totp_look_around: 1,
            hotp_look_ahead: 10,
            guesses_per_verification: 5,
            delay_from_failures: 5,
            first_delay: 30,
            longest_delay: 900,
            disable_at_failures: 100,
            messages_per_ten_minutes: 5,
            messages_per_day: 20,
            registrations_per_day: 5,
            temporary_tokens: 3,
            open_verifications: 10,
            finished_readable: 86_400,
        }
    }
}

/// The least seconds that a caller may ask a registration or verification to stay open (contract: 120).
pub const MIN_EXPIRES_IN: i64 = 120;
/// Seconds that a temporary token may live (contract, generate_otp).
pub const TEMPORARY_TOKEN_SECONDS: RangeInclusive<i64> = 120..=259_200;
/// Seconds that a temporary token lives if the caller does not say.
pub const DEFAULT_TEMPORARY_TOKEN_SECONDS: i64 = 259_200;
/// Digits of a temporary token (contract, generate_otp).
pub const TEMPORARY_TOKEN_DIGITS: usize = 8;
/// Characters of a `custom_message` after its placeholders are filled in (contract, create_factor_registration).
pub const CUSTOM_MESSAGE_CHARACTERS: usize = 160;
/// Characters of a `display_name`.
pub const DISPLAY_NAME_CHARACTERS: usize = 200;

/// A rule has a value outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rules.{key} = {value} is outside {least}..={most}")]
pub struct OutOfBounds {
    /// The key as it stands in the configuration.
    pub key: &'static str,
    /// The value it has.
    pub value: i64,
    /// The least value that is safe.
    pub least: i64,
    /// The greatest value that is safe.
    pub most: i64,
}

impl Rules {
    /// Checks every number against its bounds.
    ///
    /// # Errors
    /// The first [`OutOfBounds`].
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        self.bounded()
            .into_iter()
            .try_for_each(|(key, value, bounds)| {
                let (least, most) = bounds.into_inner();
                if (least..=most).contains(&value) {
                    Ok(())
                } else {
                    Err(OutOfBounds {
                        key,
                        value,
                        least,
                        most,
                    })
                }
            })
    }

    fn bounded(&self) -> [(&'static str, i64, RangeInclusive<i64>); 14] {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        [
            ("max_code_lifetime", self.max_code_lifetime, 120..=900),
            ("totp_look_around", number(self.totp_look_around), 0..=1),
            ("hotp_look_ahead", number(self.hotp_look_ahead), 1..=20),
            (
                "guesses_per_verification",
                self.guesses_per_verification.into(),
                1..=10,
            ),
            (
                "delay_from_failures",
                self.delay_from_failures.into(),
                1..=10,
            ),
            ("first_delay", self.first_delay, 1..=3_600),
            (
                "longest_delay",
                self.longest_delay,
                self.first_delay..=3_600,
            ),
            (
                "disable_at_failures",
                self.disable_at_failures.into(),
                10..=100,
            ),
            (
                "messages_per_ten_minutes",
                count(self.messages_per_ten_minutes),
                1..=20,
            ),
            ("messages_per_day", count(self.messages_per_day), 1..=100),
            (
                "registrations_per_day",
                count(self.registrations_per_day),
                1..=20,
            ),
            ("temporary_tokens", count(self.temporary_tokens), 1..=3),
            (
                "open_verifications",
                count(self.open_verifications),
                1..=100,
            ),
            ("finished_readable", self.finished_readable, 3_600..=604_800),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds_and_every_key_has_bounds() {
        let rules = Rules::default();
        assert_eq!(rules.validate(), Ok(()));
        let serde_json::Value::Object(keys) = serde_json::to_value(&rules).unwrap() else {
            panic!()
        };
        let bounded: Vec<_> = rules
            .bounded()
            .iter()
            .map(|(key, ..)| (*key).to_owned())
            .collect();
        assert_eq!(keys.keys().filter(|key| !bounded.contains(key)).count(), 0);
        assert_eq!(keys.len(), bounded.len());
    }

    #[test]
    fn more_than_a_hundred_failures_is_refused() {
        let error = Rules {
            disable_at_failures: 101,
            ..Rules::default()
        }
        .validate()
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "rules.disable_at_failures = 101 is outside 10..=100"
        );
    }
}
