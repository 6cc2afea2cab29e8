//! Rows of users and of what they finished.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use uuid::Uuid;

use super::error::{is_conflict, unreadable};
use super::events;
use super::writer::Writing;
use crate::audit::{Action, Event};
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, Mfa, Profile, User};
use crate::store::StoreError;
use crate::store::deciding::Lookup;

/// A user's row as it was read, to see later what changed.
pub(super) struct StoredUser {
    /// Where the user's chains begin; empty where that was not asked for.
    pub newest: Newest,
    pub profile: String,
    pub mfa: String,
}

/// Where a user's chains begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Newest {
    /// The newest audit event.
    pub event: i64,
    /// The id of the registration or verification that finished last.
    pub finished: Option<[u8; 16]>,
}

impl StoredUser {
    /// Takes a row that begins with `profile, mfa`.
    pub fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            newest: Newest::default(),
            profile: row.get(0)?,
            mfa: row.get(1)?,
        })
    }

    /// Reads the documents.
    pub fn parse(&self, id: UserId) -> Result<User, StoreError> {
        Ok(User {
            id,
            profile: serde_json::from_str(&self.profile).map_err(unreadable("a user's profile"))?,
            mfa: serde_json::from_str(&self.mfa).map_err(unreadable("a user's factors"))?,
        })
    }
}

/// The row of a user, for a decision.
pub(super) fn stored(conn: &Connection, id: UserId) -> Result<Option<StoredUser>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT profile, mfa, last_event, last_finished FROM users WHERE id = ?1")?
        .query_row([id.get()], |row| {
            Ok(StoredUser {
                newest: Newest {
                    event: row.get(2)?,
                    finished: row.get(3)?,
                },
                ..StoredUser::from_row(row)?
            })
        })
        .optional()?)
}

/// What of a user has finished under this id.
pub(super) fn finished(
    conn: &Connection,
    user: UserId,
    id: Uuid,
) -> Result<Option<Finished>, StoreError> {
    conn.prepare_cached("SELECT document FROM finished WHERE id = ?2 AND user_id = ?1")?
        .query_row((user.get(), id.as_bytes()), |row| row.get::<_, String>(0))
        .optional()?
        .map(|document| read_finished(&document))
        .transpose()
}

/// To whom a link leads that has not expired.
pub(super) fn linked(
    conn: &Connection,
    token: &TokenHash,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    conn.prepare_cached("SELECT user_id FROM links WHERE token = ?1 AND expires_at > ?2")?
        .query_row((token.as_bytes(), now.seconds()), |row| row.get(0))
        .optional()?
        .map(super::user_id)
        .transpose()
}

/// A user, with what has finished under the id that is asked for: one statement, so that both are of one moment.
pub(super) fn load(
    conn: &Connection,
    id: UserId,
    finished: Option<Uuid>,
) -> Result<Option<(User, Option<Finished>)>, StoreError> {
    let row = conn
        .prepare_cached(
            "SELECT profile, mfa, document FROM users LEFT JOIN finished ON finished.id = ?2 AND user_id = users.id
             WHERE users.id = ?1",
        )?
        .query_row(
            (id.get(), finished.as_ref().map(|id| id.as_bytes().as_slice())),
            |row| Ok((StoredUser::from_row(row)?, row.get::<_, Option<String>>(2)?)),
        )
        .optional()?;
    let Some((stored, document)) = row else {
        return Ok(None);
    };
    let finished = document.as_deref().map(read_finished).transpose()?;
    Ok(Some((stored.parse(id)?, finished)))
}

/// Creates a user, and the audit event of it.
pub(super) fn create(writing: &mut Writing<'_>, profile: &Profile) -> Result<User, StoreError> {
    let (conn, lookup, mfa) = (writing.conn, Lookup::of(profile), Mfa::default());
    let id = conn
        .prepare_cached(
            "INSERT INTO users (username, email, external_id, last_event, profile, mfa)
             VALUES (?1, ?2, ?3, 0, ?4, ?5)",
        )?
        .insert((
            lookup.username,
            lookup.email,
            lookup.external_id,
            json(profile)?,
            json(&mfa)?,
        ))
        .map_err(|error| {
            if is_conflict(&error) {
                StoreError::Conflict("username")
            } else {
                error.into()
            }
        })?;
    let id = UserId::new(id).ok_or_else(|| StoreError::Corrupt("a user's id".to_owned()))?;
    let event = Event {
        device: None,
        action: Action::CreateUser,
        refused: None,
    };
    let first_event = events::insert(conn, id, &event, None, writing.now())?;
    conn.prepare_cached("UPDATE users SET last_event = ?2 WHERE id = ?1")?
        .execute((id.get(), first_event))?;
    Ok(User {
        id,
        profile: profile.clone(),
        mfa,
    })
}

/// A document as it is stored.
pub(super) fn json(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(unreadable("a new document"))
}

fn read_finished(document: &str) -> Result<Finished, StoreError> {
    serde_json::from_str(document).map_err(unreadable("a finished registration or verification"))
}
