//! Every refusal and what it is on the wire (contract, Errors and Fine points). Messages are fixed texts: none of them
//! tells why a code failed, and no failure of ours tells what failed.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use onelogin::models::{ErrorBody, StatusBody};
use serde::Serialize;
use utoipa::ToSchema;

use crate::mfa::refusal::Refusal;
use crate::service;
use crate::store::StoreError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// 400: the body or the `user_id` cannot be read; the text names the field.
    BadRequest(Cow<'static, str>),
    /// 401: the bearer token is missing, or (`true`) was sent and is unknown, expired or revoked.
    InvalidCredentials(bool),
    /// 401: the code is wrong or used, or its verification is over.
    Unauthorized,
    /// 401 of the token endpoints: there is no such client, or the pair of tokens is not its own.
    InvalidClient,
    /// 403: the token's scope is too small.
    ScopeTooSmall,
    /// 403: the user is suspended, locked or not approved.
    NotActive,
    /// 403 with `Retry-After`: no code is looked at for this many seconds.
    Delayed(u64),
    /// 403 with `Retry-After`: none is pushed for this many seconds, since so many were denied or left unanswered.
    Paused(u64),
    /// 403: the device is disabled for good.
    Disabled,
    /// 403: the factor is disabled for this user.
    FactorDisabled,
    /// 403: what came in a gateway's name is not signed as it must be.
    Forged,
    /// 403: a foreign page or name leads to `factord dev`.
    Foreign,
    /// 404: there is no such user.
    NoSuchUser,
    /// 404: the user has no such device, registration or verification.
    NotFound,
    /// 404: there is no such path.
    NoSuchPath,
    /// 405.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    RequestTimeout,
    /// 413.
    PayloadTooLarge,
    /// 415.
    UnsupportedMediaType,
    /// 422: these parameters have values that are not allowed.
    Invalid(Vec<&'static str>),
    /// 422: the factor is not confirmed by a code; its state is to be polled.
    NotByCode,
    /// 429: the credential has used up its requests for this many seconds.
    TooManyRequests(u64),
    /// 429: the user has tried too many long codes; another is looked at after this many seconds.
    TooManyTries(u64),
    /// 429: the destination has had enough messages for this many seconds.
    TooManyMessages(u64),
    /// 500.
    Internal,
    /// 503: the database, or another service that is needed, does not answer now.
    Unavailable,
}

impl Error {
    /// The body could not be read for this reason.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(message.into())
    }

    /// One parameter has a value that is not allowed.
    pub(super) fn invalid(parameter: &'static str) -> Self {
        Self::Invalid(vec![parameter])
    }

    /// The same for an answer to what is pending: without a code it lacks a field, which is looked at before anybody
    /// asks what the code is for (contract, Fine points).
    pub(super) fn of_answer(self, has_code: bool) -> Self {
        match self {
            Self::NoSuchUser | Self::NotFound if !has_code => Self::bad_request(OTP_REQUIRED),
            error => error,
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::InvalidCredentials(_) | Self::Unauthorized | Self::InvalidClient => {
                StatusCode::UNAUTHORIZED
            }
            Self::ScopeTooSmall
            | Self::NotActive
            | Self::Delayed(_)
            | Self::Paused(_)
            | Self::Disabled
            | Self::FactorDisabled
            | Self::Forged
            | Self::Foreign => StatusCode::FORBIDDEN,
            Self::NoSuchUser | Self::NotFound | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) | Self::NotByCode => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests(_) | Self::TooManyTries(_) | Self::TooManyMessages(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn name(&self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::UNAUTHORIZED if matches!(self, Self::InvalidCredentials(_)) => {
                "InvalidCredentials"
            }
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::FORBIDDEN => "ForbiddenAction",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
            StatusCode::PAYLOAD_TOO_LARGE => "PayloadTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
            StatusCode::UNPROCESSABLE_ENTITY => "ValidationError",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalServerError",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::BadRequest(message) => message,
            Self::InvalidCredentials(_) => "Please provide valid credentials",
            Self::Unauthorized | Self::InvalidClient => AUTHENTICATION_FAILURE,
            Self::ScopeTooSmall => "The scope of the credential does not allow this",
            Self::NotActive => "The user is suspended, locked or not approved",
            Self::Delayed(_) => "Too many wrong codes: none is looked at for a while",
            Self::Paused(_) => {
                "Too many pushes were denied or left unanswered: none is sent for a while"
            }
            Self::Disabled => "The device is disabled: it can only be deleted and enrolled anew",
            Self::FactorDisabled => "The factor is disabled for this user",
            Self::Forged => "The request is not signed by the gateway",
            Self::Foreign => "The request comes by a foreign host name or from a foreign page",
            Self::NoSuchUser => "There is no such user",
            Self::NotFound => "The user has nothing with this id",
            Self::NoSuchPath => "There is no such path",
            Self::MethodNotAllowed => "The path does not take this method",
            Self::RequestTimeout => "The body did not come in time",
            Self::PayloadTooLarge => "The body is too large",
            Self::UnsupportedMediaType => {
                "The media type of the body is not taken: send application/json"
            }
            Self::Invalid(_) => "Validations failed",
            Self::NotByCode => "The factor is not confirmed by a code: poll its state",
            Self::TooManyRequests(_) => "The credential has used up its requests",
            Self::TooManyTries(_) => "Too many tries in a minute",
            Self::TooManyMessages(_) => "Too many messages to this destination",
            Self::Internal => "Something went wrong on our side",
            Self::Unavailable => "The service cannot answer now",
        }
    }

    /// The body of the answer (contract, Errors).
    pub(super) fn body(&self) -> ErrorBody {
        let body = ErrorBody::new(self.status().as_u16(), self.name(), self.message());
        match self {
            Self::Invalid(names) => body.parameters(names.iter().copied()),
            Self::NotByCode => body.parameters(["otp"]),
            Self::Unauthorized => body.status(self.v1().status),
            _ => body,
        }
    }

    /// The body of the answer in the shape of the older API (contract, Authorization).
    pub(super) fn v1(&self) -> V1Error {
        let unauthorized = self.status() == StatusCode::UNAUTHORIZED;
        let (kind, message) = if unauthorized {
            ("Unauthorized", AUTHENTICATION_FAILURE)
        } else {
            (self.name(), self.message())
        };
        V1Error {
            status: StatusBody::failure(self.status().as_u16(), kind, message),
        }
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let challenge = match self {
            Self::InvalidCredentials(false) => Some(r#"Bearer realm="factord""#),
            Self::InvalidCredentials(true) => {
                Some(r#"Bearer realm="factord", error="invalid_token""#)
            }
            Self::InvalidClient => Some(r#"Basic realm="factord""#),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers
    }

    /// Whole seconds after which the same request may be answered otherwise.
    pub(super) const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Delayed(seconds)
            | Self::Paused(seconds)
            | Self::TooManyRequests(seconds)
            | Self::TooManyTries(seconds)
            | Self::TooManyMessages(seconds) => Some(*seconds),
            Self::Unavailable => Some(UNAVAILABLE_SECONDS),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status(), self.headers(), Json(self.body())).into_response()
    }
}

impl From<service::Error> for Error {
    fn from(error: service::Error) -> Self {
        match error {
            service::Error::NoSuchUser => Self::NoSuchUser,
            service::Error::Refused(refusal) => refusal.into(),
            service::Error::TooManyTries(seconds) => Self::TooManyTries(seconds),
            service::Error::NoAnswer(_) => Self::Unavailable,
            service::Error::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::NotActive => Self::NotActive,
            Refusal::Invalid(names) => Self::Invalid(names),
            Refusal::NoCode => Self::bad_request(OTP_REQUIRED),
            Refusal::NoCredential => Self::bad_request("credential is required"),
            Refusal::NotByCode => Self::NotByCode,
            Refusal::Delayed(seconds) => Self::Delayed(seconds),
            Refusal::Paused(seconds) => Self::Paused(seconds),
            Refusal::Disabled => Self::Disabled,
            Refusal::FactorDisabled => Self::FactorDisabled,
            Refusal::Unauthorized(_) => Self::Unauthorized,
            Refusal::TooManyMessages(seconds) => Self::TooManyMessages(seconds),
            Refusal::Fault(fault) => {
                tracing::error!(%fault, "what is stored cannot be used");
                Self::Internal
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(field) => Self::invalid(field),
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "a request could not be answered");
                Self::Unavailable
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "a request could not be answered");
                Self::Internal
            }
        }
    }
}

/// An error of the token endpoints, in the shape of the older API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct V1(pub(super) Error);

impl<E: Into<Error>> From<E> for V1 {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for V1 {
    fn into_response(self) -> Response {
        let Self(error) = self;
        (error.status(), error.headers(), Json(error.v1())).into_response()
    }
}

/// The body of an error of the token endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct V1Error {
    status: StatusBody,
}

const OTP_REQUIRED: &str = "otp is required";
const AUTHENTICATION_FAILURE: &str = "Authentication Failure";
/// When to come again after a database did not answer: about as long as one takes to fail over to itself.
const UNAVAILABLE_SECONDS: u64 = 1;
