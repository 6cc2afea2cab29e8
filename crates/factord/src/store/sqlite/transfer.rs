//! A whole database written to a stream, and read from one; and a database closed for good.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter};

use super::error::{is_conflict, unreadable};
use super::open::{WRITER_SETTINGS, connect, in_transaction};
use super::{FILE, upkeep};
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

/// A connection for moving the database in a folder. Its commits are on the disk when they return.
pub struct Mover {
    conn: Connection,
}

impl Mover {
    /// Opens the database in `folder`, which must be there.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn open(folder: &Path) -> Result<Self, TransferError> {
        let conn = connect(&folder.join(FILE), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.execute_batch(WRITER_SETTINGS)?;
        Ok(Self { conn })
    }

    /// Whether it may be changed.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn standing(&self) -> Result<Standing, TransferError> {
        standing(&self.conn)
    }

    /// The stream that it was imported from.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn imported(&self) -> Result<Option<String>, TransferError> {
        Ok(upkeep::setting(&self.conn, IMPORTED)?)
    }

    /// Lets nobody change it any more, whoever has it open; `stream` remembers by which.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn close(&self, stream: &str) -> Result<(), TransferError> {
        in_transaction(&self.conn, |conn| {
            if standing(conn)? == Standing::Open {
                upkeep::set_setting(conn, CLOSED, stream)?;
                conn.execute_batch(&triggers(conn, "CREATE")?)?;
            }
            Ok(())
        })
    }

    /// Begins to restore what is there, also if it was exported for good.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn begin_restoring(&self) -> Result<(), TransferError> {
        in_transaction(&self.conn, |conn| {
            lift(conn)?;
            begin_restoring(conn)
        })
    }

    /// Opens it again, after it was closed or restored.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub fn reopen(&self) -> Result<(), TransferError> {
        in_transaction(&self.conn, |conn| {
            lift(conn)?;
            if standing(conn)? == Standing::Restoring {
                upkeep::set_setting(conn, RESTORING, RESTORED)?;
            }
            Ok(())
        })
    }

    /// Hands over every row as it is at one moment.
    ///
    /// # Errors
    /// [`TransferError`], also that of `each`.
    pub fn export(
        &self,
        mut each: impl FnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let reading = self.conn.unchecked_transaction()?;
        rows(&reading, &mut each)?;
        Ok(reading.finish()?)
    }

    /// Takes every row of a stream into the empty database, all or none, and gives what is stored then.
    ///
    /// # Errors
    /// [`TransferError`]; nothing was changed then.
    pub fn import(&self, stream: &mut Reader, keys: &Keys) -> Result<Totals, TransferError> {
        in_transaction(&self.conn, |conn| {
            empty(conn)?;
            load(conn, stream)?;
            let mut stored = Tallying::new(keys);
            rows(conn, &mut |row| {
                stored.add(row.table, &row.to_json());
                Ok(())
            })?;
            let stored = stored.totals();
            if let Some(written) = stream.totals() {
                stored.check(written, "the stored rows")?;
            }
            upkeep::set_setting(conn, IMPORTED, &stream.header.stream)?;
            if !stream.header.is_final {
                begin_restoring(conn)?;
            }
            Ok(stored)
        })
    }
}

fn standing(conn: &Connection) -> Result<Standing, TransferError> {
    let closed = upkeep::setting(conn, CLOSED)?;
    let restoring = upkeep::setting(conn, RESTORING)?;
    Ok(Standing::of(closed.as_deref(), restoring.as_deref()))
}

/// Takes the closing back.
fn lift(conn: &Connection) -> Result<(), TransferError> {
    if standing(conn)? == Standing::Exported {
        conn.execute_batch(&triggers(conn, "DROP")?)?;
        conn.execute("DELETE FROM settings WHERE name = ?1", [CLOSED])?;
    }
    Ok(())
}

/// Remembers the newest event, once.
fn begin_restoring(conn: &Connection) -> Result<(), TransferError> {
    if standing(conn)? != Standing::Restoring {
        let sql = "SELECT coalesce(max(id), 0) FROM audit_events";
        let newest: i64 = conn.query_row(sql, (), |row| row.get(0))?;
        upkeep::set_setting(conn, RESTORING, &newest.to_string())?;
    }
    Ok(())
}

/// The statements that make or drop the triggers by which every change is refused, also of a program that has the file open.
fn triggers(conn: &Connection, make: &str) -> Result<String, TransferError> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables: Vec<String> = conn
        .prepare(sql)?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut statements = Vec::new();
    for table in tables {
        for change in ["INSERT", "UPDATE", "DELETE"] {
            let name = format!("closed_{table}_{change}");
            statements.push(if make == "CREATE" {
                format!(
                    "CREATE TRIGGER {name} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, '{CLOSED_SAYS}'); END;"
                )
            } else {
                format!("DROP TRIGGER IF EXISTS {name};")
            });
        }
    }
    Ok(statements.concat())
}

fn rows(
    conn: &Connection,
    each: &mut dyn FnMut(Row) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    for (table, described) in TABLES.iter().enumerate() {
        let columns: Vec<_> = described.columns.iter().map(|(name, _)| *name).collect();
        let (columns, name) = (columns.join(", "), described.name);
        let own = OWN_SETTINGS.join("', '");
        let sql = match name {
            "settings" => {
                format!("SELECT {columns} FROM settings WHERE name NOT IN ('{own}') ORDER BY name")
            }
            "finished" => format!("SELECT {columns} FROM finished ORDER BY id, user_id"),
            "counters" => LAST_IDS.to_owned(),
            _ => format!(
                "SELECT {columns} FROM {name} ORDER BY {}",
                described.columns[0].0
            ),
        };
        let mut statement = conn.prepare(&sql)?;
        let mut found = statement.query(())?;
        while let Some(row) = found.next()? {
            let values = described.columns.iter().enumerate();
            let values = values.map(|(index, (_, kind))| read(row.get_ref(index)?, *kind));
            let values = values.collect::<Result<_, TransferError>>()?;
            each(Row { table, values })?;
        }
    }
    Ok(())
}

