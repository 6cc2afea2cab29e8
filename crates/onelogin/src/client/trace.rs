//! What the client tells `tracing`, if that feature is on: the operation, the attempt, the status, the request id.
//!
//! Never an id of a user, a body, a header or a code.

use std::time::Duration;

use super::Error;

#[cfg(feature = "tracing")]
pub(crate) fn answered(
    operation: &'static str,
    attempt: u32,
    status: u16,
    request_id: Option<&str>,
) {
    tracing::debug!(operation, attempt, status, request_id, "answered");
}

#[cfg(feature = "tracing")]
pub(crate) fn retrying(operation: &'static str, attempt: u32, delay: Duration, error: &Error) {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(operation, attempt, delay_ms, %error, "trying again");
}

#[cfg(feature = "tracing")]
pub(crate) fn failed(operation: &'static str, attempt: u32, error: &Error) {
    tracing::debug!(operation, attempt, %error, "failed");
}

#[cfg(feature = "tracing")]
pub(crate) fn token_fetched(lifetime: Option<Duration>) {
    tracing::debug!(
        lifetime_s = lifetime.map(|lifetime| lifetime.as_secs()),
        "bearer token fetched"
    );
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn answered(_: &'static str, _: u32, _: u16, _: Option<&str>) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn retrying(_: &'static str, _: u32, _: Duration, _: &Error) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn failed(_: &'static str, _: u32, _: &Error) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn token_fetched(_: Option<Duration>) {}
