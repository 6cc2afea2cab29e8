//! API credentials and the tokens that were given to them.

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Inner;
use super::database::{Kind, Patience};
use super::error::{Failure, corrupt};
use super::statement::without_nul;
use crate::audit::Action;
use crate::auth::scope::Scope;
use crate::auth::{Credential, TokenPair};
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::store::StoreError;
use crate::store::deciding::NO_USER;

impl Inner {
    /// Keeps a new credential.
    pub async fn insert_credential(&self, credential: &Credential) -> Result<(), StoreError> {
        let now = self.db.ask_time().await?.seconds();
        self.db
            .write(
                CREATE,
                &[
                    &without_nul(&credential.id),
                    &bytes(&credential.secret),
                    &credential.scope.as_str(),
                    &credential.created_at.seconds(),
                    &credential.revoked_at.map(Timestamp::seconds),
                    &now,
                    &NO_USER,
                    &Action::CreateCredential.as_str(),
                ],
            )
            .await?;
        Ok(())
    }

    /// The credential with this id.
    pub async fn credential(&self, id: &str) -> Result<Option<Credential>, StoreError> {
        if id.contains('\0') {
            return Ok(None);
        }
        let sql = "SELECT id, secret, scope, created_at, revoked_at FROM credentials WHERE id = $1";
        let rows = self.db.read(sql, &[&id]).await?;
        rows.first().map(credential).transpose()
    }

    /// All credentials, by id.
    pub async fn credentials(&self) -> Result<Vec<Credential>, StoreError> {
        let sql = "SELECT id, secret, scope, created_at, revoked_at FROM credentials ORDER BY id";
        self.db
            .read(sql, &[])
            .await?
            .iter()
            .map(credential)
            .collect()
    }

