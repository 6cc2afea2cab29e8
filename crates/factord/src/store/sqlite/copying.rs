//! When the log is copied into the file. The writer does it by itself once the log is long, and everybody waits. Where the
//! file is large, nearly every page of the log is another one, and that takes a tenth of a second: then a thread copies
//! most of it beforehand, while the writer goes on. Where it is small, the same pages would be copied again and again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use super::open;

/// Copies the log of one connection, which writes, into the file.
pub(super) struct Copying {
    path: PathBuf,
    /// Bytes from which on a file is large.
    large: u64,
    /// Pages in the log, as of the newest commit.
    pages: Arc<AtomicU32>,
    /// Pages at which the helper is called next.
    next: u32,
    helper: Option<Helper>,
}

impl Copying {
    /// Takes over from SQLite, which would copy within a commit, before anybody is answered.
    pub fn take_over(conn: &mut Connection, path: PathBuf, large: u64) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU32::default());
        let seen = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut Wal, pages: std::ffi::c_int| {
            seen.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            path,
            large,
            pages,
            next: STEP,
            helper: None,
        })
    }

    /// To be called after each commit, when it was answered.
    pub fn go_on(&mut self, conn: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages >= MOST_PAGES {
            copy(conn);
            self.next = STEP;
        } else if pages >= self.next {
            self.next = pages + STEP;
            if self.is_large() {
                self.help();
            }
        } else if pages + STEP < self.next {
            // The log has begun anew.
            self.next = STEP;
        }
    }

    fn is_large(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|file| file.len() >= self.large)
    }

    fn help(&mut self) {
        if self.helper.is_none() {
            match Helper::start(&self.path) {
                Ok(helper) => self.helper = Some(helper),
                Err(error) => {
                    tracing::warn!(
                        error,
                        "the log of the database is copied by its writer alone"
                    );
                }
            }
        }
        if let Some(helper) = &self.helper {
            helper.wake();
        }
    }
}

/// Copies what is in the log and not in the file; what somebody reads just now, or copies, is left for later.
fn copy(conn: &Connection) {
    let result = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
    if let Err(error) = result {
        tracing::warn!(%error, "the log of the database cannot be copied into its file");
    }
}

/// A thread that copies when it is woken.
struct Helper {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    fn start(path: &Path) -> Result<Self, String> {
        let conn = open::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let conn = conn.map_err(|error| error.to_string())?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-copier".to_owned())
            .spawn(move || woken.iter().for_each(|()| copy(&conn)))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    fn wake(&self) {
        match self.wake.as_ref().map(|wake| wake.try_send(())) {
            // It is at work, and will be once more.
            None | Some(Ok(()) | Err(TrySendError::Full(()))) => {}
            Some(Err(TrySendError::Disconnected(()))) => {
                tracing::error!("the thread that copies the log of the database has ended");
            }
        }
    }
}

/// Waits until it has done what it was woken for, and has closed the file.
impl Drop for Helper {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is done: there is nothing left to wait for.
            drop(thread.join());
        }
    }
}

/// Pages of 4 KiB after which the writer copies what is left. A longer log stops everybody for longer (a third of a second
/// instead of a fifth, with 300,000 users), a shorter one more often (at half of it the rate was a tenth lower).
const MOST_PAGES: u32 = 8_000;
/// Pages after which the helper is called again. While it brings them to the disk every commit waits longer: a tenth of a
/// second if they are a thousand, with 300,000 users. Fewer cost more syncs than they spare anybody.
const STEP: u32 = 250;
/// What a file is called large from: as much as the writer keeps of it in memory.
pub(super) const LARGE: u64 = 64 << 20;
