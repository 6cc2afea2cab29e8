//! Load. In a closed loop each connection sends its next request when the last one is answered: it finds what the
//! server can carry. In an open loop requests come at a fixed rate, whether the server keeps up or not, and the time of
//! each counts from the moment at which it should have been sent: it finds what clients suffer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::scenario::{Outcome, Work};

/// What a measurement found.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Microseconds of each unit of work that was done.
    pub done: Histogram<u64>,
    /// Microseconds of each that the server was too busy for.
    pub shed: Histogram<u64>,
    /// How long it took in all.
    pub elapsed: Duration,
}

impl Measured {
    /// Nothing yet.
    ///
    /// # Errors
    /// None in practice: the bounds are fixed.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            // From a microsecond to two minutes, three digits.
            done: Histogram::new_with_bounds(1, 120_000_000, 3)?,
            shed: Histogram::new_with_bounds(1, 120_000_000, 3)?,
            elapsed: Duration::ZERO,
        })
    }

    /// Adds what was found later.
    ///
    /// # Errors
    /// None in practice: all histograms have the same bounds.
    pub fn then(&mut self, other: &Self) -> anyhow::Result<()> {
        self.elapsed += other.elapsed;
        self.add(other)
    }

    /// Adds what was found at the same time (`elapsed` stays as it is).
    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.done.add(&other.done)?;
        self.shed.add(&other.shed)?;
        Ok(())
    }

    /// Units done in a second.
    pub fn per_second(&self) -> f64 {
        count(&self.done) / self.elapsed.as_secs_f64()
    }

    fn record(&mut self, outcome: Outcome, since: Instant) -> anyhow::Result<()> {
        let micros = u64::try_from(since.elapsed().as_micros())?;
        match outcome {
            Outcome::Done => self.done.record(micros)?,
            Outcome::Shed => self.shed.record(micros)?,
        }
        Ok(())
    }
}

/// Reads how long to measure, in seconds, from the command line.
///
/// # Errors
/// It is no number, or not above 0: nothing would be measured.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    match seconds {
        Some(Ok(seconds)) if !seconds.is_zero() => Ok(seconds),
        _ => Err("a number of seconds above 0 is needed".to_owned()),
    }
}

/// How many values a histogram holds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of requests is far below 2^52"
)]
pub fn count(histogram: &Histogram<u64>) -> f64 {
    histogram.len() as f64
}

/// Runs on so many connections for `duration`, after a tenth of it to warm up. Whoever is shed, as happens when the disk
/// stands still for a moment, comes again a little later.
///
/// # Errors
/// The first answer that is neither what it must be nor a 503 with `Retry-After`.
pub async fn closed_loop(
    work: &Arc<Work>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut tasks = tokio::task::JoinSet::new();
    let start = Instant::now() + duration / 10;
    for _ in 0..connections {
        let work = Arc::clone(work);
        tasks.spawn(async move {
            let mut connection = work.connect().await?;
            let mut measured = Measured::new()?;
            loop {
                let begun = Instant::now();
                if begun >= start + duration {
                    return anyhow::Ok(measured);
                }
                let outcome = work.run(&mut connection).await?;
                if begun >= start {
                    measured.record(outcome, begun)?;
                }
                if outcome == Outcome::Shed {
                    tokio::time::sleep(COMES_AGAIN).await;
                }
            }
        });
    }
    gather(tasks, duration).await
}

/// When which unit is to be sent: so many a second for so long, one phase after the other.
#[derive(Clone, Debug)]
pub struct Schedule(Vec<(f64, Duration)>);

impl Schedule {
    /// Phases of a rate and a duration each.
    pub fn of(phases: impl IntoIterator<Item = (f64, Duration)>) -> Self {
        Self(phases.into_iter().collect())
    }

    /// The moment of a unit, from the beginning; `None` after the end.
    fn moment(&self, number: u64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mut number = number as f64;
        let mut begun = Duration::ZERO;
        for (rate, duration) in &self.0 {
            let units = rate * duration.as_secs_f64();
            if number < units {
                return Some(begun + Duration::from_secs_f64(number / rate));
            }
            number -= units;
            begun += *duration;
        }
        None
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.0.iter().map(|(_, duration)| *duration).sum()
    }
}

/// Sends units at their moments, by as many of the connections as it takes. If every connection is busy at a unit's
/// moment its waiting counts: its time is that from the moment to the answer, so that no delay is omitted because the
/// server was slow. The timers are those of the runtime: a moment is kept to a millisecond. What was found is given by
/// windows of this length, according to the moments.
///
/// # Errors
/// The first answer that is neither what it must be nor a 503 with `Retry-After`.
pub async fn open_loop(
    work: &Arc<Work>,
    schedule: &Schedule,
    connections: usize,
    window: Duration,
) -> anyhow::Result<Vec<Measured>> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(work.connect().await?);
    }
    let count = schedule.duration().div_duration_f64(window).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred"
    )]
    let windows = (0..count as usize).map(|_| Measured::new().map(Mutex::new));
    let windows: Arc<Vec<_>> = Arc::new(windows.collect::<anyhow::Result<_>>()?);
    let mut tasks = tokio::task::JoinSet::new();
    let (start, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    for mut connection in open {
        let (work, next) = (Arc::clone(work), Arc::clone(&next));
        let (schedule, windows) = (schedule.clone(), Arc::clone(&windows));
        tasks.spawn(async move {
            while let Some(after) = schedule.moment(next.fetch_add(1, Ordering::Relaxed)) {
                tokio::time::sleep_until((start + after).into()).await;
                let outcome = work.run(&mut connection).await?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a few hundred"
                )]
                let index = after.div_duration_f64(window) as usize;
                let mut measured = windows[index]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                measured.record(outcome, start + after)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    // A server that does not keep up answers the last ones later.
    let late = start.elapsed().saturating_sub(schedule.duration());
    let windows = Arc::into_inner(windows).unwrap_or_default();
    let last = windows.len().saturating_sub(1);
    let windows = windows.into_iter().enumerate().map(|(index, measured)| {
        let measured = measured
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let elapsed = if index == last { window + late } else { window };
        Measured {
            elapsed,
            ..measured
        }
    });
    Ok(windows.collect())
}

async fn gather(
    mut tasks: tokio::task::JoinSet<anyhow::Result<Measured>>,
    elapsed: Duration,
) -> anyhow::Result<Measured> {
    let mut all = Measured::new()?;
    while let Some(done) = tasks.join_next().await {
        all.add(&done??)?;
    }
    all.elapsed = elapsed;
    Ok(all)
}

/// When a connection of a closed loop that was shed asks again.
const COMES_AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_lasts_for_some_time() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for text in ["0", "-1", "NaN", "inf", "1e300", "1e-300", "", "a"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
