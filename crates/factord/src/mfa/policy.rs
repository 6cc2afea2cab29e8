//! What a user may enrol, use and ask for, by the group that a custom attribute of their profile puts them in. Values
//! alone: an operator writes them (`config/policy.rs`), and the core looks at them once for each decision.
//!
//! To add a key of the policy: a field of [`Policy`] here, and of `PolicyTable` in `config/policy.rs`, which tells the
//! rest. A factor reads it by [`Ceremony::policy`](crate::factor::Ceremony::policy).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rules::{DEFAULT_TEMPORARY_TOKEN_SECONDS, MIN_EXPIRES_IN};
use super::user::Profile;
use crate::factor::Description;
use crate::factor::magic_link::{self, MagicLinkMode};
use crate::factor::protect::NumberMatching;

/// The policies of an installation: everybody's, and those of the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The custom attribute whose value names the group.
    pub attribute: Option<String>,
    /// What holds for whoever is in no group.
    pub everybody: Policy,
    groups: BTreeMap<String, Group>,
}

/// A group of users, and what holds for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name as it was written: the value of the attribute.
    pub name: String,
    /// The whole of what holds for it.
    pub policy: Policy,
}

/// What holds for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The keys of the factors that may be enrolled; all if `None`.
    pub offered: Option<BTreeSet<&'static str>>,
    /// The keys of the factors that may neither be enrolled nor used.
    pub disabled: BTreeSet<&'static str>,
    /// What pressing the button behind a magic link does.
    pub magic_link: MagicLinkMode,
    /// When the person must type into the app what the login shows.
    pub number_matching: NumberMatching,
    /// How many digits that has: 2 to 6.
    pub number_digits: usize,
    /// How many devices of a factor a user may have, where it is not as many as the factor itself says.
    pub devices: BTreeMap<&'static str, usize>,
    /// Seconds that a registration or verification stays open if the caller does not say.
    pub default_expires_in: i64,
    /// The most seconds that a caller may ask for.
    pub max_expires_in: i64,
    /// The most seconds that a temporary token may live, and lives if the caller does not say.
    pub max_token_expires_in: i64,
}

/// What OneLogin's API does. What holds where a configuration says nothing is said by `config/policy.rs`.
impl Default for Policy {
    fn default() -> Self {
        Self {
            offered: None,
            disabled: BTreeSet::new(),
            magic_link: MagicLinkMode::Polled,
            number_matching: NumberMatching::OnRequest,
            number_digits: 2,
            devices: BTreeMap::new(),
            default_expires_in: MIN_EXPIRES_IN,
            max_expires_in: MAX_EXPIRES_IN,
            max_token_expires_in: DEFAULT_TEMPORARY_TOKEN_SECONDS,
        }
    }
}

impl Policies {
    /// What holds for everybody, until there are groups.
    pub fn new(attribute: Option<String>, everybody: Policy) -> Self {
        Self {
            attribute,
            everybody,
            groups: BTreeMap::new(),
        }
    }

    /// Adds a group. Its name is compared without regard to case and to blanks around it.
    ///
    /// # Errors
    /// The name of the group that is picked by the same value, if there is one; nothing is added then.
    pub fn add_group(&mut self, group: Group) -> Result<(), &str> {
        match self.groups.entry(folded(&group.name)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(group);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(earlier) => Err(&earlier.into_mut().name),
        }
    }

    /// The groups, by name.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// What holds for a user.
    pub fn of(&self, profile: &Profile) -> &Policy {
        self.group_of(profile)
            .map_or(&self.everybody, |group| &group.policy)
    }

    /// The group that a user is in.
    pub fn group_of(&self, profile: &Profile) -> Option<&Group> {
        if self.groups.is_empty() {
            return None;
        }
        let attributes = profile.attributes.get(CUSTOM_ATTRIBUTES)?;
        let value = attributes.get(self.attribute.as_deref()?)?;
        self.group(&text(value)?)
    }

    /// The group that a value of the attribute picks.
    pub fn group(&self, value: &str) -> Option<&Group> {
        self.groups.get(&folded(value))
    }
}

impl Policy {
    /// Whether a device of the factor may be enrolled.
    pub fn offers(&self, factor: &Description) -> bool {
        let offered = self.offered.as_ref();
        !self.disables(factor) && offered.is_none_or(|offered| offered.contains(factor.key))
    }

    /// Whether no device of the factor may be used, even one that was enrolled before.
    pub fn disables(&self, factor: &Description) -> bool {
        self.disables_key(factor.key)
    }

    /// The same of the factor with this key.
    pub fn disables_key(&self, key: &str) -> bool {
        let off = key == magic_link::KEY && self.magic_link == MagicLinkMode::Off;
        off || self.disabled.contains(key)
    }

    /// How many devices of the factor a user may have.
    pub fn devices(&self, factor: &Description) -> usize {
        self.devices
            .get(factor.key)
            .copied()
            .unwrap_or(factor.devices)
    }
}

/// A value of an attribute as the name of a group; `None` if it is neither a text, a number nor a truth value.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whoever writes `Finance` means the same people as `finance`, and must not fall out of a stricter group by it.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The field of the users API that holds an installation's own attributes.
const CUSTOM_ATTRIBUTES: &str = "custom_attributes";
/// The most seconds that a registration or verification may stay open (contract: 900).
pub const MAX_EXPIRES_IN: i64 = 900;
