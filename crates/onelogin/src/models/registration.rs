//! Enrolling a factor: what is asked, and what is answered.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    DeviceId, FactorId, Otp, RegistrationId, Status, Time, UserId, id, lenient, secret, time,
};

/// The body of `create_factor_registration`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({
    "factor_id": 58_959, "display_name": "My phone", "expires_in": 120, "verified": false
}))))]
pub struct CreateFactorRegistrationRequest {
    /// The factor, as `get_auth_factors` lists it.
    #[cfg_attr(feature = "openapi", schema(value_type = super::schema::Integer))]
    pub factor_id: FactorId,
    /// The user's name for the device.
    #[serde(deserialize_with = "lenient::text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub display_name: String,
    /// How long it may take to confirm, in seconds: 120 to 900, by default 120.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Integer>))]
    pub expires_in: Option<i64>,
    /// Takes the user's stored phone or e-mail address as proven, and activates at once: SMS, Voice and Email only.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Boolean>))]
    pub verified: Option<bool>,
    /// Where the browser goes two seconds after a magic link or a hosted page succeeded.
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
}

impl CreateFactorRegistrationRequest {
    /// Asks to enrol a factor under a name that the user recognises.
    pub fn new(factor_id: impl Into<FactorId>, display_name: impl Into<String>) -> Self {
        Self {
            factor_id: factor_id.into(),
            display_name: display_name.into(),
            expires_in: None,
            verified: None,
            redirect_to: None,
            custom_message: None,
        }
    }

    /// Sets how long it may take to confirm, in seconds: 120 to 900.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Takes the user's stored phone or e-mail address as proven.
    pub fn verified(mut self, verified: bool) -> Self {
        self.verified = Some(verified);
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
}

/// The body of `verify_user_registration`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({"otp": "123456"}))))]
pub struct VerifyUserRegistrationRequest {
    /// The code. A number is padded with zeros to the factor's length, a string counts as it is.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::schema::Code>))]
    pub otp: Option<Otp>,
    /// The answer of a WebAuthn authenticator: `PublicKeyCredential` in its JSON form.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub credential: Option<Value>,
}

impl VerifyUserRegistrationRequest {
    /// Confirms with a code.
    pub fn new(otp: impl Into<Otp>) -> Self {
        Self {
            otp: Some(otp.into()),
            credential: None,
        }
    }

    /// Confirms with the answer of a WebAuthn authenticator.
    pub fn with_credential(credential: Value) -> Self {
        Self {
            otp: None,
            credential: Some(credential),
        }
    }
}

/// A registration: the answer of `create_factor_registration` (201) and of `get_user_registration` (200).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Registration {
    /// The id to read and to confirm it by.
    pub id: RegistrationId,
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
    /// The device that it makes. It is listed once the registration is accepted.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// Until when it can be confirmed.
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Time>,
    /// What the user must be shown to go on, while it is pending.
    #[serde(
        default,
        deserialize_with = "lenient::object_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub factor_data: Option<FactorData>,
    /// Why it was rejected: `expired` …
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples("expired")))]
    pub reason: Option<String>,
}

/// The answer of `verify_user_registration`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrationResult {
    /// The registration.
    pub id: RegistrationId,
    /// How it stands now.
    #[serde(default)]
    pub status: Status,
    /// The device that is enrolled now.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub device_id: Option<DeviceId>,
}

/// What a factor has to show, beside a pending registration or verification. `Debug` hides all of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorData {
    /// Authenticator: the shared secret in base32. OneLogin Protect: the activation code. Voice: the code that the user
    /// types into the phone.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")))]
    pub verification_token: Option<SecretString>,
    /// The `otpauth://` URL that an authenticator app scans as a QR code.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(
        value_type = Option<String>,
        examples("otpauth://totp/factord:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=factord")
    ))]
    pub totp_url: Option<SecretString>,
    /// A page of the service on which the user goes on: it holds a token that works once.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub url: Option<SecretString>,
    /// The number that the user must enter in the authenticator app, to be shown at the login.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("42")))]
    pub number: Option<SecretString>,
    /// The recovery codes, to be kept by the user.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        serialize_with = "secret::expose_list"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub recovery_codes: Option<Vec<SecretString>>,
    /// What a WebAuthn authenticator is asked: the creation or request options in their JSON form.
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub public_key: Option<Value>,
}
