//! A database that is moved, whichever engine keeps it.

use super::stream::Reader;
use super::{Row, Standing, Totals, TransferError};
use crate::crypto::keys::Keys;
use crate::store::{Location, postgres, sqlite};

/// A database that is to be moved.
pub enum Mover {
    /// A file.
    Sqlite(sqlite::Mover),
    /// A database on a server.
    Postgres(postgres::Mover),
}

impl Mover {
    /// Opens the database at `location`, which has the schema that is known here.
    ///
    /// # Errors
    /// [`TransferError`] if it cannot be used.
    pub async fn open(location: &Location) -> Result<Self, TransferError> {
        Ok(match location {
            Location::Directory(directory) => Self::Sqlite(sqlite::Mover::open(directory)?),
            Location::Postgres(settings) => Self::Postgres(postgres::Mover::open(settings).await?),
        })
    }

    /// Whether it may be changed.
    ///
    /// # Errors
    /// [`TransferError`] if it does not answer.
    pub async fn standing(&mut self) -> Result<Standing, TransferError> {
        match self {
            Self::Sqlite(mover) => mover.standing(),
            Self::Postgres(mover) => mover.standing().await,
        }
    }

    /// The id of the stream that it was imported from.
    ///
    /// # Errors
    /// [`TransferError`] if it does not answer.
    pub async fn imported(&mut self) -> Result<Option<String>, TransferError> {
        match self {
            Self::Sqlite(mover) => mover.imported(),
            Self::Postgres(mover) => mover.imported().await,
        }
    }

    /// Closes it: whatever is acknowledged was committed before, and every later change is refused, whoever tries. `stream`
    /// is remembered as the cause. Does nothing if it is closed already.
    ///
    /// # Errors
    /// [`TransferError`] if that is not certain.
    pub async fn close(&mut self, stream: &str) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(mover) => mover.close(stream),
            Self::Postgres(mover) => mover.close(stream).await,
        }
    }

    /// From now on the database is being restored: it is open to who restores it, and on a server to nobody else.
    ///
    /// # Errors
    /// [`TransferError`] if that is not certain.
    pub async fn begin_restoring(&mut self) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(mover) => mover.begin_restoring(),
            Self::Postgres(mover) => mover.begin_restoring().await,
        }
    }

    /// Opens it to everybody, after it was closed or restored.
    ///
    /// # Errors
    /// [`TransferError`] if that is not certain.
    pub async fn reopen(&mut self) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(mover) => mover.reopen(),
            Self::Postgres(mover) => mover.reopen().await,
        }
    }

    /// Hands over every row, as it is at one moment.
    ///
    /// # Errors
    /// [`TransferError`], also that of `each`.
    pub async fn export(
        &mut self,
        each: impl FnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(mover) => mover.export(each),
            Self::Postgres(mover) => mover.export(each).await,
        }
    }

    /// Takes a stream into the empty database, all of it or nothing, and gives what is stored then, which is what the
    /// stream says it holds. If the source was not closed, the database is being restored from then on.
    ///
    /// # Errors
    /// [`TransferError`]; nothing was changed then, unless a server was lost while it was committing.
    pub async fn import(
        &mut self,
        stream: &mut Reader,
        keys: &Keys,
    ) -> Result<Totals, TransferError> {
        match self {
            Self::Sqlite(mover) => mover.import(stream, keys),
            Self::Postgres(mover) => mover.import(stream, keys).await,
        }
    }
}
