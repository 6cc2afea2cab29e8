//! The factors by their ids (contract, Factors). To add one: its file, and its line here.

use std::fmt;

use super::authenticator::Authenticator;
use super::email::Email;
use super::sms::Sms;
use super::{Description, Factor};

/// The factors that this installation knows, in the order they are listed.
pub struct Catalogue {
    entries: Vec<Entry>,
}

struct Entry {
    id: i64,
    factor: &'static dyn Factor,
}

impl Catalogue {
    /// The factors of the contract's table that are offered, under the ids that OneLogin's documentation uses.
    pub fn standard() -> Self {
        Self {
            entries: vec![
                Entry {
                    id: 58_957,
                    factor: &Authenticator,
                },
                Entry {
                    id: 58_959,
                    factor: &Sms,
                },
                Entry {
                    id: 58_961,
                    factor: &Email,
                },
            ],
        }
    }

    /// The factor with this id, if it is offered.
    pub fn factor(&self, id: i64) -> Option<&'static dyn Factor> {
        self.entries
            .iter()
            .find(|entry| entry.id == id)
            .map(|entry| entry.factor)
    }

    /// The factors that are offered: id and description.
    pub fn offered(&self) -> impl Iterator<Item = (i64, &'static Description)> {
        self.entries
            .iter()
            .map(|entry| (entry.id, entry.factor.description()))
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| entry.id))
            .finish()
    }
}
