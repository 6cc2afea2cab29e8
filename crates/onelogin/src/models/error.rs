//! What a refused request is answered with.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{StatusBody, lenient};

/// The body of an error: `{"statusCode": 401, "name": "InvalidCredentials", "message": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(examples(json!({
    "statusCode": 422, "name": "ValidationError", "message": "Validations failed",
    "details": {"parameters": ["factor_id"]}
}))))]
pub struct ErrorBody {
    /// The HTTP status again.
    #[serde(
        default,
        rename = "statusCode",
        deserialize_with = "lenient::or_default"
    )]
    #[cfg_attr(feature = "openapi", schema(examples(401)))]
    pub status_code: u16,
    /// What kind of error it is, in one word: `BadRequest`, `InvalidCredentials`, `Unauthorized`, `ForbiddenAction`,
    /// `NotFound`, `ValidationError`, `TooManyRequests` …
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(feature = "openapi", schema(examples("InvalidCredentials")))]
    pub name: String,
    /// The error for people. It names the field that is to blame where there is one.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[cfg_attr(
        feature = "openapi",
        schema(examples("Please provide valid credentials"))
    )]
    pub message: String,
    /// More about it where it helps: for a `ValidationError` the `parameters` that were refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub details: Option<Value>,
    /// The status object of the older API, beside a code that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusBody>,
}

impl ErrorBody {
    /// An error without details.
    pub fn new(status_code: u16, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status_code,
            name: name.into(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// Names the parameters that were refused: `"details": {"parameters": [names]}`.
    pub fn parameters<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.details = Some(json!({ "parameters": names.into_iter().collect::<Vec<_>>() }));
        self
    }

    /// Adds the status object of the older API.
    pub fn status(mut self, status: StatusBody) -> Self {
        self.status = Some(status);
        self
    }
}