fn read(value: ValueRef<'_>, kind: Type) -> Result<Value, TransferError> {
    Ok(match (value, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), Type::Integer) => Value::Integer(number),
        (ValueRef::Text(text), Type::Text) => {
            let text = std::str::from_utf8(text);
            Value::Text(text.map_err(|_| corrupt("a text"))?.to_owned())
        }
        (ValueRef::Blob(bytes), Type::Bytes | Type::Uuid) => Value::Bytes(bytes.to_vec()),
        _ => return Err(corrupt("a column has another type")),
    })
}

fn corrupt(what: &str) -> TransferError {
    StoreError::Corrupt(what.to_owned()).into()
}

/// Refuses a database that has anything in it.
fn empty(conn: &Connection) -> Result<(), TransferError> {
    let tables = TABLES.iter().map(|table| table.name);
    for table in tables.filter(|name| !matches!(*name, "settings" | "counters")) {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        if conn.query_row(&sql, (), |row| row.get(0))? {
            return Err(TransferError::NotEmpty { table });
        }
    }
    // What it decides by so far goes with what comes.
    let own = OWN_SETTINGS.join("', '");
    conn.execute(
        &format!("DELETE FROM settings WHERE name NOT IN ('{own}')"),
        (),
    )?;
    Ok(())
}

fn load(conn: &Connection, stream: &mut Reader) -> Result<(), TransferError> {
    let mut statements = TABLES
        .iter()
        .map(|table| {
            Ok(if table.name == "counters" {
                None
            } else {
                Some(insert(conn, table)?)
            })
        })
        .collect::<Result<Vec<Option<Statement<'_>>>, rusqlite::Error>>()?;
    while let Some(row) = stream.next_row()? {
        match &mut statements[row.table] {
            None => keep_last_id(conn, &row)?,
            Some(statement) => {
                let mut values = row.values.iter().map(bound).collect::<Vec<_>>();
                if TABLES[row.table].name == "users" {
                    values.extend(looked_up(&row)?);
                }
                statement
                    .execute(params_from_iter(values))
                    .map_err(|error| {
                        if is_conflict(&error) {
                            TransferError::Store(StoreError::Conflict(TABLES[row.table].name))
                        } else {
                            error.into()
                        }
                    })?;
                if TABLES[row.table].name == "finished" {
                    chain(conn, &row)?;
                }
            }
        }
    }
    Ok(())
}

fn insert<'a>(
    conn: &'a Connection,
    table: &crate::store::transfer::Table,
) -> Result<Statement<'a>, rusqlite::Error> {
    let mut columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    if table.name == "users" {
        columns.extend(["username", "email", "external_id", "next_expiry"]);
    }
    let places = vec!["?"; columns.len()].join(", ");
    let (name, columns) = (table.name, columns.join(", "));
    conn.prepare(&format!("INSERT INTO {name} ({columns}) VALUES ({places})"))
}

fn bound(value: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Bound;
    match value {
        Value::Null => Bound::Null,
        Value::Integer(number) => Bound::Integer(*number),
        Value::Text(text) => Bound::Text(text.clone()),
        Value::Bytes(bytes) => Bound::Blob(bytes.clone()),
    }
}

/// Puts what has finished before the rest of what its user has finished.
fn chain(conn: &Connection, row: &Row) -> Result<(), TransferError> {
    let (user, id) = (row.integer(1), bound(&row.values[2]));
    let sql = "UPDATE finished SET previous = (SELECT last_finished FROM users WHERE id = ?1)
               WHERE id = ?2 AND user_id = ?1";
    conn.prepare_cached(sql)?.execute((user, &id))?;
    let sql = "UPDATE users SET last_finished = ?2 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute((user, &id))?;
    Ok(())
}

/// What a user is looked up by, and when something of theirs expires first.
fn looked_up(row: &Row) -> Result<[rusqlite::types::Value; 4], TransferError> {
    let profile: Profile =
        serde_json::from_str(row.text(2)).map_err(unreadable("a user's profile"))?;
    let mfa: Mfa = serde_json::from_str(row.text(3)).map_err(unreadable("a user's factors"))?;
    let lookup = Lookup::of(&profile);
    Ok([
        lookup.username.into(),
        lookup.email.into(),
        lookup.external_id.into(),
        mfa.next_expiry().map(Timestamp::seconds).into(),
    ])
}

/// Ids that were given are never given again, also where the row is gone.
fn keep_last_id(conn: &Connection, row: &Row) -> Result<(), TransferError> {
    let (name, last) = (row.text(0), row.integer(1));
    let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
    if conn.execute(sql, (name, last))? == 0 {
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
        conn.execute(sql, (name, last))?;
    }
    Ok(())
}

const LAST_IDS: &str = "SELECT name, coalesce((SELECT seq FROM sqlite_sequence WHERE sqlite_sequence.name = counters.name), 0)
    FROM (SELECT 'messages' AS name UNION ALL SELECT 'users') AS counters ORDER BY name";
