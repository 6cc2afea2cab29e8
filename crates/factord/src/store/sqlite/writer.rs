//! The one thread that writes. It takes of what waits as much as the [pace](super::pace) says into one transaction, commits
//! it, brings it to the disk, and answers: the more share a sync, the less each pays for it. A second thread, for one of the
//! two, was measured: waking each other cost them more than they won.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::CryptoRng;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};

use super::copying::Copying;
use super::error::changed_nothing;
use super::open;
use super::pace::Pace;
use super::progress::Progress;
use super::queue::{NotTaken, Queue, Waiting};
use crate::clock::{Clock, Moment, Timestamp};
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
    pub moment: Moment,
    /// The generator.
    pub rng: &'a mut dyn CryptoRng,
    /// Whom the commit has to tell.
    pub tell: &'a mut Tell,
}

impl Writing<'_> {
    /// The time of the work in whole seconds.
    pub const fn now(&self) -> Timestamp {
        self.moment.timestamp()
    }
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

impl Tell {
    fn add(&mut self, other: Self) {
        self.messages |= other.messages;
        self.outbox |= other.outbox;
        self.empty_log |= other.empty_log;
    }
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
    /// Bytes from which on a file is [large](Copying).
    pub large: u64,
}

/// Ends the process, for the reason that it is given.
pub(super) type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Commits the open transaction: it can be read, and is in the log when that is synced.
pub(super) type Commit = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// Brings the log to the disk.
pub(super) type SyncLog = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// The way to the writer. Dropping it waits until all that was submitted is done and the file is closed.
pub(super) struct Writer {
    queue: Arc<Queue>,
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

impl Writer {
    /// Starts the thread.
    pub fn start(
        conn: Connection,
        log: File,
        copying: Copying,
        surroundings: Surroundings,
    ) -> io::Result<Started> {
        let queue = Arc::new(Queue::default());
        let Surroundings {
            cores,
            clock,
            rng,
            signals,
            fatal,
            commit,
            sync,
            patience,
            large: _,
        } = surroundings;
        let congestion = Arc::new(Congestion::default());
        let (progress, durable) = Progress::new();
        let mut writing = Loop {
            arrivals: Arrivals {
                queue: Arc::clone(&queue),
                works: VecDeque::new(),
                patience,
                congestion: Arc::clone(&congestion),
                pace: Pace::default(),
            },
            decider: Decider {
                conn,
                cores,
                clock,
                rng,
            },
            commit,
            copying,
            log,
            sync,
            signals,
            fatal,
            progress: Arc::clone(&progress),
            durable,
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
        let (work, reason) = match self.queue.push(work) {
            Ok(()) => return,
            Err(NotTaken::Full(work)) => (work, "too many writes are waiting"),
            Err(NotTaken::Ended(work)) => (work, "the writer has stopped"),
        };
        work.done(Err(StoreError::Unavailable(reason.to_owned())));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.end();
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is done: there is nothing left to wait for.
            drop(thread.join());
        }
    }
}

struct Loop {
    // First, so that it ends first: nothing more is taken, and the file is closed.
    arrivals: Arrivals,
    decider: Decider,
    commit: Commit,
    copying: Copying,
    log: File,
    sync: SyncLog,
    signals: Signals,
    fatal: Fatal,
    progress: Arc<Progress>,
    durable: watch::Sender<u64>,
}

/// Why a group was not committed.
enum Failure {
    /// One piece of work failed; the others may do without it.
    Work(StoreError),
    /// Nothing can be written now.
    Group(StoreError),
    /// Nothing may be written any more.
    Unknown(Unknown),
}

/// What is on the disk is unknown, for this reason.
struct Unknown(String);

/// What was committed together.
#[derive(Default)]
struct Group {
    /// Who is to be answered.
    works: Vec<Box<dyn Work>>,
    /// Whom else to tell.
    tell: Tell,
}

impl Loop {
    /// A process that does not know what is on the disk, or whose writer has panicked, can do nothing more that matters,
    /// so it ends.
    fn serve_or_stop(&mut self) {
        let reason = match catch_unwind(AssertUnwindSafe(|| self.serve())) {
            Ok(Ok(())) => return,
            Ok(Err(Unknown(reason))) => reason,
            Err(_) => "the writer panicked".to_owned(),
        };
        (self.fatal)(&reason);
    }

