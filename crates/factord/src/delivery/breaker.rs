//! A circuit breaker: a provider that fails again and again is left alone for a while, so that messages go to the
//! fallback at once and the provider can recover.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Consecutive failures that open it, at least 1.
    pub failures: u32,
    /// How long nothing is asked of the provider then.
    pub pause: Duration,
}

/// The breaker of one provider.
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

/// What changed for the provider by an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
    Nothing,
}

enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One message tries whether the provider works again. If nothing is heard of it, another may at `until`.
    Trying {
        until: Instant,
    },
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Whether the provider may be asked now. Once the pause is over one caller may, and the others when it succeeded.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } | State::Trying { until } if now < until => false,
            State::Open { .. } | State::Trying { .. } => {
                let until = now + self.settings.pause;
                *state = State::Trying { until };
                true
            }
        }
    }

    pub(super) fn succeeded(&self) -> Change {
        match std::mem::replace(&mut *self.state(), State::Closed { failures: 0 }) {
            State::Closed { .. } => Change::Nothing,
            State::Open { .. } | State::Trying { .. } => Change::Closed,
        }
    }

    pub(super) fn failed(&self, now: Instant) -> Change {
        let mut state = self.state();
        let until = now + self.settings.pause;
        match *state {
            State::Closed { failures } if failures + 1 < self.settings.failures => {
                *state = State::Closed {
                    failures: failures + 1,
                };
                Change::Nothing
            }
            State::Closed { .. } => {
                *state = State::Open { until };
                Change::Opened
            }
            State::Trying { .. } => {
                *state = State::Open { until };
                Change::Nothing
            }
            // A straggler that was sent before it opened.
            State::Open { .. } => Change::Nothing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);
    const MOMENT: Duration = Duration::from_millis(1);

    fn breaker() -> (Breaker, Instant) {
        let settings = BreakerSettings {
            failures: 3,
            pause: PAUSE,
        };
        (Breaker::new(settings), Instant::now())
    }

    fn opened() -> (Breaker, Instant) {
        let (breaker, now) = breaker();
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!(breaker.failed(now), Change::Opened);
        (breaker, now)
    }

    #[test]
    fn it_opens_after_as_many_failures_in_a_row_as_are_set() {
        let (breaker, now) = opened();
        assert!(!breaker.allows(now));
        assert!(!breaker.allows(now + PAUSE.checked_sub(MOMENT).unwrap()));
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew() {
        let (breaker, now) = breaker();
        for _ in 0..3 {
            assert_eq!(breaker.failed(now), Change::Nothing);
            assert_eq!(breaker.failed(now), Change::Nothing);
            assert_eq!(breaker.succeeded(), Change::Nothing);
        }
        assert!(breaker.allows(now));
    }

    #[test]
    fn after_the_pause_one_message_tries_and_its_success_lets_all_through() {
        let (breaker, now) = opened();
        let later = now + PAUSE;
        assert!(breaker.allows(later));
        assert!(!breaker.allows(later), "one tries, the others wait for it");
        assert_eq!(breaker.succeeded(), Change::Closed);
        assert!(breaker.allows(later) && breaker.allows(later));
    }

    #[test]
    fn a_try_that_fails_begins_another_pause() {
        let (breaker, now) = opened();
        let later = now + PAUSE;
        assert!(breaker.allows(later));
        assert_eq!(breaker.failed(later), Change::Nothing);
        assert!(!breaker.allows(later + PAUSE.checked_sub(MOMENT).unwrap()));
        assert!(breaker.allows(later + PAUSE));
    }

    #[test]
    fn a_try_that_is_never_heard_of_does_not_keep_it_open_for_ever() {
        let (breaker, now) = opened();
        assert!(breaker.allows(now + PAUSE));
        assert!(breaker.allows(now + PAUSE + PAUSE));
    }

    #[test]
    fn a_straggler_that_fails_does_not_lengthen_the_pause() {
        let (breaker, now) = opened();
        assert_eq!(breaker.failed(now + MOMENT), Change::Nothing);
        assert!(breaker.allows(now + PAUSE));
    }
}
