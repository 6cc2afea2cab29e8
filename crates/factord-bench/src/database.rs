//! Where a measured server keeps its data: in a folder of its own, or in a database of its own on a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use url::Url;

use crate::fill;

/// The data of one server, which goes away with it.
#[derive(Debug)]
pub struct Database {
    folder: tempfile::TempDir,
    postgres: Option<Postgres>,
}

#[derive(Debug)]
struct Postgres {
    /// Any database on the server.
    server: Url,
    /// The one that is this server's alone.
    own: Url,
}

impl Database {
    /// SQLite in a new folder below `folder`.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn sqlite(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir_in(folder)?,
            postgres: None,
        })
    }

    /// A new database on the PostgreSQL server at `url`, whose user may create one; the sealing key goes to `folder`.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not create it.
    pub async fn postgres(folder: &Path, url: &Url) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let unique = folder.path().file_name().context("a folder has a name")?;
        let name = format!(
            "bench_{}",
            data_encoding::HEXLOWER.encode(unique.as_encoded_bytes())
        );
        let client = fill::connect(url.as_str()).await?;
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        let mut own = url.clone();
        own.set_path(&name);
        let postgres = Some(Postgres {
            server: url.clone(),
            own,
        });
        Ok(Self { folder, postgres })
    }

    /// What the tables call it.
    pub fn store(&self) -> &'static str {
        match self.postgres {
            None => "SQLite",
            Some(_) => "PostgreSQL",
        }
    }

    /// The folder of the data, or of the key alone.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `factord dev --database` is given.
    pub fn url(&self) -> Option<&str> {
        self.postgres.as_ref().map(|it| it.own.as_str())
    }

    /// Writes members into tables that nobody uses.
    ///
    /// # Errors
    /// If they are not empty, or cannot be written.
    pub async fn fill(&self, count: usize, now: i64) -> anyhow::Result<()> {
        if let Some(url) = self.url() {
            return fill::postgres(url, self.folder(), count, now).await;
        }
        let folder = self.folder().to_owned();
        tokio::task::spawn_blocking(move || fill::sqlite(&folder, count, now)).await?
    }

    /// How many successes the audit trail has of this action.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn successes(&self, action: &'static str) -> anyhow::Result<u64> {
        fill::successes(self.url(), self.folder(), action).await
    }

    /// Has the system forget what it has read of the files; `false` where they are not this machine's alone to forget.
    ///
    /// # Errors
    /// If `dd` cannot do it.
    pub fn drop_cache(&self) -> anyhow::Result<bool> {
        if self.postgres.is_some() {
            return Ok(false);
        }
        for entry in std::fs::read_dir(self.folder())? {
            let mut file = PathBuf::from("if=");
            file.as_mut_os_string().push(entry?.path());
            let mut command = Command::new("dd");
            let command = command.arg(file).args(["iflag=nocache", "count=0"]);
            let status = command.stderr(Stdio::null()).status()?;
            anyhow::ensure!(status.success(), "dd: {status}");
        }
        Ok(true)
    }

    /// Deletes it.
    ///
    /// # Errors
    /// If the server still has it in use.
    pub async fn delete(self) -> anyhow::Result<()> {
        if let Some(Postgres { server, own }) = &self.postgres {
            let name = own.path().trim_start_matches('/');
            let client = fill::connect(server.as_str()).await?;
            client
                .batch_execute(&format!("DROP DATABASE {name}"))
                .await?;
        }
        Ok(self.folder.close()?)
    }
}
