//! The one thread that writes. It takes all that is waiting into one transaction, and more while the one before is
//! being synced: the more wait, the less each pays for the sync. Whoever asked is answered when it is synced, by the
//! [syncer](super::syncer).

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::CryptoRng;
use rusqlite::Connection;
use tokio::sync::Notify;

use super::error::changed_nothing;
use super::open;
use super::syncer::{Group, Parts, Progress, SyncLog, Syncer};
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
    /// Tells them.
    pub fn tell(&self, tell: Tell) {
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
    pub fatal: Fatal,
    /// Commits the open transaction.
    pub commit: Commit,
    /// Brings what was committed to the disk.
    pub sync: SyncLog,
    /// How long work may wait before the store is congested.
    pub patience: Duration,
}

/// Ends the process, for the reason that it is given.
pub(super) type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Commits the open transaction: it can be read, and is in the log when that is synced.
pub(super) type Commit = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// The way to the writer. Dropping it waits until all that was submitted is done and the file is closed.
pub(super) struct Writer {
    queue: SyncSender<Item>,
    thread: Option<JoinHandle<()>>,
}

/// A writer at work, and what it shows.
pub(super) struct Started {
    pub writer: Writer,
    /// How far the commits have come.
    pub progress: Arc<Progress>,
    /// Whether work waits for too long.
    pub congestion: Arc<Congestion>,
}

/// Whether work waits for longer than anybody should: then it is better refused at once and sent again. It ends when
/// what is taken has waited less, or nothing waits.
#[derive(Debug, Default)]
pub(super) struct Congestion(AtomicBool);

impl Congestion {
    /// Whether there is one now.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, on: bool) {
        if self.is_on() != on {
            self.0.store(on, Ordering::Relaxed);
        }
    }
}

/// What the writer hears.
pub(super) enum Item {
    /// Work to do, and since when it waits.
    Work(Box<dyn Work>, Instant),
    /// So many groups are synced.
    Synced(usize),
    /// There will be no more work.
    End,
}

impl Writer {
    /// Starts the thread, and that of the syncer.
    pub fn start(
        conn: Connection,
        log: File,
        surroundings: Surroundings,
    ) -> std::io::Result<Started> {
        let (queue, items) = sync_channel(QUEUE);
        let Surroundings {
            cores,
            clock,
            rng,
            signals,
            fatal,
            commit,
            sync,
            patience,
        } = surroundings;
        let congestion = Arc::new(Congestion::default());
        let (progress, durable) = Progress::new();
        let syncer = Syncer::start(Parts {
            log,
            sync,
            signals,
            fatal: Arc::clone(&fatal),
            durable,
            writer: queue.clone(),
        })?;
        let mut writing = Loop {
            arrivals: Arrivals {
                items,
                unsynced: 0,
                ended: false,
                patience,
                congestion: Arc::clone(&congestion),
            },
            syncer,
            decider: Decider {
                conn,
                cores,
                clock,
                rng,
            },
            commit,
            fatal,
            progress: Arc::clone(&progress),
            emptying: false,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writing.serve_or_stop())?;
        let writer = Self {
            queue,
            thread: Some(thread),
        };
        Ok(Started {
            writer,
            progress,
            congestion,
        })
    }

    /// Hands work over; it hears at once if there is no room for it.
    pub fn submit(&self, work: Box<dyn Work>) {
        let (item, reason) = match self.queue.try_send(Item::Work(work, Instant::now())) {
            Ok(()) => return,
            Err(TrySendError::Full(item)) => (item, "too many writes are waiting"),
            Err(TrySendError::Disconnected(item)) => (item, "the writer has stopped"),
        };
        if let Item::Work(work, _) = item {
            work.done(Err(StoreError::Unavailable(reason.to_owned())));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have stopped by itself.
        drop(self.queue.send(Item::End));
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is done: there is nothing left to wait for.
            drop(thread.join());
        }
    }
}

