//! A decision by itself: one reading of the user, the core, and one write on the version that was read. If somebody was
//! faster, all of it again. One at a time a user in this process, so that only [groups](super::groups) and other nodes can be
//! faster.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::Inner;
use super::database::{Kind, Patience};
use super::error::{Failure, corrupt};
use super::statement::{Change, Shared, Statement};
use crate::clock;
use crate::mfa::history::History;
use crate::mfa::ids::UserId;
use crate::store::deciding::{self, State, destination_key};
use crate::store::{Job, StoreError};

/// Locks that users share by their ids.
pub(super) struct Stripes(Vec<Mutex<()>>);

impl Default for Stripes {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Mutex::default()).collect())
    }
}

impl Stripes {
    fn of(&self, user: UserId) -> &Mutex<()> {
        &self.0[usize::try_from(user.get().unsigned_abs() % STRIPES).unwrap_or_default()]
    }
}

/// What is written of a decision.
struct Writes {
    user: Option<Statement>,
    /// What is written besides, where others write too.
    shared: Option<Statement>,
    tells: bool,
}

impl Inner {
    /// Decides, and commits; `false` if there is no such user.
    pub async fn decide(&self, id: UserId, job: &mut dyn Job) -> Result<bool, StoreError> {
        let _turn = self.stripes.of(id).lock().await;
        let until = Instant::now() + PATIENCE;
        let mut patience = Patience::new();
        let mut tries: u32 = 0;
        loop {
            let Some(writes) = self.prepare(id, job).await? else {
                return Ok(false);
            };
            match self.commit(&writes).await {
                Ok(true) => {
                    if writes.tells {
                        self.signals.messages.notify_one();
                    }
                    return Ok(true);
                }
                Ok(false) if Instant::now() < until => {
                    tries += 1;
                    metrics::counter!("factord_store_conflicts_total").increment(1);
                    sleep(pause(tries)).await;
                }
                Ok(false) => {
                    return Err(StoreError::Unavailable(
                        "others were faster too often".to_owned(),
                    ));
                }
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// Reads and decides; `None` if there is no such user.
    async fn prepare(&self, id: UserId, job: &mut dyn Job) -> Result<Option<Writes>, StoreError> {
        let Some((stored, now)) = self.stored(id).await? else {
            return Ok(None);
        };
        let mut user = stored.parse(id)?;
        let core = self.cores.current();
        let reads = job.reads(&core, &user);
        let destination = reads
            .destination
            .map(|destination| destination_key(&core, &destination));
        let (before, read) = match &destination {
            Some(key) => self.history(key).await?,
            None => (History::default(), 0),
        };
        let finished = match reads.finished.filter(|id| !user.mfa.has_pending(*id)) {
            Some(finished) => self.finished(id, finished).await?,
            None => None,
        };
        let known = self.hardware_of(reads.hardware).await?;
        let mut hardware = known.records();
        let mut history = before.clone();
        let rng = &mut clock::system_rng();
        let state = State {
            user: &mut user,
            history: &mut history,
            hardware: &mut hardware,
            finished: finished.as_ref(),
        };
        let effects = deciding::run(job, state, &core, now.into(), rng);
        let mut shared = Shared::default();
        if let Some(key) = destination.filter(|_| history != before) {
            shared.history(&key, read, &history, now, rng)?;
        }
        for (id, changed) in &hardware {
            if known.get(id) != Some(changed) {
                shared.hardware(id, known.version(id), changed, rng)?;
            }
        }
        let shared = shared.statement();
        let mut change = Change {
            core: &core,
            rng,
            now,
            stored: &stored,
            user: &user,
            effects: &effects,
            channel: &self.channels.messages,
            fails_if_stale: shared.is_some(),
        };
        Ok(Some(Writes {
            user: change.statement()?,
            shared,
            tells: !effects.messages.is_empty(),
        }))
    }

    /// Commits; `false` if what was read is stale.
    async fn commit(&self, writes: &Writes) -> Result<bool, Failure> {
        match (&writes.user, &writes.shared) {
            (None, _) => Ok(true),
            (Some(user), None) => {
                let values = user.values();
                let rows = self.db.once(Kind::Write, &user.sql, &values).await?;
                Ok(written(&rows)? == 1)
            }
            (Some(user), Some(shared)) => {
                let connection = self.db.connection().await?;
                let both = async |client: &Object| together(client, user, shared).await;
                self.db.on(connection, Kind::Write, both).await
            }
        }
    }
}

/// Both statements in one transaction, sent in one go.
async fn together(client: &Object, user: &Statement, shared: &Statement) -> Result<bool, Failure> {
    let prepare = async |statement: &Statement| {
        let prepared = client.prepare_cached(&statement.sql).await;
        prepared.map_err(|error| Failure::of_reading(&error))
    };
    let (first, second) = (prepare(user).await?, prepare(shared).await?);
    let (first_values, second_values) = (user.values(), shared.values());
    // Polled in this order, and each is sent when it is polled first.
    let (begun, one, other, committed) = tokio::join!(
        biased;
        client.batch_execute("BEGIN"),
        client.query(&first, &first_values),
        client.query(&second, &second_values),
        client.batch_execute("COMMIT"),
    );
    for result in [begun.err(), one.err(), other.err(), committed.err()] {
        match result {
            None => {}
            Some(error) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => return Ok(false),
            // What the server says after its first word is about that.
            Some(error) => return Err(Failure::of_writing(&error)),
        }
    }
    Ok(true)
}

/// How many users a statement wrote.
fn written(rows: &[Row]) -> Result<i64, Failure> {
    let count = rows.first().map(|row| row.try_get(0).map_err(corrupt));
    let none = || Err(StoreError::Corrupt("a count".to_owned()));
    count.unwrap_or_else(none).map_err(Failure::Refused)
}

/// A moment that grows and differs, so that nodes do not go on meeting.
fn pause(tries: u32) -> Duration {
    use rand::RngExt;

    let most = u64::from(tries.min(10)) * 2;
    Duration::from_millis(clock::system_rng().random_range(0..=most))
}

/// The store's part of a decision that is on its way.
pub(super) fn spawn(inner: Arc<Inner>, user: UserId, mut job: Box<dyn Job>) {
    tokio::spawn(async move {
        let result = inner.decide(user, &mut *job).await;
        job.done(result);
    });
}

const STRIPES: u64 = 1_024;
/// How long a decision may go on being too late.
const PATIENCE: Duration = Duration::from_secs(8);
