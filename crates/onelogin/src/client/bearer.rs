//! The bearer token of a client: given, or fetched once for all who need it at the same time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::Instant};

use super::{Error, Result};
use crate::models::AccessToken;

/// A token is renewed this long before its end, or when a tenth of its life is left if that is later.
const MARGIN: Duration = Duration::from_mins(1);

/// The token that was fetched last, and how fetching it went.
#[derive(Debug, Default)]
pub(crate) struct BearerCache {
    state: Mutex<State>,
    /// How many fetches have ended. Who sees it move while waiting has a result that is fresh enough.
    fetches: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Cached>,
    failure: Option<Error>,
}

#[derive(Clone, Debug)]
struct Cached {
    token: SecretString,
    renew_at: Option<Instant>,
}

impl BearerCache {
    /// The token in the cache, or a new one. All who ask while a fetch is under way get its outcome, also its failure.
    pub(crate) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<SecretString>
    where
        F: Future<Output = Result<AccessToken>>,
    {
        let seen = self.fetches.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(cached) = &state.token
            && cached
                .renew_at
                .is_none_or(|renew_at| Instant::now() < renew_at)
        {
            return Ok(cached.token.clone());
        }
        if let Some(failure) = &state.failure
            && self.fetches.load(Ordering::Acquire) != seen
        {
            return Err(failure.clone());
        }
        // Measured from before the request, so that the time on the way counts as lived.
        let asked_at = Instant::now();
        let fetched = fetch().await;
        self.fetches.fetch_add(1, Ordering::Release);
        match fetched {
            Ok(token) => {
                let lifetime = token
                    .expires_in
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .map(Duration::from_secs);
                super::trace::token_fetched(lifetime);
                let renew_at = lifetime.and_then(|lifetime| {
                    asked_at.checked_add(lifetime.saturating_sub(MARGIN.min(lifetime / 10)))
                });
                *state = State {
                    token: Some(Cached {
                        token: token.access_token.clone(),
                        renew_at,
                    }),
                    failure: None,
                };
                Ok(token.access_token)
            }
            Err(error) => {
                *state = State {
                    token: None,
                    failure: Some(error.clone()),
                };
                Err(error)
            }
        }
    }

    /// Forgets a token that the service does not take any more, unless it has been replaced already.
    pub(crate) async fn forget(&self, token: &SecretString) {
        let mut state = self.state.lock().await;
        if state
            .token
            .as_ref()
            .is_some_and(|cached| cached.token.expose_secret() == token.expose_secret())
        {
            state.token = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU32};

    use super::*;

    fn token(text: &str, expires_in: Option<i64>) -> AccessToken {
        let mut token: AccessToken =
            serde_json::from_value(serde_json::json!({ "access_token": text })).unwrap();
        token.expires_in = expires_in;
        token
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_fetch_and_its_failure() {
        let cache = Arc::new(BearerCache::default());
        let fetches = Arc::new(AtomicU32::new(0));
        let ask = |fail: bool| {
            let (cache, fetches) = (Arc::clone(&cache), Arc::clone(&fetches));
            tokio::spawn(async move {
                let fetch = || async {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if fail {
                        Err(Error::Request("no".to_owned()))
                    } else {
                        Ok(token("t", Some(3600)))
                    }
                };
                cache.get(fetch).await.is_ok()
            })
        };
        let failing: Vec<_> = (0..50).map(|_| ask(true)).collect();
        for task in failing {
            assert!(!task.await.unwrap());
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        let working: Vec<_> = (0..50).map(|_| ask(false)).collect();
        for task in working {
            assert!(task.await.unwrap());
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends() {
        let cache = BearerCache::default();
        let get = async |text: &str| {
            cache
                .get(|| async { Ok(token(text, Some(3600))) })
                .await
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        assert_eq!(get("first").await, "first");
        tokio::time::advance(Duration::from_secs(3539)).await;
        assert_eq!(get("second").await, "first");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get("second").await, "second");
    }

    #[tokio::test]
    async fn only_the_token_that_was_refused_is_forgotten() {
        let cache = BearerCache::default();
        let get = async |text: &str| {
            cache
                .get(|| async { Ok(token(text, None)) })
                .await
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        assert_eq!(get("first").await, "first");
        cache.forget(&"older".into()).await;
        assert_eq!(get("second").await, "first");
        cache.forget(&"first".into()).await;
        assert_eq!(get("second").await, "second");
    }
}
