//! A whole database written to a stream, and read from one; and a database closed, for good or for a while.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row as Found, Transaction};
use uuid::Uuid;

use super::error::{corrupt, unavailable, unreadable};
use super::open::connect;
use super::settings::PostgresSettings;
use super::statement::Columns;
use crate::clock::Timestamp;
use crate::crypto::keys::Keys;
use crate::mfa::user::{Mfa, Profile};
use crate::store::StoreError;
use crate::store::deciding::Lookup;
use crate::store::transfer::stream::Reader;
use crate::store::transfer::{
    CLOSED, CLOSED_SAYS, IMPORTED, OWN_SETTINGS, RESTORED, RESTORING, Row, Standing, TABLES,
    Tallying, Totals, TransferError, Type, Value,
};

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

async fn setting(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<String>, TransferError> {
    let sql = "SELECT value FROM settings WHERE name = $1";
    let row = transaction.query_opt(sql, &[&name]).await;
    let row = row.map_err(|error| failed(&error))?;
    Ok(row.map(|row| row.try_get(0).map_err(corrupt)).transpose()?)
}

async fn set_setting(
    transaction: &Transaction<'_>,
    name: &str,
    value: &str,
) -> Result<(), TransferError> {
    let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let done = transaction.execute(sql, &[&name, &value]).await;
    done.map(drop).map_err(|error| failed(&error))
}

async fn standing(transaction: &Transaction<'_>) -> Result<Standing, TransferError> {
    let closed = setting(transaction, CLOSED).await?;
    let restoring = setting(transaction, RESTORING).await?;
    Ok(Standing::of(closed.as_deref(), restoring.as_deref()))
}

/// Remembers the newest event, once.
async fn begin_restoring(transaction: &Transaction<'_>) -> Result<(), TransferError> {
    if standing(transaction).await? == Standing::Restoring {
        return Ok(());
    }
    let sql = "SELECT coalesce(max(id), 0) FROM audit_events";
    let row = transaction.query_one(sql, &[]).await;
    let row = row.map_err(|error| failed(&error))?;
    let newest: i64 = row.try_get(0).map_err(corrupt)?;
    set_setting(transaction, RESTORING, &newest.to_string()).await
}

/// The tables of the schema, quoted, in an order in which whoever writes several writes them, too, as far as there is one: who
/// locks them all then waits for others, and others for nobody who waits.
async fn tables(transaction: &Transaction<'_>) -> Result<Vec<String>, TransferError> {
    let sql = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()
        ORDER BY coalesce(array_position(ARRAY['users', 'credentials', 'tokens', 'audit_events'], tablename::text), 9), 1";
    let rows = transaction.query(sql, &[]).await;
    let rows = rows.map_err(|error| failed(&error))?;
    let name = |row: &Found| Ok(row.try_get(0).map_err(corrupt)?);
    rows.iter().map(name).collect()
}

/// Has every change refused, also of sessions that are open and whatever version of factord they are of. It waits until no
/// change is being made.
async fn shut(transaction: &Transaction<'_>) -> Result<(), TransferError> {
    let function = format!(
        "CREATE OR REPLACE FUNCTION factord_closed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('{SESSION}', true) = 'yes' THEN
                 RETURN NULL;
             END IF;
             RAISE EXCEPTION '{CLOSED_SAYS}' USING ERRCODE = 'object_not_in_prerequisite_state';
         END $$;"
    );
    let shut = |table: &String| {
        format!(
            "CREATE OR REPLACE TRIGGER factord_closed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
             FOR EACH STATEMENT EXECUTE FUNCTION factord_closed();"
        )
    };
    let triggers: String = tables(transaction).await?.iter().map(shut).collect();
    run(transaction, &(function + &triggers)).await
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

/// Refuses a database that has anything in it.
async fn empty(transaction: &Transaction<'_>) -> Result<(), TransferError> {
    let tables = TABLES.iter().map(|table| table.name);
    for table in tables.filter(|name| !matches!(*name, "settings" | "counters")) {
        let sql = format!("SELECT EXISTS (SELECT FROM {table})");
        let row = transaction.query_one(&sql, &[]).await;
        let row = row.map_err(|error| failed(&error))?;
        if row.try_get(0).map_err(corrupt)? {
            return Err(TransferError::NotEmpty { table });
        }
    }
    // What it decides by so far goes with what comes.
    let own = OWN_SETTINGS.join("', '");
    run(
        transaction,
        &format!("DELETE FROM settings WHERE name NOT IN ('{own}')"),
    )
    .await
}

async fn load(transaction: &Transaction<'_>, stream: &mut Reader) -> Result<(), TransferError> {
    let mut batch: Vec<Row> = Vec::new();
    while let Some(row) = stream.next_row()? {
        if batch.len() >= BATCH || batch.last().is_some_and(|last| last.table != row.table) {
            insert(transaction, &std::mem::take(&mut batch)).await?;
        }
        batch.push(row);
    }
    insert(transaction, &batch).await?;
    // Events are never deleted, so that the newest says which number was given last.
    run(
        transaction,
        "SELECT setval('event_ids', max(id)) FROM audit_events HAVING max(id) IS NOT NULL",
    )
    .await
}

/// Inserts rows of one table.
async fn insert(transaction: &Transaction<'_>, rows: &[Row]) -> Result<(), TransferError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let table = &TABLES[first.table];
    if table.name == "counters" {
        for row in rows.iter().filter(|row| row.integer(1) > 0) {
            keep_last_id(transaction, row).await?;
        }
        return Ok(());
    }
    let mut names: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let columns = table.columns.iter().enumerate();
    let mut values: Vec<Bound> = columns
        .map(|(at, (_, kind))| Bound::of(rows, at, *kind))
        .collect();
    if table.name == "users" {
        names.extend(["username", "email", "external_id", "next_expiry"]);
        values.extend(looked_up(rows)?);
    }
    let places = (1..).zip(&values);
    let places = places.map(|(number, value)| format!("${number}::{}", value.kind()));
    let sql = format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({})",
        table.name,
        names.join(", "),
        places.collect::<Vec<_>>().join(", ")
    );
    let values: Vec<_> = values.iter().map(Bound::value).collect();
    let statement = transaction
        .prepare(&sql)
        .await
        .map_err(|error| failed(&error))?;
    let done = transaction.execute(&statement, &values).await;
    done.map(drop).map_err(|error| failed(&error))
}

/// A column of many rows.
enum Bound {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Uuids(Vec<Option<Uuid>>),
}

impl Bound {
    fn of(rows: &[Row], column: usize, kind: Type) -> Self {
        let values = rows.iter().map(|row| row.values[column].clone());
        match kind {
            Type::Integer => Self::Integers(
                values
                    .map(|value| {
                        if let Value::Integer(it) = value {
                            Some(it)
                        } else {
                            None
                        }
                    })
                    .collect(),
            ),
            Type::Text => Self::Texts(
                values
                    .map(|value| {
                        if let Value::Text(it) = value {
                            Some(it)
                        } else {
                            None
                        }
                    })
                    .collect(),
            ),
            Type::Bytes => Self::Bytes(
                values
                    .map(|value| {
                        if let Value::Bytes(it) = value {
                            Some(it)
                        } else {
                            None
                        }
                    })
                    .collect(),
            ),
            Type::Uuid => Self::Uuids(
                values
                    .map(|value| {
                        if let Value::Bytes(it) = value {
                            Uuid::from_slice(&it).ok()
                        } else {
                            None
                        }
                    })
                    .collect(),
            ),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Integers(_) => "bigint[]",
            Self::Texts(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
            Self::Uuids(_) => "uuid[]",
        }
    }

    fn value(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Integers(values) => values,
            Self::Texts(values) => values,
            Self::Bytes(values) => values,
            Self::Uuids(values) => values,
        }
    }
}

/// What users are looked up by, and when something of theirs expires first.
fn looked_up(rows: &[Row]) -> Result<[Bound; 4], StoreError> {
    let (mut names, mut emails, mut externals, mut expiries) = (vec![], vec![], vec![], vec![]);
    for row in rows {
        let profile: Profile =
            serde_json::from_str(row.text(2)).map_err(unreadable("a user's profile"))?;
        let mfa: Mfa = serde_json::from_str(row.text(3)).map_err(unreadable("a user's factors"))?;
        let columns = Columns::of(&Lookup::of(&profile));
        names.push(columns.username);
        emails.push(columns.email);
        externals.push(columns.external_id);
        expiries.push(mfa.next_expiry().map(Timestamp::seconds));
    }
    Ok([
        Bound::Texts(names),
        Bound::Texts(emails),
        Bound::Texts(externals),
        Bound::Integers(expiries),
    ])
}

/// Ids that were given are never given again, also where the row is gone.
async fn keep_last_id(transaction: &Transaction<'_>, row: &Row) -> Result<(), TransferError> {
    let sequence = match row.text(0) {
        "users" => "user_ids",
        "messages" => "message_ids",
        _ => return Err(StoreError::Corrupt("a counter".to_owned()).into()),
    };
    let sql = format!("SELECT setval('{sequence}', $1)");
    let done = transaction.execute(&sql, &[&row.integer(1)]).await;
    done.map(drop).map_err(|error| failed(&error))
}

const LAST_IDS: &str = "SELECT 'messages'::text AS name, CASE WHEN is_called THEN last_value ELSE 0 END FROM message_ids
    UNION ALL SELECT 'users', CASE WHEN is_called THEN last_value ELSE 0 END FROM user_ids ORDER BY name";
/// Rows that are read and written at once.
const BATCH: usize = 500;
/// What says of a session that it restores.
pub(super) const SESSION: &str = "factord.restores";
