//! `factord audit`: what was decided, and why.

use clap::Subcommand;
use serde::Serialize;

use super::data::{Data, find_user};
use crate::audit::StoredEvent;
use crate::mfa::ids::UserId;
use crate::store::EventFilter;

/// The audit trail.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List events, the newest first: what was asked for, and why it was refused
    #[command(after_help = "Example:\n  factord audit list --user ada@example.com --limit 10")]
    List {
        /// Only this user's: an id, a username or an e-mail address
        #[arg(long)]
        user: Option<String>,
        /// The most to list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Only events older than the one with this id
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        #[command(flatten)]
        data: Data,
    },
}

impl Audit {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::List {
            user,
            limit,
            before,
            data,
        } = self;
        let node = data.open().await?;
        let user = match user {
            Some(text) => Some(find_user(&node, &text).await?),
            None => None,
        };
        let limit = usize::try_from(limit)?;
        let events = node
            .store
            .events(EventFilter {
                user,
                before,
                since: None,
                limit,
            })
            .await?;
        let records: Vec<_> = events.iter().map(Listed::of).collect();
        let rows: Vec<_> = records.iter().map(Listed::row).collect();
        data.output.list(
            &records,
            &[
                "ID",
                "AT",
                "USER",
                "DEVICE OR CLIENT",
                "ACTION",
                "OUTCOME",
                "REASON",
                "COUNT",
            ],
            &rows,
        )
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    id: i64,
    at: String,
    user_id: Option<i64>,
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    action: &'a str,
    outcome: &'a str,
    reason: Option<&'a str>,
    count: i64,
}

impl<'a> Listed<'a> {
    fn of(event: &'a StoredEvent) -> Self {
        Self {
            id: event.id,
            at: event.at.to_string(),
            user_id: event.user.map(UserId::get),
            device_id: event.device.as_deref(),
            client_id: event.credential.as_deref(),
            action: &event.action,
            outcome: &event.outcome,
            reason: event.reason.as_deref(),
            count: event.count,
        }
    }

    fn row(&self) -> Vec<String> {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        vec![
            self.id.to_string(),
            self.at.clone(),
            self.user_id.map_or_else(String::new, |id| id.to_string()),
            text(self.device_id.or(self.client_id)),
            self.action.to_owned(),
            self.outcome.to_owned(),
            text(self.reason),
            self.count.to_string(),
        ]
    }
}
