//! Messages on their way, and the outbox of `factord dev`: sealed, and erased once they are sent.

use tokio_postgres::Row;

use super::Inner;
use super::error::{corrupt, unreadable};
use super::users::user_id;
use crate::clock::Timestamp;
use crate::crypto::sealing::Sealed;
use crate::delivery::message::Message;
use crate::mfa::ids::UserId;
use crate::store::{OutboxFilter, Sending, StoreError, StoredMessage};

impl Inner {
    /// Messages that are due, the longest due first.
    pub async fn waiting(&self, limit: usize) -> Result<Vec<StoredMessage>, StoreError> {
        let now = self.db.ask_time().await?.seconds();
        let rows = self
            .db
            .read(
                "SELECT id, user_id, at, attempts, sealed FROM messages WHERE not_before <= $1
                 ORDER BY not_before, id LIMIT $2",
                &[&now, &super::integer(limit)],
            )
            .await?;
        Ok(self.opened(&rows))
    }

    /// Says what became of a message; one that is gone stays gone.
    pub async fn settle(&self, id: i64, outcome: Sending) -> Result<(), StoreError> {
        match outcome {
            Sending::Sent | Sending::Abandoned => {
                let sql = "DELETE FROM messages WHERE id = $1";
                self.db.write(sql, &[&id]).await?;
            }
            Sending::Retry(at) => {
                let sql =
                    "UPDATE messages SET attempts = attempts + 1, not_before = $2 WHERE id = $1";
                self.db.write(sql, &[&id, &at.seconds()]).await?;
            }
        }
        Ok(())
    }

    /// Moves a message to the outbox; one that was moved before stays there once.
    pub async fn move_to_outbox(&self, id: i64) -> Result<(), StoreError> {
        // In the order of the calls: whoever reads the outbox sees messages come as they were sent.
        let _turn = self.moving.lock().await;
        let sql = "WITH moved AS (DELETE FROM messages WHERE id = $1 RETURNING id, user_id, at, attempts, sealed),
             kept AS (INSERT INTO outbox SELECT * FROM moved ON CONFLICT DO NOTHING RETURNING 1)
             SELECT (SELECT count(*) FROM kept), (SELECT pg_notify($2, '') FROM kept LIMIT 1)";
        self.db.write(sql, &[&id, &self.channels.outbox]).await?;
        self.signals.outbox.notify_waiters();
        Ok(())
    }

    /// The outbox, newest first.
    pub async fn outbox(&self, filter: OutboxFilter) -> Result<Vec<StoredMessage>, StoreError> {
        let rows = self
            .db
            .read(
                "SELECT id, user_id, at, attempts, sealed FROM outbox
                 WHERE ($1::bigint IS NULL OR user_id = $1) AND id > $2 ORDER BY id DESC LIMIT $3",
                &[
                    &filter.user.map(UserId::get),
                    &filter.after.unwrap_or(i64::MIN),
                    &super::integer(filter.limit),
                ],
            )
            .await?;
        Ok(self.opened(&rows))
    }

    /// Opens the messages. One that does not open cannot be sent, and must not hold up the others.
    fn opened(&self, rows: &[Row]) -> Vec<StoredMessage> {
        rows.iter()
            .filter_map(|row| {
                self.open_message(row)
                    .inspect_err(|error| {
                        let id = row.try_get::<_, i64>(0).unwrap_or_default();
                        tracing::error!(message_id = id, %error, "a stored message cannot be read");
                    })
                    .ok()
            })
            .collect()
    }

    fn open_message(&self, row: &Row) -> Result<StoredMessage, StoreError> {
        let user = user_id(row, 1)?;
        let sealed = Sealed::from_stored(row.try_get(4).map_err(corrupt)?);
        let text = self
            .cores
            .current()
            .keys
            .open(Message::place(user), &sealed);
        let text = text.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let attempts: i64 = row.try_get(3).map_err(corrupt)?;
        Ok(StoredMessage {
            id: row.try_get(0).map_err(corrupt)?,
            user,
            at: Timestamp::from_seconds(row.try_get(2).map_err(corrupt)?),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            message: serde_json::from_slice(&text).map_err(unreadable("a message"))?,
        })
    }
}
