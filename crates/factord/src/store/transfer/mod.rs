//! Moving a whole database: what it is made of, in a form that is the same for every engine, and how it is sealed on its
//! way. The engines read and write it in `sqlite/transfer.rs` and `postgres/transfer.rs`.

mod mover;
mod rows;
pub mod stream;
#[cfg(test)]
mod tests;

use std::io;

pub use mover::Mover;
pub use rows::{Row, TABLES, Table, Tally, Tallying, Totals, Type, Value};

use super::StoreError;
use super::postgres::PostgresOpenError;

/// Why a database could not be moved. Nothing was changed in the one it was to be moved to.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A database server cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresOpenError),
    /// The stream cannot be read.
    #[error("the stream cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The stream cannot be written.
    #[error("the stream cannot be written: {0}")]
    Write(#[source] io::Error),
    /// It is something else.
    #[error("this is not what `factord export` writes: {0}")]
    NotAStream(&'static str),
    /// A newer factord wrote it.
    #[error(
        "the stream has version {found}, and this factord knows {known}: use the newer factord"
    )]
    Version {
        /// Its version.
        found: u32,
        /// The version that is known here.
        known: u32,
    },
    /// It was sealed by another key.
    #[error(
        "the stream was sealed with another key: name the key of the database that it was written from"
    )]
    WrongKey,
    /// A line was altered, left out, repeated, or taken from elsewhere.
    #[error(
        "line {line} of the stream is not the one that was written there: nothing was imported"
    )]
    Altered {
        /// Counted from 1.
        line: u64,
    },
    /// It ends too early.
    #[error("the stream ends at line {line}, before its end: nothing was imported; write it again")]
    Truncated {
        /// The last line that was read, counted from 1.
        line: u64,
    },
    /// There is something after its end.
    #[error("the stream goes on after its end at line {line}: nothing was imported")]
    GoesOn {
        /// Counted from 1.
        line: u64,
    },
    /// What came is not what the stream says it holds, or what is stored is not what came.
    #[error("{place} of {table} differ from what the stream says it holds: nothing was imported")]
    Differs {
        /// Which rows.
        table: &'static str,
        /// Those of the stream, or those that were stored.
        place: &'static str,
    },
    /// The database is in use.
    #[error(
        "the database is not empty (it has {table}): import into a new one, nothing is ever overwritten"
    )]
    NotEmpty {
        /// What it has.
        table: &'static str,
    },
}

impl From<rusqlite::Error> for TransferError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Whether a database is in use, and by whom it may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By whoever comes.
    Open,
    /// It was exported for good: by nobody.
    Exported,
    /// It is being put back, or imported: by nobody else.
    Restoring,
}

impl Standing {
    /// What the two settings say that keep it.
    pub fn of(closed: Option<&str>, restoring: Option<&str>) -> Self {
        match (closed, restoring) {
            (Some(_), _) => Self::Exported,
            (None, None | Some(RESTORED)) => Self::Open,
            (None, Some(_)) => Self::Restoring,
        }
    }
}

/// The setting that says that the database was exported for good: the id of the stream that was written first.
pub const CLOSED: &str = "closed";
/// The setting that says whether a restored or imported database is not safe yet: the newest event that it had when it was
/// put back, or [`RESTORED`].
pub const RESTORING: &str = "restoring";
/// The setting that keeps the id of the stream that the database was imported from.
pub const IMPORTED: &str = "imported";
/// What [`RESTORING`] says once it is.
pub const RESTORED: &str = "no";
/// Settings that are about one database, and do not go with what is in it.
pub(super) const OWN_SETTINGS: [&str; 5] = ["key_check", "pinged_at", CLOSED, RESTORING, IMPORTED];
/// What a database that was exported for good says to whoever tries to change it.
pub(super) const CLOSED_SAYS: &str =
    "this database is closed: it was exported for good, or is being restored or imported";
