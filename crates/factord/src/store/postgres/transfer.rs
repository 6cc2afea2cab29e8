//! A whole database written to a stream, and read from one; and a database closed, for good or for a while.

mod closing;
mod load;

use tokio_postgres::{Client, Row as Found, Transaction};

use super::error::{corrupt, unavailable};
use super::open::connect;
use super::settings::PostgresSettings;
use crate::crypto::keys::Keys;
use crate::store::StoreError;
use crate::store::transfer::stream::Reader;
use crate::store::transfer::{
    CLOSED, IMPORTED, OWN_SETTINGS, RESTORED, RESTORING, Row, Standing, TABLES, Tallying, Totals,
    TransferError, Type, Value,
};
use closing::{begin_restoring, set_setting, setting, shut, standing, tables};
use load::{empty, load};

/// A connection for moving a database.
pub struct Mover {
    client: Client,
}

impl Mover {
    /// Connects, without bounds on how long a statement takes: what is moved may be large. It may change a database that
    /// is being restored.
    ///
    /// # Errors
    /// [`TransferError::Postgres`].
    pub async fn open(settings: &PostgresSettings) -> Result<Self, TransferError> {
        let client = connect(&settings.clone().restoring()).await?;
        client
            .batch_execute(
                "SET statement_timeout = 0; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0",
            )
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self { client })
    }

    /// Whether it may be changed.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn standing(&mut self) -> Result<Standing, TransferError> {
        let reading = self
            .client
            .transaction()
            .await
            .map_err(|error| failed(&error))?;
        standing(&reading).await
    }

    /// The stream that it was imported from.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn imported(&mut self) -> Result<Option<String>, TransferError> {
        let reading = self
            .client
            .transaction()
            .await
            .map_err(|error| failed(&error))?;
        setting(&reading, IMPORTED).await
    }

    /// Lets nobody change it any more, whichever node has it open; `stream` remembers by which. Waits for the changes that
    /// are being made: what was acknowledged is there when this returns, and nothing is acknowledged afterwards.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn close(&mut self, stream: &str) -> Result<(), TransferError> {
        let changing = self.begin().await?;
        shut(&changing).await?;
        if standing(&changing).await? == Standing::Open {
            set_setting(&changing, CLOSED, stream).await?;
        }
        commit(changing).await
    }

    /// Begins to restore what is there: opens a database that was exported for good, and lets nobody but the sessions that
    /// restore change it.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn begin_restoring(&mut self) -> Result<(), TransferError> {
        let changing = self.begin().await?;
        shut(&changing).await?;
        run(
            &changing,
            &format!("DELETE FROM settings WHERE name = '{CLOSED}'"),
        )
        .await?;
        begin_restoring(&changing).await?;
        commit(changing).await
    }

    /// Opens it to everybody again, after it was closed or restored.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn reopen(&mut self) -> Result<(), TransferError> {
        let changing = self.begin().await?;
        let triggers = tables(&changing).await?;
        let drop = |table: &String| format!("DROP TRIGGER IF EXISTS factord_closed ON {table};");
        let drops: String = triggers.iter().map(drop).collect();
        run(
            &changing,
            &(drops + "DROP FUNCTION IF EXISTS factord_closed();"),
        )
        .await?;
        run(
            &changing,
            &format!("DELETE FROM settings WHERE name = '{CLOSED}'"),
        )
        .await?;
        if standing(&changing).await? == Standing::Restoring {
            set_setting(&changing, RESTORING, RESTORED).await?;
        }
        commit(changing).await
    }

    /// Hands over every row as it is at one moment.
    ///
    /// # Errors
    /// [`TransferError`], also that of `each`.
    pub async fn export(
        &mut self,
        mut each: impl FnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let reading = self.client.build_transaction();
        let reading = reading
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true);
        let reading = reading.start().await.map_err(|error| failed(&error))?;
        rows(&reading, &mut each).await?;
        commit(reading).await
    }

    /// Takes every row of a stream into the empty database, all or none, and gives what is stored then.
    ///
    /// # Errors
    /// [`TransferError`]; nothing was changed then, unless the server was lost while it was committing.
    pub async fn import(
        &mut self,
        stream: &mut Reader,
        keys: &Keys,
    ) -> Result<Totals, TransferError> {
        let changing = self.begin().await?;
        let locked = tables(&changing).await?.join(", ");
        run(
            &changing,
            &format!("LOCK TABLE {locked} IN SHARE ROW EXCLUSIVE MODE"),
        )
        .await?;
        empty(&changing).await?;
        load(&changing, stream).await?;
        let mut stored = Tallying::new(keys);
        rows(&changing, &mut |row| {
            stored.add(row.table, &row.to_json());
            Ok(())
        })
        .await?;
        let stored = stored.totals();
        if let Some(written) = stream.totals() {
            stored.check(written, "the stored rows")?;
        }
        set_setting(&changing, IMPORTED, &stream.header.stream).await?;
        if !stream.header.is_final {
            shut(&changing).await?;
            begin_restoring(&changing).await?;
        }
        commit(changing).await?;
        Ok(stored)
    }

    async fn begin(&mut self) -> Result<Transaction<'_>, TransferError> {
        self.client
            .transaction()
            .await
            .map_err(|error| failed(&error))
    }
}

