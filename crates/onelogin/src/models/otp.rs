//! A one-time password as a caller sends it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::{self, Lenient};

/// A one-time password, with the JSON type that it came in.
///
/// A number has lost its leading zeros on the way and is padded by the service to the factor's length; a string counts
/// as it is. `Debug` shows neither.
#[derive(Clone)]
pub enum Otp {
    /// A JSON number, not negative, without a fraction; one of more than 64 bits reads as the largest.
    Number(u64),
    /// A JSON string, whatever it holds.
    Text(SecretString),
}

impl Otp {
    /// The code as text: a number without leading zeros, a string as it is.
    pub fn to_text(&self) -> SecretString {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Number(_) => "Number([REDACTED])",
            Self::Text(_) => "Text([REDACTED])",
        })
    }
}

impl From<&str> for Otp {
    fn from(code: &str) -> Self {
        Self::Text(code.into())
    }
}

impl From<String> for Otp {
    fn from(code: String) -> Self {
        Self::Text(code.into())
    }
}

impl From<SecretString> for Otp {
    fn from(code: SecretString) -> Self {
        Self::Text(code)
    }
}

impl From<&SecretString> for Otp {
    fn from(code: &SecretString) -> Self {
        Self::Text(code.clone())
    }
}

impl From<u64> for Otp {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Lenient for Otp {
    const EXPECTED: &'static str = "a string or a whole number";

    fn from_integer(integer: i128) -> Option<Self> {
        (integer >= 0).then(|| Self::Number(integer.try_into().unwrap_or(u64::MAX)))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Text(text.into()))
    }

    /// A number that is too long for any code: it is a wrong one, like every other.
    fn from_float(float: f64) -> Option<Self> {
        (float >= 0.0 && float.fract() == 0.0).then_some(Self::Number(u64::MAX))
    }
}

impl<'de> Deserialize<'de> for Otp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer)
    }
}

impl Serialize for Otp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text.expose_secret()),
        }
    }
}
