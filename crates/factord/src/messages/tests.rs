//! Every message in every language, with values that mean harm, and the templates that an operator may not bring.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::examples;
use super::kind::{Kind, Part};
use super::language::Language;
use super::standard::{STANDARD, TEMPLATES};
use super::template;
use super::*;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_769_860_800);
const CHANNELS: [Channel; 4] = [Channel::Sms, Channel::Email, Channel::Voice, Channel::Push];

fn bound() -> Texts {
    Texts {
        sms_domain: Some("login.example.com".to_owned()),
        ..Texts::default()
    }
}

/// All that a message in a language says, for all kinds and channels.
fn everything(texts: &Texts, language: Language, service: &str) -> Vec<(String, Text)> {
    let kinds = Kind::ALL.into_iter().flat_map(examples::contents);
    kinds
        .flat_map(|content| {
            let push = content.kind() == Kind::Push;
            let channels = CHANNELS.into_iter();
            let channels = channels.filter(move |it| (*it == Channel::Push) == push);
            channels.map(move |channel| {
                let name = format!("{} {} {channel:?}", language.tag(), content.kind().name());
                (name, texts.write(channel, language, service, &content))
            })
        })
        .collect()
}

#[test]
fn the_files_of_the_standard_templates_are_those_of_the_kinds_in_every_language() {
    let mut expected = BTreeSet::new();
    for language in Language::ALL {
        for kind in Kind::ALL {
            let parts = kind.parts().iter();
            expected.extend(parts.map(|part| template::name(language, kind, *part)));
        }
    }
    let embedded = TEMPLATES.as_flattened().iter();
    let embedded: BTreeSet<_> = embedded.map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(embedded, expected);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messages/templates");
    let mut found = BTreeSet::new();
    for language in std::fs::read_dir(&folder).unwrap() {
        for file in std::fs::read_dir(language.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&folder).unwrap();
            found.insert(name.to_str().unwrap().to_owned());
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn the_standard_templates_pass_what_an_operators_must() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messages/templates");
    assert_eq!(Texts::default().replace(&folder), Ok(()));
}

#[test]
fn what_is_said_in_english() {
    let texts = Texts {
        help: Some("Call +1 202 555 0123.".to_owned()),
        ..bound()
    };
    let mut said = String::new();
    let mut say = |title: String, text: &Text| {
        use std::fmt::Write;
        writeln!(said, "== {title}").unwrap();
        let parts = [&text.subject, &Some(text.body.clone()), &text.html];
        for part in parts.into_iter().flatten() {
            writeln!(said, "{part}\n--").unwrap();
        }
    };
    for kind in Kind::ALL {
        for content in examples::contents(kind).into_iter().take(1) {
            for channel in [Channel::Sms, Channel::Email, Channel::Push] {
                let wanted = match channel {
                    Channel::Sms => kind.parts().contains(&Part::Sms),
                    Channel::Email => kind.parts().contains(&Part::Html),
                    _ => kind == Kind::Push,
                };
                if wanted {
                    let text = texts.write(channel, Language::English, "Example", &content);
                    say(format!("{} {}", kind.name(), channel.as_str()), &text);
                }
            }
        }
    }
    insta::assert_snapshot!(said);
    insta::assert_debug_snapshot!(texts.call_lines(Language::English, "Example"));
}

#[test]
fn a_message_is_in_the_language_that_its_user_prefers_or_in_the_default() {
    let subject = |locale: Option<&str>, default| {
        let mut world = crate::mfa::tests::core();
        world.texts.default_language = default;
        let mut profile = crate::mfa::tests::profile();
        if let Some(locale) = locale {
            let attributes = &mut profile.attributes;
            attributes.insert("preferred_locale_code".to_owned(), locale.into());
        }
        let content = Content::Code {
            code: "123456",
            minutes: 2,
        };
        let text = world.write(Channel::Email, &profile, &content);
        text.subject.unwrap()
    };
    let (english, french) = (Language::English, Language::French);
    assert_eq!(subject(None, english), "Your Example & Co code");
    assert_eq!(subject(Some("de-AT"), english), "Ihr Code für Example & Co");
    assert_eq!(subject(Some("ja"), french), "Example & Coの認証コード");
    assert_eq!(subject(Some("es_MX"), french), "Su clave de Example & Co");
    for unknown in [None, Some("it"), Some("")] {
        assert_eq!(subject(unknown, french), "Votre code Example & Co");
    }
}

#[test]
fn codes_and_links_are_in_every_text_that_is_for_them_and_in_no_subject() {
    for language in Language::ALL {
        for kind in [Kind::Code, Kind::Link] {
            for content in examples::contents(kind) {
                let needle = match content {
                    Content::Code { code, .. } => code,
                    Content::Link { link, .. } => link,
                    _ => unreachable!("these kinds have one"),
                };
                for channel in CHANNELS {
                    let text = bound().write(channel, language, "Example", &content);
                    assert!(
                        text.body.contains(needle),
                        "{language:?} {kind:?} {channel:?}"
                    );
                    assert!(text.html.iter().all(|html| html.contains(needle)));
                    assert!(text.subject.iter().all(|subject| !subject.contains(needle)));
                    assert_eq!(
                        text.subject.is_some(),
                        matches!(channel, Channel::Email | Channel::Push)
                    );
                    assert_eq!(text.html.is_some(), channel == Channel::Email);
                }
            }
        }
    }
}

/// Names that mean harm: as HTML, as a template, as a header, as text that turns what is around it.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{ code }}{% for x in range(1000000) %}x{% endfor %}{{ service|safe }}",
    "Hi\r\nBcc: eve@example.net\r\n\r\nbody",
    "\u{202e}moc.elpmaxe\u{202c}\u{2066}x\u{2069}\u{200f}\u{200b}\u{feff}",
    "a\u{2028}b\u{2029}c\u{0}d\u{85}e",
    "שלום עולם مرحبا",
    "&amp;<!--",
];

