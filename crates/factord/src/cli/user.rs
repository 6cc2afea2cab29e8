//! `factord user`: the people whose factors are kept.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::data::{Data, find_user};
use super::devices;
use super::output::{Output, confirm, note};
use crate::mfa::profile::{DeleteUser, UpdateProfile};
use crate::mfa::refusal::Refusal;
use crate::mfa::user;
use crate::node::Node;
use crate::service::Error;
use crate::store::{StoreError, UserFilter};

/// The users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user
    #[command(
        after_help = "Example:\n  factord user create --email ada@example.com --phone +14155550100"
    )]
    Create {
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        data: Data,
    },
    /// List users
    #[command(after_help = "Example:\n  factord user list --limit 10 --output json")]
    List {
        /// Only ids above this one
        #[arg(long, value_name = "ID")]
        after: Option<crate::mfa::ids::UserId>,
        /// The most to list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        data: Data,
    },
    /// Show a user
    #[command(after_help = "Example:\n  factord user show ada@example.com")]
    Show {
        /// An id, a username or an e-mail address
        user: String,
        #[command(flatten)]
        data: Data,
    },
    /// List what a user has enrolled, and how each device stands
    #[command(
        after_help = "Example:\n  factord user devices ada@example.com\n\nDETAIL is what the factor says of a device: how many \
                      recovery codes are left, which key or token it is."
    )]
    Devices {
        /// An id, a username or an e-mail address
        user: String,
        #[command(flatten)]
        data: Data,
    },
    /// Delete a user and all that is known of them but the audit trail
    #[command(after_help = "Example:\n  factord user delete ada@example.com --yes")]
    Delete {
        /// An id, a username or an e-mail address
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        data: Data,
    },
}

/// A user who is to be created.
#[derive(Args, Debug)]
#[group(id = "name", required = true, multiple = true, args = ["username", "email"])]
pub struct New {
    /// The name the user logs in by
    #[arg(long)]
    username: Option<String>,
    /// The address that e-mail codes go to
    #[arg(long)]
    email: Option<String>,
    /// The number that text messages go to, E.164: +14155550100
    #[arg(long)]
    phone: Option<String>,
    /// The first name
    #[arg(long)]
    firstname: Option<String>,
    /// The last name
    #[arg(long)]
    lastname: Option<String>,
}

impl User {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create { new, data } => create(&data, new).await,
            Self::List { after, limit, data } => list(&data, after, usize::try_from(limit)?).await,
            Self::Show { user, data } => show(&data, &user).await,
            Self::Devices { user, data } => devices::list(&data, &user).await,
            Self::Delete { user, yes, data } => delete(&data, &user, yes).await,
        }
    }
}

async fn create(data: &Data, new: New) -> anyhow::Result<()> {
    let node = data.open().await?;
    let New {
        username,
        email,
        phone,
        firstname,
        lastname,
    } = new;
    let names = [("firstname", firstname), ("lastname", lastname)];
    let given = names
        .into_iter()
        .filter_map(|(field, name)| Some((field.to_owned(), name?.into())));
    let profile = UpdateProfile {
        attributes: given.collect(),
        username,
        email,
        phone,
        ..UpdateProfile::default()
    };
    let profile = profile.create(node.store.now()).map_err(explain)?;
    let user = match node.service.create_user(profile).await {
        Err(Error::Store(StoreError::Conflict(field))) => {
            anyhow::bail!("another user has this {field}")
        }
        result => result?,
    };
    print(data.output, &user)
}

/// What is wrong with a value, for the person who typed it.
fn explain(refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::Invalid(names) => {
            let hints = names.iter().map(|name| match *name {
                "phone" => "--phone must be E.164: a plus sign and 8 to 15 digits",
                "email" => "--email must be an e-mail address",
                _ => "--username must be 1 to 200 characters",
            });
            anyhow::anyhow!(hints.collect::<Vec<_>>().join("; "))
        }
        other => anyhow::anyhow!("refused: {}", other.reason()),
    }
}

async fn list(
    data: &Data,
    after: Option<crate::mfa::ids::UserId>,
    limit: usize,
) -> anyhow::Result<()> {
    let node = data.open().await?;
    let page = node
        .store
        .users(UserFilter {
            after,
            limit,
            ..UserFilter::default()
        })
        .await?;
    let records: Vec<_> = page.users.iter().map(Shown::of).collect();
    let rows: Vec<_> = records
        .iter()
        .map(|record| {
            record
                .fields()
                .into_iter()
                .map(|(_, value)| value)
                .collect()
        })
        .collect();
    data.output.list(
        &records,
        &[
            "ID", "USERNAME", "EMAIL", "PHONE", "STATE", "STATUS", "DEVICES", "CREATED",
        ],
        &rows,
    )?;
    if page.total > page.users.len() {
        note(&format!(
            "{} of {} users; more with --limit or --after",
            page.users.len(),
            page.total
        ));
    }
    Ok(())
}

async fn show(data: &Data, text: &str) -> anyhow::Result<()> {
    let node = data.open().await?;
    let user = existing(&node, text).await?;
    print(data.output, &user)
}

async fn delete(data: &Data, text: &str, yes: bool) -> anyhow::Result<()> {
    let node = data.open().await?;
    let user = existing(&node, text).await?;
    let id = user.id;
    confirm(
        &format!(
            "delete user {id} ({}) and every device",
            user.profile.account_name(id)
        ),
        yes,
    )?;
    node.service.decide(id, DeleteUser).await?;
    let deleted = serde_json::json!({ "id": id.get(), "deleted": true });
    data.output.done(&deleted, &format!("user {id} is deleted"))
}

/// The user that a person means, who must be there.
pub(super) async fn existing(node: &Node, text: &str) -> anyhow::Result<user::User> {
    match node.service.user(find_user(node, text).await?).await {
        Err(Error::NoSuchUser) => {
            anyhow::bail!("there is no user {text}: `factord user list` shows them")
        }
        result => Ok(result?),
    }
}

fn print(output: Output, user: &user::User) -> anyhow::Result<()> {
    let shown = Shown::of(user);
    output.one(&shown, &shown.fields())
}

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    username: Option<&'a str>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    state: u8,
    status: u8,
    devices: usize,
    created_at: String,
}

impl<'a> Shown<'a> {
    fn of(user: &'a user::User) -> Self {
        let profile = &user.profile;
        Self {
            id: user.id.get(),
            username: profile.username.as_deref(),
            email: profile.email.as_deref(),
            phone: profile.phone.as_deref(),
            state: profile.state,
            status: profile.status,
            devices: user.mfa.devices.len(),
            created_at: profile.created_at.to_string(),
        }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        vec![
            ("id", self.id.to_string()),
            ("username", text(self.username)),
            ("email", text(self.email)),
            ("phone", text(self.phone)),
            ("state", self.state.to_string()),
            ("status", self.status.to_string()),
            ("devices", self.devices.to_string()),
            ("created", self.created_at.clone()),
        ]
    }
}
