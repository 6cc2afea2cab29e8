//! Whether there is more to do than can be done in time: what has arrived waits to be looked at, or too much is under way.
//! A moment in which the disk or the processor is busy with something else is outwaited; while overload lasts, only so much
//! is let in as is answered soon.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Lag, Observe};

/// The pressure on a server, of which every request asks.
pub struct Pressure {
    observe: Observe,
    lag: Lag,
    gauge: Gauge,
    began: Instant,
}

impl Pressure {
    /// Of the requests that `observe` sees, and of what `lag` measures.
    pub fn new(observe: Observe, lag: Lag) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            observe,
            lag,
            gauge: Gauge::of(processors),
            began: Instant::now(),
        }
    }

    /// Whether a request that has come now is to be sent again. `is_store_behind`: its work would wait for too long.
    pub fn is_too_high(&self, is_store_behind: bool) -> bool {
        let is_late = is_store_behind || self.lag.behind() > MOST_BEHIND;
        let under_way = self.observe.under_way();
        self.gauge
            .is_too_high(self.began.elapsed(), under_way, is_late)
    }
}

/// What is remembered of the pressure.
#[derive(Debug)]
struct Gauge {
    /// Requests under way that are let in while overload lasts.
    few: usize,
    /// Requests under way that are let in else.
    many: usize,
    /// When few were under way last, in microseconds.
    eased: AtomicU64,
    /// When somebody was turned away last, in microseconds; 0 if nobody was.
    turned_away: AtomicU64,
}

impl Gauge {
    fn of(processors: usize) -> Self {
        Self {
            few: FEW_A_PROCESSOR * processors,
            many: MANY_A_PROCESSOR * processors,
            eased: AtomicU64::default(),
            turned_away: AtomicU64::default(),
        }
    }

    /// See [`Pressure::is_too_high`]; `now` rises.
    fn is_too_high(&self, now: Duration, under_way: usize, is_late: bool) -> bool {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let since = |moment: &AtomicU64| {
            let moment = Duration::from_micros(moment.load(Ordering::Relaxed));
            now.saturating_sub(moment)
        };
        if under_way <= self.few {
            self.eased.store(micros, Ordering::Relaxed);
        }
        let turned_away_lately =
            self.turned_away.load(Ordering::Relaxed) > 0 && since(&self.turned_away) < LASTING;
        let lasts = turned_away_lately || since(&self.eased) > OUTWAITED;
        let most = if lasts { self.few } else { self.many };
        let is_too_high = is_late || under_way > most;
        if is_too_high {
            self.turned_away.store(micros.max(1), Ordering::Relaxed);
        }
        is_too_high
    }
}

/// For how long requests may go on waiting too long for a turn of the processor.
const MOST_BEHIND: Duration = Duration::from_millis(50);
/// For how long more may be under way than is answered soon: as long as a disk takes that is busy with something else.
const OUTWAITED: Duration = Duration::from_millis(100);
/// How long after somebody was turned away overload is taken to last.
const LASTING: Duration = Duration::from_millis(500);
/// Requests for each processor that are answered in hundredths of a second. Those that wait for somebody else do not count.
const FEW_A_PROCESSOR: usize = 64;
/// Requests for each processor that come while a disk is busy with something else.
const MANY_A_PROCESSOR: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_moment_with_many_is_outwaited_and_a_longer_one_is_not() {
        let gauge = Gauge::of(1);
        assert!(!gauge.is_too_high(at(5_000), 1, false));
        assert!(!gauge.is_too_high(at(5_050), 500, false));
        assert!(!gauge.is_too_high(at(5_100), 512, false));
        assert!(gauge.is_too_high(at(5_101), 65, false));
        assert!(!gauge.is_too_high(at(5_102), 64, false));
    }

    #[test]
    fn while_it_lasts_only_few_are_let_in_and_many_again_when_it_is_over() {
        let gauge = Gauge::of(1);
        assert!(gauge.is_too_high(at(0), 513, false));
        assert!(!gauge.is_too_high(at(400), 64, false));
        assert!(gauge.is_too_high(at(401), 65, false));
        assert!(!gauge.is_too_high(at(901), 64, false));
        assert!(!gauge.is_too_high(at(902), 512, false));
    }

    #[test]
    fn what_is_late_is_turned_away_however_few_are_under_way() {
        let gauge = Gauge::of(4);
        assert!(gauge.is_too_high(at(1), 0, true));
        assert!(!gauge.is_too_high(at(2), 256, false));
        assert!(gauge.is_too_high(at(3), 257, false));
    }

    #[test]
    fn a_burst_after_a_quiet_hour_is_no_overload() {
        let gauge = Gauge::of(1);
        for under_way in 0..=512 {
            assert!(!gauge.is_too_high(at(3_600_000), under_way, false));
        }
        assert!(gauge.is_too_high(at(3_600_001), 513, false));
    }
}
