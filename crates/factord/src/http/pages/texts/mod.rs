//! What the pages say, in each language that there are messages in. A page is a form and not a message: nobody but a
//! release changes its words.

mod de;
mod en;
mod es;
mod fr;
mod ja;

use crate::messages::language::Language;

/// What the pages say in one language. A sentence has `{service}`, `{name}` (with its brackets, or nothing) and `{time}`
/// in it, once each.
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct PageTexts {
    /// Title of the page of a magic link.
    pub(super) is_this_you: &'static str,
    /// What is asked by a magic link and by a push: a sentence.
    pub(super) confirm_login: &'static str,
    /// What is asked where a magic link enrols an address: a sentence.
    pub(super) confirm_address: &'static str,
    pub(super) link_button: &'static str,
    pub(super) link_warning: &'static str,
    /// Title and button of the page on which a key is enrolled.
    pub(super) add_key: &'static str,
    /// A sentence.
    pub(super) add_key_asked: &'static str,
    pub(super) key_added: &'static str,
    /// Title of the page on which a key is used.
    pub(super) use_key: &'static str,
    /// A sentence.
    pub(super) use_key_asked: &'static str,
    pub(super) use_key_button: &'static str,
    /// What the script says of a key that was refused.
    pub(super) key_failed: &'static str,
    /// What it says when there is nothing to answer any more.
    pub(super) key_over: &'static str,
    /// What it says where the browser has no WebAuthn.
    pub(super) key_unable: &'static str,
    pub(super) key_needs_script: &'static str,
    pub(super) key_warning: &'static str,
    /// Title of the page of a push.
    pub(super) confirm_in_app: &'static str,
    pub(super) push_explained: &'static str,
    pub(super) push_button: &'static str,
    pub(super) push_warning: &'static str,
    pub(super) number_title: &'static str,
    pub(super) number_explained: &'static str,
    pub(super) number_button: &'static str,
    pub(super) number_warning: &'static str,
    /// Title of a push's page that another browser shows.
    pub(super) elsewhere: &'static str,
    pub(super) elsewhere_explained: &'static str,
    /// Title at the end.
    pub(super) thank_you: &'static str,
    pub(super) confirmed: &'static str,
    pub(super) taken_back: &'static str,
    /// The link to where the browser goes.
    pub(super) go_on: &'static str,
    /// Title of the page of a link that leads nowhere.
    pub(super) gone: &'static str,
    pub(super) gone_explained: &'static str,
}

impl PageTexts {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &en::ENGLISH,
            Language::German => &de::GERMAN,
            Language::French => &fr::FRENCH,
            Language::Spanish => &es::SPANISH,
            Language::Japanese => &ja::JAPANESE,
        }
    }
}

#[cfg(test)]
impl PageTexts {
    /// Each text by its name.
    pub(super) fn all(&self) -> std::collections::BTreeMap<String, String> {
        serde_json::from_value(serde_json::to_value(self).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {

    use super::super::asked::{Piece, pieces};
    use super::*;

    /// A single word may be the same in two languages; none of ours is.
    #[test]
    fn every_text_is_in_every_language_and_in_none_as_in_another() {
        for language in Language::ALL {
            for other in Language::ALL.into_iter().filter(|it| *it != language) {
                for ((name, text), other) in PageTexts::of(language)
                    .all()
                    .iter()
                    .zip(PageTexts::of(other).all().values())
                {
                    assert_ne!(text, other, "{name}");
                }
            }
            for (name, text) in PageTexts::of(language).all() {
                assert!(!text.trim().is_empty() && text.trim() == text, "{name}");
                let is_japanese = text.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c));
                assert_eq!(is_japanese, language == Language::Japanese, "{name}");
            }
        }
    }

    #[test]
    fn a_sentence_has_its_values_once_each_in_every_language_and_no_other_text_has_any() {
        let sentences = [
            "add_key_asked",
            "confirm_address",
            "confirm_login",
            "use_key_asked",
        ];
        for language in Language::ALL {
            for (name, text) in PageTexts::of(language).all() {
                let values = if sentences.contains(&name.as_str()) {
                    vec![Piece::Service, Piece::Name, Piece::Time]
                } else {
                    Vec::new()
                };
                let found = pieces(text.leak()).filter(|it| !matches!(it, Piece::Words(_)));
                let found: Vec<_> = found.collect();
                assert_eq!(found, values, "{language:?} {name}");
            }
        }
    }
}
