//! The store on SQLite: one file, one thread that writes in groups, and readers that wait for it only to show nothing that
//! is not durable.

mod copying;
mod credentials;
mod decision;
mod error;
mod events;
mod filter;
mod hardware;
mod messages;
mod open;
mod pace;
mod progress;
mod queue;
mod readers;
#[cfg(test)]
mod tests;
mod transfer;
mod upkeep;
mod users;
mod writer;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::{
    Answer, EventFilter, Job, Loaded, OutboxFilter, Sending, Store, StoreError, StoredMessage,
    UserFilter, UserPage,
};
use crate::audit::StoredEvent;
use crate::auth::{Credential, TokenPair};
use crate::clock::{self, Clock, Timestamp};
use crate::crypto::tokens::TokenHash;
use crate::mfa::cores::Cores;
use crate::mfa::hardware::{Hardware, Known};
use crate::mfa::ids::UserId;
use crate::mfa::user::{Profile, User};
use copying::Copying;
use decision::Decision;
pub use open::{OpenError, backup, schema};
use progress::Progress;
use readers::Readers;
pub use transfer::Mover;
use writer::{Congestion, Signals, Surroundings, Work, Writer, Writing};

/// A store in a SQLite file. Several processes may use the same file; none keeps anything of a user in memory.
///
/// Readings of single rows run on the calling thread: they take microseconds, less than handing them over would.
/// Dropping the store waits for the writes that were submitted.
pub struct SqliteStore {
    cores: Cores,
    clock: Arc<dyn Clock>,
    signals: Signals,
    readers: Arc<Readers>,
    writer: Writer,
    progress: Arc<Progress>,
    congestion: Arc<Congestion>,
}

impl SqliteStore {
    /// Opens the database in `folder`; it and the folder are made, for their owner alone, if they are not there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then.
    pub fn open(
        folder: &Path,
        cores: impl Into<Cores>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Self::open_in(folder, Surroundings::of(cores.into(), clock))
    }

    fn open_in(folder: &Path, mut surroundings: Surroundings) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let mut conn = open::writer(
            &path,
            &surroundings.cores.current().keys,
            &mut *surroundings.rng,
        )?;
        let (cores, clock) = (surroundings.cores.clone(), Arc::clone(&surroundings.clock));
        let signals = surroundings.signals.clone();
        let log = File::open(folder.join(LOG)).map_err(|source| OpenError::Create {
            path: folder.join(LOG),
            source,
        })?;
        let large = surroundings.large;
        let copying = Copying::take_over(&mut conn, path.clone(), large);
        let copying = copying.map_err(|source| OpenError::Sqlite {
            path: path.clone(),
            source,
        })?;
        let started = Writer::start(conn, log, copying, surroundings).map_err(OpenError::Thread)?;
        Ok(Self {
            cores,
            clock,
            signals,
            readers: Arc::new(Readers::of(path)),
            writer: started.writer,
            progress: started.progress,
            congestion: started.congestion,
        })
    }

    /// A reading of few rows, on the calling thread.
    fn read<'a, T: Send>(
        &'a self,
        reading: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let answer = self.readers.read(reading)?;
            self.progress.caught_up().await?;
            Ok(answer)
        })
    }

    /// A reading that may take long, on a thread for such.
    fn scan<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        let readers = Arc::clone(&self.readers);
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(move || readers.read(reading))
                .await
                .unwrap_or_else(|_| {
                    Err(StoreError::Unavailable("a reading ended early".to_owned()))
                })?;
            self.progress.caught_up().await?;
            Ok(answer)
        })
    }

    fn write<T: Send + 'static>(
        &self,
        writing: impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            self.writer.submit(Box::new(Write {
                writing,
                answer: None,
                sender,
            }));
            receiver.await.unwrap_or_else(|_| {
                Err(StoreError::Unavailable("the store has stopped".to_owned()))
            })
        })
    }
}

/// The last connection to close tidies the log away, and a reader cannot.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close();
    }
}

impl Store for SqliteStore {
    fn submit(&self, user: UserId, job: Box<dyn Job>) {
        self.writer.submit(Box::new(Decision::about(user, job)));
    }