struct Loop {
    // In the order in which they end: nobody is told any more, all is synced and answered, the file is closed.
    arrivals: Arrivals,
    syncer: Syncer,
    decider: Decider,
    commit: Commit,
    fatal: Fatal,
    progress: Arc<Progress>,
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
    fn serve_or_stop(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            (self.fatal)("the writer panicked");
        }
    }

    fn serve(&mut self) {
        while let Some(first) = self.next() {
            if !self.settle(vec![first], true) {
                return;
            }
        }
    }

    /// Waits for work; `None` if there will be no more. The log is emptied when nothing is waiting: while there always
    /// is, it is written over within seconds.
    fn next(&mut self) -> Option<Box<dyn Work>> {
        if self.emptying {
            match self.arrivals.poll() {
                Next::Work(work) => return Some(work),
                Next::Nothing => self.emptying = !self.empty_log(),
                Next::End => return None,
            }
        }
        self.arrivals.wait()
    }

    /// `false` if it has to be tried again: somebody reads from the log just now.
    fn empty_log(&self) -> bool {
        open::empty_log(&self.decider.conn).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of the database cannot be emptied");
            false
        })
    }

    /// Commits a group, with what else comes if it may grow, and hands it over to be synced and answered. If one piece
    /// of work fails, each is done by itself, so that it fails alone. `false` if the writer must not go on.
    fn settle(&mut self, mut works: Vec<Box<dyn Work>>, may_grow: bool) -> bool {
        let error = match self.attempt(&mut works, may_grow) {
            Ok(tell) => {
                self.emptying |= tell.empty_log;
                return self.hand_over(works, tell);
            }
            Err(Failure::Work(_)) if works.len() > 1 => {
                return works.into_iter().all(|work| self.settle(vec![work], false));
            }
            Err(Failure::Work(error) | Failure::Group(error)) => error,
            Err(Failure::Fatal(reason)) => {
                (self.fatal)(&reason);
                return false;
            }
        };
        for work in works {
            work.done(Err(error.clone()));
        }
        // What may have begun and came to nothing holds up nobody who reads.
        self.hand_over(Vec::new(), Tell::default())
    }

    fn hand_over(&mut self, works: Vec<Box<dyn Work>>, tell: Tell) -> bool {
        self.arrivals.unsynced += 1;
        self.syncer.hand_over(Group {
            number: self.progress.begun(),
            works,
            tell,
        })
    }

    fn attempt(&mut self, works: &mut Vec<Box<dyn Work>>, may_grow: bool) -> Result<Tell, Failure> {
        execute(&self.decider.conn, "BEGIN IMMEDIATE")
            .map_err(|error| Failure::Group(error.into()))?;
        let mut tell = Tell::default();
        let arrivals = may_grow.then_some(&mut self.arrivals);
        let result = self.decider.run(works, arrivals, &mut tell);
        let result = result.map_err(Failure::Work).and_then(|()| {
            self.progress.begin();
            (self.commit)(&self.decider.conn).map_err(|error| {
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

    /// Some errors have rolled back already.
    fn roll_back(&self) -> Result<(), Failure> {
        let conn = &self.decider.conn;
        if conn.is_autocommit() {
            return Ok(());
        }
        execute(conn, "ROLLBACK")
            .map_err(|error| Failure::Fatal(format!("a transaction cannot be undone: {error}")))
    }
}

/// What works run with.
struct Decider {
    conn: Connection,
    cores: Cores,
    clock: Arc<dyn Clock>,
    rng: Box<dyn CryptoRng + Send>,
}

impl Decider {
    /// Runs what is there, and what joins it, in the open transaction.
    fn run(
        &mut self,
        works: &mut Vec<Box<dyn Work>>,
        mut arrivals: Option<&mut Arrivals>,
        tell: &mut Tell,
    ) -> Result<(), StoreError> {
        let core = self.cores.current();
        let mut writing = Writing {
            conn: &self.conn,
            core: &core,
            now: self.clock.now(),
            rng: &mut *self.rng,
            tell,
        };
        let mut done = 0;
        loop {
            for work in &mut works[done..] {
                writing.now = self.clock.now();
                work.run(&mut writing)?;
            }
            done = works.len();
            let joining = arrivals
                .as_mut()
                .and_then(|arrivals| arrivals.joining(done));
            match joining {
                Some(work) => works.push(work),
                None => return Ok(()),
            }
        }
    }
}

/// What comes to the writer.
struct Arrivals {
    items: Receiver<Item>,
    /// Groups that were handed over and are not synced yet.
    unsynced: usize,
    /// Whether there will be no more work.
    ended: bool,
    patience: Duration,
    congestion: Arc<Congestion>,
}

enum Next {
    Work(Box<dyn Work>),
    Nothing,
    End,
}

impl Arrivals {
    /// The work that is waiting now.
    fn poll(&mut self) -> Next {
        while !self.ended {
            match self.items.try_recv() {
                Ok(item) => {
                    if let Some(work) = self.hear(item) {
                        return Next::Work(work);
                    }
                }
                Err(TryRecvError::Empty) => {
                    self.congestion.set(false);
                    return Next::Nothing;
                }
                Err(TryRecvError::Disconnected) => self.ended = true,
            }
        }
        Next::End
    }

    /// Waits for work; `None` if there will be no more.
    fn wait(&mut self) -> Option<Box<dyn Work>> {
        match self.poll() {
            Next::Work(work) => Some(work),
            Next::Nothing => self.wait_while(|_| true),
            Next::End => None,
        }
    }

    /// Work that may join a group of so many: whatever is waiting, and while a sync is under way whatever comes, since
    /// a commit would have to wait for the next sync anyway.
    fn joining(&mut self, group: usize) -> Option<Box<dyn Work>> {
        if group >= MOST_IN_GROUP {
            return None;
        }
        match self.poll() {
            Next::Work(work) => Some(work),
            Next::Nothing => self.wait_while(|arrivals| arrivals.unsynced > 0),
            Next::End => None,
        }
    }

    fn wait_while(&mut self, worthwhile: impl Fn(&Self) -> bool) -> Option<Box<dyn Work>> {
        while !self.ended && worthwhile(self) {
            match self.items.recv() {
                Ok(item) => {
                    if let Some(work) = self.hear(item) {
                        return Some(work);
                    }
                }
                Err(_) => self.ended = true,
            }
        }
        None
    }

    fn hear(&mut self, item: Item) -> Option<Box<dyn Work>> {
        match item {
            Item::Work(work, since) => {
                self.congestion.set(since.elapsed() >= self.patience);
                return Some(work);
            }
            Item::Synced(groups) => self.unsynced = self.unsynced.saturating_sub(groups),
            Item::End => self.ended = true,
        }
        None
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
