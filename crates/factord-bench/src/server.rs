//! A server that is measured, with its users.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use factord::crypto::otp;
use serde::Serialize;

use crate::connection::Target;
use crate::database::Database;
use crate::fill::enrolled_at;
use crate::members::Members;
use crate::population::{self, Population};
use crate::process::Process;

/// How the users come into the database.
#[derive(Clone, Copy, Debug)]
pub enum Filling {
    /// Rows are written, by this program's idea of the tables.
    Rows,
    /// They are enrolled over HTTP.
    Http,
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
    /// How many users have a device.
    pub devices: usize,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    binary: PathBuf,
    database: Database,
}

/// Milliseconds from the fork to the first answer of `/readyz`: the shortest, the middle and the longest of five.
#[derive(Debug, Serialize)]
pub struct Starts {
    /// The server.
    pub server: String,
    /// Its store.
    pub store: &'static str,
    /// How many users have a device.
    pub devices: usize,
    /// With the files in the system's cache.
    pub warm_ms: [f64; 3],
    /// With the database's files read from the disk; `None` where that cannot be arranged.
    pub cold_ms: Option<[f64; 3]>,
}

impl Server {
    /// Starts a factord on a new database with so many users; gives the time that they took to come in, too.
    ///
    /// # Errors
    /// If it cannot be started, or gives a wrong answer.
    pub async fn factord(
        name: &str,
        binary: &Path,
        database: Database,
        devices: usize,
        filling: Filling,
    ) -> anyhow::Result<(Self, Duration)> {
        let start = || Process::factord(binary, database.folder(), database.url());
        let (mut process, began) = (start()?, Instant::now());
        let mut target = Target::new(process.address).await?;
        let members = match filling {
            Filling::Http => population::enrol(&target, devices).await?,
            Filling::Rows => {
                let now = target.advance(0).await?;
                process.stop()?;
                database.fill(devices, now).await?;
                process = start()?;
                target = Target::new(process.address).await?;
                let enrolled = otp::time_step(enrolled_at(now)).cast_signed();
                Members::Written(devices, Some(enrolled))
            }
        };
        let took = began.elapsed();
        let population = Arc::new(Population::new(&target, members).await?);
        let server = Self {
            name: name.to_owned(),
            process,
            target,
            population,
            devices,
            files: Some(Files {
                binary: binary.to_owned(),
                database,
            }),
        };
        Ok((server, took))
    }

    /// Starts the baseline, whose users are whoever is asked for.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn baseline(devices: usize) -> anyhow::Result<Self> {
        let process = Process::baseline()?;
        let target = Target::new(process.address).await?;
        let population = Population::new(&target, Members::Written(devices, None)).await?;
        Ok(Self {
            name: "baseline".to_owned(),
            process,
            target,
            population: Arc::new(population),
            devices,
            files: None,
        })
    }

    /// What the tables call its store; nothing where it has none.
    pub fn store(&self) -> &'static str {
        self.files.as_ref().map_or("", |it| it.database.store())
    }

    /// The database; `None` for the baseline.
    pub fn database(&self) -> Option<&Database> {
        self.files.as_ref().map(|it| &it.database)
    }

    /// Stops it, starts it again some times, and deletes its data.
    ///
    /// # Errors
    /// If it does not start, or is the baseline.
    pub async fn time_starts(self) -> anyhow::Result<Starts> {
        let store = self.store();
        let Files { binary, database } = self.files.context("the baseline is not started again")?;
        self.process.stop()?;
        let time = || {
            let took = Process::time_start(&binary, database.folder(), database.url())?;
            anyhow::Ok(took.as_secs_f64() * 1000.0)
        };
        // The first finds what its predecessor left to do.
        time()?;
        let warm = (0..STARTS).map(|_| time());
        let warm = spread(warm.collect::<anyhow::Result<_>>()?);
        let mut cold = Vec::new();
        while cold.len() < STARTS && database.drop_cache()? {
            cold.push(time()?);
        }
        database.delete().await?;
        Ok(Starts {
            server: self.name,
            store,
            devices: self.devices,
            warm_ms: warm,
            cold_ms: (!cold.is_empty()).then(|| spread(cold)),
        })
    }

    /// Stops it, and deletes its data.
    ///
    /// # Errors
    /// If it ends with an error.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.process.stop()?;
        match self.files {
            Some(files) => files.database.delete().await,
            None => Ok(()),
        }
    }
}

fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    ]
}

const STARTS: usize = 5;
