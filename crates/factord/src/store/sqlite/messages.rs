//! Messages on their way, and the outbox of `factord dev`: sealed, and erased once they are sent.

use rusqlite::{Connection, Row};
use zeroize::Zeroizing;

use super::error::unreadable;
use super::writer::Writing;
use crate::clock::Timestamp;
use crate::crypto::sealing::Sealed;
use crate::delivery::message::Message;
use crate::mfa::Core;
use crate::mfa::ids::UserId;
use crate::store::{OutboxFilter, Sending, StoreError, StoredMessage};

/// Seals a message and keeps it to be sent.
pub(super) fn insert(
    writing: &mut Writing<'_>,
    user: UserId,
    message: &Message,
) -> Result<(), StoreError> {
    let text = Zeroizing::new(serde_json::to_vec(message).map_err(unreadable("a new message"))?);
    let sealed = writing
        .core
        .keys
        .seal(writing.rng, Message::place(user), &text);
    writing
        .conn
        .prepare_cached(
            "INSERT INTO messages (user_id, at, not_before, expires_at, sealed) VALUES (?1, ?2, ?2, ?3, ?4)",
        )?
        .execute((
            user.get(),
            writing.now().seconds(),
            message.expires_at.seconds(),
            sealed.as_str(),
        ))?;
    writing.tell.messages = true;
    Ok(())
}

/// Messages that are due at `now`, the longest due first.
pub(super) fn waiting(
    conn: &Connection,
    core: &Core,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<StoredMessage>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, user_id, at, attempts, sealed FROM messages WHERE not_before <= ?1
         ORDER BY not_before, id LIMIT ?2",
    )?;
    let rows = statement.query((now.seconds(), super::integer(limit)))?;
    collect(rows, core)
}

/// Says what became of a message; one that is gone stays gone.
pub(super) fn settle(conn: &Connection, id: i64, outcome: Sending) -> Result<(), StoreError> {
    match outcome {
        Sending::Sent | Sending::Abandoned => conn
            .prepare_cached("DELETE FROM messages WHERE id = ?1")?
            .execute([id])?,
        Sending::Retry(at) => conn
            .prepare_cached(
                "UPDATE messages SET attempts = attempts + 1, not_before = ?2 WHERE id = ?1",
            )?
            .execute((id, at.seconds()))?,
    };
    Ok(())
}

/// Moves a message to the outbox; one that was moved before stays there once.
pub(super) fn move_to_outbox(writing: &mut Writing<'_>, id: i64) -> Result<(), StoreError> {
    let moved = writing
        .conn
        .prepare_cached(
            "INSERT OR IGNORE INTO outbox (id, user_id, at, attempts, sealed)
             SELECT id, user_id, at, attempts, sealed FROM messages WHERE id = ?1",
        )?
        .execute([id])?;
    settle(writing.conn, id, Sending::Sent)?;
    writing.tell.outbox |= moved > 0;
    Ok(())
}

/// The outbox, newest first.
pub(super) fn outbox(
    conn: &Connection,
    core: &Core,
    filter: &OutboxFilter,
) -> Result<Vec<StoredMessage>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, user_id, at, attempts, sealed FROM outbox
         WHERE (?1 IS NULL OR user_id = ?1) AND id > ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let rows = statement.query((
        filter.user.map(UserId::get),
        filter.after.unwrap_or(i64::MIN),
        super::integer(filter.limit),
    ))?;
    collect(rows, core)
}

/// Opens the messages. One that does not open cannot be sent, and must not hold up the others.
fn collect(mut rows: rusqlite::Rows<'_>, core: &Core) -> Result<Vec<StoredMessage>, StoreError> {
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        match open(row, core) {
            Ok(message) => messages.push(message),
            Err(error) => {
                let id: i64 = row.get(0)?;
                tracing::error!(message_id = id, %error, "a stored message cannot be read");
            }
        }
    }
    Ok(messages)
}

fn open(row: &Row<'_>, core: &Core) -> Result<StoredMessage, StoreError> {
    let user = super::user_id(row.get(1)?)?;
    let text = core
        .keys
        .open(Message::place(user), &Sealed::from_stored(row.get(4)?))
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(StoredMessage {
        id: row.get(0)?,
        user,
        at: Timestamp::from_seconds(row.get(2)?),
        attempts: row.get(3)?,
        message: serde_json::from_slice(&text).map_err(unreadable("a message"))?,
    })
}
