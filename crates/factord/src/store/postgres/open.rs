//! Opening a database: its schema, brought up to date by one node at a time, and whether the key is the right one.

use rand::CryptoRng;
use tokio_postgres::Client;

use super::database::undurable;
use super::settings::{BadUrl, PostgresSettings};
use crate::crypto::keys::Keys;
use crate::crypto::sealing::{Place, Sealed};

/// Why a PostgreSQL database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PostgresOpenError {
    /// The way to it is not usable.
    #[error("the database cannot be used: {0}")]
    Settings(#[from] BadUrl),
    /// It does not answer, or refuses.
    #[error("{database} cannot be opened: {reason}")]
    Unreachable {
        /// Which.
        database: String,
        /// What the network or the server says.
        reason: String,
    },
    /// It would acknowledge what it can lose.
    #[error("{database} must not be used: {reason}")]
    Undurable {
        /// Which.
        database: String,
        /// Which setting.
        reason: String,
    },
    /// A newer factord has changed its schema beyond what this one can read.
    #[error(
        "{database} has schema {found}, which this factord cannot use (it knows schemas up to {known}): use the newer factord"
    )]
    Newer {
        /// Which.
        database: String,
        /// Its schema.
        found: i32,
        /// The newest schema that is known here.
        known: i32,
    },
    /// It was sealed with another key.
    #[error(
        "{database} was sealed with another key: start every node with the key that it was created with; without that \
         key nothing sealed in it can be read"
    )]
    WrongKey {
        /// Which.
        database: String,
    },
}

/// The schema of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The newest migration that was run on it; 0 if none was.
    pub found: i32,
    /// The oldest schema whose programs may go on using it.
    pub usable_from: i32,
    /// The newest migration that is known here.
    pub known: i32,
}

/// What every session needs to know of the database.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// A number that differs between two schemas of one database: part of each lock and channel.
    pub schema: i32,
}

/// Brings the schema up to date, and checks the key.
pub(super) async fn open(
    settings: &PostgresSettings,
    keys: &Keys,
    rng: &mut (dyn CryptoRng + Send),
) -> Result<Identity, PostgresOpenError> {
    let opening = Opening { settings };
    let client = opening.connect().await?;
    let identity = opening.identity(&client).await?;
    opening.locked(&client, identity.schema).await?;
    let status = opening.migrate(&client).await?;
    opening.unlock(&client, identity.schema).await?;
    if status.usable_from > status.known {
        return Err(PostgresOpenError::Newer {
            database: settings.to_string(),
            found: status.found,
            known: status.known,
        });
    }
    if !opening.key_fits(&client, keys, rng).await? {
        return Err(PostgresOpenError::WrongKey {
            database: settings.to_string(),
        });
    }
    Ok(identity)
}

/// The schema of a database, which is not changed.
///
/// # Errors
/// [`PostgresOpenError`] if it cannot be asked.
pub async fn status(settings: &PostgresSettings) -> Result<SchemaStatus, PostgresOpenError> {
    let opening = Opening { settings };
    let client = opening.connect().await?;
    opening.status(&client).await
}

/// Runs the migrations that the database has not seen.
///
/// # Errors
/// [`PostgresOpenError`] if they could not be run; each was run whole or not at all.
pub async fn migrate(settings: &PostgresSettings) -> Result<SchemaStatus, PostgresOpenError> {
    let opening = Opening { settings };
    let client = opening.connect().await?;
    let identity = opening.identity(&client).await?;
    opening.locked(&client, identity.schema).await?;
    let status = opening.migrate(&client).await?;
    opening.unlock(&client, identity.schema).await?;
    Ok(status)
}

/// A connection to the database, of which nothing is known yet.
pub(super) async fn connect(settings: &PostgresSettings) -> Result<Client, PostgresOpenError> {
    Opening { settings }.connect().await
}

struct Opening<'a> {
    settings: &'a PostgresSettings,
}

