//! From tables to settings: what is needed is there, secrets are read, and what is wrong is collected.

use std::path::Path;

use secrecy::SecretString;

use super::layers::Source;
use super::secrets::Secret;
use super::{Problem, Sources};
use crate::delivery::settings::certificates;

/// The tables on their way to settings, and what is wrong on the way.
pub(super) struct Resolving<'a> {
    sources: &'a Sources,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Resolving<'a> {
    pub(super) fn of(sources: &'a Sources) -> Self {
        Self {
            sources,
            problems: Vec::new(),
        }
    }

    pub(super) fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            source: Source::Resolved,
            message: message.into(),
        });
    }

    pub(super) fn needed<'v, T>(
        &mut self,
        key: &str,
        value: Option<&'v T>,
        cure: &str,
    ) -> Option<&'v T> {
        if value.is_none() {
            self.refuse(key, format!("it is missing. {cure}"));
        }
        value
    }

    pub(super) fn secret(&mut self, secret: &Secret, file: Option<&Path>) -> Option<SecretString> {
        secret.read(self.sources, file).unwrap_or_else(|message| {
            self.refuse(secret.key, message);
            None
        })
    }

    pub(super) fn needed_secret(
        &mut self,
        secret: &Secret,
        file: Option<&Path>,
    ) -> Option<SecretString> {
        let (problems, found) = (self.problems.len(), self.secret(secret, file));
        if found.is_none() && self.problems.len() == problems {
            self.miss(secret);
        }
        found
    }

    pub(super) fn miss(&mut self, secret: &Secret) {
        let message = format!(
            "it is missing. Name a file that holds it, or put it into {}",
            secret.variable
        );
        self.refuse(secret.key, message);
    }

    pub(super) fn authorities(&mut self, key: &str, file: Option<&Path>) -> Vec<u8> {
        let Some(path) = file else { return Vec::new() };
        let refused = match std::fs::read(path) {
            Err(error) => format!("{} cannot be read: {error}", path.display()),
            Ok(pem) => match certificates(&pem) {
                Ok(found) if !found.is_empty() => return pem,
                _ => format!("{} holds no certificate; expected PEM", path.display()),
            },
        };
        self.refuse(key, refused);
        Vec::new()
    }
}
