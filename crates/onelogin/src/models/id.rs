//! Typed ids, so that a device's can not be passed where a user's is meant.
//!
//! Ids that the service hands out are opaque to a caller and kept as they came; only a user's and a factor's are numbers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::{self, Lenient};

/// A user's id: a positive 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = u64, minimum = 1, examples(64_515_901)))]
pub struct UserId(pub u64);

/// A factor's id, in the numbering of one installation. A number that names no factor is refused by its value, so any is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, examples(58_959)))]
pub struct FactorId(pub i64);

macro_rules! number_id {
    ($name:ident, $number:ty) => {
        impl Lenient for $name {
            const EXPECTED: &'static str = <$number as Lenient>::EXPECTED;

            fn from_integer(integer: i128) -> Option<Self> {
                <$number as Lenient>::from_integer(integer).map(Self)
            }

            fn from_text(text: &str) -> Option<Self> {
                <$number as Lenient>::from_text(text).map(Self)
            }

            fn from_float(float: f64) -> Option<Self> {
                <$number as Lenient>::from_float(float).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                lenient::required(deserializer)
            }
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                Self(number)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number_id!(UserId, u64);
number_id!(FactorId, i64);

/// The id of an enrolled device: a number in a string, or `user_temp_otp_` and a number for a temporary MFA token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, examples("3920360")))]
pub struct DeviceId(String);

/// The id of a registration, a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, examples("7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10")))]
pub struct RegistrationId(String);

/// The id of a verification, a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, examples("c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce")))]
pub struct VerificationId(String);

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// Takes an id as the service shows it.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as the service shows it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Lenient for $name {
            const EXPECTED: &'static str = "a string or an integer";

            fn from_integer(integer: i128) -> Option<Self> {
                Some(Self(integer.to_string()))
            }

            fn from_text(text: &str) -> Option<Self> {
                Some(Self(text.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                lenient::required(deserializer)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Ok(Self(id.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_id!(DeviceId);
text_id!(RegistrationId);
text_id!(VerificationId);

impl From<u64> for DeviceId {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<uuid::Uuid> for RegistrationId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}

impl From<uuid::Uuid> for VerificationId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}

impl DeviceId {
    /// The number, for every device but a temporary token.
    pub fn number(&self) -> Option<u64> {
        let number: u64 = self.0.parse().ok()?;
        (number.to_string() == self.0).then_some(number)
    }
}

/// Writes a device id as a JSON integer where it is a number: so the 201 of a new verification and the requests have it.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn device_as_number<S: Serializer>(
    id: &Option<DeviceId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match id {
        None => serializer.serialize_none(),
        Some(id) => match id.number() {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str(id.as_str()),
        },
    }
}

/// Writes a user id as a JSON string: so a registration and a verification have it.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn user_as_text<S: Serializer>(
    id: &Option<UserId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
