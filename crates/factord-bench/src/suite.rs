//! Measurements of several servers in turn, the baseline among them, so that what the machine does besides falls on all
//! alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use url::Url;

use crate::database::Database;
use crate::load::{Measured, Schedule, closed_loop, open_loop, seconds};
use crate::report::{Report, Row};
use crate::scenario::{Scenario, Work};
use crate::server::{Filling, Server};

/// Measure: scenario × connections × server, each beside the baseline
#[derive(Args, Debug)]
pub struct Suite {
    /// A factord to measure; name two to compare them, in turn, in one run
    #[arg(long, required = true, value_name = "FILE")]
    server: Vec<PathBuf>,
    /// Also measure on this PostgreSQL server, each factord in a new database that is deleted afterwards
    #[arg(long, value_name = "URL")]
    database: Option<Url>,
    /// Do not measure on SQLite
    #[arg(long, requires = "database")]
    without_sqlite: bool,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = ALL)]
    scenario: Vec<Scenario>,
    /// Connections, each with one request at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 128])]
    connections: Vec<usize>,
    /// An open loop at so many units a second, in the place of the closed one
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Seconds that each measurement lasts
    #[arg(long, default_value = "2.5", value_parser = seconds)]
    seconds: Duration,
    /// How often the servers are measured in turn; their measurements are added up
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Users with a device each; name several numbers to measure a server for each, in turn, in one run
    #[arg(long, value_delimiter = ',', default_values_t = [10_000])]
    devices: Vec<usize>,
    /// Enrol the users over HTTP: for a factord whose tables this program does not know
    #[arg(long)]
    enrol: bool,
    /// Where the databases are kept while it runs: on the disk that is to be measured
    #[arg(long, default_value = "target", value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
    /// Write JSON to this file, too
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl Suite {
    /// Runs it.
    ///
    /// # Errors
    /// If a server cannot be started, or gives an answer that is not what it must be.
    pub async fn run(self) -> anyhow::Result<()> {
        let report = Report::new(self.json, self.record.as_deref())?;
        let mut devices = self.devices.clone();
        devices.sort_unstable();
        let fewest = devices.first().copied().context("no number of devices")?;
        let mut servers = vec![Server::baseline(fewest).await?];
        for (index, binary) in self.server.iter().enumerate() {
            let name = if self.server.len() == 1 {
                "factord".to_owned()
            } else {
                format!("factord {}", index + 1)
            };
            for devices in &devices {
                servers.extend(self.start(&name, binary, *devices, &report).await?);
            }
        }
        report.head()?;
        for scenario in &self.scenario {
            for connections in &self.connections {
                let rows = self
                    .cell(&servers, *scenario, *connections, self.seconds)
                    .await?;
                for row in rows {
                    report.row(&row)?;
                }
            }
        }
        report.end()?;
        for server in servers.drain(..).skip(1) {
            let starts = server.time_starts().await?;
            report.note("start-up", &starts)?;
        }
        Ok(())
    }

    /// One factord with so many devices, on each store.
    async fn start(
        &self,
        name: &str,
        binary: &Path,
        devices: usize,
        report: &Report,
    ) -> anyhow::Result<Vec<Server>> {
        let mut databases = Vec::new();
        if !self.without_sqlite {
            databases.push(Database::sqlite(&self.folder)?);
        }
        if let Some(url) = &self.database {
            databases.push(Database::postgres(&self.folder, url).await?);
        }
        let filling = if self.enrol {
            Filling::Http
        } else {
            Filling::Rows
        };
        let mut servers = Vec::new();
        for database in databases {
            let store = database.store();
            let (server, took) = Server::factord(name, binary, database, devices, filling).await?;
            let what = format!("{name} on {store}, seconds until {devices} devices were there");
            report.note(&what, &took.as_secs_f64())?;
            servers.push(server);
        }
        Ok(servers)
    }

    /// One scenario at one number of connections, on all servers in turn.
    async fn cell(
        &self,
        servers: &[Server],
        scenario: Scenario,
        connections: usize,
        duration: Duration,
    ) -> anyhow::Result<Vec<Row>> {
        let mut found = vec![(Measured::new()?, 0.0); servers.len()];
        for _ in 0..self.rounds {
            for (server, (sum, cpu)) in servers.iter().zip(&mut found) {
                let work = Work::prepare(scenario, &server.target, &server.population).await?;
                let work = Arc::new(work);
                let before = server.process.cpu_seconds()?;
                let measured = match self.rate {
                    None => closed_loop(&work, connections, duration)
                        .await
                        .map(|measured| vec![measured]),
                    Some(rate) => {
                        let schedule = Schedule::of([(rate, duration)]);
                        open_loop(&work, &schedule, connections, duration).await
                    }
                };
                let measured = measured.with_context(|| {
                    format!("{} on {} {}", scenario.name(), server.name, server.store())
                })?;
                // The tenth in which a closed loop warms up is in the processor's time, too.
                let share = if self.rate.is_none() { 1.1 } else { 1.0 };
                *cpu += (server.process.cpu_seconds()? - before) / share;
                for measured in &measured {
                    sum.then(measured)?;
                }
            }
        }
        let limit = found.first().map(|(measured, _)| measured.per_second());
        // Servers are in the order of their sizes.
        let with_fewest = |server: &Server| {
            let same =
                |other: &Server| (&other.name, other.store()) == (&server.name, server.store());
            let first = servers.iter().position(same)?;
            (servers[first].devices < server.devices).then(|| found[first].0.per_second())
        };
        let rows = servers.iter().zip(&found);
        rows.map(|(server, (measured, cpu))| {
            let row = Row::of(&scenario.name(), server, connections, measured, *cpu)?;
            Ok(Row {
                asked: self.rate,
                of_baseline: limit.map(|limit| measured.per_second() / limit),
                of_fewest: with_fewest(server).map(|rate| measured.per_second() / rate),
                ..row
            })
        })
        .collect()
    }
}

const ALL: [Scenario; 8] = [
    Scenario::Verify,
    Scenario::Login,
    Scenario::Wrong,
    Scenario::Enrol,
    Scenario::Poll,
    Scenario::Devices,
    Scenario::Token,
    Scenario::Mixed,
];
