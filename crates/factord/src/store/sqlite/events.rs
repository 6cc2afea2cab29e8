//! The audit trail.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::audit::{Action, Event, Repeatable, StoredEvent};
use crate::clock::Timestamp;
use crate::mfa::ids::UserId;
use crate::store::deciding::{NO_USER, about, outcome};
use crate::store::{EventFilter, StoreError};

/// Writes an event after the one before about the same user, and gives its id.
pub(super) fn insert(
    conn: &Connection,
    user: UserId,
    event: &Event,
    previous: Option<i64>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached(
            "INSERT INTO audit_events (at, user_id, device, action, reason, previous)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert((
            now.seconds(),
            user.get(),
            event.device.map(|device| device.to_string()),
            event.action.as_str(),
            event.refused.map(|reason| reason.to_string()),
            previous,
        ))?)
}

/// Writes an event about a credential, and no user.
pub(super) fn insert_about_credential(
    conn: &Connection,
    credential: &str,
    action: Action,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit_events (at, user_id, action, credential) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?
        .execute((now.seconds(), NO_USER, action.as_str(), credential))?;
    Ok(())
}

/// Counts a refusal once more in its newest event, on the trail that begins at `last_event`. The core counts only what
/// is among the user's few newest events.
pub(super) fn repeat(
    conn: &Connection,
    last_event: i64,
    refusal: &Repeatable,
    now: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "WITH RECURSIVE trail (id, previous, found) AS (
             SELECT id, previous, device IS ?3 AND action = ?4 AND reason IS ?5 FROM audit_events WHERE id = ?1
             UNION ALL
             SELECT event.id, event.previous, device IS ?3 AND action = ?4 AND reason IS ?5
             FROM trail JOIN audit_events AS event ON event.id = trail.previous WHERE NOT found
         )
         UPDATE audit_events SET count = count + 1, at = ?2 WHERE id = (SELECT id FROM trail WHERE found)",
    )?
    .execute((
        last_event,
        now.seconds(),
        refusal.device.map(|device| device.to_string()),
        refusal.action.as_str(),
        refusal.reason.to_string(),
    ))?;
    Ok(())
}

/// Remembers where the trail of a deleted user begins.
pub(super) fn keep_trail(
    conn: &Connection,
    user: UserId,
    last_event: i64,
) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO deleted_users (id, last_event) VALUES (?1, ?2)")?
        .execute((user.get(), last_event))?;
    Ok(())
}

/// Events, newest first.
pub(super) fn events(
    conn: &Connection,
    filter: &EventFilter,
) -> Result<Vec<StoredEvent>, StoreError> {
    match filter.user {
        Some(user) => of_user(conn, user, filter),
        None => of_all(conn, filter),
    }
}

/// Follows the trail of one user.
fn of_user(
    conn: &Connection,
    user: UserId,
    filter: &EventFilter,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut next: Option<i64> = conn
        .prepare_cached(
            "SELECT last_event FROM users WHERE id = ?1
             UNION ALL SELECT last_event FROM deleted_users WHERE id = ?1",
        )?
        .query_row([user.get()], |row| row.get(0))
        .optional()?;
    let mut statement = conn.prepare_cached(
        "SELECT id, at, user_id, device, action, reason, count, credential, previous FROM audit_events WHERE id = ?1",
    )?;
    let mut events = Vec::new();
    while let Some(id) = next
        && events.len() < filter.limit
    {
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else {
            return Err(StoreError::Corrupt("a trail of audit events".to_owned()));
        };
        next = row.get(8)?;
        let event = read(row)?;
        let wanted = filter.before.is_none_or(|before| event.id < before)
            && filter.since.is_none_or(|since| event.at >= since);
        if wanted {
            events.push(event);
        }
    }
    Ok(events)
}

fn of_all(conn: &Connection, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, at, user_id, device, action, reason, count, credential FROM audit_events
         WHERE id < ?1 AND at >= ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let bounds = (
        filter.before.unwrap_or(i64::MAX),
        filter.since.map_or(i64::MIN, Timestamp::seconds),
        super::integer(filter.limit),
    );
    statement.query_and_then(bounds, read)?.collect()
}

fn read(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let reason: Option<String> = row.get(5)?;
    Ok(StoredEvent {
        id: row.get(0)?,
        at: Timestamp::from_seconds(row.get(1)?),
        user: about(row.get(2)?)?,
        device: row.get(3)?,
        action: row.get(4)?,
        outcome: outcome(reason.is_some()).to_owned(),
        reason,
        count: row.get(6)?,
        credential: row.get(7)?,
    })
}
