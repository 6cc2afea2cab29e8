//! What every message says: templates in five languages, which an operator can replace. Rendering is pure; the files of
//! an operator are read once, at the start (`replacements.rs`).

pub mod examples;
pub mod kind;
pub mod language;
mod replacements;
pub mod sms;
mod standard;
mod template;
mod values;

use std::path::Path;

use minijinja::{Environment, ErrorKind, Value};

use crate::delivery::message::Channel;
use crate::mfa::Core;
use crate::mfa::user::Profile;
use kind::{Kind, Part};
use language::Language;
pub use replacements::TemplateProblem;
pub use values::{Content, Notice};

#[cfg(test)]
mod tests;

/// The texts of all messages.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// The language of a user who prefers none of those that there are.
    pub default_language: Language,
    /// The site that codes by SMS are for; `None` binds them to none.
    pub sms_domain: Option<String>,
    /// What a notice tells whoever was surprised by it; `None` leaves it to the template.
    pub help: Option<String>,
    /// The operator's templates, in the place of the standard ones.
    pub(crate) replaced: Environment<'static>,
}

/// A message in words. Does not print: it may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The subject, where the channel has one.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// The text in HTML, for e-mail.
    pub html: Option<String>,
}

/// What a voice says on the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLines {
    /// The language to read them in (BCP 47): `en-US`.
    pub language: &'static str,
    /// Asks for the code.
    pub prompt: String,
    /// That the digits are not right, and to try again.
    pub wrong: String,
    /// That they are right.
    pub success: String,
    /// That the code counts no more.
    pub expired: String,
    /// The last word.
    pub goodbye: String,
}

impl Core {
    /// The language that messages to a user are written in.
    pub fn language(&self, profile: &Profile) -> Language {
        Language::preferred_by(profile).unwrap_or(self.texts.default_language)
    }

    /// A message to a user by a channel, in their language.
    pub fn write(&self, channel: Channel, profile: &Profile, content: &Content<'_>) -> Text {
        let language = self.language(profile);
        self.texts
            .write(channel, language, &self.service_name, content)
    }

    /// What a voice says to a user, in their language.
    pub fn call_lines(&self, profile: &Profile) -> CallLines {
        self.texts
            .call_lines(self.language(profile), &self.service_name)
    }
}

impl Texts {
    /// Takes the templates in `directory` in the place of the standard ones (docs/messages.md).
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn replace(&mut self, directory: &Path) -> Result<(), Vec<TemplateProblem>> {
        self.replaced = replacements::read(directory)?;
        Ok(())
    }

    /// A message by a channel, in a language.
    pub fn write(
        &self,
        channel: Channel,
        language: Language,
        service: &str,
        content: &Content<'_>,
    ) -> Text {
        let (kind, values) = (
            content.kind(),
            content.values(service, self.help.as_deref()),
        );
        let has = |part: &Part| kind.parts().contains(part);
        let part = |part| self.render(language, kind, part, &values);
        match (channel, content) {
            (Channel::Sms, Content::Code { code, .. }) => {
                let text = part(Part::Sms);
                Text::plain(match &self.sms_domain {
                    Some(domain) => sms::bound(&text, domain, code),
                    None => text,
                })
            }
            (Channel::Sms, _) if has(&Part::Sms) => Text::plain(part(Part::Sms)),
            (Channel::Sms | Channel::Voice, _) => Text::plain(part(Part::Text)),
            (Channel::Push | Channel::Email, _) => Text {
                subject: has(&Part::Subject).then(|| part(Part::Subject)),
                body: part(Part::Text),
                html: (channel == Channel::Email && has(&Part::Html)).then(|| part(Part::Html)),
            },
        }
    }

    /// A text that the caller wants a code sent with: bound to the site of the codes where the whole still fits into one
    /// segment.
    pub fn bind_custom(&self, text: String, code: &str) -> String {
        match &self.sms_domain {
            Some(domain) => Some(sms::bound(&text, domain, code))
                .filter(|bound| sms::segments(bound) == 1)
                .unwrap_or(text),
            None => text,
        }
    }

    /// What a voice says, in a language.
    pub fn call_lines(&self, language: Language, service: &str) -> CallLines {
        let values = values::of_call(service);
        let line = |kind| self.render(language, kind, Part::Text, &values);
        CallLines {
            language: language.voice_tag(),
            prompt: line(Kind::CallPrompt),
            wrong: line(Kind::CallWrong),
            success: line(Kind::CallSuccess),
            expired: line(Kind::CallExpired),
            goodbye: line(Kind::CallGoodbye),
        }
    }

    /// The operator's template, or the standard one where there is none, or where it fails: it was tried with other
    /// values than these when it was read.
    fn render(&self, language: Language, kind: Kind, part: Part, values: &Value) -> String {
        let name = template::name(language, kind, part);
        match template::render(&self.replaced, &name, values) {
            Ok(text) => return text,
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => {}
            Err(error) => {
                let (kind, line) = (error.kind(), error.line());
                tracing::error!(template = name, %kind, line, "a template fails, and the standard one is used");
            }
        }
        template::render(&standard::STANDARD, &name, values).unwrap_or_else(|error| {
            tracing::error!(template = name, kind = %error.kind(), "a standard template fails");
            String::new()
        })
    }
}

impl Text {
    const fn plain(body: String) -> Self {
        Self {
            subject: None,
            body,
            html: None,
        }
    }
}
