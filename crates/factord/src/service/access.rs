//! Bearer tokens: given to credentials, renewed, revoked, and recognised at every request.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};

use super::rate_limit::RateLimiter;
use crate::auth::scope::Scope;
use crate::auth::{ACCESS_TOKEN_SECONDS, Credential, IssuedPair, TokenPair};
use crate::clock::{self, Timestamp};
use crate::crypto::tokens::{self, TokenHash};
use crate::store::{Store, StoreError};

/// Whoever sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the credential.
    pub credential: Arc<str>,
    /// What it may do.
    pub scope: Scope,
}

/// Gives out tokens and recognises them.
pub struct Access {
    store: Arc<dyn Store>,
    recognised: RwLock<Recollection>,
    /// The rate limit of each credential.
    pub rate_limiter: Arc<RateLimiter>,
}

/// The tokens that were asked for a moment ago.
#[derive(Default)]
struct Recollection {
    tokens: HashMap<TokenHash, Recognised>,
    /// Rises whenever one is forgotten, so that what was read before is not remembered after.
    forgotten: u64,
}

struct Recognised {
    caller: Caller,
    expires_at: Timestamp,
    checked: Instant,
}

impl Access {
    /// Access by the credentials of `store`.
    pub fn new(store: Arc<dyn Store>, rate_limiter: RateLimiter) -> Self {
        Self {
            store,
            recognised: RwLock::default(),
            rate_limiter: Arc::new(rate_limiter),
        }
    }

    /// Whose access token this is; `None` if it is unknown, expired or revoked. A revocation by another process is
    /// seen within half a second.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot say.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, StoreError> {
        let (hash, now) = (TokenHash::of(token), self.store.now());
        if let Some(caller) = self.recognise(&hash, now) {
            return Ok(Some(caller));
        }
        let before = self.recollection().forgotten;
        let found = self.store.token(hash).await?;
        let Some(pair) = found.filter(|pair| pair.expires_at > now) else {
            self.forget(&hash);
            return Ok(None);
        };
        let caller = Caller {
            credential: pair.credential.into(),
            scope: pair.scope,
        };
        let mut recognised = self.recollection_mut();
        if recognised.forgotten == before {
            if recognised.tokens.len() >= MOST_RECOGNISED {
                recognised.tokens.clear();
            }
            let entry = Recognised {
                caller: caller.clone(),
                expires_at: pair.expires_at,
                checked: Instant::now(),
            };
            recognised.tokens.insert(hash, entry);
        }
        Ok(Some(caller))
    }

    /// Whose token this is, if the database was asked a moment ago.
    fn recognise(&self, hash: &TokenHash, now: Timestamp) -> Option<Caller> {
        let recognised = self.recollection();
        let known = recognised.tokens.get(hash)?;
        (known.checked.elapsed() < RECHECK && known.expires_at > now).then(|| known.caller.clone())
    }

    /// The credential with this id and secret, unless it is revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot say.
    pub async fn credential(
        &self,
        id: &str,
        secret: &SecretString,
    ) -> Result<Option<Credential>, StoreError> {
        let presented = TokenHash::of_secret(secret);
        let credential = self.store.credential(id.to_owned()).await?;
        Ok(credential
            .filter(|credential| credential.secret == presented && credential.revoked_at.is_none()))
    }

    /// Gives a credential a new pair of tokens.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be kept.
    pub async fn issue(&self, credential: &Credential) -> Result<IssuedPair, StoreError> {
        let (issued, pair) = self.draw(credential);
        self.store.insert_token(pair).await?;
        Ok(issued)
    }

    /// Gives a new pair in exchange for an old one of the same credential, which is void at once. `None` if there is
    /// no such pair.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be exchanged.
    pub async fn refresh(
        &self,
        credential: &Credential,
        access: &SecretString,
        refresh: &SecretString,
    ) -> Result<Option<IssuedPair>, StoreError> {
        let (issued, pair) = self.draw(credential);
        let (access, refresh) = (TokenHash::of_secret(access), TokenHash::of_secret(refresh));
        let replaced = self.store.replace_token(access, refresh, pair).await?;
        self.forget(&access);
        Ok(replaced.then_some(issued))
    }

    /// Ends a pair of the credential's by its access token; `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be ended.
    pub async fn revoke(
        &self,
        credential: &Credential,
        access: &SecretString,
    ) -> Result<bool, StoreError> {
        let access = TokenHash::of(access.expose_secret());
        let revoked = self
            .store
            .revoke_token(access, credential.id.clone())
            .await?;
        self.forget(&access);
        Ok(revoked)
    }

    fn draw(&self, credential: &Credential) -> (IssuedPair, TokenPair) {
        let rng: &mut dyn CryptoRng = &mut clock::system_rng();
        let (access, refresh, created_at) = (
            tokens::generate(rng),
            tokens::generate(rng),
            self.store.now(),
        );
        let pair = TokenPair {
            access: TokenHash::of_secret(&access),
            refresh: TokenHash::of_secret(&refresh),
            credential: credential.id.clone(),
            scope: credential.scope,
            created_at,
            expires_at: created_at.plus(ACCESS_TOKEN_SECONDS),
        };
        (
            IssuedPair {
                access,
                refresh,
                created_at,
            },
            pair,
        )
    }

    fn forget(&self, access: &TokenHash) {
        let mut recognised = self.recollection_mut();
        recognised.forgotten += 1;
        recognised.tokens.remove(access);
    }

    fn recollection(&self) -> RwLockReadGuard<'_, Recollection> {
        self.recognised
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn recollection_mut(&self) -> RwLockWriteGuard<'_, Recollection> {
        self.recognised
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a token that was recognised is not asked for again.
const RECHECK: Duration = Duration::from_millis(500);
/// How many tokens are remembered at once.
const MOST_RECOGNISED: usize = 10_000;
