//! `factord backup`: a copy of SQLite's file while the server runs.

use std::path::PathBuf;

use clap::Args;

use super::data::Data;
use crate::store::{Location, sqlite};

/// Copy the database to a file, also while a server runs.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  factord backup /var/backups/factord-2026-01-31.db\n\nPostgreSQL has its own ways (pg_basebackup, pg_dump). The sealing key is not in the copy."
)]
pub struct Backup {
    /// The file, which must not exist yet
    file: PathBuf,
    #[command(flatten)]
    data: Data,
}

impl Backup {
    /// Does it.
    pub fn run(self) -> anyhow::Result<()> {
        let Self { file, data } = self;
        match data.storage()?.location {
            Location::Directory(directory) => sqlite::backup(&directory, &file)?,
            Location::Postgres(_) => anyhow::bail!(
                "this is for SQLite: a PostgreSQL database is backed up by its own tools, such as pg_basebackup or pg_dump"
            ),
        }
        let record = serde_json::json!({"file": file.display().to_string()});
        let sentence = format!("copied to {}; the sealing key is not in it", file.display());
        data.output.done(&record, &sentence)
    }
}
