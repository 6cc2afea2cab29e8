//! Temporary MFA tokens: a code that stands in for a device for a while.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{DeviceId, Time, lenient, secret, time};

/// The body of `generate_otp`. It may be left out altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({"expires_in": 3600, "reusable": false}))))]
pub struct GenerateOtpRequest {
    /// How long it is to live, in seconds: 120 to 259200, by default 259200 (72 hours).
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Integer>))]
    pub expires_in: Option<i64>,
    /// Whether it works more than once, by default not.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Boolean>))]
    pub reusable: Option<bool>,
}

impl GenerateOtpRequest {
    /// Asks for a token that lives 72 hours and works once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long it is to live, in seconds: 120 to 259200.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Sets whether it works more than once.
    pub fn reusable(mut self, reusable: bool) -> Self {
        self.reusable = Some(reusable);
        self
    }
}

/// A temporary MFA token: the answer of `generate_otp` (201).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MfaToken {
    /// The token, eight digits.
    #[serde(
        deserialize_with = "lenient::required",
        serialize_with = "secret::expose"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("25992782")))]
    pub mfa_token: SecretString,
    /// Until when it works.
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Time>,
    /// Whether it works more than once.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub reusable: bool,
    /// The device that stands for it: `user_temp_otp_` and a number.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub device_id: Option<DeviceId>,
}
