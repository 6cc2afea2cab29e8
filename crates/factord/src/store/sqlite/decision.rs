//! A decision inside the writer's transaction: what it reads cannot change before its commit.

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::error::{is_conflict, unreadable};
use super::users::{self, Newest, StoredUser};
use super::writer::{Work, Writing};
use super::{events, hardware, messages};
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::mfa::decision::{Effects, Link};
use crate::mfa::history::History;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, User};
use crate::store::deciding::{self, EndExpired, Lookup, State, destination_key};
use crate::store::{Job, StoreError};

/// A job about a user, on its way through the writer.
pub(super) struct Decision {
    user: UserId,
    job: Box<dyn Job>,
    found: bool,
}

impl Decision {
    pub fn about(user: UserId, job: Box<dyn Job>) -> Self {
        Self {
            user,
            job,
            found: false,
        }
    }
}

impl Work for Decision {
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        self.found = decide(writing, self.user, &mut *self.job)?;
        Ok(())
    }

    fn done(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { job, found, .. } = *self;
        job.done(result.map(|()| found));
    }
}

/// `false` if there is no such user.
fn decide(writing: &mut Writing<'_>, id: UserId, job: &mut dyn Job) -> Result<bool, StoreError> {
    let conn = writing.conn;
    let Some(stored) = users::stored(conn, id)? else {
        return Ok(false);
    };
    let mut user = stored.parse(id)?;
    let reads = job.reads(writing.core, &user);
    let destination = reads
        .destination
        .map(|destination| destination_key(writing.core, &destination));
    let before = match &destination {
        Some(key) => history(conn, key)?,
        None => History::default(),
    };
    let finished = match reads.finished.filter(|id| !user.mfa.has_pending(*id)) {
        Some(finished) => users::finished(conn, id, finished)?,
        None => None,
    };
    let mut history = before.clone();
    let known = hardware::find(conn, reads.hardware)?;
    let mut hardware = known.clone();
    let state = State {
        user: &mut user,
        history: &mut history,
        hardware: &mut hardware,
        finished: finished.as_ref(),
    };
    let effects = deciding::run(job, state, writing.core, writing.moment, writing.rng);
    if let Some(key) = destination.filter(|_| history != before) {
        keep_history(conn, &key, &history, writing.now())?;
    }
    for (id, changed) in &hardware {
        if known.get(id) != Some(changed) {
            hardware::keep(conn, id, changed)?;
        }
    }
    apply(writing, &stored, &user, &effects)?;
    Ok(true)
}

fn apply(
    writing: &mut Writing<'_>,
    stored: &StoredUser,
    user: &User,
    effects: &Effects,
) -> Result<(), StoreError> {
    let (conn, id, now) = (writing.conn, user.id, writing.now());
    let mut last_event = stored.newest.event;
    for event in &effects.events {
        last_event = events::insert(conn, id, event, Some(last_event), now)?;
    }
    // After the events: what is counted once more may have come first in this decision.
    for refusal in &effects.repeats {
        events::repeat(conn, last_event, refusal, now)?;
    }
    for device in &effects.released {
        hardware::release(conn, id, *device)?;
    }
    if effects.delete_user {
        writing.tell.empty_log = true;
        return delete(
            conn,
            id,
            Newest {
                event: last_event,
                ..stored.newest
            },
        );
    }
    let mut last_finished = stored.newest.finished;
    for finished in &effects.finished {
        last_finished = Some(keep_finished(conn, id, finished, last_finished, now)?);
    }
    let newest = Newest {
        event: last_event,
        finished: last_finished,
    };
    keep(conn, stored, user, newest)?;
    for link in &effects.links {
        keep_link(conn, id, link)?;
    }
    for message in &effects.messages {
        messages::insert(writing, id, message)?;
    }
    Ok(())
}

/// Writes what changed of the user, if anything did.
fn keep(
    conn: &Connection,
    stored: &StoredUser,
    user: &User,
    newest: Newest,
) -> Result<(), StoreError> {
    let (profile, mfa) = (users::json(&user.profile)?, users::json(&user.mfa)?);
    let (id, expiry) = (
        user.id.get(),
        user.mfa.next_expiry().map(Timestamp::seconds),
    );
    if profile != stored.profile {
        let lookup = Lookup::of(&user.profile);
        return conn
            .prepare_cached(
                "UPDATE users SET username = ?2, email = ?3, external_id = ?4, profile = ?5, mfa = ?6, next_expiry = ?7,
                 last_event = ?8, last_finished = ?9 WHERE id = ?1",
            )?
            .execute((
                id,
                lookup.username,
                lookup.email,
                lookup.external_id,
                profile,
                mfa,
                expiry,
                newest.event,
                newest.finished,
            ))
            .map(drop)
            .map_err(|error| {
                if is_conflict(&error) {
                    StoreError::Conflict("username")
                } else {
                    error.into()
                }
            });
    }
    if mfa != stored.mfa || newest != stored.newest {
        conn.prepare_cached(
            "UPDATE users SET mfa = ?2, next_expiry = ?3, last_event = ?4, last_finished = ?5 WHERE id = ?1",
        )?
        .execute((id, mfa, expiry, newest.event, newest.finished))?;
    }
    Ok(())
}

