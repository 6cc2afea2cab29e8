//! Rows of users and of what they finished.

use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Inner;
use super::database::NOW;
use super::error::{corrupt, unreadable};
use super::statement::Columns;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::crypto::tokens::TokenHash;
use crate::mfa::history::History;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, Mfa, Profile, User};
use crate::store::deciding::Lookup;
use crate::store::{Loaded, StoreError};

/// A user's row as it was read, to see later what changed.
pub(super) struct StoredUser {
    pub version: i64,
    /// The newest audit event.
    pub last_event: i64,
    pub profile: String,
    pub mfa: String,
}

impl StoredUser {
    /// Takes a row that begins with `version, last_event, profile, mfa`.
    pub fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            version: row.try_get(0).map_err(corrupt)?,
            last_event: row.try_get(1).map_err(corrupt)?,
            profile: row.try_get(2).map_err(corrupt)?,
            mfa: row.try_get(3).map_err(corrupt)?,
        })
    }

    /// Reads the documents.
    pub fn parse(&self, id: UserId) -> Result<User, StoreError> {
        parse(id, &self.profile, &self.mfa)
    }
}

/// A user from the two documents.
pub(super) fn parse(id: UserId, profile: &str, mfa: &str) -> Result<User, StoreError> {
    Ok(User {
        id,
        profile: serde_json::from_str(profile).map_err(unreadable("a user's profile"))?,
        mfa: serde_json::from_str(mfa).map_err(unreadable("a user's factors"))?,
    })
}

impl Inner {
    /// The row of a user, for a decision, and the time of it.
    pub async fn stored(&self, id: UserId) -> Result<Option<(StoredUser, Timestamp)>, StoreError> {
        let sql =
            format!("SELECT version, last_event, profile, mfa, {NOW} FROM users WHERE id = $1");
        let rows = self.db.read(&sql, &[&id.get()]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some((StoredUser::from_row(row)?, self.db.time(row, 4)?)))
    }

    /// What of a user has finished under this id.
    pub async fn finished(&self, user: UserId, id: Uuid) -> Result<Option<Finished>, StoreError> {
        let sql = "SELECT document FROM finished WHERE user_id = $1 AND id = $2";
        let rows = self.db.read(sql, &[&user.get(), &id]).await?;
        rows.first()
            .map(|row| read_finished(row.try_get(0).map_err(corrupt)?))
            .transpose()
    }

    /// The message history of a destination with the version of it: 0 if there is none.
    pub async fn history(&self, destination: &KeyedHash) -> Result<(History, i64), StoreError> {
        let sql = "SELECT history, version FROM histories WHERE destination = $1";
        let key = destination.as_bytes().as_slice();
        let rows = self.db.read(sql, &[&key]).await?;
        let Some(row) = rows.first() else {
            return Ok((History::default(), 0));
        };
        let text: &str = row.try_get(0).map_err(corrupt)?;
        let history = serde_json::from_str(text).map_err(unreadable("a message history"))?;
        Ok((history, row.try_get(1).map_err(corrupt)?))
    }

    /// A user, with what has finished under the id that is asked for: one statement, so that both are of one moment.
    pub async fn load(
        &self,
        id: UserId,
        finished: Option<Uuid>,
    ) -> Result<Option<Loaded>, StoreError> {
        let sql = format!(
            "SELECT profile, mfa, document, {NOW}
             FROM users LEFT JOIN finished ON finished.user_id = users.id AND finished.id = $2 WHERE users.id = $1"
        );
        let rows = self.db.read(&sql, &[&id.get(), &finished]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let text = |index| row.try_get::<_, &str>(index).map_err(corrupt);
        let document: Option<&str> = row.try_get(2).map_err(corrupt)?;
        Ok(Some(Loaded {
            user: parse(id, text(0)?, text(1)?)?,
            finished: document.map(read_finished).transpose()?,
            now: self.db.time(row, 3)?,
        }))
    }

    /// To whom a link leads that has not expired.
    pub async fn linked(&self, token: &TokenHash) -> Result<Option<UserId>, StoreError> {
        let sql = format!("SELECT user_id, expires_at, {NOW} FROM links WHERE token = $1");
        let key = token.as_bytes().as_slice();
        let rows = self.db.read(&sql, &[&key]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let expires_at = Timestamp::from_seconds(row.try_get(1).map_err(corrupt)?);
        if expires_at <= self.db.time(row, 2)? {
            return Ok(None);
        }
        user_id(row, 0).map(Some)
    }

    /// Creates a user, and the audit event of it.
    pub async fn create(&self, profile: Profile) -> Result<User, StoreError> {
        let (columns, mfa) = (Columns::of(&Lookup::of(&profile)), Mfa::default());
        let now = self.db.ask_time().await?.seconds();
        let sql = "WITH number AS MATERIALIZED (SELECT nextval('user_ids') AS id, nextval('event_ids') AS event),
             made AS (INSERT INTO users (id, username, email, external_id, last_event, profile, mfa)
                 SELECT id, $1, $2, $3, event, $4, $5 FROM number RETURNING id),
             recorded AS (INSERT INTO audit_events (id, user_id, at, action)
                 SELECT event, id, $6, $7 FROM number)
             SELECT id FROM made";
        let (profile_text, mfa_text) = (json(&profile)?, json(&mfa)?);
        let rows = self
            .db
            .write(
                sql,
                &[
                    &columns.username,
                    &columns.email,
                    &columns.external_id,
                    &profile_text,
                    &mfa_text,
                    &now,
                    &Action::CreateUser.as_str(),
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Corrupt("a user's id".to_owned()))?;
        Ok(User {
            id: user_id(row, 0)?,
            profile,
            mfa,
        })
    }
}

/// A document as it is stored.
pub(super) fn json(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(unreadable("a new document"))
}

/// A column that holds a user's id.
pub(super) fn user_id(row: &Row, index: usize) -> Result<UserId, StoreError> {
    UserId::new(row.try_get(index).map_err(corrupt)?)
        .ok_or_else(|| StoreError::Corrupt("a user's id".to_owned()))
}

fn read_finished(document: &str) -> Result<Finished, StoreError> {
    serde_json::from_str(document).map_err(unreadable("a finished registration or verification"))
}
