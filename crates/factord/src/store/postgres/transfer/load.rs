//! The rows of a stream, into an empty database.

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{BATCH, failed, run};
use crate::clock::Timestamp;
use crate::mfa::user::{Mfa, Profile};
use crate::store::StoreError;
use crate::store::deciding::Lookup;
use crate::store::postgres::error::{corrupt, unreadable};
use crate::store::postgres::statement::Columns;
use crate::store::transfer::stream::Reader;
use crate::store::transfer::{OWN_SETTINGS, Row, TABLES, TransferError, Type, Value};

/// Refuses a database that has anything in it.
pub(super) async fn empty(transaction: &Transaction<'_>) -> Result<(), TransferError> {
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

pub(super) async fn load(
    transaction: &Transaction<'_>,
    stream: &mut Reader,
) -> Result<(), TransferError> {
    let mut batch: Vec<Row> = Vec::new();
    while let Some(row) = stream.next_row()? {
        if batch.len() >= BATCH || batch.last().is_some_and(|last| last.table != row.table) {
            insert(transaction, &std::mem::take(&mut batch)).await?;
        }
        batch.push(row);
    }
    insert(transaction, &batch).await?;
    run(
        transaction,
        "INSERT INTO expiries (at, user_id) SELECT next_expiry, id FROM users WHERE next_expiry IS NOT NULL
         ON CONFLICT DO NOTHING",
    )
    .await?;
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
