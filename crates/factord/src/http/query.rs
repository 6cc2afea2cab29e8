//! The query of a request: a parameter given twice is a 400, a value that cannot be read a 422 that names it.

use std::str::FromStr;

use http::Uri;
use serde::de::DeserializeOwned;

use super::body;
use super::error::Error;

/// The parameters of a query.
pub(super) fn parse<T: DeserializeOwned>(uri: &Uri) -> Result<T, Error> {
    body::query(uri.query().unwrap_or_default())
}

/// A positive number.
pub(super) fn positive(name: &'static str, text: Option<&str>) -> Result<Option<u32>, Error> {
    match value(name, text)? {
        Some(0) => Err(Error::invalid(name)),
        number => Ok(number),
    }
}

/// A value of any kind that is written as plain text.
pub(super) fn value<T: FromStr>(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, Error> {
    text.map(|text| text.trim().parse().map_err(|_| Error::invalid(name)))
        .transpose()
}
