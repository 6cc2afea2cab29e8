//! API credentials and the tokens that were given to them.

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::is_conflict;
use super::events;
use crate::audit::Action;
use crate::auth::scope::Scope;
use crate::auth::{Credential, TokenPair};
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::store::StoreError;

/// Keeps a new credential.
pub(super) fn insert(
    conn: &Connection,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO credentials (id, secret, scope, created_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        &credential.id,
        credential.secret.as_bytes(),
        credential.scope.as_str(),
        credential.created_at.seconds(),
        credential.revoked_at.map(Timestamp::seconds),
    ))
    .map_err(|error| -> StoreError {
        if is_conflict(&error) {
            StoreError::Conflict("client id")
        } else {
            error.into()
        }
    })?;
    events::insert_about_credential(conn, &credential.id, Action::CreateCredential, now)
}

/// The credential with this id.
pub(super) fn find(conn: &Connection, id: &str) -> Result<Option<Credential>, StoreError> {
    conn.prepare_cached(
        "SELECT id, secret, scope, created_at, revoked_at FROM credentials WHERE id = ?1",
    )?
    .query_row([id], |row| Ok(credential(row)))
    .optional()?
    .transpose()
}

/// All credentials, by id.
pub(super) fn all(conn: &Connection) -> Result<Vec<Credential>, StoreError> {
    conn.prepare_cached(
        "SELECT id, secret, scope, created_at, revoked_at FROM credentials ORDER BY id",
    )?
    .query_and_then((), credential)?
    .collect()
}

/// Revokes a credential, and its tokens with it.
pub(super) fn revoke(conn: &Connection, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let revoked = conn
        .prepare_cached(
            "UPDATE credentials SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        )?
        .execute((id, now.seconds()))?;
    if revoked > 0 {
        events::insert_about_credential(conn, id, Action::RevokeCredential, now)?;
    }
    conn.prepare_cached("DELETE FROM tokens WHERE credential = ?1")?
        .execute([id])?;
    Ok(revoked > 0)
}

/// Keeps a new pair of tokens; it is void from the start if its credential was revoked meanwhile.
pub(super) fn insert_token(conn: &Connection, pair: &TokenPair) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO tokens (access, refresh, credential, scope, created_at, expires_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE NOT EXISTS (SELECT 1 FROM credentials WHERE id = ?3 AND revoked_at IS NOT NULL)",
    )?
    .execute((
        pair.access.as_bytes(),
        pair.refresh.as_bytes(),
        &pair.credential,
        pair.scope.as_str(),
        pair.created_at.seconds(),
        pair.expires_at.seconds(),
    ))?;
    Ok(())
}

/// The pair with this access token.
pub(super) fn token(
    conn: &Connection,
    access: &TokenHash,
) -> Result<Option<TokenPair>, StoreError> {
    conn.prepare_cached(
        "SELECT access, refresh, scope, credential, created_at, expires_at FROM tokens WHERE access = ?1",
    )?
    .query_row([access.as_bytes()], |row| Ok(pair(row)))
    .optional()?
    .transpose()
}

/// Puts a new pair in the place of an old one.
pub(super) fn replace_token(
    conn: &Connection,
    access: &TokenHash,
    refresh: &TokenHash,
    new: &TokenPair,
) -> Result<bool, StoreError> {
    let ended = conn
        .prepare_cached(
            "DELETE FROM tokens WHERE access = ?1 AND refresh = ?2 AND credential = ?3",
        )?
        .execute((access.as_bytes(), refresh.as_bytes(), &new.credential))?;
    if ended > 0 {
        insert_token(conn, new)?;
    }
    Ok(ended > 0)
}

/// Deletes a credential's own pair.
pub(super) fn revoke_token(
    conn: &Connection,
    access: &TokenHash,
    credential: &str,
) -> Result<bool, StoreError> {
    let ended = conn
        .prepare_cached("DELETE FROM tokens WHERE access = ?1 AND credential = ?2")?
        .execute((access.as_bytes(), credential))?;
    Ok(ended > 0)
}

fn credential(row: &Row<'_>) -> Result<Credential, StoreError> {
    Ok(Credential {
        id: row.get(0)?,
        secret: TokenHash::from_bytes(row.get(1)?),
        scope: scope(row)?,
        created_at: Timestamp::from_seconds(row.get(3)?),
        revoked_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_seconds),
    })
}

fn pair(row: &Row<'_>) -> Result<TokenPair, StoreError> {
    Ok(TokenPair {
        access: TokenHash::from_bytes(row.get(0)?),
        refresh: TokenHash::from_bytes(row.get(1)?),
        scope: scope(row)?,
        credential: row.get(3)?,
        created_at: Timestamp::from_seconds(row.get(4)?),
        expires_at: Timestamp::from_seconds(row.get(5)?),
    })
}

/// The scope, which stands third in both.
fn scope(row: &Row<'_>) -> Result<Scope, StoreError> {
    row.get_ref(2)?
        .as_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::Corrupt("a scope".to_owned()))
}
