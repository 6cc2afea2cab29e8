//! Challenging a device: what is asked, and what is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    DeviceId, FactorData, Otp, Status, StatusBody, Time, UserId, VerificationId, id, lenient, time,
};

/// The body of `create_device_verification`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({"device_id": 3_920_360, "expires_in": 120}))))]
pub struct CreateDeviceVerificationRequest {
    /// The device, as `get_authentication_devices` lists it. Required unless `otp` is given.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "id::device_as_number"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Text>))]
    pub device_id: Option<DeviceId>,
    /// How long it may take to complete, in seconds: 120 to 900, by default 120.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Integer>))]
    pub expires_in: Option<i64>,
    /// A name for this challenge.
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub display_name: Option<String>,
    /// Where the browser goes after a magic link or a hosted page succeeded.
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub redirect_to: Option<String>,
    /// The text of the SMS, with `{{otp_code}}` and, if wanted, `{{otp_expiry}}` in minutes: at most 160 characters once
    /// they are filled in.
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub custom_message: Option<String>,
    /// A code that the user has already: it is verified at once. Without `device_id` the user's open verifications and
    /// temporary tokens are tried.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Code>))]
    pub otp: Option<Otp>,
    /// Asks for a push whose number the caller shows: it is in `factor_data.number` of the answer.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Boolean>))]
    pub number_matching: Option<bool>,
}

impl CreateDeviceVerificationRequest {
    /// Asks to challenge a device.
    pub fn new(device_id: impl Into<DeviceId>) -> Self {
        Self {
            device_id: Some(device_id.into()),
            ..Self::default()
        }
    }

    /// Verifies a code at once, whichever device or temporary token of the user it belongs to.
    pub fn with_otp(otp: impl Into<Otp>) -> Self {
        Self {
            otp: Some(otp.into()),
            ..Self::default()
        }
    }

    /// Sets how long it may take to complete, in seconds: 120 to 900.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Names this challenge.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = Some(name.into());
        self
    }

    /// Sets where the browser goes after success.
    pub fn redirect_to(mut self, url: impl Into<String>) -> Self {
        self.redirect_to = Some(url.into());
        self
    }

    /// Sets the text of the SMS.
    pub fn custom_message(mut self, text: impl Into<String>) -> Self {
        self.custom_message = Some(text.into());
        self
    }

    /// Adds a code that the user has already.
    pub fn otp(mut self, otp: impl Into<Otp>) -> Self {
        self.otp = Some(otp.into());
        self
    }

    /// Asks for a push with number matching.
    pub fn number_matching(mut self, on: bool) -> Self {
        self.number_matching = Some(on);
        self
    }
}

/// The body of `verify_user_verification`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({"otp": "123456"}))))]
pub struct VerifyUserVerificationRequest {
    /// The code. A number is padded with zeros to the factor's length, a string counts as it is.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Code>))]
    pub otp: Option<Otp>,
    /// The verification's own device, if it is given at all.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "id::device_as_number"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Text>))]
    pub device_id: Option<DeviceId>,
    /// The answer of a WebAuthn authenticator: `PublicKeyCredential` in its JSON form.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub credential: Option<Value>,
}

impl VerifyUserVerificationRequest {
    /// Completes with a code.
    pub fn new(otp: impl Into<Otp>) -> Self {
        Self {
            otp: Some(otp.into()),
            ..Self::default()
        }
    }

    /// Completes with the answer of a WebAuthn authenticator.
    pub fn with_credential(credential: Value) -> Self {
        Self {
            credential: Some(credential),
            ..Self::default()
        }
    }

    /// Names the device, which must be the verification's own.
    pub fn device_id(mut self, device_id: impl Into<DeviceId>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }
}

/// A verification that was begun: the answer of `create_device_verification` (201).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceVerification {
    /// The id to poll and to complete it by.
    pub id: VerificationId,
    /// How it stands.
    #[serde(default)]
    pub status: Status,
    /// Whose it is.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "id::user_as_text"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("64515901")))]
    pub user_id: Option<UserId>,
    /// The device that is challenged: an integer in this body alone.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "id::device_as_number"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>, examples(3_920_360)))]
    pub device_id: Option<DeviceId>,
    /// The factor's name for programs.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("SMS")))]
    pub auth_factor_name: String,
    /// The factor's name for people.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("OneLogin SMS")))]
    pub type_display_name: String,
    /// The user's name for the device.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("My phone")))]
    pub user_display_name: String,
    /// Until when it can be completed.
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Time>,
    /// The name of the challenge, as it was given.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub display_name: Option<String>,
    /// Where the browser goes after success, as it was given.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub redirect_to: Option<String>,
    /// What the user must be shown to go on: never the device's secret.
    #[serde(
        default,
        deserialize_with = "lenient::object_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub factor_data: Option<FactorData>,
}

/// How a verification stands: the answer of `get_user_verification`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verification {
    /// The verification.
    pub id: VerificationId,
    /// How it stands.
    #[serde(default)]
    pub status: Status,
    /// The device that is challenged.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub device_id: Option<DeviceId>,
    /// Why it was rejected: `expired` …
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples("expired")))]
    pub reason: Option<String>,
}

/// A code was accepted: the answer of `verify_user_verification`, and of `create_device_verification` with an `otp`.
///
/// Some readers look at the nested object only and others at the flat fields only, so the body holds both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerificationResult {
    /// The outcome as an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusBody>,
    /// The outcome in one word: `success`.
    #[serde(
        default,
        rename = "type",
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples("success")))]
    pub kind: Option<String>,
    /// The HTTP status again.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(200)))]
    pub code: Option<i64>,
    /// The outcome for people.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples("Success")))]
    pub message: Option<String>,
    /// Whether it failed.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub error: Option<bool>,
}

impl VerificationResult {
    /// The body of an accepted code.
    pub fn success() -> Self {
        let StatusBody {
            error,
            code,
            kind,
            message,
        } = StatusBody::success();
        Self {
            status: Some(StatusBody::success()),
            kind: Some(kind),
            code: Some(i64::from(code)),
            message: Some(message),
            error: Some(error),
        }
    }

    /// Whether the code was accepted: the body says so at least once, and nowhere the contrary.
    pub fn is_accepted(&self) -> bool {
        let nested = self.status.as_ref();
        let kinds = [
            self.kind.as_deref(),
            nested.map(|status| status.kind.as_str()),
        ]
        .map(Option::unwrap_or_default);
        let codes =
            [self.code, nested.map(|status| i64::from(status.code))].map(Option::unwrap_or_default);
        let failed = self.error == Some(true) || nested.is_some_and(|status| status.error);
        let accepting = |kind: &&str| matches!(*kind, "success" | "accepted");
        !failed
            && kinds.iter().any(accepting)
            && kinds.iter().all(|kind| kind.is_empty() || accepting(kind))
            && codes.iter().all(|code| matches!(code, 0 | 200))
    }
}
