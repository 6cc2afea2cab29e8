//! So many requests in a window of time: an hour for each credential, if the operator wants a limit (contract, GET
//! /auth/rate_limit); a minute for each user, where a request costs much.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

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

    /// The caller's window that `now` lies in: the old one, or a new one in its place.
    fn in_window<T>(&self, caller: &str, now: Timestamp, with: impl FnOnce(&mut Window) -> T) -> T {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MOST_CALLERS {
            windows.retain(|_, window| window.ends > now);
        }
        let new = Window {
            ends: now.plus(self.window_seconds),
            used: 0,
        };
        let window = windows.entry(caller.into()).or_insert(new);
        if window.ends <= now {
            *window = new;
        }
        with(window)
    }
}

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
    fn no_limit_reads_as_the_largest_that_every_client_can_hold() {
        let limiter = RateLimiter::new(None);
        assert_eq!(limiter.admit("a", Timestamp::from_seconds(0)), Ok(()));
        assert_eq!(
            limiter.standing("a", Timestamp::from_seconds(0)).remaining,
            2_147_483_647
        );
    }
}
