//! The sources laid over each other, key by key. Each value is checked where it stands, so that a message can say
//! where it came from, and one mistake does not hide the next.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::settings::Settings;
use super::{Flag, Problem, known, policy};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
    /// All of them together.
    Resolved,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, " (in {})", path.display()),
            Self::Variable(name) => write!(f, " (from {name})"),
            Self::Flag(name) => write!(f, " (from {name})"),
            Self::Resolved => Ok(()),
        }
    }
}

/// What all sources make together.
pub(super) struct Read {
    pub(super) settings: Settings,
    /// The values by their keys, but for those of groups.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// The values of all sources so far; a later one replaces an earlier one.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<String, Value>,
    /// The groups of the policy, whose names are no keys.
    groups: Table,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Layers {
    pub(super) fn add_file(&mut self, path: &Path) {
        let source = Source::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.refuse(
                    &path.display().to_string(),
                    Source::Resolved,
                    error.to_string(),
                );
            }
        };
        match text.parse::<Table>() {
            Ok(table) => self.add_table("", table, &source),
            // Not the whole of TOML's message: it shows the line, and somebody may have put a secret on it.
            Err(error) => {
                let line = error.span().map_or(0, |span| {
                    text[..span.start.min(text.len())].lines().count().max(1)
                });
                let message = format!("line {line} is not TOML: {}", error.message());
                self.refuse(&path.display().to_string(), Source::Resolved, message);
            }
        }
    }

    pub(super) fn add_environment(&mut self, environment: &[(String, String)]) {
        let keys = known::keys();
        for (name, text) in environment
            .iter()
            .filter(|(name, _)| name.starts_with(known::PREFIX))
        {
            if known::is_apart(name) {
                continue;
            }
            match keys.iter().find(|key| known::variable(key) == *name) {
                Some(key) => self.add_text(key, text, Source::Variable(name.clone())),
                None => self.warnings.push(unknown_variable(name, &keys)),
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            self.add_text(flag.key, &flag.value, Source::Flag(flag.name));
        }
    }

    /// The settings that all sources make together, with what is wrong and what is odd about them. Where something is
    /// wrong the settings are not to be used, only to be looked at for more that is wrong.
    pub(super) fn resolve(mut self) -> Read {
        let mut table = Table::new();
        for (key, value) in &self.values {
            insert(&mut table, key, value.clone());
        }
        let groups = std::mem::take(&mut self.groups);
        insert(&mut table, policy::GROUPS, Value::Table(groups));
        let settings = table.try_into().unwrap_or_else(|error: toml::de::Error| {
            self.refuse("factord.toml", Source::Resolved, error.message().to_owned());
            Settings::default()
        });
        Read {
            settings,
            values: self.values,
            problems: self.problems,
            warnings: self.warnings,
        }
    }

    fn add_table(&mut self, section: &str, table: Table, source: &Source) {
        for (name, value) in table {
            let key = known::join(section, &name);
            match value {
                Value::Table(table) if key == policy::GROUPS => self.add_groups(table, source),
                Value::Table(table) if key == policy::DEVICES => {
                    for (factor, value) in table {
                        self.add_value(known::join(&key, &factor), value, source.clone());
                    }
                }
                Value::Table(table) if known::is_section(&key) => {
                    self.add_table(&key, table, source);
                }
                value if known::keys().contains(&key) => self.add_value(key, value, source.clone()),
                _ if known::is_section(&key) => {
                    self.refuse(
                        &key,
                        source.clone(),
                        format!("it is a table; write its keys under [{key}]"),
                    );
                }
                _ => self.refuse(&key, source.clone(), unknown_key(&key, section)),
            }
        }
    }

    fn add_groups(&mut self, groups: Table, source: &Source) {
        for (name, value) in groups {
            let shown = policy::group_key(&name);
            let Value::Table(table) = value else {
                let message = format!("it is a table; write its keys under [{shown}]");
                self.refuse(&shown, source.clone(), message);
                continue;
            };
            let mut group = Table::new();
            for (key, value) in table {
                self.add_to_group(&mut group, &shown, &key, value, source);
            }
            self.groups.insert(name, Value::Table(group));
        }
    }

    /// Adds one value of a group, or each of its devices.
    fn add_to_group(
        &mut self,
        group: &mut Table,
        shown: &str,
        key: &str,
        value: Value,
        source: &Source,
    ) {
        match value {
            Value::Table(devices) if key == "devices" => {
                for (factor, value) in devices {
                    let key = known::join("devices", &factor);
                    self.add_to_group(group, shown, &key, value, source);
                }
                return;
            }
            _ => {}
        }
        let whole = known::join(shown, key);
        let top = key.split('.').next().unwrap_or(key);
        if !known::group_keys().contains(&top) {
            return self.refuse(&whole, source.clone(), unknown_group_key(shown, key));
        }
        match check(&format!("{}.any.{key}", policy::GROUPS), &value) {
            Ok(()) => insert(group, key, value),
            Err(message) => self.refuse(&whole, source.clone(), message),
        }
    }

    fn add_value(&mut self, key: String, value: Value, source: Source) {
        match check(&key, &value) {
            Ok(()) => _ = self.values.insert(key, value),
            Err(message) => self.refuse(&key, source, message),
        }
    }

    /// A variable or flag has no type: its text is taken as it is, or as a TOML value (a number, say), or as a list
    /// with commas, whichever the key accepts first.
    fn add_text(&mut self, key: &str, text: &str, source: Source) {
        let as_it_is = Value::String(text.to_owned());
        let list = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let list = Value::Array(list.map(|item| Value::String(item.to_owned())).collect());
        let readings = [Some(as_it_is), text.parse().ok(), Some(list)];
        let accepted = readings
            .into_iter()
            .flatten()
            .find(|value| check(key, value).is_ok());
        match (accepted, check(key, &Value::String(text.to_owned()))) {
            (Some(value), _) => _ = self.values.insert(key.to_owned(), value),
            (None, Err(message)) => self.refuse(key, source, best_message(key, text, message)),
            (None, Ok(())) => {}
        }
    }

    fn refuse(&mut self, key: &str, source: Source, message: String) {
        self.problems.push(Problem {
            key: key.to_owned(),
            source,
            message,
        });
    }
}

