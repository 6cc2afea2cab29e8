//! The table `[policy]` and those of its groups. `mfa/policy.rs` says what each key means to a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de};

use super::layers::Source;
use super::values::{Within, from_text};
use super::{Problem, known};
use crate::delivery::message::Channel;
use crate::factor::Description;
use crate::factor::catalogue::Catalogue;
use crate::factor::magic_link::{self, MagicLinkMode};
use crate::factor::protect::{self, NumberMatching};
use crate::mfa::policy::{Group, Policies, Policy};

/// What holds for everybody, and for whoever is in no group.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyTable {
    attribute: Option<AttributeName>,
    factors: Option<Factors>,
    disabled: Factors,
    magic_link: MagicLinkMode,
    number_matching: NumberMatching,
    number_digits: NumberDigits,
    default_expires_in: ExpiresIn,
    max_expires_in: ExpiresIn,
    max_token_expires_in: TokenExpiresIn,
    devices: BTreeMap<FactorKey, Devices>,
    groups: BTreeMap<String, GroupTable>,
}

/// What holds for a group; what it does not say is as for everybody.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GroupTable {
    factors: Option<Factors>,
    disabled: Option<Factors>,
    magic_link: Option<MagicLinkMode>,
    number_matching: Option<NumberMatching>,
    number_digits: Option<NumberDigits>,
    default_expires_in: Option<ExpiresIn>,
    max_expires_in: Option<ExpiresIn>,
    max_token_expires_in: Option<TokenExpiresIn>,
    devices: BTreeMap<FactorKey, Devices>,
}

type ExpiresIn = Within<120, 900>;
type TokenExpiresIn = Within<120, 259_200>;
type NumberDigits = Within<2, 6>;
type Devices = Within<1, 20>;

impl Default for PolicyTable {
    fn default() -> Self {
        Self {
            attribute: None,
            factors: None,
            disabled: Factors::default(),
            magic_link: MagicLinkMode::Bound,
            number_matching: NumberMatching::OnRequest,
            number_digits: Within(2),
            default_expires_in: Within(120),
            max_expires_in: Within(900),
            max_token_expires_in: Within(259_200),
            devices: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }
}

impl PolicyTable {
    /// The policies, and what is wrong with them although each value is right; such are not to be used.
    pub(super) fn resolve(&self) -> (Policies, Vec<Problem>) {
        let mut problems = Problems(Vec::new());
        let everybody = Policy {
            offered: self.factors.as_ref().map(|factors| factors.0.clone()),
            disabled: self.disabled.0.clone(),
            magic_link: self.magic_link,
            number_matching: self.number_matching,
            number_digits: self.number_digits.number() as usize,
            devices: counts(&self.devices),
            default_expires_in: self.default_expires_in.number().into(),
            max_expires_in: self.max_expires_in.number().into(),
            max_token_expires_in: self.max_token_expires_in.number().into(),
        };
        problems.of_lifetimes(POLICY, true, &everybody);
        problems.of_devices(POLICY, &self.devices);
        problems.of_factors(POLICY, self.factors.as_ref(), true, &everybody);
        if self.attribute.is_none() && !self.groups.is_empty() {
            problems.add(
                "policy.attribute",
                "it is missing, so that no group is anybody's. Name the custom attribute that the groups go by"
                    .to_owned(),
            );
        }
        let attribute = self.attribute.as_ref().map(|name| name.0.clone());
        let mut policies = Policies::new(attribute, everybody);
        for (name, table) in &self.groups {
            table.resolve(name, &mut policies, &mut problems);
        }
        (policies, problems.0)
    }

