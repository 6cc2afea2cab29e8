//! Users: where a `user_id` comes from (contract, Users).

pub(super) mod create;
mod cursor;
pub(super) mod delete;
pub(super) mod list;
mod query;
pub(super) mod show;
pub(super) mod update;

use onelogin::models::UserRequest;
use serde_json::{Map, Value};

use super::wire;
use crate::clock::Timestamp;
use crate::mfa::ids::UserId;
use crate::mfa::profile::UpdateProfile;
use crate::mfa::user::Profile;

/// A user on the wire: the fields of `onelogin::models::User` that are known.
fn render(id: UserId, profile: Profile) -> Map<String, Value> {
    let mut user = Map::from_iter([("id".to_owned(), Value::from(id.get()))]);
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            user.insert(name.to_owned(), value);
        }
    };
    let time = |moment: Timestamp| wire::time(moment).map(|time| Value::from(time.to_string()));
    set("username", profile.username.map(Value::from));
    set("email", profile.email.map(Value::from));
    set("phone", profile.phone.map(Value::from));
    set("state", Some(profile.state.into()));
    set("status", Some(profile.status.into()));
    set("created_at", time(profile.created_at));
    set("updated_at", time(profile.updated_at));
    user.extend(profile.attributes);
    user
}

/// What is asked to be kept of a user. A password is not: it is dropped here.
fn change(asked: UserRequest) -> UpdateProfile {
    let UserRequest {
        username,
        email,
        phone,
        state,
        status,
        ..
    } = asked.clone();
    let rest = UserRequest {
        username: None,
        email: None,
        phone: None,
        state: None,
        status: None,
        password: None,
        password_confirmation: None,
        ..asked
    };
    UpdateProfile {
        username,
        email,
        phone,
        state: state.map(small),
        status: status.map(small),
        attributes: match serde_json::to_value(rest) {
            Ok(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        },
    }
}

/// A number that is too large or negative becomes one that no state or status has.
fn small(number: i64) -> u8 {
    number.try_into().unwrap_or(u8::MAX)
}
