//! When a request is sent again: only where that can do no harm.
//!
//! Reading can always be repeated. A write is repeated when it is certain that the service has not acted on it: no
//! connection came about, or it was turned away by the rate limit with a time to come back. A second POST could send a
//! second message, and a second PUT would read as a used code.

use std::time::Duration;

use super::Error;

/// What a repetition of a request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it reads, or makes something that nobody misses.
    Harmless,
    /// Something: it is sent again only if the service has not acted on it.
    Harmful,
}

/// The bounds of repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) max_retries: u32,
    pub(crate) max_delay: Duration,
}

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

impl Policy {
    /// How long to wait before the request is sent again, or nothing if it must not be.
    ///
    /// `attempt` counts from 0; `jitter` is drawn from 0 to 1.
    pub(crate) fn delay(
        &self,
        repeat: Repeat,
        attempt: u32,
        error: &Error,
        jitter: f64,
    ) -> Option<Duration> {
        if attempt >= self.max_retries {
            return None;
        }
        let backoff = || {
            FIRST_DELAY
                .saturating_mul(1 << attempt.min(16))
                .min(LONGEST_BACKOFF)
                .mul_f64(0.5 + jitter / 2.0)
        };
        match error {
            Error::Transport { unsent, .. } if *unsent || repeat == Repeat::Harmless => {
                Some(backoff())
            }
            Error::Api(refused) => match (refused.status, refused.retry_after) {
                (429, Some(after)) => self.after(after, jitter),
                (503, Some(after)) if repeat == Repeat::Harmless => self.after(after, jitter),
                (429 | 502 | 503 | 504, None) if repeat == Repeat::Harmless => Some(backoff()),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the service asked for, and up to a tenth of it (at least 100 ms) more, so that not all come back at once.
    fn after(&self, after: Duration, jitter: f64) -> Option<Duration> {
        let spread = (after / 10).max(Duration::from_millis(100));
        (after <= self.max_delay).then(|| after + spread.mul_f64(jitter))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::ApiError;

    const POLICY: Policy = Policy {
        max_retries: 3,
        max_delay: Duration::from_secs(30),
    };

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        let mut error = ApiError::read(status, &reqwest::header::HeaderMap::new(), b"");
        error.retry_after = retry_after.map(Duration::from_secs);
        Error::Api(Box::new(error))
    }

    fn broken(unsent: bool) -> Error {
        Error::Transport {
            unsent,
            timeout: false,
            source: Arc::new(std::fmt::Error),
        }
    }

    #[test]
    fn a_write_is_repeated_only_when_the_service_has_not_acted_on_it() {
        for (error, harmless, harmful) in [
            (broken(true), true, true),
            (broken(false), true, false),
            (refused(429, Some(1)), true, true),
            (refused(429, None), true, false),
            (refused(429, Some(31)), false, false),
            (refused(503, Some(1)), true, false),
            (refused(502, None), true, false),
            (refused(504, None), true, false),
            (refused(500, None), false, false),
            (refused(403, Some(1)), false, false),
            (refused(401, None), false, false),
            (refused(422, None), false, false),
        ] {
            assert_eq!(
                POLICY.delay(Repeat::Harmless, 0, &error, 0.5).is_some(),
                harmless,
                "{error}"
            );
            assert_eq!(
                POLICY.delay(Repeat::Harmful, 0, &error, 0.5).is_some(),
                harmful,
                "{error}"
            );
        }
    }

    #[test]
    fn delays_grow_with_jitter_up_to_a_bound_and_end() {
        let delay =
            |attempt, jitter| POLICY.delay(Repeat::Harmless, attempt, &broken(false), jitter);
        assert_eq!(delay(0, 0.0), Some(Duration::from_millis(100)));
        assert_eq!(delay(0, 1.0), Some(Duration::from_millis(200)));
        assert_eq!(delay(2, 1.0), Some(Duration::from_millis(800)));
        assert_eq!(delay(3, 1.0), None);
        let patient = Policy {
            max_retries: 100,
            ..POLICY
        };
        assert_eq!(
            patient.delay(Repeat::Harmless, 99, &broken(false), 1.0),
            Some(LONGEST_BACKOFF)
        );
    }

    #[test]
    fn what_the_service_asks_for_is_never_undercut() {
        for jitter in [0.0, 0.3, 1.0] {
            let delay = POLICY
                .delay(Repeat::Harmful, 0, &refused(429, Some(20)), jitter)
                .unwrap();
            assert!(
                delay >= Duration::from_secs(20) && delay <= Duration::from_secs(22),
                "{delay:?}"
            );
        }
    }
}
