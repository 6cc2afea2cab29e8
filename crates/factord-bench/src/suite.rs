//! Measurements of several servers in turn, the baseline among them, so that what the machine does besides falls on all
//! alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use http::Method;

use crate::connection::Target;
use crate::load::{Measured, closed_loop, open_loop};
use crate::population::{self, Population};
use crate::process::Process;
use crate::report::{Report, Row};
use crate::scenario::{Scenario, Work};

/// Measure: scenario × connections × server, each beside the baseline
#[derive(Args, Debug)]
pub struct Suite {
    /// A factord to measure; name two to compare them, in turn, in one run
    #[arg(long, required = true, value_name = "FILE")]
    server: Vec<PathBuf>,
    /// Also measure with this database, as `factord dev --database` takes it
    #[arg(long, value_name = "URL")]
    database: Vec<String>,
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
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often the servers are measured in turn; their measurements are added up
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Users with a device each
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Where the databases are kept while it runs: on the disk that is to be measured
    #[arg(long, default_value = "target", value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

impl Suite {
    /// Runs it.
    ///
    /// # Errors
    /// If a server cannot be started, or gives an answer that is not what it must be.
    pub async fn run(self) -> anyhow::Result<()> {
        let report = Report::new(self.json);
        let duration = Duration::from_secs_f64(self.seconds);
        let mut servers = vec![Server::baseline(self.devices).await?];
        for (index, binary) in self.server.iter().enumerate() {
            let name = if self.server.len() == 1 {
                "factord".to_owned()
            } else {
                format!("factord {}", index + 1)
            };
            let folder = tempfile::tempdir_in(&self.folder)?;
            let (server, took) = Server::factord(&name, binary, folder, None, self.devices).await?;
            report.note(&format!("{name}, seconds to enrol"), &took.as_secs_f64())?;
            servers.push(server);
            for database in &self.database {
                let name = format!("{name}, {}", database.split(':').next().unwrap_or(database));
                let folder = tempfile::tempdir_in(&self.folder)?;
                let started =
                    Server::factord(&name, binary, folder, Some(database), self.devices).await?;
                servers.push(started.0);
            }
        }
        report.head()?;
        for scenario in &self.scenario {
            for connections in &self.connections {
                let rows = self
                    .cell(&servers, *scenario, *connections, duration)
                    .await?;
                for row in rows {
                    report.row(&row)?;
                }
            }
        }
        for server in servers.drain(..).skip(1) {
            let name = server.name.clone();
            let took = server.restart().await?;
            let millis = took.as_secs_f64() * 1000.0;
            report.note(
                &format!("{name}, milliseconds to start again until it answers"),
                &millis,
            )?;
        }
        Ok(())
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
                    None => closed_loop(&work, connections, duration).await,
                    Some(rate) => open_loop(&work, rate, connections, duration).await,
                };
                let measured =
                    measured.with_context(|| format!("{scenario:?} on {}", server.name))?;
                // The tenth in which a closed loop warms up is in the processor's time, too.
                let share = if self.rate.is_none() { 1.1 } else { 1.0 };
                *cpu += (server.process.cpu_seconds()? - before) / share;
                sum.add(&measured)?;
                sum.elapsed += measured.elapsed;
            }
        }
        let limit = found.first().map(|(measured, _)| measured.per_second());
        let name = format!("{scenario:?}").to_lowercase();
        let rows = servers.iter().zip(&found);
        rows.map(|(server, (measured, cpu))| {
            let memory = server.process.peak_memory_mib()?;
            let row = Row::of(&name, &server.name, connections, measured, *cpu, memory);
            Ok(Row {
                asked: self.rate,
                of_baseline: limit.map(|limit| measured.per_second() / limit),
                ..row
            })
        })
        .collect()
    }
}

/// A server with its users.
#[derive(Debug)]
pub struct Server {
    /// What the tables call it.
    pub name: String,
    /// The process.
    pub process: Process,
    /// The way to it.
    pub target: Target,
    /// The users.
    pub population: Arc<Population>,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    binary: PathBuf,
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Server {
    /// Starts a factord and enrols users; gives the time that the latter took, too.
    ///
    /// # Errors
    /// If it cannot be started, or gives a wrong answer.
    pub async fn factord(
        name: &str,
        binary: &Path,
        folder: tempfile::TempDir,
        database: Option<&str>,
        devices: usize,
    ) -> anyhow::Result<(Self, Duration)> {
        let process = Process::factord(binary, folder.path(), database)?;
        let files = Files {
            binary: binary.to_owned(),
            folder,
            database: database.map(str::to_owned),
        };
        let began = Instant::now();
        let server = Self::with(name, process, Some(files), devices).await?;
        Ok((server, began.elapsed()))
    }

    async fn baseline(devices: usize) -> anyhow::Result<Self> {
        Self::with("baseline", Process::baseline()?, None, devices).await
    }

    async fn with(
        name: &str,
        process: Process,
        files: Option<Files>,
        devices: usize,
    ) -> anyhow::Result<Self> {
        let target = Target::new(process.address).await?;
        let population = Arc::new(population::enrol(&target, devices).await?);
        Ok(Self {
            name: name.to_owned(),
            process,
            target,
            population,
            files,
        })
    }

    /// Stops it and starts it again; gives how long it took until the first request was answered.
    async fn restart(self) -> anyhow::Result<Duration> {
        let files = self.files.context("the baseline is not started again")?;
        self.process.stop()?;
        let began = Instant::now();
        let process = Process::factord(
            &files.binary,
            files.folder.path(),
            files.database.as_deref(),
        )?;
        let mut connection = Target::new(process.address).await?.connect().await?;
        connection
            .call(Method::GET, "/readyz", String::new())
            .await?
            .json(http::StatusCode::OK)?;
        let took = began.elapsed();
        process.stop()?;
        Ok(took)
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
