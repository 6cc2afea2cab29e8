//! Who may change a database: a trigger on every table refuses everybody, or everybody but the sessions that restore.

use tokio_postgres::{Row as Found, Transaction};

use super::{SESSION, failed, run};
use crate::store::postgres::error::corrupt;
use crate::store::transfer::{CLOSED, CLOSED_SAYS, RESTORING, Standing, TransferError};

pub(super) async fn setting(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<String>, TransferError> {
    let sql = "SELECT value FROM settings WHERE name = $1";
    let row = transaction.query_opt(sql, &[&name]).await;
    let row = row.map_err(|error| failed(&error))?;
    Ok(row.map(|row| row.try_get(0).map_err(corrupt)).transpose()?)
}

pub(super) async fn set_setting(
    transaction: &Transaction<'_>,
    name: &str,
    value: &str,
) -> Result<(), TransferError> {
    let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let done = transaction.execute(sql, &[&name, &value]).await;
    done.map(drop).map_err(|error| failed(&error))
}

pub(super) async fn standing(transaction: &Transaction<'_>) -> Result<Standing, TransferError> {
    let closed = setting(transaction, CLOSED).await?;
    let restoring = setting(transaction, RESTORING).await?;
    Ok(Standing::of(closed.as_deref(), restoring.as_deref()))
}

/// Remembers the newest event, once.
pub(super) async fn begin_restoring(transaction: &Transaction<'_>) -> Result<(), TransferError> {
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
pub(super) async fn tables(transaction: &Transaction<'_>) -> Result<Vec<String>, TransferError> {
    let sql = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()
        ORDER BY coalesce(array_position(ARRAY['users', 'credentials', 'tokens', 'audit_events'], tablename::text), 9), 1";
    let rows = transaction.query(sql, &[]).await;
    let rows = rows.map_err(|error| failed(&error))?;
    let name = |row: &Found| Ok(row.try_get(0).map_err(corrupt)?);
    rows.iter().map(name).collect()
}

/// Has every change refused, also of sessions that are open and whatever version of factord they are of. It waits until no
/// change is being made.
pub(super) async fn shut(transaction: &Transaction<'_>) -> Result<(), TransferError> {
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
