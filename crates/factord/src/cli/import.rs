//! `factord import`: what `factord export` wrote, into an empty database.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::data::Data;
use super::export::{is_standard, record, shown};
use super::output::{confirm, note};
use super::since::{Since, end_in, fields};
use crate::crypto::keys::Keys;
use crate::node;
use crate::store::Location;
use crate::store::transfer::stream::Reader;
use crate::store::transfer::{Mover, Standing};

/// Bring what `factord export` wrote into an empty database, of either kind.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  factord import factord.export --database postgres://factord@db.example.com/factord --key sealing.key\n  factord import factord.export --data DIR --key sealing.key --audit events.json    (not of --final)\n\nThe key must be the one of the database that was exported. If it is cut off, do the same again."
)]
pub struct Import {
    /// The file; `-` for standard input
    file: PathBuf,
    #[command(flatten)]
    since: Since,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    data: Data,
}

impl Import {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let lost = self.since.lost()?;
        let storage = self.data.storage()?;
        let keys = Keys::derive(&storage.sealing_key);
        let mut stream = Reader::begin(input(&self.file)?, &keys)?;
        if !stream.header.is_final {
            self.since
                .required()
                .context("the database was not closed before it was exported (--final)")?;
            confirm(
                "import, end every session and disable what cannot be moved past what was used since",
                self.yes || is_standard(&self.file),
            )?;
        }
        let location = storage.location;
        let _held = match &location {
            Location::Directory(directory) => node::hold(directory)?,
            Location::Postgres(_) => None,
        };
        // Makes the tables, and sees whether the key is the right one.
        drop(self.data.open().await?);
        let mut mover = Mover::open(&location).await?;
        let is_known = mover.imported().await?.as_ref() == Some(&stream.header.stream);
        let begun = is_known && mover.standing().await? == Standing::Restoring;
        anyhow::ensure!(
            begun || !is_known,
            "this very stream was imported here before, to its end: nothing is left to do"
        );
        let totals = if begun {
            note("the rows are there already; going on with what must end");
            None
        } else {
            Some(mover.import(&mut stream, &keys).await?)
        };
        let done = if mover.standing().await? == Standing::Restoring {
            let done = end_in(&self.data, location, lost.as_deref()).await?;
            mover.reopen().await?;
            Some(done)
        } else {
            None
        };
        let mut lines = vec![("stream", stream.header.stream.clone())];
        lines.extend(totals.iter().flat_map(shown));
        lines.extend(done.iter().flat_map(fields));
        let record = serde_json::json!({
            "stream": stream.header.stream, "final": stream.header.is_final,
            "tables": totals.as_ref().map(record), "ended": done,
        });
        self.data.output.one(&record, &lines)
    }
}

fn input(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if is_standard(file) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}
