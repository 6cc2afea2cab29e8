//! PostgreSQL's errors in the terms of a store, and what each says of what was asked: whether it has certainly not
//! happened. No message holds a value: rows are personal, and some are secret.

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why something was not done, or not known to be.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has not happened, and may be tried again, on another connection where this one is of no use.
    NotDone(StoreError),
    /// It has not happened, and would fail again.
    Refused(StoreError),
    /// It may have happened: the connection broke, or no answer came in time.
    Unknown(StoreError),
}

impl Failure {
    /// What an error of a statement says that only reads.
    pub fn of_reading(error: &Error) -> Self {
        match Self::of_writing(error) {
            Self::Unknown(error) => Self::NotDone(error),
            failure => failure,
        }
    }

    /// What an error of a statement says that writes and commits. An administrator may end a connection that waits for a
    /// standby after its commit, so that a server which is going down has not said no.
    pub fn of_writing(error: &Error) -> Self {
        let Some(code) = error.code() else {
            return Self::Unknown(unavailable(error));
        };
        let ends_connection = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
        let passing = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            // A prepared statement is of an older schema: it is prepared anew.
            SqlState::FEATURE_NOT_SUPPORTED,
        ];
        if ends_connection.contains(code) {
            Self::Unknown(unavailable(error))
        } else if *code == SqlState::UNIQUE_VIOLATION {
            Self::Refused(StoreError::Conflict(conflicting(error)))
        } else if passing.contains(code) {
            Self::NotDone(unavailable(error))
        } else {
            Self::Refused(unavailable(error))
        }
    }

    /// What the caller hears in the end.
    pub fn into_error(self) -> StoreError {
        match self {
            Self::NotDone(error) | Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

/// There was no connection, so nothing has happened.
impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::NotDone(unavailable(&error)),
            PoolError::Timeout(_) => Self::NotDone(StoreError::Unavailable(
                "no connection came free in time".to_owned(),
            )),
            other => Self::NotDone(StoreError::Unavailable(other.to_string())),
        }
    }
}

/// Which field was taken.
fn conflicting(error: &Error) -> &'static str {
    match error.as_db_error().and_then(|error| error.constraint()) {
        Some("credentials_pkey") => "client id",
        _ => "username",
    }
}

/// The state's code and the server's words for it, without detail and hint, which may hold values.
pub(super) fn unavailable(error: &Error) -> StoreError {
    StoreError::Unavailable(match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    })
}

/// A column that cannot be read as what it should be.
pub(super) fn corrupt(_: Error) -> StoreError {
    StoreError::Corrupt("a column has another type".to_owned())
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
