//! The connections to the database, and single statements on them: bounded in time, and tried again only where they have
//! certainly not happened.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::error::Failure;
use super::settings::{BadUrl, PostgresSettings};
use super::time::DatabaseClock;
use crate::clock::{Clock, Timestamp};
use crate::store::StoreError;

/// The connections of a process.
pub(super) struct Database {
    pool: Pool,
    /// The database's time.
    pub clock: Arc<DatabaseClock>,
    /// What decisions are made by in tests, in the place of the database's time.
    given: Option<Arc<dyn Clock>>,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only reads: repeating it is safe.
    Read,
    /// It writes and commits.
    Write,
}

/// Values that a statement is given.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Database {
    /// Connections as `settings` say; none is made yet.
    pub fn new(settings: &PostgresSettings, given: Option<Arc<dyn Clock>>) -> Result<Self, BadUrl> {
        let manager = Manager::from_config(
            settings.config.clone(),
            settings.tls()?,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_WAIT))
            .create_timeout(Some(CONNECTION_WAIT))
            .recycle_timeout(Some(CONNECTION_WAIT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    match undurable(client).await {
                        Ok(None) => Ok(()),
                        Ok(Some(reason)) => Err(HookError::message(reason)),
                        Err(error) => Err(HookError::Backend(error)),
                    }
                })
            }))
            .build()
            .map_err(|error| BadUrl(error.to_string()))?;
        Ok(Self {
            pool,
            clock: Arc::default(),
            given,
        })
    }

    /// What reads, perhaps more than once.
    pub async fn read(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.statement(Kind::Read, sql, values).await
    }

    /// What writes. [`StoreError::Unavailable`] where it is not known whether it was done, too.
    pub async fn write(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.statement(Kind::Write, sql, values).await
    }

    async fn statement(
        &self,
        kind: Kind,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut patience = Patience::new();
        loop {
            match self.once(kind, sql, values).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// One try of one statement on a connection of its own.
    pub async fn once(
        &self,
        kind: Kind,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let connection = self.connection().await?;
        self.on(connection, kind, async |client: &Object| {
            let statement = client.prepare_cached(sql).await;
            let statement = statement.map_err(|error| Failure::of_reading(&error))?;
            let rows = client.query(&statement, values).await;
            rows.map_err(|error| match kind {
                Kind::Read => Failure::of_reading(&error),
                Kind::Write => Failure::of_writing(&error),
            })
        })
        .await
    }

    /// Works on a connection, which is given up if it fails or no answer comes in time.
    pub async fn on<T>(
        &self,
        connection: Object,
        kind: Kind,
        work: impl AsyncFnOnce(&Object) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let late = StoreError::Unavailable("the database did not answer in time".to_owned());
        let result = timeout(ANSWER, work(&connection)).await;
        let result = result.unwrap_or_else(|_| {
            Err(match kind {
                Kind::Read => Failure::NotDone(late),
                Kind::Write => Failure::Unknown(late),
            })
        });
        if let Err(Failure::NotDone(_) | Failure::Unknown(_)) = &result {
            drop(Object::take(connection));
            // What happened to one connection has likely happened to all: those that are idle are made anew.
            self.pool.retain(|_, _| false);
        }
        result
    }

    /// A connection to use for a while.
    pub async fn connection(&self) -> Result<Object, Failure> {
        Ok(self.pool.get().await?)
    }

    /// The time that a row holds from column `first` on, where [`NOW`] was selected.
    pub fn time(&self, row: &Row, first: usize) -> Result<Timestamp, StoreError> {
        let cannot = super::error::corrupt;
        let micros = row.try_get(first).map_err(cannot)?;
        let offset = row.try_get(first + 1).map_err(cannot)?;
        let now = self.clock.read(micros, offset);
        Ok(self.given.as_ref().map_or(now, |given| given.now()))
    }

    /// The time as far as it is known without asking.
    pub fn now(&self) -> Timestamp {
        self.given
            .as_ref()
            .map_or_else(|| self.clock.now(), |given| given.now())
    }

    /// Asks for the time.
    pub async fn ask_time(&self) -> Result<Timestamp, StoreError> {
        let rows = self.read(&format!("SELECT {NOW}"), &[]).await?;
        let row = rows.first();
        let row = row.ok_or_else(|| StoreError::Corrupt("the time".to_owned()))?;
        self.time(row, 0)
    }
}

/// How often and how long something is tried.
pub(super) struct Patience {
    until: Instant,
    tries: u32,
}

impl Patience {
    pub fn new() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            tries: 0,
        }
    }

    /// Waits a moment before the next try.
    ///
    /// Fails if there is to be none: it may have happened, would fail again, or was tried often enough.
    pub async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        let Failure::NotDone(error) = failure else {
            return Err(failure.into_error());
        };
        self.tries += 1;
        if self.tries >= MOST_TRIES || Instant::now() >= self.until {
            return Err(error);
        }
        sleep(BETWEEN_TRIES * self.tries).await;
        Ok(())
    }
}

/// What of the server would let it acknowledge what it can lose, or is too old; `None` if all is well.
pub(super) async fn undurable(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'),
                    current_setting('full_page_writes'), current_setting('server_version_num')::int",
            &[],
        )
        .await?;
    let setting = |index| row.try_get::<_, String>(index);
    let (fsync, commit, pages) = (setting(0)?, setting(1)?, setting(2)?);
    Ok(if row.try_get::<_, i32>(3)? < 150_000 {
        Some("the server is older than PostgreSQL 15".to_owned())
    } else if fsync == "off" || pages == "off" {
        Some("the server runs with fsync or full_page_writes off: what it acknowledges would not be durable".to_owned())
    } else if commit == "off" {
        Some("the server has synchronous_commit off for this user or database: what it acknowledges would not be durable".to_owned())
    } else {
        None
    })
}

/// The columns that [`Database::time`] reads: the server's time of day in microseconds, and the offset of `factord dev`.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    coalesce((SELECT value::bigint FROM settings WHERE name = 'clock_offset'), 0)";

/// How long to wait for a connection, and for one to be made.
const CONNECTION_WAIT: Duration = Duration::from_secs(3);
/// How long to wait for an answer: longer than the server works on a statement.
const ANSWER: Duration = Duration::from_secs(6);
/// How long after its beginning something is tried once more.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST_TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
