//! `factord restore`: puts a copy back, and ends whatever would be fresh again although it was used since.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};

use super::data::Data;
use super::output::confirm;
use super::since::{Since, end_in, fields};
use crate::store::transfer::Mover;
use crate::store::{Location, sqlite};

/// Put a backup back, so that no code that was used since works again.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("known").args(["audit", "accept_lost_revocations"]).required(true)),
    after_help = "Examples:\n  factord restore --from backup.db --audit events.json      (SQLite)\n  factord restore --audit events.json                       (PostgreSQL, after its own tools have put the backup back)\n\nevents.json is what `factord audit list --limit 10000 --output json` printed of the database that is lost."
)]
pub struct Restore {
    /// What `factord backup` wrote; the data directory must hold no database
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    since: Since,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    data: Data,
}

impl Restore {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let lost = self.since.lost()?;
        confirm(
            "end every session and disable what cannot be moved past what was used since",
            self.yes,
        )?;
        let location = self.data.storage()?.location;
        let (location, put_back) = match (location, &self.from) {
            (Location::Postgres(_), Some(_)) => anyhow::bail!(
                "--from is for SQLite: put a PostgreSQL database back by its own tools, then run `factord restore` without it"
            ),
            (Location::Directory(_), None) => anyhow::bail!("name the copy with --from"),
            (location @ Location::Postgres(_), None) => (location, None),
            (Location::Directory(directory), Some(from)) => {
                let aside = copy_aside(&directory, from)?;
                (Location::Directory(aside.clone()), Some((aside, directory)))
            }
        };
        // Brings the schema up to date, and sees whether the key is the right one.
        drop(self.data.open_at(&location).await?);
        let mut mover = Mover::open(&location).await?;
        mover.begin_restoring().await?;
        let done = end_in(&self.data, location, lost.as_deref()).await?;
        mover.reopen().await?;
        drop(mover);
        if let Some((aside, directory)) = put_back {
            put(&aside, &directory)?;
        }
        self.data.output.one(&done, &fields(&done))
    }
}

/// Copies a backup into a folder of its own within the data directory, so that no server can start on it before it is
/// safe.
fn copy_aside(directory: &Path, from: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        !directory.join(sqlite::FILE).exists(),
        "{} holds a database: move {} and what belongs to it (-wal, -shm) away first",
        directory.display(),
        sqlite::FILE
    );
    let aside = directory.join("restoring");
    if aside.exists() {
        std::fs::remove_dir_all(&aside).with_context(|| aside.display().to_string())?;
    }
    let shown = || aside.display().to_string();
    let mut folder = std::fs::DirBuilder::new();
    folder
        .recursive(true)
        .mode(0o700)
        .create(&aside)
        .with_context(shown)?;
    let mut source = std::fs::File::open(from).with_context(|| from.display().to_string())?;
    let mut copy = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(aside.join(sqlite::FILE))
        .with_context(shown)?;
    std::io::copy(&mut source, &mut copy).with_context(shown)?;
    copy.sync_all().with_context(shown)?;
    Ok(aside)
}

/// Moves the database to its place in one step.
fn put(aside: &Path, directory: &Path) -> anyhow::Result<()> {
    let shown = || directory.display().to_string();
    std::fs::rename(aside.join(sqlite::FILE), directory.join(sqlite::FILE)).with_context(shown)?;
    std::fs::File::open(directory)
        .and_then(|folder| folder.sync_all())
        .with_context(shown)?;
    std::fs::remove_dir_all(aside).with_context(shown)
}
