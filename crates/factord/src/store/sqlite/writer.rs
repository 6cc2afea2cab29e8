//! The one thread that writes. It takes all that is waiting into one transaction, and answers when that is synced:
//! the more wait, the less each pays for the sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rand::CryptoRng;
use rusqlite::Connection;
use tokio::sync::Notify;

use super::error::changed_nothing;
use super::open;
use crate::clock::{Clock, Timestamp};
use crate::mfa::Core;
use crate::mfa::cores::Cores;
use crate::store::StoreError;

/// Something to be written. It runs inside a transaction, perhaps more than once, and hears how it ended after the
/// commit.
pub(super) trait Work: Send {
    /// Reads and writes; an error rolls everything back.
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError>;

    /// Hears how it ended.
    fn done(self: Box<Self>, result: Result<(), StoreError>);
}

/// What a piece of work writes with.
pub(super) struct Writing<'a> {
    /// The connection, inside the transaction.
    pub conn: &'a Connection,
    /// What every decision knows.
    pub core: &'a Core,
    /// The time of the work.
    pub now: Timestamp,
    /// The generator.
    pub rng: &'a mut dyn CryptoRng,
    /// Whom the commit has to tell.
    pub tell: &'a mut Tell,
}

/// Whom a commit has to tell, and what it leaves to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tell {
    /// There are messages to send.
    pub messages: bool,
    /// There are messages in the outbox.
    pub outbox: bool,
    /// Something was erased, and older versions of it are to go out of the log.
    pub empty_log: bool,
}

/// Who waits for commits of other people.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// Told of messages to send. A single dispatcher waits here: it is told also if it comes late.
    pub messages: Arc<Notify>,
    /// Told of messages in the outbox. All who wait at the moment are told.
    pub outbox: Arc<Notify>,
}

impl Signals {
    fn tell(&self, tell: Tell) {
        if tell.messages {
            self.messages.notify_one();
        }
        if tell.outbox {
            self.outbox.notify_waiters();
        }
    }
}

/// What the writer needs of its surroundings.
pub(super) struct Surroundings {
    /// What every decision knows; all of one transaction know the same.
    pub cores: Cores,
    pub clock: Arc<dyn Clock>,
    pub rng: Box<dyn CryptoRng + Send>,
    pub signals: Signals,
    /// Called when what is on the disk is unknown; must end the process.
    pub fatal: Box<dyn Fn(&str) + Send>,
    /// Commits the open transaction.
    pub commit: Commit,
}

/// Commits the open transaction: it is on the disk when this returns.
pub(super) type Commit = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// The way to the writer. Dropping it waits until all that was submitted is done and the file is closed.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(conn: Connection, surroundings: Surroundings) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                Loop {
                    conn,
                    surroundings,
                    emptying: false,
                }
                .serve_or_stop(&receiver);
            })?;
        Ok(Self {
            queue: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands work over; it hears at once if there is no room for it.
    pub fn submit(&self, work: Box<dyn Work>) {
        let Some(queue) = &self.queue else {
            return;
        };
        let (work, reason) = match queue.try_send(work) {
            Ok(()) => return,
            Err(TrySendError::Full(work)) => (work, "too many writes are waiting"),
            Err(TrySendError::Disconnected(work)) => (work, "the writer has stopped"),
        };
        work.done(Err(StoreError::Unavailable(reason.to_owned())));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is done: there is nothing left to wait for.
            drop(thread.join());
        }
    }
}

struct Loop {
    conn: Connection,
    surroundings: Surroundings,
    /// Whether the log still holds what was erased.
    emptying: bool,
}

/// Why a group was not committed.
enum Failure {
    /// One piece of work failed; the others may do without it.
    Work(StoreError),
    /// Nothing can be written now.
    Group(StoreError),
    /// What is on the disk is unknown.
    Fatal(String),
}

