//! What happens at twice what the server can carry: half of it, then twice, then half again, in one open loop; and
//! whether what was answered is true.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use url::Url;

use crate::database::Database;
use crate::load::{Measured, Schedule, closed_loop, count, open_loop, seconds};
use crate::population::Turn;
use crate::report::{Report, Row};
use crate::scenario::{Scenario, Work};
use crate::server::{Filling, Server};

/// Measure what happens at twice what the server can carry, by one-call verification
#[derive(Args, Debug)]
pub struct Overload {
    /// The factord to measure
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// Measure on this PostgreSQL server, in the place of SQLite
    #[arg(long, value_name = "URL")]
    database: Option<Url>,
    /// Connections of the open loop
    #[arg(long, default_value_t = 3_000)]
    connections: usize,
    /// Seconds of each phase
    #[arg(long, default_value = "8", value_parser = seconds)]
    seconds: Duration,
    /// Users with a device each: more than there are units, so that nobody has a second turn
    #[arg(long, default_value_t = 1_000_000)]
    devices: usize,
    /// Where the database is kept while it runs
    #[arg(long, default_value = "target", value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
    /// Write JSON to this file, too
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Verdict {
    /// Units a second: what the closed loop got from the server just before.
    capacity: f64,
    /// The share of the units at twice the capacity that was answered with 503 and `Retry-After`.
    shed: f64,
    /// Microseconds that 99 % of those took at most which were accepted meanwhile.
    accepted_p99_us: u64,
    /// Microseconds that 99 % of those took at most which were shed meanwhile.
    shed_p99_us: u64,
    /// Seconds after the end of the overload until a second began in which nothing was shed and the p99 was at most twice
    /// that of before, or 20 ms; `None` if there was none.
    normal_after_seconds: Option<f64>,
    /// Codes that were answered with success, in all phases.
    accepted: u64,
    /// Successes in the audit trail: as many, if nothing was lost, and nothing done that was shed.
    recorded: u64,
    /// Of the accepted codes those that were sent again while they would still have been right, and were refused.
    refused_again: usize,
}

impl Overload {
    /// Runs it.
    ///
    /// # Errors
    /// If the server cannot be started, gives an answer that is neither what it must be nor a 503, or has lost something.
    pub async fn run(self) -> anyhow::Result<()> {
        let report = Report::new(self.json, self.record.as_deref())?;
        let database = match &self.database {
            Some(url) => Database::postgres(&self.folder, url).await?,
            None => Database::sqlite(&self.folder)?,
        };
        let started = Server::factord(
            "factord",
            &self.server,
            database,
            self.devices,
            Filling::Rows,
        )
        .await?;
        let server = started.0;
        let verdict = self.measure(&server, &report).await?;
        report.note("overload", &verdict)?;
        anyhow::ensure!(
            verdict.accepted == verdict.recorded,
            "{} codes were accepted, and {} are recorded",
            verdict.accepted,
            verdict.recorded
        );
        server.stop().await
    }

    async fn measure(&self, server: &Server, report: &Report) -> anyhow::Result<Verdict> {
        let duration = self.seconds;
        let recorded = async || {
            let database = server.database().context("no database")?;
            database.successes("complete_verification").await
        };
        let work =
            async || Work::prepare(Scenario::Verify, &server.target, &server.population).await;
        let capacity = closed_loop(&Arc::new(work().await?), 128, duration).await?;
        let capacity = capacity.per_second();
        let before = recorded().await?;
        let phases = [("half", 0.5), ("twice", 2.0), ("half", 0.5)];
        let schedule = Schedule::of(phases.map(|(_, share)| (capacity * share, duration)));
        let work = Arc::new(work().await?.remembering());
        let (windows, cpu) = tokio::try_join!(
            open_loop(&work, &schedule, self.connections, WINDOW),
            cpu_of_phases(server, duration, phases.len()),
        )?;
        report.head()?;
        let phase_of = |number: usize| (windows.len() * number) / phases.len();
        let mut sums = Vec::new();
        for (number, (name, share)) in phases.into_iter().enumerate() {
            let mut sum = Measured::new()?;
            for window in &windows[phase_of(number)..phase_of(number + 1)] {
                sum.then(window)?;
            }
            report.row(&Row {
                asked: Some(capacity * share),
                ..Row::of(name, server, self.connections, &sum, cpu[number])?
            })?;
            sums.push(sum);
        }
        report.end()?;
        let accepted = work.accepted();
        let recorded = recorded().await? - before;
        let (calm, twice) = (&sums[0], &sums[1]);
        let slow = 2 * calm.done.value_at_quantile(0.99).max(10_000);
        Ok(Verdict {
            capacity,
            shed: count(&twice.shed) / (count(&twice.shed) + count(&twice.done)),
            accepted_p99_us: twice.done.value_at_quantile(0.99),
            shed_p99_us: twice.shed.value_at_quantile(0.99),
            normal_after_seconds: normal_after(&windows[phase_of(2)..], slow),
            accepted: accepted.len() as u64,
            recorded,
            refused_again: self.send_again(server, &work, accepted).await?,
        })
    }

    /// Sends accepted codes once more, and gives how many were still good but for having been used.
    async fn send_again(
        &self,
        server: &Server,
        work: &Arc<Work>,
        accepted: Vec<Turn>,
    ) -> anyhow::Result<usize> {
        let (accepted, next) = (Arc::new(accepted), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..RESENDING {
            let (accepted, next) = (Arc::clone(&accepted), Arc::clone(&next));
            let (work, population) = (Arc::clone(work), Arc::clone(&server.population));
            tasks.spawn(async move {
                let (mut connection, mut refused) = (work.connect().await?, 0);
                while let Some(turn) = accepted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A code is good in the step after its own, too.
                    if turn.step + 1 >= population.step() {
                        work.send_again(&mut connection, turn).await?;
                        refused += 1;
                    }
                }
                anyhow::Ok(refused)
            });
        }
        let mut refused = 0;
        while let Some(done) = tasks.join_next().await {
            refused += done??;
        }
        Ok(refused)
    }
}

/// The server's processor seconds in each phase.
async fn cpu_of_phases(
    server: &Server,
    duration: Duration,
    phases: usize,
) -> anyhow::Result<Vec<f64>> {
    let mut before = server.process.cpu_seconds()?;
    let mut each = Vec::new();
    for _ in 0..phases {
        tokio::time::sleep(duration).await;
        let now = server.process.cpu_seconds()?;
        each.push(now - before);
        before = now;
    }
    Ok(each)
}

/// When a second of windows begins in which nothing was shed and the p99 was at most `slow`.
fn normal_after(windows: &[Measured], slow: u64) -> Option<f64> {
    let normal = |it: &Measured| it.shed.is_empty() && it.done.value_at_quantile(0.99) <= slow;
    let at = windows
        .windows(A_SECOND)
        .position(|second| second.iter().all(normal))?;
    Some(
        windows[..at]
            .iter()
            .map(|it| it.elapsed.as_secs_f64())
            .sum(),
    )
}

const WINDOW: Duration = Duration::from_millis(250);
/// So many windows.
const A_SECOND: usize = 4;
const RESENDING: usize = 64;