    fn load(&self, user: UserId, finished: Option<Uuid>) -> Answer<'_, Option<Loaded>> {
        self.read(move |conn| {
            let now = self.clock.now();
            let loaded = users::load(conn, user, finished)?;
            Ok(loaded.map(|(user, finished)| Loaded {
                user,
                finished,
                now,
            }))
        })
    }

    fn linked_user(&self, token: TokenHash) -> Answer<'_, Option<UserId>> {
        self.read(move |conn| users::linked(conn, &token, self.clock.now()))
    }

    fn create_user(&self, profile: Profile) -> Answer<'_, User> {
        self.write(move |writing| users::create(writing, &profile))
    }

    fn users(&self, filter: UserFilter) -> Answer<'_, UserPage> {
        self.scan(move |conn| filter::users(conn, &filter))
    }

    fn events(&self, filter: EventFilter) -> Answer<'_, Vec<StoredEvent>> {
        self.scan(move |conn| events::events(conn, &filter))
    }

    fn insert_credential(&self, credential: Credential) -> Answer<'_, ()> {
        self.write(move |writing| credentials::insert(writing.conn, &credential, writing.now()))
    }

    fn credential(&self, id: String) -> Answer<'_, Option<Credential>> {
        self.read(move |conn| credentials::find(conn, &id))
    }

    fn credentials(&self) -> Answer<'_, Vec<Credential>> {
        self.scan(credentials::all)
    }

    fn revoke_credential(&self, id: String) -> Answer<'_, bool> {
        self.write(move |writing| credentials::revoke(writing.conn, &id, writing.now()))
    }

    fn insert_token(&self, pair: TokenPair) -> Answer<'_, ()> {
        self.write(move |writing| credentials::insert_token(writing.conn, &pair))
    }

    fn token(&self, access: TokenHash) -> Answer<'_, Option<TokenPair>> {
        self.read(move |conn| credentials::token(conn, &access))
    }

    fn replace_token(
        &self,
        access: TokenHash,
        refresh: TokenHash,
        new: TokenPair,
    ) -> Answer<'_, bool> {
        self.write(move |writing| credentials::replace_token(writing.conn, &access, &refresh, &new))
    }

    fn revoke_token(&self, access: TokenHash, credential: String) -> Answer<'_, bool> {
        self.write(move |writing| credentials::revoke_token(writing.conn, &access, &credential))
    }

    fn waiting_messages(&self, limit: usize) -> Answer<'_, Vec<StoredMessage>> {
        let (core, clock) = (self.cores.current(), Arc::clone(&self.clock));
        self.scan(move |conn| messages::waiting(conn, &core, clock.now(), limit))
    }

    fn settle_message(&self, id: i64, outcome: Sending) -> Answer<'_, ()> {
        self.write(move |writing| messages::settle(writing.conn, id, outcome))
    }

    fn move_to_outbox(&self, id: i64) -> Answer<'_, ()> {
        self.write(move |writing| messages::move_to_outbox(writing, id))
    }

    fn outbox(&self, filter: OutboxFilter) -> Answer<'_, Vec<StoredMessage>> {
        let core = self.cores.current();
        self.scan(move |conn| messages::outbox(conn, &core, &filter))
    }

    fn import_hardware(&self, new: Vec<(String, Hardware)>) -> Answer<'_, Vec<String>> {
        self.write(move |writing| hardware::import(writing.conn, &new))
    }

    fn hardware(&self) -> Answer<'_, Known> {
        self.scan(hardware::all)
    }

    fn setting(&self, name: &'static str) -> Answer<'_, Option<String>> {
        self.read(move |conn| upkeep::setting(conn, name))
    }

    fn set_setting(&self, name: &'static str, value: String) -> Answer<'_, ()> {
        self.write(move |writing| upkeep::set_setting(writing.conn, name, &value))
    }

    fn end_sessions(&self) -> Answer<'_, usize> {
        self.write(upkeep::end_sessions)
    }

    fn clean_up(&self, limit: usize) -> Answer<'_, usize> {
        self.write(move |writing| upkeep::clean_up(writing, limit))
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.write(upkeep::ping)
    }

    fn is_congested(&self) -> bool {
        self.congestion.is_on()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn message_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.signals.messages)
    }

    fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.signals.outbox)
    }
}

/// A write that is no decision about a user.
struct Write<T, F> {
    writing: F,
    answer: Option<T>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Write<T, F>
where
    T: Send,
    F: FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        self.answer = Some((self.writing)(writing)?);
        Ok(())
    }

    fn done(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { answer, sender, .. } = *self;
        let answer = result.and_then(|()| {
            answer.ok_or_else(|| StoreError::Unavailable("nothing was written".to_owned()))
        });
        // Whoever asked may have gone; what was written stands.
        drop(sender.send(answer));
    }
}

impl Surroundings {
    fn of(cores: Cores, clock: Arc<dyn Clock>) -> Self {
        Self {
            cores,
            clock,
            rng: Box::new(clock::system_rng()),
            signals: Signals::default(),
            fatal: Arc::new(stop_the_process),
            commit: Box::new(writer::commit),
            sync: Box::new(File::sync_data),
            patience: PATIENCE,
            large: copying::LARGE,
        }
    }
}

/// What is on the disk is unknown, or nothing can be written any more: no answer can be true, so that the process must
/// end and read it anew.
fn stop_the_process(reason: &str) {
    // The log is written in the background, which ends with the process: this is said at once.
    drop(writeln!(
        std::io::stderr(),
        "error: the database cannot say what it holds, so factord stops: {reason}"
    ));
    std::process::abort();
}

fn user_id(number: i64) -> Result<UserId, StoreError> {
    UserId::new(number).ok_or_else(|| StoreError::Corrupt("a user's id".to_owned()))
}

/// A limit or offset as SQLite takes it.
fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How long a write may wait for its turn before new ones are better sent again: far longer than the slowest sync in
/// ordinary times, and short enough that who waits behind it is still answered in a quarter of a second.
const PATIENCE: Duration = Duration::from_millis(100);
/// The database's name within its folder.
pub const FILE: &str = "factord.db";
/// Its write-ahead log, which SQLite names so.
const LOG: &str = "factord.db-wal";
