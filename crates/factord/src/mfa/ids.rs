//! Ids, parsed once at the edge (contract, Ids and Fine points).

use std::fmt;
use std::str::FromStr;

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Moment;

/// A user's id: 1 to 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(i64);

impl UserId {
    /// The id with this number, if it is positive.
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// The id as the database holds it.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The id for associated data and wire models.
    pub const fn unsigned(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

/// Plain decimal digits, 1 to 2^63 - 1; no sign, no blanks.
impl FromStr for UserId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        digits(text).and_then(Self::new).ok_or(NotAnId)
    }
}

/// A device's number, drawn at random; unique within its user, and it fits every client's integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceNumber(u32);

impl DeviceNumber {
    /// Draws a number of eight or nine digits.
    pub fn draw(rng: &mut dyn CryptoRng) -> Self {
        Self(rng.random_range(10_000_000..1_000_000_000))
    }

    /// A number as it was stored.
    pub const fn from_stored(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What a device id on the wire names: an enrolled device by its number, or a temporary token as `user_temp_otp_<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// An enrolled device.
    Device(DeviceNumber),
    /// A temporary MFA token.
    TemporaryToken(DeviceNumber),
}

impl DeviceId {
    /// The number, whichever kind it is.
    pub const fn number(self) -> DeviceNumber {
        match self {
            Self::Device(number) | Self::TemporaryToken(number) => number,
        }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(number) => number.0.fmt(f),
            Self::TemporaryToken(number) => write!(f, "{TEMPORARY_TOKEN}{}", number.0),
        }
    }
}

impl FromStr for DeviceId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = |text| {
            digits(text)
                .and_then(|number| u32::try_from(number).ok())
                .map(DeviceNumber)
        };
        match text.strip_prefix(TEMPORARY_TOKEN) {
            Some(rest) => number(rest).map(Self::TemporaryToken),
            None => number(text).map(Self::Device),
        }
        .ok_or(NotAnId)
    }
}

impl Serialize for DeviceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The id of a registration or a verification: a UUID of version 7 (RFC 9562, section 5.7), so that what is stored by it
/// is written side by side. Its 74 random bits keep it apart from all others; it is no secret, and opens nothing by itself.
pub fn draw_uuid(rng: &mut dyn CryptoRng, at: Moment) -> Uuid {
    let mut bytes = [0; 10];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(at.millis().unsigned_abs(), &bytes).into_uuid()
}

fn digits(text: &str) -> Option<i64> {
    (text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

const TEMPORARY_TOKEN: &str = "user_temp_otp_";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_rng;

    #[test]
    fn a_uuid_is_of_version_7_and_later_ones_are_greater() {
        let draw = |millis| draw_uuid(&mut system_rng(), Moment::from_millis(millis));
        let (one, other, later) = (
            draw(1_700_000_000_000),
            draw(1_700_000_000_000),
            draw(1_700_000_000_001),
        );
        assert_eq!(one.get_version_num(), 7);
        assert_eq!(one.get_variant(), uuid::Variant::RFC4122);
        assert_ne!(one, other);
        assert!(one < later && other < later);
        let (seconds, nanos) = one.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 0));
    }

    #[test]
    fn a_user_id_is_a_positive_64_bit_number_in_plain_digits() {
        assert_eq!(
            "9223372036854775807".parse::<UserId>().map(UserId::get),
            Ok(i64::MAX)
        );
        for wrong in [
            "",
            "0",
            "-1",
            "+1",
            " 1",
            "1 ",
            "abc",
            "1.0",
            "9223372036854775808",
            "１",
        ] {
            assert_eq!(wrong.parse::<UserId>(), Err(NotAnId), "{wrong:?}");
        }
    }

    #[test]
    fn a_device_id_reads_back_as_it_is_shown() {
        for text in ["3920371", "user_temp_otp_36216766"] {
            assert_eq!(text.parse::<DeviceId>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "-1",
            "x",
            "user_temp_otp_",
            "user_temp_otp_x",
            "99999999999",
        ] {
            assert_eq!(wrong.parse::<DeviceId>(), Err(NotAnId), "{wrong:?}");
        }
    }
}
