//! `onelogin users`: finds, creates, changes and deletes users.

use onelogin::{
    UserQuery,
    models::{User, UserRequest},
};
use serde_json::{Map, Value, json};

use super::Session;
use crate::{
    arguments::{Fields, Filter, Users},
    exit::{Exit, Failure, Outcome},
    output::or_empty,
    terminal::confirm,
};

pub(crate) async fn run(session: &Session, command: Users) -> Outcome<Exit> {
    let users = session.users();
    match command {
        Users::List { filter, limit } => list(session, filter, limit).await?,
        Users::Show(user) => show(
            session,
            &users.get_user(session.user_id(&user).await?).await?,
        )?,
        Users::Create(fields) => {
            if fields.username.is_none() && fields.email.is_none() {
                return Err(Failure::usage("a user needs --username or --email"));
            }
            show(session, &users.create_user(&request(fields)).await?)?;
        }
        Users::Update { user, fields } => {
            let user_id = session.user_id(&user).await?;
            show(
                session,
                &users.update_user(user_id, &request(fields)).await?,
            )?;
        }
        Users::Delete { user, yes } => {
            let user_id = session.user_id(&user).await?;
            if !yes {
                confirm(&format!("Delete user {user_id} with all devices"))?;
            }
            users.delete_user(user_id).await?;
            session.output.one(
                &json!({"id": user_id, "deleted": true}),
                &[("deleted", user_id.to_string())],
            )?;
        }
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, filter: Filter, limit: usize) -> Outcome<()> {
    let Filter {
        email,
        username,
        firstname,
        lastname,
        external_id,
    } = filter;
    let page = if limit == 0 {
        100
    } else {
        u32::try_from(limit.min(100)).unwrap_or(100)
    };
    let query = UserQuery::new().limit(page);
    let query = email.into_iter().fold(query, UserQuery::email);
    let query = username.into_iter().fold(query, UserQuery::username);
    let query = firstname.into_iter().fold(query, UserQuery::firstname);
    let query = lastname.into_iter().fold(query, UserQuery::lastname);
    let query = external_id.into_iter().fold(query, UserQuery::external_id);
    let mut stream = session.users().users(query);
    let mut users = Vec::new();
    while limit == 0 || users.len() < limit {
        let Some(user) = stream.next().await else {
            break;
        };
        users.push(user?);
    }
    session.output.list(
        &users,
        ["ID", "USERNAME", "EMAIL", "NAME", "STATE", "STATUS"],
        |user| {
            [
                user.id.to_string(),
                or_empty(user.username.as_ref()),
                or_empty(user.email.as_ref()),
                name(user),
                word(user.state()),
                word(user.status()),
            ]
        },
    )
}

fn show(session: &Session, user: &User) -> Outcome<()> {
    let attributes = user
        .custom_attributes
        .as_ref()
        .filter(|attributes| !attributes.is_empty());
    let fields = [
        ("id", user.id.to_string()),
        ("username", or_empty(user.username.as_ref())),
        ("email", or_empty(user.email.as_ref())),
        ("name", name(user)),
        ("phone", or_empty(user.phone.as_ref())),
        ("state", word(user.state())),
        ("status", word(user.status())),
        ("external id", or_empty(user.external_id.as_ref())),
        ("locale", or_empty(user.preferred_locale_code.as_ref())),
        ("created", or_empty(user.created_at)),
        ("last login", or_empty(user.last_login)),
        (
            "attributes",
            or_empty(attributes.map(|attributes| Value::from(attributes.clone()))),
        ),
    ];
    session.output.one(user, &fields)
}

fn name(user: &User) -> String {
    [user.firstname.as_deref(), user.lastname.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The name of a state or status, in lower case: `Approved` is `approved`, `Other(9)` is `other(9)`.
fn word(value: Option<impl std::fmt::Debug>) -> String {
    value
        .map(|value| format!("{value:?}").to_lowercase())
        .unwrap_or_default()
}

fn request(fields: Fields) -> UserRequest {
    let attributes: Map<String, Value> = fields
        .attributes
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    UserRequest {
        username: fields.username,
        email: fields.email,
        firstname: fields.firstname,
        lastname: fields.lastname,
        phone: fields.phone,
        external_id: fields.external_id,
        preferred_locale_code: fields.locale,
        state: fields.state,
        status: fields.status,
        custom_attributes: (!attributes.is_empty()).then_some(attributes),
        ..UserRequest::default()
    }
}
