//! `factord export`: the whole state as one sealed stream.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::data::Data;
use super::output::{confirm, note};
use crate::clock;
use crate::crypto::keys::Keys;
use crate::node;
use crate::store::transfer::stream::{Header, Writer};
use crate::store::transfer::{Mover, Standing, Totals};
use crate::store::{Location, postgres, sqlite};

/// Write the whole state to a sealed stream, for `factord import`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  factord export --final factord.export         (then `factord import`, and start the servers there)\n  factord export - | ssh elsewhere factord import - --accept-lost-revocations --database postgres://…\n\nThe sealing key is not in the stream, which opens with it alone."
)]
pub struct Export {
    /// The file, which must not exist yet; `-` for standard output
    #[arg(required_unless_present = "reopen")]
    file: Option<PathBuf>,
    /// Close the database for good first: nothing is changed in it any more, and all goes on where the stream is imported
    #[arg(long = "final")]
    is_final: bool,
    /// Open a database again that `--final` has closed. Whatever its stream was imported into must be thrown away, or codes
    /// that are used there work here once more
    #[arg(long, conflicts_with_all = ["file", "is_final"])]
    reopen: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    data: Data,
}

impl Export {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let storage = self.data.storage()?;
        let _held = match &storage.location {
            Location::Directory(directory) => {
                let path = directory.join(sqlite::FILE);
                anyhow::ensure!(path.exists(), "there is no database {}", path.display());
                if self.is_final || self.reopen {
                    node::hold(directory)?
                } else {
                    None
                }
            }
            Location::Postgres(_) => None,
        };
        match &self.file {
            Some(file) if !self.reopen => {
                if self.is_final {
                    confirm("close this database for good", self.yes)?;
                }
                let keys = Keys::derive(&storage.sealing_key);
                self.export(file, &storage.location, &keys).await
            }
            _ => self.reopen(&storage.location).await,
        }
    }

    async fn export(&self, file: &Path, location: &Location, keys: &Keys) -> anyhow::Result<()> {
        // Brings the schema up to date, and sees whether the key is the right one.
        let now = self.data.open().await?.store.now();
        let mut mover = Mover::open(location).await?;
        let mut standing = mover.standing().await?;
        anyhow::ensure!(
            standing != Standing::Restoring,
            "{location} is being restored or imported: that must end first"
        );
        // First, so that nothing is closed where nothing can be written.
        let out = Out::create(file)?;
        let from = described(location).await?;
        let mut header = Header::new(keys, &mut clock::system_rng(), now, from, true);
        if self.is_final && standing == Standing::Open {
            mover.close(&header.stream).await?;
            standing = Standing::Exported;
        }
        header.is_final = standing == Standing::Exported;
        let written = write(&mut mover, &header, keys, out).await;
        let totals = written.with_context(|| {
            if header.is_final {
                "the stream was not written to its end, and the database stays closed: do it again"
            } else {
                "the stream was not written to its end"
            }
        })?;
        self.show(file, &header, &totals)
    }

    fn show(&self, file: &Path, header: &Header, totals: &Totals) -> anyhow::Result<()> {
        let state = if header.is_final {
            "the database is closed for good"
        } else {
            "the database goes on"
        };
        if is_standard(file) {
            let rows: u64 = totals.named().map(|(_, tally)| tally.count).sum();
            note(&format!("{rows} rows were written; {state}"));
            return Ok(());
        }
        let mut fields = vec![
            ("file", file.display().to_string()),
            ("stream", header.stream.clone()),
        ];
        fields.extend(shown(totals));
        fields.push(("", state.to_owned()));
        let record = serde_json::json!({
            "file": file.display().to_string(), "stream": header.stream, "final": header.is_final,
            "tables": record(totals),
        });
        self.data.output.one(&record, &fields)
    }

    async fn reopen(&self, location: &Location) -> anyhow::Result<()> {
        let mut mover = Mover::open(location).await?;
        anyhow::ensure!(
            mover.standing().await? == Standing::Exported,
            "{location} was not exported for good"
        );
        confirm(
            "open this database again; nothing of its final export may be in use anywhere",
            self.yes,
        )?;
        mover.reopen().await?;
        self.data.output.done(
            &serde_json::json!({"open": true}),
            "the database is open again",
        )
    }
}

/// How many rows each table has, and their hash, for people.
pub fn shown(totals: &Totals) -> impl Iterator<Item = (&'static str, String)> + '_ {
    let named = totals.named();
    named.map(|(name, tally)| (name, format!("{} ({})", tally.count, &tally.hash()[..16])))
}

/// The same for programs.
pub fn record(totals: &Totals) -> serde_json::Value {
    let named = totals.named().map(|(name, tally)| {
        let tally = serde_json::json!({"count": tally.count, "hash": tally.hash()});
        (name.to_owned(), tally)
    });
    named.collect::<serde_json::Map<_, _>>().into()
}

/// Whether a file's name stands for standard input or output.
pub fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

async fn described(location: &Location) -> anyhow::Result<(&'static str, i64)> {
    Ok(match location {
        Location::Directory(directory) => ("sqlite", sqlite::schema(directory)?.0),
        Location::Postgres(settings) => {
            let status = postgres::status(settings).await?;
            ("postgres", i64::from(status.found))
        }
    })
}

async fn write(
    mover: &mut Mover,
    header: &Header,
    keys: &Keys,
    out: Out,
) -> anyhow::Result<Totals> {
    let mut writer = Writer::begin(out, keys, header)?;
    mover.export(|row| writer.add(&row)).await?;
    let (totals, out) = writer.end()?;
    out.keep()?;
    Ok(totals)
}

/// Where a stream goes: standard output, or a file that is removed again unless it is kept.
struct Out {
    out: BufWriter<Box<dyn Write>>,
    file: Option<(File, PathBuf)>,
}

impl Out {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if is_standard(path) {
            let out: Box<dyn Write> = Box::new(io::stdout().lock());
            return Ok(Self {
                out: BufWriter::new(out),
                file: None,
            });
        }
        let shown = || format!("{} cannot be created", path.display());
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .with_context(shown)?;
        let writing: Box<dyn Write> = Box::new(file.try_clone().with_context(shown)?);
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, writing),
            file: Some((file, path.to_owned())),
        })
    }

    /// Makes sure that what was written is on the disk.
    fn keep(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some((file, path)) = &self.file {
            file.sync_all()?;
            if let Some(folder) = path.parent() {
                let folder = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                File::open(folder)?.sync_all()?;
            }
        }
        self.file = None;
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.file {
            // What is there is no stream; that it cannot be removed says nothing new.
            drop(std::fs::remove_file(path));
        }
    }
}
