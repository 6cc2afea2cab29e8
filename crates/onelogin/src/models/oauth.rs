//! Bearer tokens: asking for one, renewing it, ending it, and what is left of the rate limit.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{StatusBody, Time, lenient, secret, time};

/// The body of a token request, as JSON or as a form.
///
/// The client's own id and secret come in the `Authorization` header, or here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({"grant_type": "client_credentials"}))))]
pub struct TokenRequest {
    /// `client_credentials`, or `refresh_token`.
    #[serde(deserialize_with = "lenient::required")]
    pub grant_type: String,
    /// The token to renew, for `refresh_token`.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub access_token: Option<SecretString>,
    /// The refresh token that came with it, for `refresh_token`.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub refresh_token: Option<SecretString>,
    /// The client's id, where no header carries it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_id: Option<String>,
    /// The client's secret, where no header carries it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub client_secret: Option<SecretString>,
}

impl TokenRequest {
    /// Asks for a token by the client's own credentials.
    pub fn client_credentials() -> Self {
        Self {
            grant_type: "client_credentials".to_owned(),
            ..Self::default()
        }
    }

    /// Asks for a new pair in exchange for an old one, which ends.
    pub fn refresh(access_token: SecretString, refresh_token: SecretString) -> Self {
        Self {
            grant_type: "refresh_token".to_owned(),
            access_token: Some(access_token),
            refresh_token: Some(refresh_token),
            ..Self::default()
        }
    }
}

/// A bearer token: the answer of a token request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessToken {
    /// The token itself.
    #[serde(
        deserialize_with = "lenient::required",
        serialize_with = "secret::expose"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub access_token: SecretString,
    /// When it was made.
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<Time>,
    /// How long it lives, in seconds from then.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(36_000)))]
    pub expires_in: Option<i64>,
    /// What renews it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub refresh_token: Option<SecretString>,
    /// `bearer`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("bearer")))]
    pub token_type: String,
    /// The account that it belongs to.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(1)))]
    pub account_id: Option<i64>,
}

/// The body that ends a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokeRequest {
    /// The token to end. Its refresh token ends with it.
    #[serde(
        deserialize_with = "lenient::required",
        serialize_with = "secret::expose"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub access_token: SecretString,
    /// The client's id, where no header carries it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_id: Option<String>,
    /// The client's secret, where no header carries it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        serialize_with = "secret::expose_optional"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub client_secret: Option<SecretString>,
}

impl RevokeRequest {
    /// Asks to end a token.
    pub fn new(access_token: impl Into<SecretString>) -> Self {
        Self {
            access_token: access_token.into(),
            client_id: None,
            client_secret: None,
        }
    }
}

/// What is left of the credential's rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RateLimit {
    /// How many requests the window allows: 2147483647 where no limit is set.
    #[serde(
        default,
        rename = "X-RateLimit-Limit",
        deserialize_with = "lenient::or_default"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(5000)))]
    pub limit: i64,
    /// How many of them are left.
    #[serde(
        default,
        rename = "X-RateLimit-Remaining",
        deserialize_with = "lenient::or_default"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(4994)))]
    pub remaining: i64,
    /// In how many seconds the window begins anew.
    #[serde(
        default,
        rename = "X-RateLimit-Reset",
        deserialize_with = "lenient::or_default"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(1800)))]
    pub reset: i64,
}

/// The answer of the rate limit request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RateLimitResponse {
    /// The outcome.
    #[serde(default)]
    pub status: StatusBody,
    /// The limit.
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    pub data: RateLimit,
}
