//! What every store does alike around a decision: how it is put to the core, and by what users and destinations are
//! looked up.

use rand::CryptoRng;

use super::{Job, StoreError, UserFilter};
use crate::clock::Moment;
use crate::crypto::keys::KeyedHash;
use crate::mfa::Core;
use crate::mfa::decision::{Draft, Effects, Reads};
use crate::mfa::hardware::Known;
use crate::mfa::history::History;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, Profile, User};

/// What a decision sees and changes, besides its effects.
pub(super) struct State<'a> {
    pub user: &'a mut User,
    pub history: &'a mut History,
    pub hardware: &'a mut Known,
    pub finished: Option<&'a Finished>,
}

/// Puts `job` to the core, and gives what is to be committed with the state.
pub(super) fn run(
    job: &mut dyn Job,
    state: State<'_>,
    core: &Core,
    moment: Moment,
    rng: &mut dyn CryptoRng,
) -> Effects {
    let State {
        user,
        history,
        hardware,
        finished,
    } = state;
    let mut effects = Effects::default();
    job.run(&mut Draft {
        core,
        now: moment.timestamp(),
        moment,
        rng,
        user,
        history,
        hardware,
        finished,
        effects: &mut effects,
    });
    effects
}

/// Ends what has expired of a user, and nothing else.
pub(super) struct EndExpired;

impl Job for EndExpired {
    fn reads(&self, _: &Core, _: &User) -> Reads {
        Reads::default()
    }

    fn run(&mut self, draft: &mut Draft<'_>) {
        draft.end_expired();
    }

    fn done(self: Box<Self>, _: Result<bool, StoreError>) {}
}

/// The key of a destination's history. Addresses that reach the same person read the same: an e-mail address in lower
/// case without blanks around it, a number as it is.
pub(super) fn destination_key(core: &Core, destination: &str) -> KeyedHash {
    if destination.contains('@') {
        core.keys
            .destination_hash(&destination.trim().to_lowercase())
    } else {
        core.keys.destination_hash(destination)
    }
}

/// What a user is looked up by: fields whose case does not matter in lower case.
pub(super) struct Lookup {
    pub username: Option<String>,
    pub email: Option<String>,
    pub external_id: Option<String>,
}

impl Lookup {
    /// The lookup values of a profile.
    pub fn of(profile: &Profile) -> Self {
        Self {
            username: profile.username.as_deref().map(folded),
            email: profile.email.as_deref().map(folded),
            external_id: profile.attributes.get("external_id").and_then(text),
        }
    }
}

/// Whether `filter` picks a user, but for its `after`, `offset` and `limit`.
pub(super) fn picks(filter: &UserFilter, user: &User) -> bool {
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&user.id))
        && filter
            .equal
            .iter()
            .all(|(name, wanted)| has(&user.profile, name, wanted))
        && filter.times.iter().all(|(name, at_or_after, time)| {
            moment(&user.profile, name).is_some_and(|moment| {
                if *at_or_after {
                    moment >= time.seconds()
                } else {
                    moment <= time.seconds()
                }
            })
        })
}

fn has(profile: &Profile, name: &str, wanted: &str) -> bool {
    let value = match name {
        "username" => profile.username.as_deref().map(folded),
        "email" => profile.email.as_deref().map(folded),
        "phone" => profile.phone.clone(),
        "state" => Some(profile.state.to_string()),
        "status" => Some(profile.status.to_string()),
        _ => profile.attributes.get(name).and_then(text),
    };
    let wanted = wanted_form(name, wanted);
    value.is_some_and(|value| match wanted.strip_suffix('*') {
        Some(prefix) => value.starts_with(prefix),
        None => value == wanted,
    })
}

fn moment(profile: &Profile, name: &str) -> Option<i64> {
    match name {
        "created_at" => Some(profile.created_at.seconds()),
        "updated_at" => Some(profile.updated_at.seconds()),
        _ => profile
            .attributes
            .get(name)?
            .as_str()?
            .parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_second),
    }
}

/// What a filter asks for, in the form in which the field is looked up.
pub(super) fn wanted_form(name: &str, wanted: &str) -> String {
    match name {
        "username" | "email" => folded(wanted),
        _ => wanted.to_owned(),
    }
}

/// A text in the form in which its case does not matter.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// A JSON value as a filter compares it: a string as it is, a number in digits.
fn text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What an event says that it is about: a user, unless it is about a credential.
pub(super) fn about(user: i64) -> Result<Option<UserId>, StoreError> {
    match user {
        NO_USER => Ok(None),
        user => UserId::new(user)
            .map(Some)
            .ok_or_else(|| StoreError::Corrupt("a user's id".to_owned())),
    }
}

/// Stands for the user of an event that is about none.
pub(super) const NO_USER: i64 = 0;

/// The word for how an event ended.
pub(super) const fn outcome(refused: bool) -> &'static str {
    if refused { "refused" } else { "success" }
}

/// Seconds after its expiry for which a pair of tokens can still be refreshed: a day.
pub(super) const REFRESHABLE: i64 = 86_400;
/// Seconds that the outbox keeps a message: a week.
pub(super) const OUTBOX_KEPT: i64 = 604_800;
/// Seconds after its expiry at which a message that nobody sent is erased: a day.
pub(super) const UNSENT_KEPT: i64 = 86_400;
