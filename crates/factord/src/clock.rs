//! The only place that asks the system for the time and for randomness. Everything else takes them as
//! parameters, so that tests choose both.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::{CryptoRng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A moment as whole seconds since 1970-01-01T00:00:00Z: the resolution of every expiry, delay and time step.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `seconds` after the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This moment moved by `seconds`, which may be negative; saturates at the ends of the range.
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative if `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment to the millisecond: what ids are ordered by. Everything else goes by the [`Timestamp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The second that it is in.
    pub const fn timestamp(self) -> Timestamp {
        Timestamp(self.0.div_euclid(MILLIS))
    }
}

/// The beginning of the second; saturates at the ends of the range.
impl From<Timestamp> for Moment {
    fn from(second: Timestamp) -> Self {
        Self(second.0.saturating_mul(MILLIS))
    }
}

const MILLIS: i64 = 1_000;

/// RFC 3339, UTC, whole seconds, `Z` (contract, Responses); a moment that no calendar holds shows its bare seconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// Where the time of a decision comes from.
pub trait Clock: Send + Sync {
    /// The service's time: the system's, plus what [`Clock::set_offset`] was told.
    fn moment(&self) -> Moment;

    /// The service's time in whole seconds.
    fn now(&self) -> Timestamp {
        self.moment().timestamp()
    }

    /// Seconds by which the service's time is ahead of the system's; 0 but under `factord dev`.
    fn offset(&self) -> i64;

    /// Sets the seconds by which the service's time is ahead of the system's.
    fn set_offset(&self, seconds: i64);
}

/// The system's clock, with the offset that `POST /dev/clock` moves.
#[derive(Debug, Default)]
pub struct SystemClock {
    offset: AtomicI64,
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system"
    )]
    fn moment(&self) -> Moment {
        let now = jiff::Timestamp::now().as_millisecond();
        Moment(now.saturating_add(self.offset().saturating_mul(MILLIS)))
    }

    fn offset(&self) -> i64 {
        self.offset.load(Ordering::Acquire)
    }

    fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::Release);
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    offset: AtomicI64,
}

impl ManualClock {
    /// A clock that says `start` until its offset is set.
    pub const fn at(start: Timestamp) -> Self {
        Self {
            start,
            offset: AtomicI64::new(0),
        }
    }

    /// Moves the clock by `seconds`.
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn moment(&self) -> Moment {
        self.start.plus(self.offset()).into()
    }

    fn offset(&self) -> i64 {
        self.offset.load(Ordering::Acquire)
    }

    fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::Release);
    }
}

/// A generator for secrets, codes and ids: ChaCha12, seeded with 256 bits by the operating system.
///
/// # Panics
/// If the operating system has no randomness to give: nothing can be issued safely then.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the system"
)]
#[expect(
    clippy::expect_used,
    reason = "without randomness the process must not go on"
)]
pub fn system_rng() -> impl CryptoRng + Send + 'static {
    let mut seed = <StdRng as SeedableRng>::Seed::default();
    getrandom::fill(&mut seed).expect("the operating system gives randomness");
    StdRng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_the_second_that_began_before_it() {
        for (millis, second) in [
            (0, 0),
            (999, 0),
            (1_000, 1),
            (-1, -1),
            (1_700_000_000_123, 1_700_000_000),
        ] {
            assert_eq!(Moment::from_millis(millis).timestamp().seconds(), second);
        }
        let second = Timestamp::from_seconds(1_700_000_000);
        assert_eq!(Moment::from(second).timestamp(), second);
    }

    #[test]
    fn a_timestamp_reads_as_whole_seconds_in_utc() {
        assert_eq!(
            Timestamp::from_seconds(1_595_364_404).to_string(),
            "2020-07-21T20:46:44Z"
        );
    }

    #[test]
    fn a_timestamp_beyond_the_calendar_does_not_panic() {
        assert_eq!(
            Timestamp::from_seconds(i64::MAX).plus(1).to_string(),
            i64::MAX.to_string()
        );
    }
}
