//! The body of a request: its media type, its size, its time, and the JSON object in it (contract, Fine points). What is
//! wrong with it names the field and never repeats a value.

use std::fmt;
use std::pin::pin;
use std::str;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout;

use super::error::Error;

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`, and what is JSON by its suffix. Also a body that does not say what it is.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Anything else.
    Other,
}

impl MediaType {
    /// What the headers say, whatever the case and the parameters.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Self::Json;
        };
        let text = value.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim();
        let suffix = essence
            .len()
            .checked_sub(5)
            .and_then(|at| essence.get(at..));
        if essence.eq_ignore_ascii_case("application/json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
        {
            Self::Json
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Other
        }
    }
}

/// Reads a body whole: 413 if it is longer than `most` or says so, 408 if it takes longer than `patience`, 400 if the
/// client stops in the middle.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Error> {
    if announced(headers).is_some_and(|length| length > most as u64) {
        return Err(Error::PayloadTooLarge);
    }
    let reading = read_at_most(body, most);
    timeout(patience, reading)
        .await
        .unwrap_or(Err(Error::RequestTimeout))
}

/// A body that comes in one piece is not copied.
async fn read_at_most(body: &mut Body, most: usize) -> Result<Bytes, Error> {
    let Some(first) = next(body, most).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(more) = next(body, most - whole.len()).await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

/// The next piece, of at most `most` bytes.
async fn next(body: &mut Body, most: usize) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::bad_request("the body ends too early"))?;
        match frame.into_data() {
            Ok(data) if data.len() > most => return Err(Error::PayloadTooLarge),
            Ok(data) => return Ok(Some(data)),
            Err(_trailers) => {}
        }
    }
    Ok(None)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Takes what is still under way of a body that nobody wants, so that a client which is still writing can read the answer: a
/// connection that is closed with bytes unread is reset, and the answer lost.
pub(super) async fn drain(headers: &HeaderMap, body: Body, patience: Duration) {
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let mut body = pin!(body);
    let mut left = MOST_DRAINED;
    let draining = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whoever takes too long is not waited for: the answer goes out all the same.
    let _: Result<(), _> = timeout(patience, draining).await;
}

/// The JSON object in a body: 400 if there is none. No bytes, or blanks alone, stand for `{}`.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = str::from_utf8(body).map_err(|_| Error::bad_request("the body is not UTF-8"))?;
    let text = match text.trim_ascii() {
        "" => "{}",
        text => text,
    };
    if !text.starts_with('{') {
        return Err(Error::bad_request("the body must be a JSON object"));
    }
    if nesting(text) > MOST_NESTING {
        return Err(Error::bad_request("the body is nested too deeply"));
    }
    serde_json::from_str(text).or_else(|_| {
        // Read again, this time slowly, to find out where it is wrong.
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| no_json(&error))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| unreadable("body", &error))
    })
}

fn no_json(error: &serde_json::Error) -> Error {
    Error::bad_request(format!(
        "the body cannot be read: {}",
        placeless(&error.to_string())
    ))
}

/// Without the place in the text, which changes with every blank.
fn placeless(reason: &str) -> &str {
    reason.split(" at line ").next().unwrap_or_default()
}

/// The fields of a form: 400 if they cannot be read.
pub(super) fn form<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let reader = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(body));
    serde_path_to_error::deserialize(reader).map_err(|error| unreadable("body", &error))
}

/// The parameters of a query: 400 if they cannot be read.
pub(super) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Error> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let reader = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(reader).map_err(|error| unreadable("query", &error))
}

/// `expires_in: invalid type: …`, or what is missing in the whole.
fn unreadable<E: fmt::Display>(whole: &str, error: &serde_path_to_error::Error<E>) -> Error {
    let (path, reason) = (error.path().to_string(), error.inner().to_string());
    let reason = placeless(&reason);
    let names_it = reason.starts_with("missing field") || reason.starts_with("duplicate field");
    Error::bad_request(if path == "." || names_it {
        format!("the {whole} cannot be read: {reason}")
    } else {
        format!("{path}: {reason}")
    })
}

/// How deep the brackets of a text are nested, outside its strings. What is passed over is not read, so the reader itself
/// would not mind.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// How much is taken of a body that nobody wants.
const MOST_DRAINED: usize = 4 * 1024 * 1024;
/// How deep a body may be nested: far deeper than any request is.
const MOST_NESTING: usize = 64;
