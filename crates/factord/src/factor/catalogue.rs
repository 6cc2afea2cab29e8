//! The factors by their ids (contract, Factors). To add one: its file, and its line here.

use std::fmt;

use super::authenticator::Authenticator;
use super::email::EMAIL;
use super::magic_link::MagicLink;
use super::protect::Protect;
use super::recovery_codes::RecoveryCodes;
use super::sms::SMS;
use super::voice::Voice;
use super::webauthn::WebAuthn;
use super::yubikey::{OWN, YubiKey};
use super::{Description, Factor};
use crate::delivery::message::Channel;

/// The factors that this installation knows, in the order they are listed.
#[derive(Clone)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    id: i64,
    /// `None` while the factor is disabled: the id is taken, and nothing can be enrolled under it.
    factor: Option<&'static dyn Factor>,
}

impl Catalogue {
    /// The factors of the contract's table, under the ids that OneLogin's documentation uses.
    pub fn standard() -> Self {
        let offered = |id, factor| Entry {
            id,
            factor: Some(factor),
        };
        Self {
            entries: vec![
                offered(AUTHENTICATOR, &Authenticator),
                offered(58_958, &Protect),
                offered(58_959, &SMS),
                offered(58_960, &Voice),
                offered(58_961, &EMAIL),
                offered(MAGIC_LINK, &MagicLink),
                offered(WEBAUTHN, &WebAuthn),
                offered(YUBIKEY, &OWN),
                offered(58_965, &RecoveryCodes),
            ],
        }
    }

    /// The same with one more factor, under an id that no other has.
    ///
    /// # Panics
    /// If the id is taken: a mistake in the program.
    #[must_use]
    pub fn with(mut self, id: i64, factor: &'static dyn Factor) -> Self {
        let taken = self.entries.iter().any(|entry| entry.id == id);
        assert!(!taken, "the factor id {id} is taken");
        self.entries.push(Entry {
            id,
            factor: Some(factor),
        });
        self
    }

    /// The same, but for the factors that send messages by a way for which nothing is set up: they are disabled.
    pub fn sending_by(mut self, channels: &[Channel]) -> Self {
        for entry in &mut self.entries {
            let sends = |factor: &&dyn Factor| {
                factor
                    .description()
                    .channel
                    .is_none_or(|channel| channels.contains(&channel))
            };
            entry.factor = entry.factor.filter(sends);
        }
        self
    }

    /// The same, without WebAuthn unless there is a relying party.
    pub fn with_webauthn(mut self, is_set_up: bool) -> Self {
        for entry in self.entries.iter_mut().filter(|entry| entry.id == WEBAUTHN) {
            entry.factor = entry.factor.filter(|_| is_set_up);
        }
        self
    }

    /// The same, with YubiKeys that are checked in another way, or not at all.
    pub fn with_yubikeys(mut self, factor: Option<&'static YubiKey>) -> Self {
        for entry in self.entries.iter_mut().filter(|entry| entry.id == YUBIKEY) {
            entry.factor = factor.map(|factor| factor as &dyn Factor);
        }
        self
    }

    /// The factor with this id, if it is offered.
    pub fn factor(&self, id: i64) -> Option<&'static dyn Factor> {
        self.entries.iter().find(|entry| entry.id == id)?.factor
    }

    /// What the factor with this id is, if it is offered.
    pub fn described(&self, id: i64) -> Option<&'static Description> {
        self.factor(id).map(Factor::description)
    }

    /// The factors that are offered: id and description.
    pub fn offered(&self) -> impl Iterator<Item = (i64, &'static Description)> {
        self.entries
            .iter()
            .filter_map(|entry| Some((entry.id, entry.factor?.description())))
    }
}

/// The id of Authenticator.
pub const AUTHENTICATOR: i64 = 58_957;
const MAGIC_LINK: i64 = 58_962;
const WEBAUTHN: i64 = 58_963;
const YUBIKEY: i64 = 58_964;

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| entry.id))
            .finish()
    }
}
