//! `onelogin users`: its verbs, filters and fields.

use clap::{Args, Subcommand};

use super::User;

/// `onelogin users`
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// List users
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many at most; 0 for all
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a user
    Show(User),
    /// Create a user; --username or --email is needed
    Create(Fields),
    /// Change the fields that are given
    Update {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a user with all devices
    Delete {
        #[command(flatten)]
        user: User,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Which users.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    /// With this e-mail address
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// With this user name
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// With this first name
    #[arg(long)]
    pub(crate) firstname: Option<String>,
    /// With this last name
    #[arg(long)]
    pub(crate) lastname: Option<String>,
    /// With this id in another directory
    #[arg(long)]
    pub(crate) external_id: Option<String>,
}

/// The fields of a user.
#[derive(Args, Debug)]
pub(crate) struct Fields {
    /// Name to log in with
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// E-mail address
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// First name
    #[arg(long)]
    pub(crate) firstname: Option<String>,
    /// Last name
    #[arg(long)]
    pub(crate) lastname: Option<String>,
    /// Phone number in E.164 form, such as +14155550100
    #[arg(long)]
    pub(crate) phone: Option<String>,
    /// Id in another directory
    #[arg(long)]
    pub(crate) external_id: Option<String>,
    /// Language of messages, such as en
    #[arg(long)]
    pub(crate) locale: Option<String>,
    /// 0 unapproved, 1 approved, 2 rejected, 3 unlicensed
    #[arg(long)]
    pub(crate) state: Option<i64>,
    /// 1 active, 2 suspended, 3 locked …
    #[arg(long)]
    pub(crate) status: Option<i64>,
    /// A custom attribute (repeatable)
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) attributes: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
