//! The one error of the client: what went wrong, and all that the service said about it.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::models::{Status, StatusBody};

/// The result of every operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot work. Nothing was sent.
    #[error("configuration: {0}")]
    Configuration(String),

    /// The request cannot be made from these arguments. Nothing was sent.
    #[error("request: {0}")]
    Request(String),

    /// The service refused the request.
    #[error(transparent)]
    Api(Box<ApiError>),

    /// No answer came: no connection, a broken one, or a time-out.
    #[error("{}: {}", if *unsent { "cannot connect" } else { "no answer" }, root_cause(source.as_ref()))]
    Transport {
        /// Whether it is certain that the service never saw the request.
        unsent: bool,
        /// Whether time ran out.
        timeout: bool,
        /// What the transport says.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },

    /// The answer is not what the operation is answered with.
    #[error(transparent)]
    Decode(Box<DecodeError>),

    /// Still undecided when the time to wait was over.
    #[error("still {status} after {}s", waited.as_secs())]
    Deadline {
        /// How it stood at the last look.
        status: Status,
        /// How long was waited.
        waited: Duration,
    },

    /// The user has no device that could be challenged.
    #[error("the user has no enrolled device")]
    NoDevice,
}

/// A request that the service refused.
#[derive(Clone)]
pub struct ApiError {
    pub(crate) status: u16,
    pub(crate) name: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) details: Option<Value>,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) bearer: bool,
    pub(crate) body: SecretString,
}

/// An answer that could not be read.
#[derive(Clone)]
pub struct DecodeError {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) problem: String,
    pub(crate) body: SecretString,
}

impl Error {
    /// The HTTP status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            Self::Decode(error) => Some(error.status),
            _ => None,
        }
    }

    /// The name that the service gave the error: `Unauthorized`, `ValidationError` …
    pub fn name(&self) -> Option<&str> {
        self.api()?.name.as_deref()
    }

    /// What the service said about it.
    pub fn message(&self) -> Option<&str> {
        self.api()?.message.as_deref()
    }

    /// The `details` of the answer.
    pub fn details(&self) -> Option<&Value> {
        self.api()?.details.as_ref()
    }

    /// The parameters that a `ValidationError` names.
    pub fn parameters(&self) -> Vec<&str> {
        let names = self
            .details()
            .and_then(|details| details.get("parameters"))
            .and_then(Value::as_array);
        names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The id under which the service logged the request.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api(error) => error.request_id.as_deref(),
            Self::Decode(error) => error.request_id.as_deref(),
            _ => None,
        }
    }

    /// The body as it came. `Debug` and `Display` do not show it.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Api(error) => Some(error.body.expose_secret()),
            Self::Decode(error) => Some(error.body.expose_secret()),
            _ => None,
        }
    }

    /// How long the service asks to wait before another try: after a 429, and while a device is locked out (403).
    pub fn retry_after(&self) -> Option<Duration> {
        self.api()?.retry_after
    }

    /// Whether the code was refused: wrong, used, or its verification is over. Not so for a bad bearer token.
    pub fn is_wrong_code(&self) -> bool {
        self.api()
            .is_some_and(|error| error.status == 401 && !error.bearer)
    }

    /// Whether the service does not take this client's credentials or token.
    pub fn is_unauthenticated(&self) -> bool {
        self.api()
            .is_some_and(|error| error.status == 401 && error.bearer)
    }

    /// Whether too many wrong codes have locked the device for a while: see [`Error::retry_after`].
    pub fn is_locked_out(&self) -> bool {
        self.api()
            .is_some_and(|error| error.status == 403 && error.retry_after.is_some())
    }

    /// Whether there is no such thing, or it is another user's.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the rate limit is used up: see [`Error::retry_after`].
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }

    /// Whether time ran out, on the network or while waiting.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::Transport { timeout: true, .. } | Self::Deadline { .. }
        )
    }

    /// Whether the service may have done what it was asked to, although the answer does not say so.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Transport { unsent, .. } => !unsent,
            Self::Api(error) => error.status >= 500,
            Self::Decode(_) => true,
            _ => false,
        }
    }

    fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }
}

/// The innermost error: the outer ones only say which layer it passed.
fn root_cause<'a>(mut error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl ApiError {
    /// Reads what it can of an error body: today's shape, the older one with its nested status, or none at all.
    pub(crate) fn read(status: u16, headers: &reqwest::header::HeaderMap, body: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let nested = json
            .get("status")
            .cloned()
            .and_then(|value| serde_json::from_value::<StatusBody>(value).ok());
        let field = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = field("name")
            .or_else(|| nested.as_ref().map(|nested| nested.kind.clone()))
            .filter(|name| !name.is_empty());
        let message = field("message")
            .or_else(|| field("error_description"))
            .or_else(|| nested.map(|nested| nested.message))
            .filter(|message| !message.is_empty());
        let challenged = text("www-authenticate")
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("bearer"));
        Self {
            status,
            bearer: status == 401 && (challenged || name.as_deref() == Some("InvalidCredentials")),
            name,
            message,
            details: json.get("details").cloned(),
            request_id: text("x-request-id").map(str::to_owned),
            retry_after: text("retry-after")
                .and_then(|value| value.trim().parse().ok())
                .map(Duration::from_secs),
            body: String::from_utf8_lossy(body).into_owned().into(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status)?;
        if let Some(name) = &self.name {
            write!(formatter, " {name}")?;
        }
        if let Some(message) = &self.message {
            write!(formatter, ": {message}")?;
        }
        let parameters = self
            .details
            .as_ref()
            .and_then(|details| details.get("parameters"))
            .and_then(Value::as_array);
        if let Some(parameters) = parameters {
            let names: Vec<_> = parameters.iter().filter_map(Value::as_str).collect();
            write!(formatter, " ({})", names.join(", "))?;
        }
        if let Some(after) = self.retry_after {
            write!(formatter, ", try again in {}s", after.as_secs())?;
        }
        match &self.request_id {
            Some(id) => write!(formatter, " [request {id}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiError({self})")
    }
}

impl StdError for ApiError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "unexpected answer ({}): {}",
            self.status, self.problem
        )?;
        match &self.request_id {
            Some(id) => write!(formatter, " [request {id}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DecodeError({self})")
    }
}

impl StdError for DecodeError {}
