//! A closed loop: each connection sends its next request when the last one is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::connection::Target;
use crate::population::Population;
use crate::scenario::Scenario;

/// What a measurement found.
#[derive(Debug)]
pub struct Measured {
    /// Microseconds of each unit of work.
    pub latency: Histogram<u64>,
    /// How long it took in all.
    pub elapsed: Duration,
}

/// Runs `scenario` on so many connections for `duration`, after a tenth of it to warm up.
///
/// # Errors
/// The first answer that is not what it must be ends the measurement.
pub async fn closed_loop(
    target: &Target,
    population: &Arc<Population>,
    scenario: Scenario,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut tasks = tokio::task::JoinSet::new();
    let start = Instant::now() + duration / 10;
    for _ in 0..connections {
        let (target, population) = (target.clone(), Arc::clone(population));
        tasks.spawn(async move {
            let mut connection = target.connect().await?;
            let mut latency = histogram()?;
            loop {
                let begun = Instant::now();
                if begun >= start + duration {
                    return anyhow::Ok(latency);
                }
                scenario.run(&mut connection, &target, &population).await?;
                if begun >= start {
                    latency.record(u64::try_from(begun.elapsed().as_micros())?)?;
                }
            }
        });
    }
    let mut latency = histogram()?;
    while let Some(done) = tasks.join_next().await {
        latency.add(done??)?;
    }
    Ok(Measured {
        latency,
        elapsed: duration,
    })
}

/// From a microsecond to a minute, three digits.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