impl Loop {
    /// A process whose writer has panicked can do nothing more that matters, so it ends.
    fn serve_or_stop(&mut self, queue: &Receiver<Box<dyn Work>>) {
        if catch_unwind(AssertUnwindSafe(|| self.serve(queue))).is_err() {
            (self.surroundings.fatal)("the writer panicked");
        }
    }

    fn serve(&mut self, queue: &Receiver<Box<dyn Work>>) {
        while let Some(first) = self.next(queue) {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(MOST_IN_GROUP - 1));
            if !self.settle(group) {
                return;
            }
        }
    }

    /// Waits for work; `None` if there will be no more. The log is emptied when nothing is waiting: while there always
    /// is, it is written over within seconds.
    fn next(&mut self, queue: &Receiver<Box<dyn Work>>) -> Option<Box<dyn Work>> {
        if self.emptying {
            match queue.try_recv() {
                Ok(work) => return Some(work),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.emptying = !self.empty_log(),
            }
        }
        queue.recv().ok()
    }

    /// `false` if it has to be tried again: somebody reads from the log just now.
    fn empty_log(&self) -> bool {
        open::empty_log(&self.conn).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of the database cannot be emptied");
            false
        })
    }

    /// Commits a group and answers it. If one piece of work fails, each is done by itself, so that it fails alone.
    /// `false` if the writer must not go on.
    fn settle(&mut self, mut group: Vec<Box<dyn Work>>) -> bool {
        let result = match self.attempt(&mut group) {
            Ok(tell) => Ok(tell),
            Err(Failure::Work(_)) if group.len() > 1 => {
                return group.into_iter().all(|work| self.settle(vec![work]));
            }
            Err(Failure::Work(error) | Failure::Group(error)) => Err(error),
            Err(Failure::Fatal(reason)) => {
                (self.surroundings.fatal)(&reason);
                return false;
            }
        };
        let tell = result.as_ref().copied().unwrap_or_default();
        self.surroundings.signals.tell(tell);
        for work in group {
            work.done(result.clone().map(drop));
        }
        self.emptying |= tell.empty_log;
        true
    }

    fn attempt(&mut self, group: &mut [Box<dyn Work>]) -> Result<Tell, Failure> {
        execute(&self.conn, "BEGIN IMMEDIATE").map_err(|error| Failure::Group(error.into()))?;
        let mut tell = Tell::default();
        let result = self.run(group, &mut tell).map_err(Failure::Work);
        let result = result.and_then(|()| {
            (self.surroundings.commit)(&self.conn).map_err(|error| {
                if changed_nothing(&error) {
                    Failure::Group(error.into())
                } else {
                    Failure::Fatal(format!("a commit failed: {error}"))
                }
            })
        });
        if let Err(Failure::Work(_) | Failure::Group(_)) = result {
            self.roll_back()?;
        }
        result.map(|()| tell)
    }

    fn run(&mut self, group: &mut [Box<dyn Work>], tell: &mut Tell) -> Result<(), StoreError> {
        let Surroundings {
            cores, clock, rng, ..
        } = &mut self.surroundings;
        let core = cores.current();
        let mut writing = Writing {
            conn: &self.conn,
            core: &core,
            now: clock.now(),
            rng: &mut **rng,
            tell,
        };
        for work in group {
            writing.now = clock.now();
            work.run(&mut writing)?;
        }
        Ok(())
    }

    /// Some errors have rolled back already.
    fn roll_back(&self) -> Result<(), Failure> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        execute(&self.conn, "ROLLBACK")
            .map_err(|error| Failure::Fatal(format!("a transaction cannot be undone: {error}")))
    }
}

/// The [`Commit`] of SQLite.
pub(super) fn commit(conn: &Connection) -> rusqlite::Result<()> {
    execute(conn, "COMMIT")
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute(()).map(drop)
}

/// Writes that may wait; beyond this the service is overloaded and says so.
const QUEUE: usize = 8_192;
/// Writes in one transaction, so that the first in it does not wait too long for the last.
const MOST_IN_GROUP: usize = 512;
