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