    /// Revokes a credential, and its tokens with it: the row is locked first, so that a token that is being given
    /// meanwhile is either seen here or sees that.
    pub async fn revoke_credential(&self, id: &str) -> Result<bool, StoreError> {
        let id = without_nul(id);
        let now = self.db.ask_time().await?.seconds();
        let mut patience = Patience::new();
        loop {
            let tried = async {
                let connection = self.db.connection().await?;
                let work = async |client: &Object| revoke(client, &id, now).await;
                self.db.on(connection, Kind::Write, work).await
            };
            match tried.await {
                Ok(revoked) => return Ok(revoked),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// Keeps a new pair of tokens; it is void from the start if its credential was revoked meanwhile.
    pub async fn insert_token(&self, pair: &TokenPair) -> Result<(), StoreError> {
        let sql = format!("WITH {NOT_REVOKED} INSERT INTO tokens {COLUMNS} {VALUES}");
        self.token_write(&sql, pair, &[]).await?;
        Ok(())
    }

    /// The pair with this access token.
    pub async fn token(&self, access: &TokenHash) -> Result<Option<TokenPair>, StoreError> {
        let sql = "SELECT access, refresh, scope, credential, created_at, expires_at FROM tokens WHERE access = $1";
        let rows = self.db.read(sql, &[&bytes(access)]).await?;
        rows.first().map(pair).transpose()
    }

    /// Puts a new pair in the place of an old one.
    pub async fn replace_token(
        &self,
        access: &TokenHash,
        refresh: &TokenHash,
        new: &TokenPair,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "WITH {NOT_REVOKED},
                 ended AS (DELETE FROM tokens WHERE access = $7 AND refresh = $8 AND credential = $3 RETURNING 1),
                 made AS (INSERT INTO tokens {COLUMNS} {VALUES} AND EXISTS (SELECT FROM ended))
             SELECT count(*) FROM ended"
        );
        let old = [bytes(access), bytes(refresh)];
        any(&self.token_write(&sql, new, &old).await?)
    }

    /// Deletes a credential's own pair.
    pub async fn revoke_token(
        &self,
        access: &TokenHash,
        credential: &str,
    ) -> Result<bool, StoreError> {
        let sql =
            "WITH ended AS (DELETE FROM tokens WHERE access = $1 AND credential = $2 RETURNING 1)
             SELECT count(*) FROM ended";
        let credential = without_nul(credential);
        any(&self.db.write(sql, &[&bytes(access), &credential]).await?)
    }

    async fn token_write(
        &self,
        sql: &str,
        pair: &TokenPair,
        old: &[&[u8]],
    ) -> Result<Vec<Row>, StoreError> {
        let (created, expires) = (pair.created_at.seconds(), pair.expires_at.seconds());
        let (access, refresh, scope) = (
            bytes(&pair.access),
            bytes(&pair.refresh),
            pair.scope.as_str(),
        );
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![
            &access,
            &refresh,
            &pair.credential,
            &scope,
            &created,
            &expires,
        ];
        for value in old {
            values.push(value);
        }
        self.db.write(sql, &values).await
    }
}

async fn revoke(client: &Object, id: &str, now: i64) -> Result<bool, Failure> {
    let prepare = async |sql: &str| {
        let prepared = client.prepare_cached(sql).await;
        prepared.map_err(|error| Failure::of_reading(&error))
    };
    let lock =
        prepare("SELECT revoked_at IS NULL FROM credentials WHERE id = $1 FOR UPDATE").await?;
    let end = prepare("DELETE FROM tokens WHERE credential = $1").await?;
    let mark =
        prepare("UPDATE credentials SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .await?;
    let record = prepare(RECORD).await?;
    let action = Action::RevokeCredential.as_str();
    let tried = async {
        client.batch_execute("BEGIN").await?;
        client.query(&lock, &[&id]).await?;
        let revoked = client.execute(&mark, &[&id, &now]).await?;
        if revoked > 0 {
            let values: [&(dyn ToSql + Sync); 4] = [&NO_USER, &now, &action, &id];
            client.execute(&record, &values).await?;
        }
        client.execute(&end, &[&id]).await?;
        client.batch_execute("COMMIT").await?;
        Ok(revoked > 0)
    };
    // Whatever failed, the connection is given up, and with it what was begun.
    tried.await.map_err(
        |error: tokio_postgres::Error| match Failure::of_writing(&error) {
            Failure::Refused(error) => Failure::Unknown(error),
            failure => failure,
        },
    )
}

fn bytes(hash: &TokenHash) -> &[u8] {
    hash.as_bytes().as_slice()
}

fn any(rows: &[Row]) -> Result<bool, StoreError> {
    let count = rows
        .first()
        .map(|row| row.try_get::<_, i64>(0).map_err(corrupt));
    Ok(count.transpose()?.unwrap_or_default() > 0)
}

fn credential(row: &Row) -> Result<Credential, StoreError> {
    Ok(Credential {
        id: row.try_get(0).map_err(corrupt)?,
        secret: hash(row, 1)?,
        scope: scope(row)?,
        created_at: Timestamp::from_seconds(row.try_get(3).map_err(corrupt)?),
        revoked_at: row
            .try_get::<_, Option<i64>>(4)
            .map_err(corrupt)?
            .map(Timestamp::from_seconds),
    })
}

fn pair(row: &Row) -> Result<TokenPair, StoreError> {
    Ok(TokenPair {
        access: hash(row, 0)?,
        refresh: hash(row, 1)?,
        scope: scope(row)?,
        credential: row.try_get(3).map_err(corrupt)?,
        created_at: Timestamp::from_seconds(row.try_get(4).map_err(corrupt)?),
        expires_at: Timestamp::from_seconds(row.try_get(5).map_err(corrupt)?),
    })
}

fn hash(row: &Row, index: usize) -> Result<TokenHash, StoreError> {
    let bytes: &[u8] = row.try_get(index).map_err(corrupt)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt("a hash".to_owned()))?;
    Ok(TokenHash::from_bytes(bytes))
}

/// The scope, which stands third in both.
fn scope(row: &Row) -> Result<Scope, StoreError> {
    let text: &str = row.try_get(2).map_err(corrupt)?;
    text.parse()
        .map_err(|_| StoreError::Corrupt("a scope".to_owned()))
}

const CREATE: &str = "WITH made AS (
        INSERT INTO credentials (id, secret, scope, created_at, revoked_at) VALUES ($1, $2, $3, $4, $5) RETURNING id)
    INSERT INTO audit_events (id, at, user_id, action, credential) SELECT nextval('event_ids'), $6, $7, $8, id FROM made";
const RECORD: &str = "INSERT INTO audit_events (id, user_id, at, action, credential)
    VALUES (nextval('event_ids'), $1, $2, $3, $4)";
/// The credential of the pair, held until the commit.
const NOT_REVOKED: &str =
    "credential AS MATERIALIZED (SELECT revoked_at FROM credentials WHERE id = $3 FOR SHARE)";
const COLUMNS: &str = "(access, refresh, credential, scope, created_at, expires_at)";
const VALUES: &str = "SELECT $1, $2, $3, $4, $5, $6
    WHERE NOT EXISTS (SELECT FROM credential WHERE revoked_at IS NOT NULL)";
