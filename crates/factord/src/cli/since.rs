//! What a database that was put back, or imported, does not know: what happened since. Whatever may have been used ends, and
//! what the audit events of the lost database say was taken away is taken away again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::data::Data;
use crate::mfa::device::DeleteDevice;
use crate::mfa::ids::{DeviceId, UserId};
use crate::mfa::profile::DeleteUser;
use crate::mfa::restored::EndRestored;
use crate::node::Node;
use crate::service::Error;
use crate::store::transfer::RESTORING;
use crate::store::{EventFilter, Location, UserFilter};

/// What the operator knows of it.
#[derive(Args, Debug)]
pub struct Since {
    /// The audit events of the lost database: what they say was deleted, revoked, suspended or guessed since is so again. More
    /// than once, where there are several files
    #[arg(long, value_name = "FILE", conflicts_with = "accept_lost_revocations")]
    audit: Vec<PathBuf>,
    /// Go on without them: devices, users and credentials that were deleted, suspended or revoked since come back
    #[arg(long)]
    accept_lost_revocations: bool,
}

/// An event of the lost database.
#[derive(Debug, Deserialize)]
pub struct Lost {
    id: i64,
    user_id: Option<UserId>,
    client_id: Option<String>,
    device_id: Option<String>,
    action: String,
    outcome: String,
    reason: Option<String>,
    count: u32,
}

/// What was done to how many.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    users: usize,
    open_ended: usize,
    sessions_ended: usize,
    devices_moved: usize,
    devices_disabled: usize,
    users_deleted: usize,
    devices_deleted: usize,
    users_suspended: usize,
    credentials_revoked: usize,
}

impl Since {
    /// Passes if the operator has said what is to be done.
    pub fn required(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.accept_lost_revocations || !self.audit.is_empty(),
            "what was deleted, revoked, suspended or guessed since is not known here: give the audit events of the lost \
             database with --audit, or say --accept-lost-revocations"
        );
        Ok(())
    }

    /// The events that were given.
    pub fn lost(&self) -> anyhow::Result<Option<Vec<Lost>>> {
        if self.audit.is_empty() {
            return Ok(None);
        }
        let mut lost = Vec::new();
        for path in &self.audit {
            let text = std::fs::read(path).with_context(|| path.display().to_string())?;
            let events: Vec<Lost> = serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{} is not what `factord audit list --output json` prints",
                    path.display()
                )
            })?;
            lost.extend(events);
        }
        Ok(Some(lost))
    }
}

/// Ends what must end in a database that is being restored.
pub async fn end_in(
    data: &Data,
    location: Location,
    lost: Option<&[Lost]>,
) -> anyhow::Result<Done> {
    let location = match location {
        Location::Postgres(settings) => Location::Postgres(Box::new(settings.restoring())),
        directory @ Location::Directory(_) => directory,
    };
    let node = data.open_at(&location).await?;
    end(&node, lost).await
}

/// The lost events that the database does not have. They are not simply the newest: of two nodes one may number an event
/// first and commit it last.
async fn missing<'a>(node: &Node, lost: &'a [Lost]) -> anyhow::Result<Vec<&'a Lost>> {
    let newest = node.store.setting(RESTORING).await?;
    let newest: i64 = newest.unwrap_or_default().parse().unwrap_or_default();
    let older = lost.iter().filter(|event| event.id <= newest).count();
    anyhow::ensure!(
        newest == 0 || older > 0,
        "the audit events do not go back to what the database has, which ends with event {newest}: list older ones, too, with \
         --before, and give all files"
    );
    let filter = EventFilter {
        before: Some(newest.saturating_add(1)),
        limit: older,
        ..EventFilter::default()
    };
    let known = node.store.events(filter).await?;
    let oldest = known.last().map_or(i64::MAX, |event| event.id);
    let known: BTreeSet<i64> = known.iter().map(|event| event.id).collect();
    let is_missing =
        |event: &&Lost| event.id > newest || (event.id >= oldest && !known.contains(&event.id));
    Ok(lost.iter().filter(is_missing).collect())
}

/// Ends what must end, user by user. May be run again after it was cut off.
async fn end(node: &Node, lost: Option<&[Lost]>) -> anyhow::Result<Done> {
    let mut since: BTreeMap<UserId, Vec<&Lost>> = BTreeMap::new();
    let mut revoked = Vec::new();
    let missing = match lost {
        Some(lost) => missing(node, lost).await?,
        None => Vec::new(),
    };
    for event in missing {
        match (event.user_id, &event.client_id) {
            (Some(user), _) => since.entry(user).or_default().push(event),
            (None, Some(id)) if event.action == "revoke_credential" => revoked.push(id.clone()),
            (None, _) => {}
        }
    }
    let mut done = Done {
        sessions_ended: node.store.end_sessions().await?,
        ..Done::default()
    };
    for id in revoked {
        done.credentials_revoked += usize::from(node.store.revoke_credential(id).await?);
    }
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

/// What was done, for people.
pub fn fields(done: &Done) -> Vec<(&'static str, String)> {
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
        (
            "credentials revoked, as the audit events say",
            done.credentials_revoked,
        ),
    ];
    let fields = fields.map(|(name, count)| (name, count.to_string()));
    fields.into()
}
