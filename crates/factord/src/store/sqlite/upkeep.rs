//! Settings, clean-up, and the question whether the database works.

use rusqlite::{Connection, OptionalExtension};

use super::decision;
use super::writer::Writing;
use crate::mfa::history::DAY;
use crate::store::StoreError;
use crate::store::deciding::{OUTBOX_KEPT, REFRESHABLE, UNSENT_KEPT};

/// A setting.
pub(super) fn setting(conn: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Keeps a setting.
pub(super) fn set_setting(conn: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO settings (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute((name, value))?;
    Ok(())
}

/// Deletes at most `limit` rows of each table whose time has come; gives how many went. When nothing is left to delete,
/// what was deleted goes out of the log, too.
pub(super) fn clean_up(writing: &mut Writing<'_>, limit: usize) -> Result<usize, StoreError> {
    let readable = writing.core.rules.finished_readable;
    let steps = [
        (DELETE_FINISHED, readable),
        (DELETE_TOKENS, REFRESHABLE),
        (DELETE_HISTORIES, DAY),
        (DELETE_LINKS, 0),
        (DELETE_OUTBOX, OUTBOX_KEPT),
        (DELETE_MESSAGES, UNSENT_KEPT),
    ];
    let mut deleted = decision::end_expired(writing, limit)?;
    for (sql, kept) in steps {
        let before = writing.now().plus(-kept).seconds();
        deleted += writing
            .conn
            .prepare_cached(sql)?
            .execute((before, super::integer(limit)))?;
    }
    writing.tell.empty_log = deleted == 0;
    Ok(deleted)
}

/// Ends all tokens and links, and erases messages.
pub(super) fn end_sessions(writing: &mut Writing<'_>) -> Result<usize, StoreError> {
    let mut ended = 0;
    for table in ["tokens", "links", "messages", "outbox"] {
        ended += writing.conn.execute(&format!("DELETE FROM {table}"), ())?;
    }
    writing.tell.empty_log = true;
    Ok(ended)
}

/// Writes something, to see that it can be done: once a second at most, however many ask.
pub(super) fn ping(writing: &mut Writing<'_>) -> Result<(), StoreError> {
    if setting(writing.conn, "pinged_at")? == Some(writing.now().to_string()) {
        return Ok(());
    }
    set_setting(writing.conn, "pinged_at", &writing.now().to_string())
}

const DELETE_FINISHED: &str = "DELETE FROM finished WHERE finished_at <= ?1 AND (id, user_id) IN
    (SELECT id, user_id FROM finished ORDER BY id, user_id LIMIT ?2)";
const DELETE_TOKENS: &str = "DELETE FROM tokens WHERE access IN
    (SELECT access FROM tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
const DELETE_HISTORIES: &str = "DELETE FROM histories WHERE destination IN
    (SELECT destination FROM histories WHERE updated_at <= ?1 ORDER BY updated_at LIMIT ?2)";
const DELETE_LINKS: &str = "DELETE FROM links WHERE token IN
    (SELECT token FROM links WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
const DELETE_OUTBOX: &str = "DELETE FROM outbox WHERE id IN
    (SELECT id FROM outbox WHERE at <= ?1 ORDER BY id LIMIT ?2)";
const DELETE_MESSAGES: &str = "DELETE FROM messages WHERE id IN
    (SELECT id FROM messages WHERE expires_at <= ?1 ORDER BY id LIMIT ?2)";
