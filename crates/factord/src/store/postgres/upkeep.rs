//! Settings, clean-up, and the question whether the database works.

use super::Inner;
use super::database::Values;
use super::error::corrupt;
use super::statement::without_nul;
use super::users::user_id;
use crate::clock::Timestamp;
use crate::mfa::history::DAY;
use crate::store::deciding::{EndExpired, OUTBOX_KEPT, REFRESHABLE, UNSENT_KEPT};
use crate::store::{RequestCount, StoreError};

impl Inner {
    /// A setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        let rows = self.db.read(sql, &[&name]).await?;
        rows.first()
            .map(|row| row.try_get(0).map_err(corrupt))
            .transpose()
    }

    /// Keeps a setting.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.db.write(sql, &[&name, &value]).await?;
        Ok(())
    }

    /// Ends what has expired of at most `limit` users, and deletes at most `limit` rows of each table whose time has
    /// come; gives how many there were.
    pub async fn clean_up(&self, limit: usize) -> Result<usize, StoreError> {
        let now = self.db.ask_time().await?;
        let limit = super::integer(limit);
        let mut deleted = self.end_expired(now, limit).await?;
        let steps = [
            (
                DELETE_FINISHED,
                self.cores.current().rules.finished_readable,
            ),
            (DELETE_TOKENS, REFRESHABLE),
            (DELETE_HISTORIES, DAY),
            (DELETE_LINKS, 0),
            (DELETE_OUTBOX, OUTBOX_KEPT),
            (DELETE_MESSAGES, UNSENT_KEPT),
            (DELETE_WINDOWS, 0),
        ];
        for (sql, kept) in steps {
            let before = now.plus(-kept).seconds();
            deleted += self.db.write(sql, &[&before, &limit]).await?.len();
        }
        Ok(deleted)
    }

    /// Ends what has expired of at most `limit` users; gives of how many. Most expiries lead to nothing, since what was pending
    /// was completed before: they are gone through until one does.
    async fn end_expired(&self, now: Timestamp, limit: i64) -> Result<usize, StoreError> {
        let mut ended = 0;
        loop {
            let values: Values<'_> = &[&now.seconds(), &limit];
            let rows = self.db.read(DUE_EXPIRIES, values).await?;
            if rows.is_empty() {
                return Ok(ended);
            }
            let (mut moments, mut users): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
            for row in &rows {
                moments.push(row.try_get(0).map_err(corrupt)?);
                let user = user_id(row, 1)?;
                users.push(user.get());
                if row.try_get(2).map_err(corrupt)? {
                    self.decide(user, &mut EndExpired).await?;
                    ended += 1;
                }
            }
            self.db.write(DELETE_EXPIRIES, &[&moments, &users]).await?;
            let found = super::integer(rows.len());
            if found < limit || ended > 0 {
                return Ok(ended);
            }
        }
    }

    /// Ends all tokens and links, and erases messages.
    pub async fn end_sessions(&self) -> Result<usize, StoreError> {
        let mut ended = 0;
        for table in ["tokens", "links", "messages", "outbox"] {
            let sql = format!(
                "WITH ended AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM ended"
            );
            let rows = self.db.write(&sql, &[]).await?;
            let count: Option<i64> = rows
                .first()
                .map(|row| row.try_get(0).map_err(corrupt))
                .transpose()?;
            ended += usize::try_from(count.unwrap_or_default()).unwrap_or_default();
        }
        Ok(ended)
    }

    /// Adds to the requests that callers have made in their windows, and gives what they come to.
    pub async fn count_requests(
        &self,
        counts: &[RequestCount],
    ) -> Result<Vec<RequestCount>, StoreError> {
        let now = self.db.now().seconds();
        let callers: Vec<_> = counts.iter().map(|it| without_nul(&it.caller)).collect();
        let ends: Vec<_> = counts.iter().map(|it| it.ends.seconds()).collect();
        let used: Vec<_> = counts.iter().map(|it| i64::from(it.used)).collect();
        let rows = self
            .db
            .write(COUNT_REQUESTS, &[&callers, &ends, &used, &now])
            .await?;
        rows.iter()
            .map(|row| {
                let used: i64 = row.try_get(2).map_err(corrupt)?;
                Ok(RequestCount {
                    caller: row.try_get(0).map_err(corrupt)?,
                    ends: Timestamp::from_seconds(row.try_get(1).map_err(corrupt)?),
                    used: u32::try_from(used).unwrap_or(u32::MAX),
                })
            })
            .collect()
    }

    /// Whether the database reads and writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let sql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
        let rows = self.db.read(sql, &[]).await?;
        let read_only = rows.first().map(|row| row.try_get(0).map_err(corrupt));
        if read_only.transpose()? == Some(false) {
            Ok(())
        } else {
            Err(StoreError::Unavailable(
                "the server does not write".to_owned(),
            ))
        }
    }
}

const COUNT_REQUESTS: &str = "INSERT INTO rate_windows AS kept (caller, ends, used)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
    ON CONFLICT (caller) DO UPDATE SET
        ends = CASE WHEN kept.ends <= $4 THEN excluded.ends ELSE kept.ends END,
        used = CASE WHEN kept.ends <= $4 THEN excluded.used ELSE kept.used + excluded.used END
    RETURNING caller, ends, used";
const DUE_EXPIRIES: &str = "SELECT at, user_id, coalesce(next_expiry <= $1, false)
    FROM expiries LEFT JOIN users ON users.id = expiries.user_id WHERE at <= $1 ORDER BY at LIMIT $2";
/// What is still to be ended stays: the clock of the database may have gone back.
const DELETE_EXPIRIES: &str = "DELETE FROM expiries WHERE (at, user_id) IN
    (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
    AND NOT EXISTS (SELECT FROM users WHERE users.id = expiries.user_id AND users.next_expiry = expiries.at)";
const DELETE_WINDOWS: &str = "DELETE FROM rate_windows WHERE caller IN
    (SELECT caller FROM rate_windows WHERE ends <= $1 LIMIT $2) RETURNING 1";
const DELETE_FINISHED: &str = "DELETE FROM finished WHERE (user_id, id) IN
    (SELECT user_id, id FROM finished WHERE finished_at <= $1 ORDER BY finished_at LIMIT $2) RETURNING 1";
const DELETE_TOKENS: &str = "DELETE FROM tokens WHERE access IN
    (SELECT access FROM tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";
const DELETE_HISTORIES: &str = "DELETE FROM histories WHERE updated_at <= $1 AND destination IN
    (SELECT destination FROM histories WHERE updated_at <= $1 ORDER BY updated_at LIMIT $2) RETURNING 1";
const DELETE_LINKS: &str = "DELETE FROM links WHERE token IN
    (SELECT token FROM links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";
const DELETE_OUTBOX: &str = "DELETE FROM outbox WHERE (id, user_id) IN
    (SELECT id, user_id FROM outbox WHERE at <= $1 ORDER BY id LIMIT $2) RETURNING 1";
const DELETE_MESSAGES: &str = "DELETE FROM messages WHERE (id, user_id) IN
    (SELECT id, user_id FROM messages WHERE expires_at <= $1 ORDER BY id LIMIT $2) RETURNING 1";
