//! `factord policy`: what a configuration lets which users enrol, use and ask for.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::data::{Data, find_user, sources};
use super::output::{Output, note};
use crate::config::PolicyConfig;
use crate::factor::catalogue::Catalogue;
use crate::factor::yubikey::OWN;
use crate::mfa::policy::{Group, Policies, Policy as Effective};

/// What which users may enrol, use and ask for.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check a configuration, and show what holds for everybody and for each group
    #[command(
        after_help = "Examples:\n  factord policy check factord.toml\n  factord policy check factord.toml --attribute \
                      department=finance\n  factord policy check factord.toml --user ada@example.com"
    )]
    Check(Check),
}

/// Check a configuration.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration; variables beat it, as they do for `factord serve`
    file: PathBuf,
    /// Show only what holds where the attribute has this value
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "user")]
    attribute: Option<String>,
    /// Show only what holds for this user: an id, a username or an e-mail address
    #[arg(long)]
    user: Option<String>,
    /// The data directory that the user is in [default: as configured]
    #[arg(
        long,
        value_name = "DIR",
        requires = "user",
        conflicts_with = "database"
    )]
    data: Option<PathBuf>,
    /// The database that the user is in [default: as configured, else the data directory]
    #[arg(long, value_name = "URL", requires = "user")]
    database: Option<PathBuf>,
    /// The file with the sealing key [default: as configured, else the data directory's own]
    #[arg(long, value_name = "FILE", requires = "user")]
    key: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Policy {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::Check(check) = self;
        check.run().await
    }
}

impl Check {
    async fn run(self) -> anyhow::Result<()> {
        let loaded = PolicyConfig::load(&sources(Some(&self.file), &[]))?;
        loaded.warnings.iter().for_each(|warning| note(warning));
        let PolicyConfig {
            policies,
            channels,
            webauthn,
            yubikeys,
        } = loaded.config;
        let catalogue = Catalogue::standard()
            .sending_by(&channels)
            .with_webauthn(webauthn)
            .with_yubikeys(yubikeys.then_some(&OWN));
        let picked = match (&self.attribute, &self.user) {
            (Some(attribute), _) => Some(by_attribute(&policies, attribute)?),
            (None, Some(user)) => Some(self.by_user(&policies, user).await?),
            (None, None) => None,
        };
        let show = |group: Option<&Group>| Shown::of(&policies, group, &catalogue);
        let shown: Vec<_> = match picked {
            Some(group) => vec![show(group)],
            None => std::iter::once(show(None))
                .chain(policies.groups().map(|group| show(Some(group))))
                .collect(),
        };
        let rows: Vec<_> = shown.iter().map(Shown::row).collect();
        self.output.list(&shown, HEADINGS, &rows)
    }

    async fn by_user<'a>(
        &self,
        policies: &'a Policies,
        user: &str,
    ) -> anyhow::Result<Option<&'a Group>> {
        let data = Data {
            config: Some(self.file.clone()),
            directory: self.data.clone(),
            database: self.database.clone(),
            key: self.key.clone(),
            output: self.output,
        };
        let node = data.open().await?;
        let id = find_user(&node, user).await?;
        let user = node.service.user(id).await?;
        Ok(policies.group_of(&user.profile))
    }
}

/// The group that `NAME=VALUE` picks.
fn by_attribute<'a>(policies: &'a Policies, text: &str) -> anyhow::Result<Option<&'a Group>> {
    let (name, value) = text
        .split_once('=')
        .context("--attribute takes NAME=VALUE")?;
    let expected = policies.attribute.as_deref().context(
        "the configuration has no policy.attribute, so that no attribute makes a difference",
    )?;
    anyhow::ensure!(
        name == expected,
        "groups go by the custom attribute {expected}, not by {name}"
    );
    Ok(policies.group(value))
}

/// What holds for a group, as it is printed.
#[derive(Serialize)]
struct Shown {
    /// `None`: whoever is in no group.
    group: Option<String>,
    offered: Vec<Offered>,
    disabled: Vec<&'static str>,
    magic_link: &'static str,
    number_matching: &'static str,
    number_digits: usize,
    default_expires_in: i64,
    max_expires_in: i64,
    max_token_expires_in: i64,
    #[serde(skip)]
    has_groups: bool,
}

/// A factor that may be enrolled.
#[derive(Serialize)]
struct Offered {
    factor: &'static str,
    factor_id: i64,
    devices: usize,
}

impl Shown {
    fn of(policies: &Policies, group: Option<&Group>, catalogue: &Catalogue) -> Self {
        let policy: &Effective = group.map_or(&policies.everybody, |group| &group.policy);
        let known = Catalogue::standard();
        let offered = catalogue.offered().filter(|(_, it)| policy.offers(it));
        Self {
            group: group.map(|group| group.name.clone()),
            offered: offered
                .map(|(factor_id, factor)| Offered {
                    factor: factor.key,
                    factor_id,
                    devices: policy.devices(factor),
                })
                .collect(),
            disabled: known
                .offered()
                .map(|(_, factor)| factor.key)
                .filter(|key| policy.disables_key(key))
                .collect(),
            magic_link: policy.magic_link.as_str(),
            number_matching: policy.number_matching.as_str(),
            number_digits: policy.number_digits,
            default_expires_in: policy.default_expires_in,
            max_expires_in: policy.max_expires_in,
            max_token_expires_in: policy.max_token_expires_in,
            has_groups: policies.groups().next().is_some(),
        }
    }

    fn row(&self) -> Vec<String> {
        let group = match &self.group {
            Some(name) => name.clone(),
            None if self.has_groups => "(everybody else)".to_owned(),
            None => "(everybody)".to_owned(),
        };
        let offered: Vec<_> = self.offered.iter().map(Offered::text).collect();
        let list = |names: &[String]| match names {
            [] => "-".to_owned(),
            names => names.join(", "),
        };
        let disabled: Vec<_> = self.disabled.iter().map(|key| (*key).to_owned()).collect();
        vec![
            group,
            list(&offered),
            list(&disabled),
            self.magic_link.to_owned(),
            format!("{}, {} digits", self.number_matching, self.number_digits),
            format!(
                "{}, at most {}",
                self.default_expires_in, self.max_expires_in
            ),
            format!("at most {}", self.max_token_expires_in),
        ]
    }
}

impl Offered {
    fn text(&self) -> String {
        match self.devices {
            1 => self.factor.to_owned(),
            devices => format!("{} ({devices})", self.factor),
        }
    }
}

const HEADINGS: &[&str] = &[
    "GROUP",
    "OFFERED",
    "DISABLED",
    "MAGIC LINK",
    "NUMBER",
    "EXPIRES IN",
    "TOKENS",
];
