//! `factord restore`: puts a copy back, and ends whatever would be fresh again although it was used since.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::data::Data;
use super::output::{Output, confirm};
use crate::mfa::device::DeleteDevice;
use crate::mfa::ids::{DeviceId, UserId};
use crate::mfa::profile::DeleteUser;
use crate::mfa::restored::EndRestored;
use crate::node::{Node, RESTORING};
use crate::service::Error;
use crate::store::{EventFilter, Location, UserFilter, sqlite};

/// Put a backup back, so that no code that was used since works again.
#[derive(Args, Debug)]
#[group(id = "since", required = true, multiple = false)]
#[command(
    after_help = "Examples:\n  factord restore --from backup.db --audit events.json      (SQLite)\n  factord restore --audit events.json                       (PostgreSQL, after its own tools have put the backup back)\n\nevents.json is what `factord audit list --limit 10000 --output json` printed of the database that is lost."
)]
pub struct Restore {
    /// What `factord backup` wrote; the data directory must hold no database
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The audit events of the lost database: what they say was deleted, suspended or guessed since is so again
    #[arg(long, value_name = "FILE", group = "since")]
    audit: Option<PathBuf>,
    /// Go on without them: devices and users that were deleted or suspended since come back
    #[arg(long, group = "since")]
    accept_lost_revocations: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    data: Data,
}

/// An event of the lost database.
#[derive(Debug, Deserialize)]
struct Lost {
    id: i64,
    user_id: UserId,
    device_id: Option<String>,
    action: String,
    outcome: String,
    reason: Option<String>,
    count: u32,
}

/// What was done to how many.
#[derive(Debug, Default, Serialize)]
struct Done {
    users: usize,
    open_ended: usize,
    sessions_ended: usize,
    devices_moved: usize,
    devices_disabled: usize,
    users_deleted: usize,
    devices_deleted: usize,
    users_suspended: usize,
}

impl Restore {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let lost = self.lost()?;
        confirm(
            "end every session and disable what cannot be moved past what was used since",
            self.yes,
        )?;
        let storage = self.data.storage()?;
        let (node, put_back) = match (&storage.location, &self.from) {
            (Location::Postgres(_), Some(_)) => anyhow::bail!(
                "--from is for SQLite: put a PostgreSQL database back by its own tools, then run `factord restore` without it"
            ),
            (Location::Directory(_), None) => anyhow::bail!("name the copy with --from"),
            (Location::Postgres(_), None) => (self.data.open().await?, None),
            (Location::Directory(directory), Some(from)) => {
                let aside = copy_aside(directory, from)?;
                let node = self
                    .data
                    .open_at(&Location::Directory(aside.clone()))
                    .await?;
                (node, Some((aside, directory.clone())))
            }
        };
        node.store.set_setting(RESTORING, "yes".to_owned()).await?;
        let done = end(&node, &lost).await?;
        node.store.set_setting(RESTORING, "no".to_owned()).await?;
        drop(node);
        if let Some((aside, directory)) = put_back {
            put(&aside, &directory)?;
        }
        show(self.data.output, &done)
    }

    fn lost(&self) -> anyhow::Result<Vec<Lost>> {
        let Some(path) = &self.audit else {
            return Ok(Vec::new());
        };
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is not what `factord audit list --output json` prints",
                path.display()
            )
        })
    }
}

/// Ends what must end, user by user. May be run again after it was cut off.
async fn end(node: &Node, lost: &[Lost]) -> anyhow::Result<Done> {
    let newest = node
        .store
        .events(EventFilter {
            limit: 1,
            ..EventFilter::default()
        })
        .await?;
    let newest = newest.first().map_or(0, |event| event.id);
    let mut since: BTreeMap<UserId, Vec<&Lost>> = BTreeMap::new();
    for event in lost.iter().filter(|event| event.id > newest) {
        since.entry(event.user_id).or_default().push(event);
    }
    let mut done = Done {
        sessions_ended: node.store.end_sessions().await?,
        ..Done::default()
    };
    let mut after = None;
    loop {
        let filter = UserFilter {
            after,
            limit: 200,
            ..UserFilter::default()
        };
        let page = node.store.users(filter).await?.users;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        after = Some(last.id);
        for user in page {
            let events = since.get(&user.id).map_or(&[][..], Vec::as_slice);
            of_user(node, user.id, events, &mut done).await?;
        }
    }
}

async fn of_user(
    node: &Node,
    user: UserId,
    events: &[&Lost],
    done: &mut Done,
) -> anyhow::Result<()> {
    let succeeded = |action: &str| {
        let action = action.to_owned();
        move |event: &&&Lost| event.action == action && event.outcome == "success"
    };
    done.users += 1;
    if events.iter().any(|event| succeeded("delete_user")(&event)) {
        node.service.decide(user, DeleteUser).await?;
        done.users_deleted += 1;
        return Ok(());
    }
    for action in ["delete_device", "delete_temporary_token"] {
        for event in events.iter().filter(succeeded(action)) {
            let device = event
                .device_id
                .as_deref()
                .and_then(|id| id.parse::<DeviceId>().ok());
            let Some(device) = device else { continue };
            match node.service.decide(user, DeleteDevice { device }).await {
                Ok(()) => done.devices_deleted += 1,
                // It was enrolled since, too.
                Err(Error::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let command = EndRestored {
        failures: failures(events),
        suspend: events.iter().any(|event| succeeded("update_user")(&event)),
    };
    let ended = node.service.decide(user, command).await?;
    done.open_ended += ended.open;
    done.devices_moved += ended.moved;
    done.devices_disabled += ended.disabled;
    done.users_suspended += usize::from(ended.suspended);
    Ok(())
}

/// Wrong codes of each device since its last success, the events being in any order.
fn failures(events: &[&Lost]) -> Vec<(String, u32)> {
    let mut events = events.to_vec();
    events.sort_unstable_by_key(|event| event.id);
    let mut failures: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events {
        let Some(device) = event.device_id.as_deref() else {
            continue;
        };
        let wrong = event
            .reason
            .as_deref()
            .is_some_and(|it| it == "wrong" || it.starts_with("outside_window"));
        if event.action == "complete_verification" && event.outcome == "success" {
            failures.remove(device);
        } else if wrong {
            *failures.entry(device).or_default() += event.count;
        }
    }
    failures
        .into_iter()
        .map(|(device, count)| (device.to_owned(), count))
        .collect()
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

fn show(output: Output, done: &Done) -> anyhow::Result<()> {
    let fields = [
        ("users", done.users),
        (
            "open registrations, verifications and temporary tokens ended",
            done.open_ended,
        ),
        (
            "bearer tokens, links and messages ended",
            done.sessions_ended,
        ),
        ("devices moved past what was used", done.devices_moved),
        (
            "devices disabled, to be enrolled anew",
            done.devices_disabled,
        ),
        ("users deleted, as the audit events say", done.users_deleted),
        (
            "devices deleted, as the audit events say",
            done.devices_deleted,
        ),
        (
            "users suspended, since their profiles were changed",
            done.users_suspended,
        ),
    ];
    output.one(done, &fields.map(|(name, count)| (name, count.to_string())))
}
