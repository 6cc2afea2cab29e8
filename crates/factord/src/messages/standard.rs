//! The standard templates: the files below `templates/`, part of the binary.

use std::sync::LazyLock;

use minijinja::Environment;

use super::template;

/// The standard templates, compiled. That each compiles and renders is tested.
#[expect(
    clippy::expect_used,
    reason = "the templates are constants, and tested"
)]
pub(super) static STANDARD: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = template::environment();
    for (name, text) in TEMPLATES.as_flattened() {
        environment
            .add_template(name, text)
            .expect("a template that compiles");
    }
    environment
});

/// Name and text of each file of one language.
macro_rules! language {
    ($language:literal: $($file:literal),*) => {
        [$((
            concat!($language, "/", $file),
            include_str!(concat!("templates/", $language, "/", $file)),
        )),*]
    };
}

/// The same files of every language.
macro_rules! languages {
    ($($file:literal),* $(,)?) => {
        [
            language!("en": $($file),*),
            language!("de": $($file),*),
            language!("fr": $($file),*),
            language!("es": $($file),*),
            language!("ja": $($file),*),
        ]
    };
}

/// Name (`en/code.txt`) and text of every standard template.
pub(super) const TEMPLATES: [[(&str, &str); 34]; 5] = languages![
    "code.subject",
    "code.txt",
    "code.html",
    "code.sms",
    "link.subject",
    "link.txt",
    "link.html",
    "call_prompt.txt",
    "call_wrong.txt",
    "call_success.txt",
    "call_expired.txt",
    "call_goodbye.txt",
    "push.subject",
    "push.txt",
    "device_added.subject",
    "device_added.txt",
    "device_added.html",
    "device_added.sms",
    "device_removed.subject",
    "device_removed.txt",
    "device_removed.html",
    "device_removed.sms",
    "temporary_token_issued.subject",
    "temporary_token_issued.txt",
    "temporary_token_issued.html",
    "temporary_token_issued.sms",
    "recovery_code_used.subject",
    "recovery_code_used.txt",
    "recovery_code_used.html",
    "recovery_code_used.sms",
    "recovery_codes_low.subject",
    "recovery_codes_low.txt",
    "recovery_codes_low.html",
    "recovery_codes_low.sms",
];
