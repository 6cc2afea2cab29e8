//! Load. In a closed loop each connection sends its next request when the last one is answered: it finds what the
//! server can carry. In an open loop requests come at a fixed rate, whether the server keeps up or not, and the time of
//! each counts from the moment at which it should have been sent: it finds what clients suffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

    /// Adds what was found at the same time (`elapsed` stays as it is).
    ///
    /// # Errors
    /// None in practice: all histograms have the same bounds.
    pub fn add(&mut self, other: &Self) -> anyhow::Result<()> {
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

/// How many values a histogram holds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of requests is far below 2^52"
)]
pub fn count(histogram: &Histogram<u64>) -> f64 {
    histogram.len() as f64
}

/// Runs on so many connections for `duration`, after a tenth of it to warm up.
///
/// # Errors
/// The first answer that is not what it must be ends the measurement; also a 503 is one, since in a closed loop nobody
/// asks for more than was answered.
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
                anyhow::ensure!(outcome == Outcome::Done, "the server is too busy");
                if begun >= start {
                    measured.record(outcome, begun)?;
                }
            }
        });
    }
    gather(tasks, duration).await
}

/// Sends `rate` units a second for `duration`, by as many of the connections as it takes: each unit has its moment, and
/// if every connection is busy then, its waiting counts. The timers are those of the runtime, so that a moment is kept
/// to a millisecond.
///
/// # Errors
/// The first answer that is neither what it must be nor a 503 with `Retry-After`.
pub async fn open_loop(
    work: &Arc<Work>,
    rate: f64,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(work.connect().await?);
    }
    let mut tasks = tokio::task::JoinSet::new();
    let (start, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    for mut connection in open {
        let (work, next) = (Arc::clone(work), Arc::clone(&next));
        tasks.spawn(async move {
            let mut measured = Measured::new()?;
            loop {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let number = next.fetch_add(1, Ordering::Relaxed) as f64;
                let after = Duration::from_secs_f64(number / rate);
                if after >= duration {
                    return anyhow::Ok(measured);
                }
                tokio::time::sleep_until((start + after).into()).await;
                let outcome = work.run(&mut connection).await?;
                measured.record(outcome, start + after)?;
            }
        });
    }
    let mut all = gather(tasks, duration).await?;
    // A server that does not keep up answers the last ones later.
    all.elapsed = start.elapsed().max(duration);
    Ok(all)
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