    /// Sentences about what has no effect.
    pub(super) fn warnings(&self, channels: &[Channel]) -> Vec<String> {
        let unsent = Catalogue::standard();
        let unsent: Vec<_> = unsent
            .offered()
            .filter_map(|(_, factor)| Some((factor.key, factor.channel?)))
            .filter(|(_, channel)| !channels.contains(channel))
            .collect();
        let of_everybody = (POLICY.to_owned(), &self.factors);
        let of_groups = self
            .groups
            .iter()
            .map(|(name, table)| (group_key(name), &table.factors));
        let mut warnings = Vec::new();
        for (table, factors) in std::iter::once(of_everybody).chain(of_groups) {
            let named = |key: &&'static str| factors.as_ref().is_some_and(|it| it.0.contains(key));
            for (key, channel) in unsent.iter().filter(|(key, _)| named(key)) {
                let channel = channel.as_str();
                warnings.push(format!(
                    "{table}.factors names {key}, which is not offered all the same: nothing sends by {channel} (see \
                     [delivery])"
                ));
            }
        }
        if self.attribute.is_some() && self.groups.is_empty() {
            warnings.push(
                "policy.attribute is set, but there are no groups: write what holds for one under [policy.groups.NAME]"
                    .to_owned(),
            );
        }
        warnings
    }
}

impl GroupTable {
    /// Adds the group with what it inherits.
    fn resolve(&self, name: &str, policies: &mut Policies, problems: &mut Problems) {
        let (table, everybody) = (group_key(name), &policies.everybody);
        let seconds = |own: Option<u32>, inherited| own.map_or(inherited, i64::from);
        let mut devices = everybody.devices.clone();
        devices.extend(counts(&self.devices));
        let offered = self.factors.as_ref().map(|factors| factors.0.clone());
        let disabled = self.disabled.as_ref().map(|factors| factors.0.clone());
        let policy = Policy {
            offered: offered.or_else(|| everybody.offered.clone()),
            disabled: disabled.unwrap_or_else(|| everybody.disabled.clone()),
            magic_link: self.magic_link.unwrap_or(everybody.magic_link),
            number_matching: self.number_matching.unwrap_or(everybody.number_matching),
            number_digits: self
                .number_digits
                .map_or(everybody.number_digits, |digits| digits.number() as usize),
            devices,
            default_expires_in: seconds(
                self.default_expires_in.map(Within::number),
                everybody.default_expires_in,
            ),
            max_expires_in: seconds(
                self.max_expires_in.map(Within::number),
                everybody.max_expires_in,
            ),
            max_token_expires_in: seconds(
                self.max_token_expires_in.map(Within::number),
                everybody.max_token_expires_in,
            ),
        };
        if self.default_expires_in.is_some() || self.max_expires_in.is_some() {
            problems.of_lifetimes(&table, self.default_expires_in.is_some(), &policy);
        }
        problems.of_devices(&table, &self.devices);
        problems.of_factors(
            &table,
            self.factors.as_ref(),
            self.disabled.is_some(),
            &policy,
        );
        if name.trim().is_empty() {
            problems.add(
                &table,
                "no value of an attribute is blank: this group can never be anybody's".to_owned(),
            );
        }
        let group = Group {
            name: name.to_owned(),
            policy,
        };
        if let Err(earlier) = policies.add_group(group) {
            problems.add(
                &table,
                format!(
                    "it is the same group as {earlier:?}: case, and blanks around a name, make no difference"
                ),
            );
        }
    }
}

/// What is wrong with the table that is looked at.
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: &str, message: String) {
        self.0.push(Problem {
            key: key.to_owned(),
            source: Source::Resolved,
            message,
        });
    }

    fn of_lifetimes(&mut self, table: &str, sets_default: bool, policy: &Policy) {
        let (default, most) = (policy.default_expires_in, policy.max_expires_in);
        if default <= most {
            return;
        }
        if sets_default {
            self.add(
                &format!("{table}.default_expires_in"),
                format!("{default} is more than max_expires_in, which is {most}"),
            );
        } else {
            self.add(
                &format!("{table}.max_expires_in"),
                format!(
                    "{most} is less than default_expires_in, which is {default} for everybody: set that here too"
                ),
            );
        }
    }

    fn of_devices(&mut self, table: &str, devices: &BTreeMap<FactorKey, Devices>) {
        let catalogue = Catalogue::standard();
        for (
            _,
            Description {
                key,
                replaces_older,
                ..
            },
        ) in catalogue.offered()
        {
            let never_more = match *key {
                protect::KEY => {
                    "pushes are counted for each user, so that there is never more than 1"
                }
                _ if *replaces_older => {
                    "a newer one takes the place of the older, so that there is never more than 1"
                }
                _ => continue,
            };
            if devices.get(&FactorKey(key)).is_some_and(|it| it.0 != 1) {
                self.add(&format!("{table}.devices.{key}"), never_more.to_owned());
            }
        }
    }

    /// A factor that is named as offered must not be disabled: which of the two was meant nobody can know.
    fn of_factors(
        &mut self,
        table: &str,
        named: Option<&Factors>,
        disables: bool,
        policy: &Policy,
    ) {
        let named = named
            .into_iter()
            .flat_map(|factors| factors.0.iter().copied());
        let named = named.collect::<BTreeSet<_>>();
        if named.contains(magic_link::KEY) && policy.magic_link == MagicLinkMode::Off {
            let message = format!(
                "it names {}, which magic_link = \"off\" disables",
                magic_link::KEY
            );
            return self.add(&format!("{table}.factors"), message);
        }
        let both: Vec<_> = named
            .into_iter()
            .filter(|key| policy.disabled.contains(key))
            .collect();
        if both.is_empty() {
            return;
        }
        let both = both.join(", ");
        let message = if disables {
            format!("it names what {table}.disabled names too: {both}")
        } else {
            format!(
                "it names what policy.disabled names: {both}. Give the group a list of its own, such as disabled = []"
            )
        };
        self.add(&format!("{table}.factors"), message);
    }
}

