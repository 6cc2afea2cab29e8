//! What happens at twice what the server can carry: half of it, then twice, then half again, each by the open loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::load::{closed_loop, open_loop};
use crate::report::{Report, Row};
use crate::scenario::{Scenario, Work};
use crate::suite::Server;

/// Measure what happens at twice what the server can carry
#[derive(Args, Debug)]
pub struct Overload {
    /// The factord to measure
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// What to measure
    #[arg(long, value_enum, default_value = "verify")]
    scenario: Scenario,
    /// Connections of the open loop
    #[arg(long, default_value_t = 3_000)]
    connections: usize,
    /// Seconds of each phase
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Users with a device each
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Where the database is kept while it runs
    #[arg(long, default_value = "target", value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

impl Overload {
    /// Runs it.
    ///
    /// # Errors
    /// If the server cannot be started, or gives an answer that is neither what it must be nor a 503.
    pub async fn run(self) -> anyhow::Result<()> {
        let report = Report::new(self.json);
        let duration = Duration::from_secs_f64(self.seconds);
        let folder = tempfile::tempdir_in(&self.folder)?;
        let (server, _) =
            Server::factord("factord", &self.server, folder, None, self.devices).await?;
        let work = async || {
            let work = Work::prepare(self.scenario, &server.target, &server.population).await;
            work.map(Arc::new)
        };
        let capacity = closed_loop(&work().await?, 128, duration).await?;
        let capacity = capacity.per_second();
        report.note("capacity (closed loop, 128 connections)", &capacity)?;
        report.head()?;
        let phases = [
            ("half", 0.5, duration),
            ("twice", 2.0, duration),
            // What is left over of the overload may take two seconds to go away; then all is as before.
            ("2 s after", 0.5, Duration::from_secs(2)),
            ("half", 0.5, duration),
        ];
        for (name, share, duration) in phases {
            let rate = capacity * share;
            let before = server.process.cpu_seconds()?;
            let measured = open_loop(&work().await?, rate, self.connections, duration).await?;
            let cpu = server.process.cpu_seconds()? - before;
            let memory = server.process.peak_memory_mib()?;
            report.row(&Row {
                asked: Some(rate),
                ..Row::of(name, "factord", self.connections, &measured, cpu, memory)
            })?;
            let at = |quantile| measured.shed.value_at_quantile(quantile);
            report.note(
                &format!("{name} shed"),
                &json!({
                    "asked_per_second": rate,
                    "shed": measured.shed.len(),
                    "shed_p50_us": at(0.5),
                    "shed_p99_us": at(0.99),
                }),
            )?;
        }
        server.process.stop()
    }
}
