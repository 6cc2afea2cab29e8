//! So many requests in a window of time: an hour for each credential, if the operator wants a limit (contract, GET
//! /auth/rate_limit); a minute for each user, where a request costs much. Nodes that share a database tell each other
//! what they counted several times a second ([`share`]): a limit may be passed by what others admit in between.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::{RequestCount, Store};

/// Counts the requests of each caller in windows of time.
#[derive(Debug)]
pub struct RateLimiter {
    limit: Option<u32>,
    window_seconds: i64,
    windows: Mutex<HashMap<Box<str>, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Timestamp,
    /// Requests, those of other nodes too as far as they are known.
    used: u32,
    /// Those of them that other nodes do not know of.
    untold: u32,
}

/// How a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests an hour.
    pub limit: u32,
    /// Requests that are left in this window.
    pub remaining: u32,
    /// Seconds until the next window.
    pub reset: u64,
}

impl RateLimiter {
    /// So many requests an hour for each caller; without a number, as many as it likes.
    pub fn new(limit: Option<u32>) -> Self {
        Self::with_window(limit, HOUR)
    }

    /// So many requests in so many seconds.
    pub fn with_window(limit: Option<u32>, window_seconds: i64) -> Self {
        Self {
            limit,
            window_seconds,
            windows: Mutex::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The seconds until the next window, at least 1, if this one is used up.
    pub fn admit(&self, caller: &str, now: Timestamp) -> Result<(), u64> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        self.in_window(caller, now, |window| {
            if window.used >= limit {
                return Err(window.ends.since(now).unsigned_abs().max(1));
            }
            window.used += 1;
            window.untold += 1;
            Ok(())
        })
    }

    /// How a caller stands, without counting.
    pub fn standing(&self, caller: &str, now: Timestamp) -> Standing {
        let Some(limit) = self.limit else {
            return Standing {
                limit: UNLIMITED,
                remaining: UNLIMITED,
                reset: self.window_seconds.unsigned_abs(),
            };
        };
        self.in_window(caller, now, |window| Standing {
            limit,
            remaining: limit.saturating_sub(window.used),
            reset: window.ends.since(now).unsigned_abs(),
        })
    }

    /// What other nodes do not know of, in the order of the callers; it counts as told from now on.
    fn untold(&self, now: Timestamp) -> Vec<RequestCount> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<_> = windows
            .iter_mut()
            .filter(|(_, window)| window.untold > 0 && window.ends > now)
            .map(|(caller, window)| RequestCount {
                caller: caller.to_string(),
                ends: now.plus(self.window_seconds),
                used: std::mem::take(&mut window.untold),
            })
            .collect();
        counts.sort_unstable_by(|one, other| one.caller.cmp(&other.caller));
        counts
    }

    /// Takes what all nodes have counted together.
    fn learn(&self, counts: &[RequestCount]) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            if let Some(window) = windows.get_mut(&*count.caller) {
                window.ends = count.ends;
                window.used = count.used.saturating_add(window.untold);
            }
        }
    }

    /// Takes back that these were told.
    fn not_told(&self, counts: &[RequestCount]) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            if let Some(window) = windows.get_mut(&*count.caller) {
                window.untold = window.untold.saturating_add(count.used);
            }
        }
    }

    /// The caller's window that `now` lies in: the old one, or a new one in its place.
    fn in_window<T>(&self, caller: &str, now: Timestamp, with: impl FnOnce(&mut Window) -> T) -> T {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MOST_CALLERS {
            windows.retain(|_, window| window.ends > now);
        }
        let new = Window {
            ends: now.plus(self.window_seconds),
            used: 0,
            untold: 0,
        };
        let window = windows.entry(caller.into()).or_insert(new);
        if window.ends <= now {
            *window = new;
        }
        with(window)
    }
}

/// Tells other nodes of the requests that were counted here, and hears of theirs, until `shutdown`.
pub async fn share(
    store: Arc<dyn Store>,
    limiters: Vec<Arc<RateLimiter>>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        for limiter in &limiters {
            let untold = limiter.untold(store.now());
            if untold.is_empty() {
                continue;
            }
            match store.count_requests(untold.clone()).await {
                Ok(Some(all)) => limiter.learn(&all),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "requests cannot be counted over all nodes");
                    limiter.not_told(&untold);
                }
            }
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(BETWEEN_WORDS) => {}
        }
    }
}

/// How often nodes tell each other.
const BETWEEN_WORDS: Duration = Duration::from_millis(250);
const HOUR: i64 = 3_600;
/// Callers whose windows are remembered before those that ended are forgotten.
const MOST_CALLERS: usize = 10_000;
/// What a limit that is not set reads as (contract, GET /auth/rate_limit).
const UNLIMITED: u32 = 2_147_483_647;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_its_own_hour() {
        let (limiter, now) = (RateLimiter::new(Some(2)), Timestamp::from_seconds(1_000));
        assert_eq!(
            (limiter.admit("a", now), limiter.admit("a", now)),
            (Ok(()), Ok(()))
        );
        assert_eq!(limiter.admit("a", now.plus(10)), Err(3_590));
        assert_eq!(limiter.admit("b", now), Ok(()));
        assert_eq!(
            limiter.standing("b", now),
            Standing {
                limit: 2,
                remaining: 1,
                reset: 3_600
            }
        );
        assert_eq!(limiter.admit("a", now.plus(3_600)), Ok(()));
    }

    #[test]
    fn what_other_nodes_counted_is_counted_here_and_nothing_is_told_twice() {
        let (limiter, now) = (RateLimiter::new(Some(10)), Timestamp::from_seconds(1_000));
        for _ in 0..3 {
            limiter.admit("a", now).unwrap();
        }
        let told = limiter.untold(now);
        assert_eq!(told[0].used, 3);
        assert_eq!(limiter.untold(now), []);
        limiter.admit("a", now).unwrap();
        let all = RequestCount {
            used: 8,
            ends: now.plus(60),
            ..told[0].clone()
        };
        limiter.learn(&[all]);
        let standing = limiter.standing("a", now);
        assert_eq!((standing.remaining, standing.reset), (1, 60));
        limiter.admit("a", now).unwrap();
        assert_eq!(limiter.admit("a", now), Err(60));
        let again = limiter.untold(now);
        limiter.not_told(&again);
        assert_eq!(limiter.untold(now), again);
    }

    #[test]
    fn no_limit_reads_as_the_largest_that_every_client_can_hold() {
        let limiter = RateLimiter::new(None);
        assert_eq!(limiter.admit("a", Timestamp::from_seconds(0)), Ok(()));
        assert_eq!(
            limiter.standing("a", Timestamp::from_seconds(0)).remaining,
            2_147_483_647
        );
    }
}
