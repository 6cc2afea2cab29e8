//! Connections that only read, each with its prepared statements. A reading never waits for a commit.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::open;
use crate::store::StoreError;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub fn of(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    /// Reads on the calling thread, on a connection of its own.
    pub fn read<T>(
        &self,
        reading: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => open::reader(&self.path)?,
        };
        let answer = reading(&conn);
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(conn);
        }
        answer
    }

    /// Closes the connections that are not in use.
    pub fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connections that stay open; each may hold up to 2 MiB of pages.
const MOST_IDLE: usize = 8;