#[test]
fn whatever_a_name_is_it_stands_in_a_message_as_one_harmless_line() {
    let long = "😀".repeat(200);
    for name in HOSTILE.into_iter().chain([long.as_str()]) {
        let contents = [
            Content::Link {
                link: "https://mfa.example.com/l/abc",
                minutes: 2,
                display_name: Some(name),
                time: NOW,
            },
            Content::Push {
                display_name: Some(name),
                time: NOW,
            },
            Content::Notice(
                Notice::DeviceAdded {
                    device: name,
                    factor: "OneLogin SMS",
                },
                NOW,
            ),
            Content::Notice(
                Notice::DeviceRemoved {
                    device: name,
                    factor: "OneLogin SMS",
                },
                NOW,
            ),
        ];
        for (content, language) in contents
            .iter()
            .flat_map(|it| Language::ALL.map(|language| (it, language)))
        {
            for channel in CHANNELS {
                let text = Texts::default().write(channel, language, "Example", content);
                let plain =
                    Texts::default().write(channel, language, "Example", &harmless(content));
                assert_eq!(
                    text.body.lines().count(),
                    plain.body.lines().count(),
                    "{}",
                    text.body
                );
                let all = [Some(text.body), text.subject, text.html.clone()]
                    .into_iter()
                    .flatten();
                for part in all {
                    assert!(
                        !part.contains([
                            '\u{202e}', '\u{2066}', '\u{200f}', '\u{200b}', '\u{feff}', '\u{2028}',
                            '\u{0}', '\r'
                        ]),
                        "{part}"
                    );
                    assert!(!part.contains(&"😀".repeat(65)), "{part}");
                    assert!(!part.contains("xxx"), "{part}");
                }
                if let Some(html) = text.html {
                    let tags = |html: &str| html.matches('<').count();
                    assert_eq!(tags(&html), tags(&plain.html.unwrap()), "{html}");
                    assert!(
                        !html.contains("<script")
                            && !html.contains("<img")
                            && !html.contains("<!--")
                    );
                }
            }
        }
    }
}