/// Whether the key's type accepts the value: reads settings in which nothing else is set.
fn check(key: &str, value: &Value) -> Result<(), String> {
    let mut table = Table::new();
    insert(&mut table, key, value.clone());
    match table.try_into::<Settings>() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.message().to_owned()),
    }
}

/// Whether a key has the same effect with either value, none being the default.
pub(super) fn is_same(key: &str, one: Option<&Value>, other: Option<&Value>) -> bool {
    let settings = |value: Option<&Value>| {
        let mut table = Table::new();
        if let Some(value) = value {
            insert(&mut table, key, value.clone());
        }
        table.try_into::<Settings>().ok()
    };
    settings(one) == settings(other)
}

/// What is wrong with a text that no reading made acceptable: said of the reading that looks meant.
fn best_message(key: &str, text: &str, as_text: String) -> String {
    let meant = text.parse::<Value>().ok().filter(|value| !value.is_str());
    meant
        .and_then(|value| check(key, &value).err())
        .unwrap_or(as_text)
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => _ = table.insert(key.to_owned(), value),
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn unknown_key(key: &str, section: &str) -> String {
    let everywhere = known::sections()
        .into_iter()
        .flat_map(|(section, fields)| fields.iter().map(move |field| known::join(section, field)));
    let here = known::sections()
        .into_iter()
        .find(|(name, _)| *name == section);
    let here = here
        .map(|(_, fields)| fields.join(", "))
        .unwrap_or_default();
    let place = if section.is_empty() {
        "at the top of the file".to_owned()
    } else {
        format!("in [{section}]")
    };
    match known::nearest(key, everywhere) {
        Some(meant) => {
            format!("there is no such key; did you mean {meant}? The keys {place} are: {here}")
        }
        None => format!("there is no such key. The keys {place} are: {here}"),
    }
}

fn unknown_group_key(shown: &str, key: &str) -> String {
    let keys = known::group_keys();
    let hint = known::nearest(key, keys.iter().map(|key| (*key).to_owned())).map_or_else(
        || ".".to_owned(),
        |meant| format!("; did you mean {meant}?"),
    );
    format!(
        "there is no such key{hint} The keys in [{shown}] are: {}",
        keys.join(", ")
    )
}

fn unknown_variable(name: &str, keys: &[String]) -> String {
    let unprefixed = name.trim_start_matches(known::PREFIX).to_lowercase();
    let names = keys.iter().map(|key| key.replace('.', "_"));
    let meant = known::nearest(&unprefixed, names).map(|name| known::variable(&name));
    let hint = meant
        .map(|meant| format!("; did you mean {meant}?"))
        .unwrap_or_default();
    format!("the variable {name} stands for no key and is passed over{hint}")
}
