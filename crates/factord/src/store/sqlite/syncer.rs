//! The one thread that syncs. The writer hands it what is committed, and decides the next group meanwhile: a group is
//! answered, and what was read of it is shown, only when the log is on the disk.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::writer::{Fatal, Item, Signals, Tell, Work};
use crate::store::StoreError;

/// What was committed together.
pub(super) struct Group {
    /// The number of its commit.
    pub number: u64,
    /// Who is to be answered.
    pub works: Vec<Box<dyn Work>>,
    /// Whom else to tell.
    pub tell: Tell,
}

/// Brings the log to the disk.
pub(super) type SyncLog = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// The way to the thread. Dropping it waits until all that was handed over is answered.
pub(super) struct Syncer {
    groups: Option<Sender<Group>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread needs.
pub(super) struct Parts {
    /// The write-ahead log.
    pub log: File,
    /// Syncs it.
    pub sync: SyncLog,
    /// Who waits for commits of other people.
    pub signals: Signals,
    /// Called when a sync has failed.
    pub fatal: Fatal,
    /// Where readers see how far it has come.
    pub durable: watch::Sender<u64>,
    /// Where the writer hears of it.
    pub writer: SyncSender<Item>,
}

impl Syncer {
    /// Starts the thread.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let (groups, handed_over) = channel();
        let thread = std::thread::Builder::new()
            .name("store-syncer".to_owned())
            .spawn(move || parts.serve_or_stop(&handed_over))?;
        Ok(Self {
            groups: Some(groups),
            thread: Some(thread),
        })
    }

    /// Hands over what was committed; `false` if the thread has ended.
    pub fn hand_over(&self, group: Group) -> bool {
        self.groups
            .as_ref()
            .is_some_and(|groups| groups.send(group).is_ok())
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.groups = None;
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is done: there is nothing left to wait for.
            drop(thread.join());
        }
    }
}

impl Parts {
    fn serve_or_stop(mut self, handed_over: &Receiver<Group>) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve(handed_over)));
        let reason = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("a sync failed: {error}"),
            Err(_) => "the syncer panicked".to_owned(),
        };
        (self.fatal)(&reason);
        // It may have ended.
        drop(self.writer.send(Item::End));
    }

    fn serve(&mut self, handed_over: &Receiver<Group>) -> io::Result<()> {
        while let Ok(first) = handed_over.recv() {
            let mut groups = vec![first];
            groups.extend(handed_over.try_iter());
            (self.sync)(&self.log)?;
            let last = groups.last().map_or(0, |group| group.number);
            self.durable.send_replace(last);
            // The writer first: it has waited to commit more. It may have ended.
            drop(self.writer.send(Item::Synced(groups.len())));
            for group in groups {
                self.signals.tell(group.tell);
                for work in group.works {
                    work.done(Ok(()));
                }
            }
        }
        Ok(())
    }
}

/// How far the commits have come, for those who read: a commit can be read before it is synced, and must not be shown
/// before.
pub(super) struct Progress {
    begun: AtomicU64,
    durable: watch::Receiver<u64>,
}

impl Progress {
    /// Nothing has begun yet; and where the syncer says what is durable.
    pub fn new() -> (Arc<Self>, watch::Sender<u64>) {
        let (sender, durable) = watch::channel(0);
        let progress = Self {
            begun: AtomicU64::new(0),
            durable,
        };
        (Arc::new(progress), sender)
    }

    /// A commit begins: from now on it may be read.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// The number of the commit that began last.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits until all that can have been read is durable. To be called after the reading.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it will never be.
    pub async fn caught_up(&self) -> Result<(), StoreError> {
        let begun = self.begun();
        if *self.durable.borrow() >= begun {
            return Ok(());
        }
        let mut durable = self.durable.clone();
        let reached = durable.wait_for(|durable| *durable >= begun).await;
        reached
            .map(drop)
            .map_err(|_| StoreError::Unavailable("the store has stopped".to_owned()))
    }
}