impl Opening<'_> {
    /// A connection of its own, since the lock belongs to it.
    async fn connect(&self) -> Result<Client, PostgresOpenError> {
        let tls = self.settings.tls()?;
        let connecting = self.settings.config.connect(tls).await;
        let (client, connection) = connecting.map_err(|error| self.unreachable(&error))?;
        tokio::spawn(async move {
            // Whoever uses the connection hears of it.
            drop(connection.await);
        });
        match undurable(&client).await {
            Ok(None) => Ok(client),
            Ok(Some(reason)) => Err(PostgresOpenError::Undurable {
                database: self.settings.to_string(),
                reason,
            }),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    async fn identity(&self, client: &Client) -> Result<Identity, PostgresOpenError> {
        let sql = "SELECT hashtext(current_schema()::text)";
        let row = client.query_one(sql, &[]).await;
        let row = row.map_err(|error| self.unreachable(&error))?;
        let schema = row.try_get::<_, Option<i32>>(0);
        match schema.map_err(|error| self.unreachable(&error))? {
            Some(schema) => Ok(Identity { schema }),
            None => Err(PostgresOpenError::Unreachable {
                database: self.settings.to_string(),
                reason: "there is no schema to put tables into (see search_path)".to_owned(),
            }),
        }
    }

    /// Waits for the lock, however long another node migrates.
    async fn locked(&self, client: &Client, schema: i32) -> Result<(), PostgresOpenError> {
        let sql =
            "SET statement_timeout = 0; SET lock_timeout = 0; SET client_min_messages = warning";
        self.run(client, sql).await?;
        let sql = format!("SELECT pg_advisory_lock({MIGRATION_LOCK}, {schema})");
        self.run(client, &sql).await
    }

    async fn unlock(&self, client: &Client, schema: i32) -> Result<(), PostgresOpenError> {
        let sql = format!("SELECT pg_advisory_unlock({MIGRATION_LOCK}, {schema})");
        self.run(client, &sql).await
    }

    async fn migrate(&self, client: &Client) -> Result<SchemaStatus, PostgresOpenError> {
        let found = self.status(client).await?.found;
        for (number, migration) in (1..).zip(MIGRATIONS) {
            if number <= found {
                continue;
            }
            let (sql, usable_from) = (migration.sql, migration.usable_from);
            self.run(
                client,
                &format!(
                    "BEGIN; CREATE TABLE IF NOT EXISTS schema_migrations
                        (number int PRIMARY KEY, usable_from int NOT NULL, run_at timestamptz NOT NULL DEFAULT now());
                     {sql}
                     INSERT INTO schema_migrations (number, usable_from) VALUES ({number}, {usable_from}); COMMIT"
                ),
            )
            .await?;
        }
        self.status(client).await
    }

    async fn status(&self, client: &Client) -> Result<SchemaStatus, PostgresOpenError> {
        let unreachable = |error| self.unreachable(&error);
        let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
        let sql = "SELECT to_regclass('schema_migrations') IS NOT NULL";
        let row = client.query_one(sql, &[]).await.map_err(unreachable)?;
        let (mut found, mut usable_from) = (0, 0);
        if row.try_get(0).map_err(unreachable)? {
            let sql =
                "SELECT number, usable_from FROM schema_migrations ORDER BY number DESC LIMIT 1";
            if let Some(row) = client.query_opt(sql, &[]).await.map_err(unreachable)? {
                found = row.try_get(0).map_err(unreachable)?;
                usable_from = row.try_get(1).map_err(unreachable)?;
            }
        }
        Ok(SchemaStatus {
            found,
            usable_from,
            known,
        })
    }

    /// Whether `keys` open what the first opening sealed; the first opening seals it.
    async fn key_fits(
        &self,
        client: &Client,
        keys: &Keys,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<bool, PostgresOpenError> {
        let unreachable = |error| self.unreachable(&error);
        let sql = "SELECT value FROM settings WHERE name = $1";
        let found = client.query_opt(sql, &[&KEY_CHECK]).await;
        let row = if let Some(row) = found.map_err(unreachable)? {
            row
        } else {
            let sealed = keys.seal(rng, KEY_CHECK_PLACE, KEY_CHECK.as_bytes());
            let insert =
                "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let done = client
                .execute(insert, &[&KEY_CHECK, &sealed.as_str()])
                .await;
            done.map_err(unreachable)?;
            let found = client.query_one(sql, &[&KEY_CHECK]).await;
            found.map_err(unreachable)?
        };
        let sealed = Sealed::from_stored(row.try_get(0).map_err(unreachable)?);
        Ok(keys.open(KEY_CHECK_PLACE, &sealed).is_ok())
    }

    async fn run(&self, client: &Client, sql: &str) -> Result<(), PostgresOpenError> {
        let done = client.batch_execute(sql).await;
        done.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &tokio_postgres::Error) -> PostgresOpenError {
        PostgresOpenError::Unreachable {
            database: self.settings.to_string(),
            reason: super::error::unavailable(error).to_string(),
        }
    }
}

/// One step of the schema.
struct Migration {
    sql: &'static str,
    /// The oldest schema whose programs go on working after it. A migration expands first; what older programs use is
    /// taken away by a later one.
    usable_from: i32,
}

/// The schema, one step a file; a step that was released never changes.
const MIGRATIONS: [Migration; 1] = [Migration {
    sql: include_str!("../migrations/postgres/0001_initial.sql"),
    usable_from: 1,
}];

/// The first half of the key of the lock under which the schema is changed; the second says which schema.
const MIGRATION_LOCK: i32 = 0x6661_6301;
/// The same for the background work.
pub(super) const DUTY_LOCK: i32 = 0x6661_6302;
const KEY_CHECK: &str = "key_check";
const KEY_CHECK_PLACE: Place = Place {
    purpose: "key check",
    user: 0,
    record: 0,
};
