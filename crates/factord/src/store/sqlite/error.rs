//! SQLite's errors in the terms of a store. No message holds a value: rows are personal, and some are secret.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Corrupt("a column has another type".to_owned()),
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Corrupt(error.to_string())
                }
                _ => Self::Unavailable(error.to_string()),
            },
        }
    }
}

/// Whether the error says that a unique value is taken.
pub(super) fn is_conflict(error: &Error) -> bool {
    let Error::SqliteFailure(error, _) = error else {
        return false;
    };
    // The trigger of a closed database violates a constraint, too.
    let taken = [
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
    ];
    taken.contains(&error.extended_code)
}

/// Whether a commit that failed like this has certainly changed nothing: the disk is full, the file cannot be
/// written, or somebody else holds it. After any other failure (a sync above all) what is on the disk is unknown.
pub(super) fn changed_nothing(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
        )
    )
}

/// The error for a JSON document that cannot be read; names where it stands, never what it says.
pub(super) fn unreadable(what: &'static str) -> impl Fn(serde_json::Error) -> StoreError {
    move |error| {
        StoreError::Corrupt(format!(
            "{what}, at line {} column {}",
            error.line(),
            error.column()
        ))
    }
}
