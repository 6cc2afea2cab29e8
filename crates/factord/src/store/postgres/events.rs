//! The audit trail.

use tokio_postgres::Row;

use super::Inner;
use super::error::corrupt;
use crate::audit::StoredEvent;
use crate::clock::Timestamp;
use crate::store::deciding::{about, outcome};
use crate::store::{EventFilter, StoreError};

impl Inner {
    /// Events, newest first.
    pub async fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let before = filter.before.unwrap_or(i64::MAX);
        let since = filter.since.map_or(i64::MIN, Timestamp::seconds);
        let limit = super::integer(filter.limit);
        let rows = match filter.user {
            Some(user) => {
                self.whole_trail(user.get()).await?;
                let values: super::database::Values<'_> = &[&user.get(), &before, &since, &limit];
                self.db.read(OF_USER, values).await?
            }
            None => self.db.read(OF_ALL, &[&before, &since, &limit]).await?,
        };
        rows.iter().map(read).collect()
    }

    /// Refuses a trail of which an event is missing.
    async fn whole_trail(&self, user: i64) -> Result<(), StoreError> {
        let rows = self.db.read(IS_BROKEN, &[&user]).await?;
        let broken = rows.first().map(|row| row.try_get(0).map_err(corrupt));
        if broken.transpose()? == Some(true) {
            return Err(StoreError::Corrupt("a trail of audit events".to_owned()));
        }
        Ok(())
    }
}

fn read(row: &Row) -> Result<StoredEvent, StoreError> {
    let reason: Option<String> = row.try_get(5).map_err(corrupt)?;
    Ok(StoredEvent {
        id: row.try_get(0).map_err(corrupt)?,
        at: Timestamp::from_seconds(row.try_get(1).map_err(corrupt)?),
        user: about(row.try_get(2).map_err(corrupt)?)?,
        device: row.try_get(3).map_err(corrupt)?,
        action: row.try_get(4).map_err(corrupt)?,
        outcome: outcome(reason.is_some()).to_owned(),
        reason,
        count: row.try_get(6).map_err(corrupt)?,
        credential: row.try_get(7).map_err(corrupt)?,
    })
}

/// Follows the trail of one user from its newest event.
const OF_USER: &str = "WITH RECURSIVE start AS (
        SELECT last_event FROM users WHERE id = $1
        UNION ALL SELECT last_event FROM deleted_users WHERE id = $1),
    trail AS (
        SELECT event.* FROM start JOIN audit_events AS event ON event.id = start.last_event AND event.user_id = $1
        UNION ALL
        SELECT event.* FROM trail JOIN audit_events AS event ON event.id = trail.previous AND event.user_id = $1)
    SELECT id, at, user_id, device, action, reason, count, credential FROM trail WHERE id < $2 AND at >= $3 LIMIT $4";
/// Whether the trail of a user does not end where it should: at an event that follows none.
const IS_BROKEN: &str = "WITH RECURSIVE start AS (
        SELECT last_event FROM users WHERE id = $1
        UNION ALL SELECT last_event FROM deleted_users WHERE id = $1),
    trail AS (
        SELECT event.id, event.previous
        FROM start JOIN audit_events AS event ON event.id = start.last_event AND event.user_id = $1
        UNION ALL
        SELECT event.id, event.previous
        FROM trail JOIN audit_events AS event ON event.id = trail.previous AND event.user_id = $1)
    SELECT EXISTS (SELECT FROM start) AND NOT EXISTS (SELECT FROM trail WHERE previous IS NULL)";
const OF_ALL: &str =
    "SELECT id, at, user_id, device, action, reason, count, credential FROM audit_events
    WHERE id < $1 AND at >= $2 ORDER BY id DESC LIMIT $3";
