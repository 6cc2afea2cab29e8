//! `[messages]`: what messages say. `docs/messages.md` describes the templates.

use std::path::PathBuf;

use serde::Deserialize;
use url::{Host, Url};

use super::Problem;
use super::layers::Source;
use super::values::{Help, Locale, SmsDomain};
use crate::messages::Texts;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MessagesTable {
    templates: Option<PathBuf>,
    default_locale: Locale,
    sms_domain: Option<SmsDomain>,
    help: Option<Help>,
}

impl MessagesTable {
    /// The texts of a service at `public_url`, with the operator's templates read and tried.
    pub(super) fn resolve(&self, public_url: Option<&Url>) -> (Texts, Vec<Problem>) {
        let mut texts = Texts {
            default_language: self.default_locale.0,
            sms_domain: match &self.sms_domain {
                Some(SmsDomain(domain)) => domain.clone(),
                None => public_url.and_then(domain_of),
            },
            help: self.help.clone().map(|help| help.0),
            ..Texts::default()
        };
        let wrong = self
            .templates
            .as_deref()
            .and_then(|directory| texts.replace(directory).err());
        let problems = wrong.into_iter().flatten().map(|problem| Problem {
            key: "messages.templates".to_owned(),
            source: Source::Resolved,
            message: problem.to_string(),
        });
        (texts, problems.collect())
    }
}

/// The site that codes are for, where a phone could know it: no address, and nothing on this machine alone.
fn domain_of(url: &Url) -> Option<String> {
    match url.host() {
        Some(Host::Domain(name)) if name != "localhost" && !name.ends_with(".localhost") => {
            Some(name.to_owned())
        }
        _ => None,
    }
}
