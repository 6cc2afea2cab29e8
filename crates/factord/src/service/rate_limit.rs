//! So many requests an hour for each credential, if the operator wants a limit (contract, GET /auth/rate_limit).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// Counts the requests of each credential in windows of an hour.
#[derive(Debug, Default)]
pub struct RateLimiter {
    limit: Option<u32>,
    windows: Mutex<HashMap<Box<str>, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Timestamp,
    used: u32,
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
    /// So many requests an hour for each credential; without a number, as many as it likes.
    pub fn new(limit: Option<u32>) -> Self {
        Self {
            limit,
            windows: Mutex::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The seconds until the next window, at least 1, if this one is used up.
    pub fn admit(&self, credential: &str, now: Timestamp) -> Result<(), u64> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = current(windows.entry(credential.into()).or_insert(NO_WINDOW), now);
        if window.used >= limit {
            return Err(window.ends.since(now).unsigned_abs().max(1));
        }
        window.used += 1;
        Ok(())
    }

    /// How a credential stands, without counting.
    pub fn standing(&self, credential: &str, now: Timestamp) -> Standing {
        let Some(limit) = self.limit else {
            return Standing {
                limit: UNLIMITED,
                remaining: UNLIMITED,
                reset: WINDOW_SECONDS.unsigned_abs(),
            };
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = current(windows.entry(credential.into()).or_insert(NO_WINDOW), now);
        let reset = window.ends.since(now).unsigned_abs();
        Standing {
            limit,
            remaining: limit.saturating_sub(window.used),
            reset,
        }
    }
}

/// The window that `now` lies in: the old one, or a new one in its place.
fn current(window: &mut Window, now: Timestamp) -> &mut Window {
    if window.ends <= now {
        *window = Window {
            ends: now.plus(WINDOW_SECONDS),
            used: 0,
        };
    }
    window
}

const WINDOW_SECONDS: i64 = 3_600;
const NO_WINDOW: Window = Window {
    ends: Timestamp::from_seconds(i64::MIN),
    used: 0,
};
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
    fn no_limit_reads_as_the_largest_that_every_client_can_hold() {
        let limiter = RateLimiter::new(None);
        assert_eq!(limiter.admit("a", Timestamp::from_seconds(0)), Ok(()));
        assert_eq!(
            limiter.standing("a", Timestamp::from_seconds(0)).remaining,
            2_147_483_647
        );
    }
}
