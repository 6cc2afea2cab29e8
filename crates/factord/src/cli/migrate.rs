//! `factord migrate`: the schema of the database. `factord serve` brings it up to date when it starts; this does it before.

use clap::Subcommand;
use serde::Serialize;

use super::data::Data;
use crate::store::Location;
use crate::store::postgres;
use crate::store::sqlite;

/// The schema of the database.
#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Bring the schema up to date; nodes of the version before go on working
    #[command(after_help = "Example:\n  factord migrate up --config /etc/factord/factord.toml")]
    Up {
        #[command(flatten)]
        data: Data,
    },
    /// Say which schema the database has, and which this factord knows; changes nothing
    #[command(after_help = "Example:\n  factord migrate status --output json")]
    Status {
        #[command(flatten)]
        data: Data,
    },
}

impl Migrate {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Up { data } => {
                match data.storage()?.location {
                    Location::Postgres(settings) => drop(postgres::migrate(&settings).await?),
                    Location::Directory(_) => drop(data.open().await?),
                }
                show(&data).await
            }
            Self::Status { data } => show(&data).await,
        }
    }
}

async fn show(data: &Data) -> anyhow::Result<()> {
    let (schema, known) = match data.storage()?.location {
        Location::Postgres(settings) => {
            let status = postgres::status(&settings).await?;
            (i64::from(status.found), i64::from(status.known))
        }
        Location::Directory(directory) => sqlite::schema(&directory)?,
    };
    let status = Status {
        schema,
        known,
        pending: (known - schema).max(0),
    };
    let fields = [
        ("schema", schema.to_string()),
        ("known", known.to_string()),
        ("pending", status.pending.to_string()),
    ];
    data.output.one(&status, &fields)
}

#[derive(Serialize)]
struct Status {
    schema: i64,
    known: i64,
    pending: i64,
}
