//! What the core says, in the words of the wire. The one mapping between the two vocabularies.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use onelogin::models::{DeviceId, FactorData, Otp, Status, Time, UserId, VerificationResult};
use secrecy::{ExposeSecret, SecretString};
use std::sync::LazyLock;

use crate::clock::Timestamp;
use crate::factor::Shown;
use crate::mfa::code::Code;
use crate::mfa::ids;
use crate::mfa::user::{self, Ending};

/// A code as it was sent.
pub(super) fn code(otp: &Otp) -> Code {
    match otp {
        Otp::Number(number) => Code::Number(*number),
        Otp::Text(text) => Code::text(text.expose_secret()),
    }
}

/// UTC, whole seconds (contract, Responses); `None` for a moment that no calendar holds.
pub(super) fn time(moment: Timestamp) -> Option<Time> {
    jiff::Timestamp::from_second(moment.seconds())
        .ok()
        .map(Time)
}

pub(super) const fn user_id(id: ids::UserId) -> UserId {
    UserId(id.unsigned())
}

pub(super) fn device_id(id: ids::DeviceId) -> DeviceId {
    DeviceId::new(id.to_string())
}

/// The id of an enrolled device by its number.
pub(super) fn device_number(number: ids::DeviceNumber) -> DeviceId {
    u64::from(number.get()).into()
}

pub(super) const fn status(status: user::Status) -> Status {
    match status {
        user::Status::Pending => Status::Pending,
        user::Status::Accepted => Status::Accepted,
        user::Status::Rejected => Status::Rejected,
    }
}

/// The `reason` of what was rejected: said where it is nobody's code that failed (contract, Responses).
pub(super) fn reason(ending: Option<Ending>) -> Option<String> {
    match ending? {
        shown @ (Ending::Expired
        | Ending::DeliveryFailed
        | Ending::Denied
        | Ending::HungUp
        | Ending::NoAnswer) => Some(shown.as_str().to_owned()),
        Ending::TooManyGuesses
        | Ending::Superseded
        | Ending::DeviceDeleted
        | Ending::UserNotActive => None,
    }
}

/// `factor_data`, where the factor has something to show.
pub(super) fn factor_data(shown: Shown) -> Option<FactorData> {
    let Shown {
        verification_token,
        totp_url,
        recovery_codes,
        public_key,
        url,
        number,
    } = shown;
    let shows = verification_token.is_some()
        || totp_url.is_some()
        || recovery_codes.is_some()
        || public_key.is_some()
        || url.is_some()
        || number.is_some();
    shows.then(|| FactorData {
        verification_token,
        totp_url,
        recovery_codes,
        public_key: public_key.and_then(|options| options.read().ok()),
        url,
        number: number.map(SecretString::from),
    })
}

/// The answer to an accepted code: always the same, so it is written once.
pub(super) fn accepted() -> Response {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| {
        serde_json::to_vec(&VerificationResult::success())
            .unwrap_or_default()
            .into()
    });
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], BODY.clone()).into_response()
}
