//! Factors that a user may enrol, and devices that are enrolled.

use serde::{Deserialize, Serialize};

use super::{DeviceId, FactorId, lenient};

/// A factor that the user may still enrol: one item of `get_auth_factors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthFactor {
    /// The id to enrol it by.
    pub factor_id: FactorId,
    /// Its name for people.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("OneLogin SMS")))]
    pub name: String,
    /// Its name for programs.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("SMS")))]
    pub auth_factor_name: String,
}

/// An enrolled device: one item of `get_authentication_devices`. Temporary tokens that are alive are listed, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Device {
    /// The id to verify it or to delete it by.
    pub device_id: DeviceId,
    /// The name that the user gave it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("My phone")))]
    pub user_display_name: String,
    /// The factor's name for people.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("OneLogin SMS")))]
    pub type_display_name: String,
    /// The factor's name for programs.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("SMS")))]
    pub auth_factor_name: String,
    /// Whether it is the one that the user is asked for first.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub default: bool,
}

/// What kind of factor it is, by its name for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FactorKind {
    /// A time-based code of an authenticator app.
    Authenticator,
    /// A push to the authenticator app.
    Protect,
    /// A code by text message.
    Sms,
    /// A call, in which the user types a code that the caller shows.
    Voice,
    /// A code by e-mail.
    Email,
    /// A link by e-mail.
    MagicLink,
    /// A security key or passkey.
    WebAuthn,
    /// A one-time password of a `YubiKey`.
    YubiKey,
    /// Codes on paper.
    RecoveryCodes,
    /// A temporary MFA token.
    TemporaryToken,
    /// One that this version does not know.
    Other,
}

impl FactorKind {
    /// The kind of an `auth_factor_name`.
    pub fn of(auth_factor_name: &str) -> Self {
        match auth_factor_name {
            "Google Authenticator" => Self::Authenticator,
            "OneLogin" => Self::Protect,
            "SMS" => Self::Sms,
            "OneLogin Voice" => Self::Voice,
            "OneLogin Email" => Self::Email,
            "Email MagicLink" => Self::MagicLink,
            "WebAuthn" => Self::WebAuthn,
            "YubiKey" => Self::YubiKey,
            "Recovery Codes" => Self::RecoveryCodes,
            "Temporary MFA Token" => Self::TemporaryToken,
            _ => Self::Other,
        }
    }

    /// Whether the user gives the caller a code to send on. The others are decided elsewhere, and their state is polled.
    pub fn takes_code(self) -> bool {
        !matches!(
            self,
            Self::Protect | Self::Voice | Self::MagicLink | Self::WebAuthn
        )
    }
}

impl AuthFactor {
    /// What kind of factor it is.
    pub fn kind(&self) -> FactorKind {
        FactorKind::of(&self.auth_factor_name)
    }
}

impl Device {
    /// What kind of factor it is.
    pub fn kind(&self) -> FactorKind {
        FactorKind::of(&self.auth_factor_name)
    }
}