    fn serve(&mut self) -> Result<(), Unknown> {
        // Whether the log still holds what was erased.
        let mut emptying = false;
        while let Some(first) = self.arrivals.wait() {
            let group = self.settle(vec![first], true)?;
            emptying |= group.tell.empty_log;
            self.finish(group)?;
            self.copying.go_on(&self.decider.conn);
            // While there always is something waiting, the log is written over within seconds.
            if emptying && !self.arrivals.has_news() {
                emptying = !self.empty_log();
            }
        }
        Ok(())
    }

    /// `false` if it has to be tried again: somebody reads from the log just now.
    fn empty_log(&self) -> bool {
        open::empty_log(&self.decider.conn).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of the database cannot be emptied");
            false
        })
    }

    /// Brings to the disk what was committed, and answers.
    fn finish(&mut self, group: Group) -> Result<(), Unknown> {
        let began = Instant::now();
        (self.sync)(&self.log).map_err(|error| Unknown(format!("a sync failed: {error}")))?;
        self.arrivals
            .pace
            .synced(began.elapsed(), group.works.len());
        self.durable.send_replace(self.progress.begun());
        self.signals.tell(group.tell);
        for work in group.works {
            work.done(Ok(()));
        }
        Ok(())
    }

    /// Commits a group, with what else waits if it may grow. If one piece of work fails, each is done by itself, so that
    /// it fails alone.
    fn settle(&mut self, mut works: Vec<Box<dyn Work>>, may_grow: bool) -> Result<Group, Unknown> {
        let error = match self.attempt(&mut works, may_grow) {
            Ok(tell) => return Ok(Group { works, tell }),
            Err(Failure::Work(_)) if works.len() > 1 => {
                let mut all = Group::default();
                for work in works {
                    let one = self.settle(vec![work], false)?;
                    all.works.extend(one.works);
                    all.tell.add(one.tell);
                }
                return Ok(all);
            }
            Err(Failure::Work(error) | Failure::Group(error)) => error,
            Err(Failure::Unknown(unknown)) => return Err(unknown),
        };
        for work in works {
            work.done(Err(error.clone()));
        }
        Ok(Group::default())
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
                    Failure::Unknown(Unknown(format!("a commit failed: {error}")))
                }
            })
        });
        if let Err(Failure::Work(_) | Failure::Group(_)) = result {
            self.roll_back().map_err(Failure::Unknown)?;
        }
        result.map(|()| tell)
    }

    /// Some errors have rolled back already.
    fn roll_back(&self) -> Result<(), Unknown> {
        let conn = &self.decider.conn;
        if conn.is_autocommit() {
            return Ok(());
        }
        execute(conn, "ROLLBACK")
            .map_err(|error| Unknown(format!("a transaction cannot be undone: {error}")))
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
            moment: self.clock.moment(),
            rng: &mut *self.rng,
            tell,
        };
        let mut done = 0;
        loop {
            for work in &mut works[done..] {
                writing.moment = self.clock.moment();
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
    queue: Arc<Queue>,
    /// Work that was taken from the queue and not begun.
    works: VecDeque<Waiting>,
    patience: Duration,
    congestion: Arc<Congestion>,
    pace: Pace,
}

/// Whoever waits for what was not begun hears that it will not be.
impl Drop for Arrivals {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Arrivals {
    /// Waits for the work that a group begins with; `None` if there will be no more.
    fn wait(&mut self) -> Option<Box<dyn Work>> {
        self.works.append(&mut self.queue.take());
        let first = self.next().or_else(|| {
            self.queue.wait();
            self.next()
        })?;
        self.pace.begin(1 + self.works.len());
        Some(first)
    }

    /// Whether something waits, or there will be no more.
    fn has_news(&self) -> bool {
        !self.works.is_empty() || self.queue.has_news()
    }

    /// Work that may join a group of so many.
    fn joining(&mut self, group: usize) -> Option<Box<dyn Work>> {
        self.pace.may_grow(group).then(|| self.next()).flatten()
    }

    /// Work that waits, if any does.
    fn next(&mut self) -> Option<Box<dyn Work>> {
        if self.works.is_empty() {
            self.works = self.queue.take();
        }
        let next = self.works.pop_front();
        let waited = next.as_ref().map(|(_, since)| since.elapsed());
        self.congestion
            .set(waited.is_some_and(|waited| waited >= self.patience));
        next.map(|(work, _)| work)
    }
}

/// The [`Commit`] of SQLite.
pub(super) fn commit(conn: &Connection) -> rusqlite::Result<()> {
    execute(conn, "COMMIT")
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute(()).map(drop)
}