/// The same with a name that means no harm.
fn harmless(content: &Content<'_>) -> Content<'static> {
    match *content {
        Content::Link { minutes, time, .. } => Content::Link {
            link: "https://mfa.example.com/l/abc",
            minutes,
            display_name: Some("x"),
            time,
        },
        Content::Push { time, .. } => Content::Push {
            display_name: Some("x"),
            time,
        },
        Content::Notice(Notice::DeviceAdded { .. }, time) => Content::Notice(
            Notice::DeviceAdded {
                device: "x",
                factor: "OneLogin SMS",
            },
            time,
        ),
        Content::Notice(_, time) => Content::Notice(
            Notice::DeviceRemoved {
                device: "x",
                factor: "OneLogin SMS",
            },
            time,
        ),
        Content::Code { .. } => unreachable!("a code has no name"),
    }
}

#[test]
fn whatever_the_service_and_the_help_are_called_html_holds_them_as_text() {
    let texts = Texts {
        help: Some("<b>Call</b> & {{ ask }}".to_owned()),
        ..Texts::default()
    };
    for language in Language::ALL {
        for (name, text) in everything(&texts, language, "<i>{{ Tom }} & Co</i>") {
            let plain = format!("{} {}", text.subject.unwrap_or_default(), text.body);
            if let Some(html) = text.html {
                assert!(
                    !html.contains("<i>") && !html.contains("<b>Call"),
                    "{name}: {html}"
                );
                assert!(
                    html.contains("&lt;i&gt;{{ Tom }} &amp; Co&lt;"),
                    "{name}: {html}"
                );
            }
            assert!(plain.contains("<i>{{ Tom }} & Co</i>"), "{name}: {plain}");
        }
    }
}

#[test]
fn a_code_by_sms_ends_with_the_line_that_binds_it_to_its_site_and_fits_into_one_segment() {
    let content = Content::Code {
        code: "048213",
        minutes: 15,
    };
    for language in Language::ALL {
        let text = bound()
            .write(Channel::Sms, language, "Example Shop", &content)
            .body;
        assert_eq!(
            text.lines().last(),
            Some("@login.example.com #048213"),
            "{text}"
        );
        assert_eq!(sms::segments(&text), 1, "{text}");
        let unbound = Texts::default().write(Channel::Sms, language, "Example Shop", &content);
        assert!(!unbound.body.contains('@'));
    }
    assert!(
        !bound()
            .write(Channel::Email, Language::English, "Example", &content)
            .body
            .contains('@')
    );
}

#[test]
fn notices_by_sms_fit_into_one_segment_where_names_are_short_but_in_japanese() {
    for language in Language::ALL
        .into_iter()
        .filter(|it| *it != Language::Japanese)
    {
        for content in Kind::ALL.into_iter().flat_map(examples::contents) {
            let content = match content {
                Content::Notice(Notice::DeviceAdded { factor, .. }, time) => Content::Notice(
                    Notice::DeviceAdded {
                        device: "My phone",
                        factor,
                    },
                    time,
                ),
                Content::Notice(Notice::DeviceRemoved { factor, .. }, time) => Content::Notice(
                    Notice::DeviceRemoved {
                        device: "My phone",
                        factor,
                    },
                    time,
                ),
                other => other,
            };
            if content.kind().parts().contains(&Part::Sms) {
                let text = Texts::default().write(Channel::Sms, language, "Example", &content);
                assert_eq!(sms::segments(&text.body), 1, "{}", text.body);
            }
        }
    }
}

#[test]
fn a_text_of_the_callers_is_bound_to_the_site_where_it_still_fits_into_one_segment() {
    let line = "\n@login.example.com #123456";
    let fits = "é".repeat(160 - line.len());
    assert_eq!(
        bound().bind_custom(fits.clone(), "123456"),
        format!("{fits}{line}")
    );
    let too_long = format!("{fits}x");
    assert_eq!(bound().bind_custom(too_long.clone(), "123456"), too_long);
    assert_eq!(Texts::default().bind_custom(fits.clone(), "123456"), fits);
}

/// A directory of templates.
struct Templates(tempfile::TempDir);

impl Templates {
    fn of(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// What they are refused for: file, line and message.
    fn refused(&self) -> Vec<(String, Option<usize>, String)> {
        let problems = Texts::default().replace(&self.path()).unwrap_err();
        let file = |path: &Path| {
            path.strip_prefix(self.path())
                .unwrap()
                .display()
                .to_string()
        };
        let told = problems.into_iter();
        told.map(|it| (file(&it.file), it.line, it.message))
            .collect()
    }
}

#[test]
fn an_operators_templates_stand_in_for_the_standard_ones_of_the_same_name_alone() {
    let templates = Templates::of(&[
        ("en/code.sms", "{{ service|upper }}: {{ code }}\n"),
        ("en/code.html", "<p>{{ service }} {{ code }}</p>"),
        (".git/config", "nothing of ours"),
        ("de/.code.txt.swp", "nor this"),
    ]);
    let mut texts = bound();
    texts.replace(&templates.path()).unwrap();
    let content = Content::Code {
        code: "123456",
        minutes: 2,
    };
    let write = |channel, language| texts.write(channel, language, "A & B", &content);
    let sms = write(Channel::Sms, Language::English).body;
    assert_eq!(sms, "A & B: 123456\n@login.example.com #123456");
    let mail = write(Channel::Email, Language::English);
    assert_eq!(mail.html.as_deref(), Some("<p>A &amp; B 123456</p>"));
    assert_eq!(mail.subject.as_deref(), Some("Your A & B code"));
    let german = write(Channel::Sms, Language::German).body;
    assert!(
        german.starts_with("123456 ist Ihr Code für A & B."),
        "{german}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one list")]
fn a_template_that_could_not_be_sent_is_refused_with_its_file_and_line() {
    let long = "x".repeat(300 * 1024);
    for (file, text, line, message) in [
        (
            "en/code.txt",
            "{{ code }}\n{{ code",
            Some(2),
            "syntax error: unexpected end of input",
        ),
        (
            "en/code.txt",
            "{{ code }}\n{% if x %}",
            Some(2),
            "syntax error: unexpected end of input",
        ),
        (
            "en/code.txt",
            "{{ code }}\n\n{{ minuts }}",
            Some(3),
            "there is no variable minuts here (did you mean minutes?). There are: service, minutes, code",
        ),
        (
            "en/code.txt",
            "{{ code }}{% if minutes > 99 %}\n{{ zzz }}{% endif %}",
            Some(2),
            "there is no variable zzz here. There are: service, minutes, code",
        ),
        (
            "en/code.subject",
            "Code {{ code }}",
            Some(1),
            "there is no variable code here. There are: service, minutes",
        ),
        (
            "en/link.subject",
            "{{ link }}",
            Some(1),
            "there is no variable link here",
        ),
        ("en/code.txt", "Your code", None, "it must say {{ code }}"),
        ("en/code.sms", "Your code", None, "it must say {{ code }}"),
        ("en/link.html", "{{ time }}", None, "it must say {{ link }}"),
        (
            "en/link.txt",
            "{% if display_name %}{{ link }}{% endif %} x",
            None,
            "it must say {{ link }}",
        ),
        (
            "en/code.txt",
            "{{ code|nothing }}",
            Some(1),
            "unknown filter",
        ),
        (
            "en/code.txt",
            "{{ nothing() }}",
            Some(1),
            "there is no variable nothing here",
        ),
        (
            "en/code.txt",
            "{% include 'en/code.html' %}",
            Some(1),
            "syntax error",
        ),
        (
            "en/code.txt",
            "{{ code }}{% for i in range(100000) %}{% endfor %}",
            None,
            "it takes more than",
        ),
        (
            "en/code.txt",
            "{{ code }}{% for i in range(9999) %}{{ i }}{% endfor %}",
            None,
            "it takes more than",
        ),
        (
            "en/code.subject",
            "Your\ncode",
            None,
            "a subject is one line",
        ),
        ("en/push.txt", "  \n", None, "it renders to nothing"),
        ("en/push.txt", long.as_str(), None, "it is longer than"),
        (
            "en/recovery_code_used.txt",
            "{{ 1 // left }}",
            Some(1),
            "invalid operation",
        ),
    ] {
        let refused = Templates::of(&[(file, text)]).refused();
        assert_eq!(refused.len(), 1, "{text}: {refused:?}");
        let (found, at, said) = &refused[0];
        assert_eq!(found, file);
        assert!(said.starts_with(message), "{text}: {said}");
        if line.is_some() {
            assert_eq!(*at, line, "{text}: {said}");
        }
    }
}

#[test]
fn a_file_that_is_no_template_is_refused_with_the_one_that_was_probably_meant() {
    let templates = Templates::of(&[
        ("README.md", ""),
        ("de/code.text", ""),
        ("de/device_aded.txt", ""),
        ("de/code.html~", ""),
        ("de/call_prompt.html", ""),
        ("de-AT/code.txt", ""),
        ("en/code.txt", "{{ nothing }}"),
    ]);
    insta::assert_debug_snapshot!(templates.refused());
    let missing = templates.path().join("missing");
    let refused = Texts::default().replace(&missing).unwrap_err();
    assert_eq!(refused[0].file, missing);
    assert!(refused[0].message.starts_with("it cannot be read: "));
    std::fs::create_dir(templates.path().join("fr")).unwrap();
    std::fs::write(templates.path().join("fr/code.txt"), [b'{', 0xff]).unwrap();
    let refused = templates.refused();
    assert!(refused.contains(&("fr/code.txt".to_owned(), None, "it is not UTF-8".to_owned())));
}

#[test]
fn a_template_that_fails_with_values_nobody_tried_gives_way_to_the_standard_one() {
    let templates = Templates::of(&[(
        "en/push.txt",
        "{% if display_name == 'x' %}{{ display_name|nothing }}{% endif %}Ours",
    )]);
    let mut texts = Texts::default();
    texts.replace(&templates.path()).unwrap();
    let body = |name| {
        let content = Content::Push {
            display_name: Some(name),
            time: NOW,
        };
        texts
            .write(Channel::Push, Language::English, "Example", &content)
            .body
    };
    assert_eq!(body("y"), "Ours");
    assert_eq!(
        body("x"),
        "Somebody asks to sign in (x). Approve only if it is you."
    );
}

#[test]
fn the_standard_templates_take_a_small_part_of_the_steps_that_a_template_may() {
    let mut environment = STANDARD.clone();
    environment.set_fuel(Some(200));
    for language in Language::ALL {
        for kind in Kind::ALL {
            for (part, example) in kind.parts().iter().flat_map(|part| {
                examples::values(kind)
                    .into_iter()
                    .map(move |example| (part, example))
            }) {
                let name = template::name(language, kind, *part);
                template::render(&environment, &name, &example.values).unwrap();
            }
        }
    }
}
