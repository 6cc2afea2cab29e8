//! The flags by which an administrative command finds the data, and the data opened.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::dev;
use super::output::{Output, note};
use crate::config::{Administration, Flag, Sources, Storage};
use crate::mfa::ids::UserId;
use crate::mfa::user::User;
use url::Url;

use crate::node::{self, Mode, Node, Setup};
use crate::store::{Location, UserFilter};

/// Where the data is.
#[derive(Args, Debug)]
pub struct Data {
    /// The configuration of `factord serve`
    #[arg(long, value_name = "FILE", env = "FACTORD_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data directory [default: as configured, else factord-data]
    #[arg(long = "data", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The database: sqlite:DIRECTORY or postgres://user@host/database [default: as configured, else the data directory]
    #[arg(long, value_name = "URL", conflicts_with = "directory")]
    pub database: Option<PathBuf>,
    /// The file with the sealing key [default: as configured, else the data directory's own]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

impl Data {
    /// Opens the data, also while a server runs on it.
    pub async fn open(&self) -> anyhow::Result<Node> {
        let loaded = Administration::load(&self.sources())?;
        loaded.warnings.iter().for_each(|warning| note(warning));
        let location = loaded.config.storage.location.clone();
        open(&location, loaded.config).await
    }

    /// Opens data that is somewhere else, by the same key.
    pub async fn open_at(&self, location: &Location) -> anyhow::Result<Node> {
        let config = Administration::load(&self.sources())?.config;
        open(location, config).await
    }

    /// Where the data is, and the key to it.
    pub fn storage(&self) -> anyhow::Result<Storage> {
        let loaded = Storage::load(&self.sources())?;
        loaded.warnings.iter().for_each(|warning| note(warning));
        Ok(loaded.config)
    }

    /// A data directory of `factord dev` has its key inside: it is taken where nothing else is said.
    fn sources(&self) -> Sources {
        let mut sources = sources(
            self.config.as_deref(),
            &[
                ("data", "--data", self.directory.as_deref()),
                ("database.url", "--database", self.database.as_deref()),
            ],
        );
        let own = self
            .directory
            .as_deref()
            .unwrap_or(Path::new(DEFAULT_DATA))
            .join(DEV_KEY_FILE);
        let configured = self.config.is_some()
            || sources
                .environment
                .iter()
                .any(|(name, _)| name.starts_with("FACTORD_SEALING_KEY"));
        let key = self
            .key
            .clone()
            .or_else(|| (!configured && own.exists()).then_some(own));
        sources
            .flags
            .extend(key.map(|key| flag("sealing_key_file", "--key", &key)));
        sources
    }
}

/// Opens data for an administrative command.
async fn open(location: &Location, config: Administration) -> anyhow::Result<Node> {
    let Administration {
        storage,
        service_name,
        texts,
        notices,
        rules,
        policies,
    } = config;
    let is_devs =
        matches!(location, Location::Directory(directory) if directory.join(DEV_KEY_FILE).exists());
    let setup = Setup {
        service_name,
        rules,
        policies,
        texts,
        notices: notices.switches,
        channels: if is_devs {
            dev::CHANNELS.to_vec()
        } else {
            notices.channels
        },
        // An administrative command sends nobody a link.
        ..Setup::at(Url::parse("http://localhost")?)
    };
    let node = Node::open(location, &storage.sealing_key, Mode::Administration, setup).await;
    node.context("the data cannot be opened")
}

/// What a configuration is read from: a file, the environment, and flags.
pub fn sources(
    file: Option<&Path>,
    flags: &[(&'static str, &'static str, Option<&Path>)],
) -> Sources {
    let given = flags
        .iter()
        .filter_map(|(key, name, value)| Some(flag(key, name, (*value)?)));
    Sources {
        file: file.map(Path::to_owned),
        environment: environment(),
        flags: given.collect(),
    }
}

/// The variables that are meant for factord. One that is no text is left out; whatever it was to set is missed then.
fn environment() -> Vec<(String, String)> {
    let ours = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
    std::env::vars_os()
        .filter_map(ours)
        .filter(|(name, _)| name.starts_with("FACTORD_"))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

fn flag(key: &'static str, name: &'static str, value: &Path) -> Flag {
    Flag {
        key,
        name,
        value: value.display().to_string(),
    }
}

/// The user that a person means: an id, a username or an e-mail address.
pub async fn find_user(node: &Node, text: &str) -> anyhow::Result<UserId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    for field in ["username", "email"] {
        let equal = vec![(field, text.to_owned())];
        let page = node
            .store
            .users(UserFilter {
                equal,
                limit: 100,
                ..UserFilter::default()
            })
            .await?;
        // The filter knows wildcards; a person means the very name.
        let named = |user: &&User| {
            let profile = &user.profile;
            let name = if field == "username" {
                &profile.username
            } else {
                &profile.email
            };
            name.as_ref()
                .is_some_and(|name| name.eq_ignore_ascii_case(text))
        };
        let users: Vec<_> = page.users.iter().filter(named).collect();
        match users.as_slice() {
            [user] => return Ok(user.id),
            [] => {}
            _ => anyhow::bail!(
                "several users have the {field} {text}: name one by its id (`factord user list`)"
            ),
        }
    }
    anyhow::bail!(
        "no user is called {text}: name one by id, username or e-mail address (`factord user list`)"
    )
}

/// The data directory where none is named.
pub const DEFAULT_DATA: &str = "factord-data";
/// Where `factord dev` keeps its sealing key, in the data directory.
pub const DEV_KEY_FILE: &str = node::DEV_KEY_FILE;
