//! The audit trail.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::audit::{Event, Repeatable, StoredEvent};
use crate::clock::Timestamp;
use crate::mfa::ids::UserId;
use crate::store::deciding::outcome;
use crate::store::{EventFilter, StoreError};

/// Writes an event.
pub(super) fn insert(
    conn: &Connection,
    user: UserId,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO audit_events (at, user_id, device, action, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        now.seconds(),
        user.get(),
        event.device.map(|device| device.to_string()),
        event.action.as_str(),
        event.refused.map(|reason| reason.to_string()),
    ))?;
    Ok(())
}

/// Counts the newest event of a refusal once more.
pub(super) fn repeat(
    conn: &Connection,
    user: UserId,
    refusal: &Repeatable,
    now: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE audit_events SET count = count + 1, at = ?2 WHERE id =
         (SELECT id FROM audit_events WHERE user_id = ?1 AND device IS ?3 AND action = ?4 AND reason = ?5
          ORDER BY id DESC LIMIT 1)",
    )?
    .execute((
        user.get(),
        now.seconds(),
        refusal.device.map(|device| device.to_string()),
        refusal.action.as_str(),
        refusal.reason.to_string(),
    ))?;
    Ok(())
}

/// Events, newest first.
pub(super) fn events(
    conn: &Connection,
    filter: &EventFilter,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (mut conditions, mut values) = (String::new(), Vec::new());
    let mut add = |condition, value: Option<i64>| {
        if let Some(value) = value {
            conditions.push_str(condition);
            values.push(Value::Integer(value));
        }
    };
    add(" AND user_id = ?", filter.user.map(UserId::get));
    add(" AND id < ?", filter.before);
    add(" AND at >= ?", filter.since.map(Timestamp::seconds));
    values.push(Value::Integer(super::integer(filter.limit)));
    let sql = format!(
        "SELECT id, at, user_id, device, action, reason, count FROM audit_events WHERE true{conditions}
         ORDER BY id DESC LIMIT ?"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(read(row)?);
    }
    Ok(events)
}

fn read(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let reason: Option<String> = row.get(5)?;
    Ok(StoredEvent {
        id: row.get(0)?,
        at: Timestamp::from_seconds(row.get(1)?),
        user: super::user_id(row.get(2)?)?,
        device: row.get(3)?,
        action: row.get(4)?,
        outcome: outcome(reason.is_some()).to_owned(),
        reason,
        count: row.get(6)?,
    })
}
