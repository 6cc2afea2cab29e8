//! A successful answer, and reading it.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::{DecodeError, Error, Result, decode};

/// A successful answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as one object.
    pub(crate) fn object<T: DeserializeOwned>(&self) -> Result<T> {
        decode::object(&self.body)
            .map_err(|problem| undecodable(self.status, &self.headers, &self.body, problem))
    }

    /// The body as a list.
    pub(crate) fn list<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        decode::list(&self.body)
            .map_err(|problem| undecodable(self.status, &self.headers, &self.body, problem))
    }
}

/// The id under which the service logged the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}

/// The error of an answer that cannot be read.
pub(crate) fn undecodable(status: u16, headers: &HeaderMap, body: &[u8], problem: String) -> Error {
    let request_id = request_id(headers).map(str::to_owned);
    let body = String::from_utf8_lossy(body).into_owned().into();
    Error::Decode(Box::new(DecodeError {
        status,
        request_id,
        problem,
        body,
    }))
}