async fn commit(transaction: Transaction<'_>) -> Result<(), TransferError> {
    transaction.commit().await.map_err(|error| failed(&error))
}

async fn run(transaction: &Transaction<'_>, sql: &str) -> Result<(), TransferError> {
    transaction
        .batch_execute(sql)
        .await
        .map_err(|error| failed(&error))
}

fn failed(error: &tokio_postgres::Error) -> TransferError {
    TransferError::Store(unavailable(error))
}

async fn rows(
    transaction: &Transaction<'_>,
    each: &mut dyn FnMut(Row) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    for (table, described) in TABLES.iter().enumerate() {
        let columns = described.columns.iter().map(|(name, kind)| match kind {
            Type::Uuid => format!("uuid_send({name})"),
            _ => (*name).to_owned(),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let (name, own) = (described.name, OWN_SETTINGS.join("', '"));
        let sql = match name {
            "settings" => {
                format!("SELECT {columns} FROM settings WHERE name NOT IN ('{own}') ORDER BY name")
            }
            "counters" => LAST_IDS.to_owned(),
            _ => format!(
                "SELECT {columns} FROM {name} ORDER BY {}",
                described.columns[0].0
            ),
        };
        run(
            transaction,
            &format!("DECLARE reading NO SCROLL CURSOR FOR {sql}"),
        )
        .await?;
        let fetch = transaction
            .prepare(&format!("FETCH {BATCH} FROM reading"))
            .await;
        let fetch = fetch.map_err(|error| failed(&error))?;
        loop {
            let found = transaction.query(&fetch, &[]).await;
            let found = found.map_err(|error| failed(&error))?;
            if found.is_empty() {
                break;
            }
            for row in &found {
                let values = described.columns.iter().enumerate();
                let values = values.map(|(index, (_, kind))| read(row, index, *kind));
                let values = values.collect::<Result<_, StoreError>>()?;
                each(Row { table, values })?;
            }
        }
        run(transaction, "CLOSE reading").await?;
    }
    Ok(())
}

fn read(row: &Found, index: usize, kind: Type) -> Result<Value, StoreError> {
    Ok(match kind {
        Type::Integer => row
            .try_get::<_, Option<i64>>(index)
            .map_err(corrupt)?
            .map_or(Value::Null, Value::Integer),
        Type::Text => row
            .try_get::<_, Option<String>>(index)
            .map_err(corrupt)?
            .map_or(Value::Null, Value::Text),
        Type::Bytes | Type::Uuid => row
            .try_get::<_, Option<Vec<u8>>>(index)
            .map_err(corrupt)?
            .map_or(Value::Null, Value::Bytes),
    })
}

const LAST_IDS: &str = "SELECT 'messages'::text AS name, CASE WHEN is_called THEN last_value ELSE 0 END FROM message_ids
    UNION ALL SELECT 'users', CASE WHEN is_called THEN last_value ELSE 0 END FROM user_ids ORDER BY name";
/// Rows that are read and written at once.
const BATCH: usize = 500;
/// What says of a session that it restores.
pub(super) const SESSION: &str = "factord.restores";
