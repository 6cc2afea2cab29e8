//! What the list of users can be asked for in the query (contract, Users). What is not known is passed over, but for filters
//! that would have picked fewer users than are shown.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::http::error::Error;
use crate::mfa::ids::UserId;
use crate::mfa::user::User;
use crate::store::UserFilter;

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// The name to log in with.
    username: Option<String>,
    /// The e-mail address.
    email: Option<String>,
    /// The first name.
    firstname: Option<String>,
    /// The last name.
    lastname: Option<String>,
    /// The user's id in another directory.
    external_id: Option<String>,
    /// The name in Active Directory.
    samaccountname: Option<String>,
    /// The directory that the user comes from.
    directory_id: Option<String>,
    /// Ids, separated by commas.
    user_ids: Option<String>,
    /// Created at this time or later, RFC 3339.
    created_since: Option<String>,
    /// Created at this time or earlier.
    created_until: Option<String>,
    /// Changed at this time or later.
    updated_since: Option<String>,
    /// Changed at this time or earlier.
    updated_until: Option<String>,
    /// Logged in last at this time or later.
    last_login_since: Option<String>,
    /// Logged in last at this time or earlier.
    last_login_until: Option<String>,
    /// The fields to show besides `id`, separated by commas: all without it.
    fields: Option<String>,
    /// How many users a page holds: 1 to 100, by default 50.
    pub(super) limit: Option<String>,
    /// The number of the page, from 1.
    pub(super) page: Option<String>,
    /// Where the page begins: an `After-Cursor` or `Before-Cursor` of an earlier answer.
    pub(super) cursor: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    others: HashMap<String, String>,
}

impl Query {
    /// What is to be looked for: 422 for a value that nothing can have.
    pub(super) fn filter(&self) -> Result<UserFilter, Error> {
        let Self {
            username,
            email,
            firstname,
            lastname,
            external_id,
            samaccountname,
            directory_id,
            ..
        } = self;
        let mut filter = UserFilter::default();
        for (name, wanted) in [
            ("username", username),
            ("email", email),
            ("firstname", firstname),
            ("lastname", lastname),
            ("external_id", external_id),
            ("samaccountname", samaccountname),
            ("directory_id", directory_id),
        ] {
            filter
                .equal
                .extend(wanted.clone().map(|wanted| (name, wanted)));
        }
        for (parameter, field, at_or_after, text) in self.times() {
            let time = text
                .map(|text| moment(text).ok_or_else(|| Error::invalid(parameter)))
                .transpose()?;
            filter
                .times
                .extend(time.map(|time| (field, at_or_after, time)));
        }
        filter.ids = self.user_ids.as_deref().map(ids).transpose()?;
        self.refuse_unknown_filters()?;
        Ok(filter)
    }

    fn times(&self) -> [(&'static str, &'static str, bool, Option<&str>); 6] {
        [
            (
                "created_since",
                "created_at",
                true,
                self.created_since.as_deref(),
            ),
            (
                "created_until",
                "created_at",
                false,
                self.created_until.as_deref(),
            ),
            (
                "updated_since",
                "updated_at",
                true,
                self.updated_since.as_deref(),
            ),
            (
                "updated_until",
                "updated_at",
                false,
                self.updated_until.as_deref(),
            ),
            (
                "last_login_since",
                "last_login",
                true,
                self.last_login_since.as_deref(),
            ),
            (
                "last_login_until",
                "last_login",
                false,
                self.last_login_until.as_deref(),
            ),
        ]
    }

    /// A caller who asks for the users of an application or with an attribute would take others for them.
    fn refuse_unknown_filters(&self) -> Result<(), Error> {
        let names = self.others.keys();
        let filter = names.filter_map(|name| match name.split_once('.') {
            Some(("custom_attributes", _)) => Some("custom_attributes"),
            _ => (name == "app_id").then_some("app_id"),
        });
        match filter.min() {
            Some(name) => Err(Error::invalid(name)),
            None => Ok(()),
        }
    }

    /// Whether one `username` is asked for and nothing that tells more of the user.
    pub(super) fn is_exact_username(&self) -> bool {
        let Self {
            email,
            firstname,
            lastname,
            external_id,
            samaccountname,
            directory_id,
            user_ids,
            ..
        } = self;
        let others = [
            email,
            firstname,
            lastname,
            external_id,
            samaccountname,
            directory_id,
            user_ids,
        ];
        self.username.is_some()
            && others.into_iter().all(Option::is_none)
            && self.times().iter().all(|(.., text)| text.is_none())
    }

    /// Whether the `username` stands for more than one.
    pub(super) fn has_wildcard(&self) -> bool {
        self.username
            .as_deref()
            .is_some_and(|username| username.ends_with('*'))
    }

    /// The user, with the fields that were asked for and that the caller may see.
    pub(super) fn shown(&self, user: User, reads_all: bool) -> Map<String, Value> {
        let mut shown = super::render(user.id, user.profile);
        if let Some(fields) = self.fields.as_ref().filter(|fields| !fields.is_empty()) {
            shown.retain(|name, _| {
                name == "id" || fields.split(',').any(|field| field.trim() == name)
            });
        }
        if !reads_all {
            shown.retain(|name, _| matches!(name.as_str(), "id" | "state" | "status"));
        }
        shown
    }
}

/// RFC 3339, or a day, which begins at midnight UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<jiff::Timestamp>();
    let moment = moment.or_else(|_| format!("{text}T00:00:00Z").parse());
    moment
        .ok()
        .map(|moment| Timestamp::from_seconds(moment.as_second()))
}

fn ids(text: &str) -> Result<Vec<UserId>, Error> {
    let ids = text.split(',').map(|id| id.trim().parse());
    ids.collect::<Result<_, _>>()
        .map_err(|_| Error::invalid("user_ids"))
}