/// Ends what has expired of at most `limit` users about whom no decision was made since; gives how many.
pub(super) fn end_expired(writing: &mut Writing<'_>, limit: usize) -> Result<usize, StoreError> {
    let due: Vec<i64> = writing
        .conn
        .prepare_cached(
            "SELECT id FROM users WHERE next_expiry <= ?1 ORDER BY next_expiry LIMIT ?2",
        )?
        .query_map((writing.now().seconds(), super::integer(limit)), |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    for id in &due {
        decide(writing, super::user_id(*id)?, &mut EndExpired)?;
    }
    Ok(due.len())
}

/// Writes what has finished after the one before of the same user, and gives its id.
fn keep_finished(
    conn: &Connection,
    user: UserId,
    finished: &Finished,
    previous: Option<[u8; 16]>,
    now: Timestamp,
) -> Result<[u8; 16], StoreError> {
    let id = finished.id().into_bytes();
    conn.prepare_cached(
        "INSERT INTO finished (id, user_id, finished_at, previous, document) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        id,
        user.get(),
        now.seconds(),
        previous,
        users::json(finished)?,
    ))?;
    Ok(id)
}

fn keep_link(conn: &Connection, user: UserId, link: &Link) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO links (token, user_id, expires_at) VALUES (?1, ?2, ?3)")?
        .execute((link.token.as_bytes(), user.get(), link.expires_at.seconds()))?;
    Ok(())
}

fn delete(conn: &Connection, user: UserId, newest: Newest) -> Result<(), StoreError> {
    let statements: [fn(&Connection) -> rusqlite::Result<CachedStatement<'_>>; 5] = [
        |conn| conn.prepare_cached("DELETE FROM users WHERE id = ?1"),
        |conn| conn.prepare_cached("DELETE FROM messages WHERE user_id = ?1"),
        |conn| conn.prepare_cached("DELETE FROM outbox WHERE user_id = ?1"),
        |conn| conn.prepare_cached("DELETE FROM links WHERE user_id = ?1"),
        |conn| conn.prepare_cached(hardware::RELEASE_ALL),
    ];
    for prepare in statements {
        prepare(conn)?.execute([user.get()])?;
    }
    forget_finished(conn, user, newest.finished)?;
    events::keep_trail(conn, user, newest.event)?;
    Ok(())
}

/// Deletes what a user has finished. The chain ends where the clean-up has begun to delete: the rest is about to go, too.
fn forget_finished(
    conn: &Connection,
    user: UserId,
    newest: Option<[u8; 16]>,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "WITH RECURSIVE chain (id, previous) AS (
             SELECT id, previous FROM finished WHERE id = ?2 AND user_id = ?1
             UNION ALL
             SELECT before.id, before.previous
             FROM chain JOIN finished AS before ON before.id = chain.previous AND before.user_id = ?1
         )
         DELETE FROM finished WHERE user_id = ?1 AND id IN (SELECT id FROM chain)",
    )?
    .execute((user.get(), newest))?;
    Ok(())
}

fn history(conn: &Connection, destination: &KeyedHash) -> Result<History, StoreError> {
    conn.prepare_cached("SELECT history FROM histories WHERE destination = ?1")?
        .query_row([destination.as_bytes()], |row| row.get::<_, String>(0))
        .optional()?
        .map_or_else(
            || Ok(History::default()),
            |text| serde_json::from_str(&text).map_err(unreadable("a message history")),
        )
}

fn keep_history(
    conn: &Connection,
    destination: &KeyedHash,
    history: &History,
    now: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO histories (destination, history, updated_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (destination) DO UPDATE SET history = excluded.history, updated_at = excluded.updated_at",
    )?
    .execute((
        destination.as_bytes(),
        users::json(history)?,
        now.seconds(),
    ))?;
    Ok(())
}