/// The name of a custom attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AttributeName(String);

from_text!(AttributeName, |text| {
    let inner = text.strip_prefix("custom_attributes.");
    let right = (1..=64).contains(&text.chars().count()) && !text.trim().is_empty();
    match inner {
        Some(inner) => Err(format!(
            "write the name of the custom attribute alone: {inner:?}"
        )),
        None if right => Ok(Self(text.to_owned())),
        None => Err(format!(
            "{text:?} is not the name of a custom attribute, of 1 to 64 characters"
        )),
    }
});

/// The key of a factor that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FactorKey(&'static str);

from_text!(FactorKey, |text| {
    let known = KEYS.iter().find(|key| **key == text);
    known.map(|key| Self(key)).ok_or_else(|| {
        let meant = known::nearest(text, KEYS.iter().map(|key| (*key).to_owned()));
        let hint = meant.map_or_else(
            || ".".to_owned(),
            |meant| format!("; did you mean {meant}?"),
        );
        let all = KEYS.join(", ");
        format!("there is no factor {text:?}{hint} The factors are: {all}")
    })
});

/// Factors, each named once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Factors(BTreeSet<&'static str>);

impl<'de> Deserialize<'de> for Factors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let (mut factors, mut wrong) = (BTreeSet::new(), Vec::new());
        for name in names {
            match FactorKey::parse(&name) {
                Ok(FactorKey(key)) if factors.insert(key) => {}
                Ok(_) => wrong.push(format!("it names {name} twice")),
                Err(message) => wrong.push(message),
            }
        }
        if wrong.is_empty() {
            Ok(Self(factors))
        } else {
            Err(de::Error::custom(wrong.join("; ")))
        }
    }
}

fn counts(devices: &BTreeMap<FactorKey, Devices>) -> BTreeMap<&'static str, usize> {
    devices
        .iter()
        .map(|(FactorKey(key), count)| (*key, count.number() as usize))
        .collect()
}

/// The table of a group as it is written in a file.
pub(super) fn group_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        known::join(GROUPS, name)
    } else {
        known::join(GROUPS, &format!("{name:?}"))
    }
}

/// The table of what holds for everybody.
const POLICY: &str = "policy";
/// The table whose tables are the groups.
pub(super) const GROUPS: &str = "policy.groups";
/// The table of the number of devices a factor.
pub(super) const DEVICES: &str = "policy.devices";
/// The keys of all factors.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let catalogue = Catalogue::standard();
    catalogue.offered().map(|(_, factor)| factor.key).collect()
});

#[cfg(test)]
mod tests;
