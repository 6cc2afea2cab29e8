//! Values to try a template with, and to show one by.

use minijinja::Value;

use super::kind::Kind;
use super::values::{self, Content, Notice};
use crate::clock::Timestamp;

/// Values of a kind of message.
pub(super) struct Example {
    pub(super) values: Value,
    /// What the message would be of no use without.
    pub(super) needle: Option<&'static str>,
}

/// What a message of a kind may say; a call says nothing but who calls. The first is the one to show.
pub fn contents(kind: Kind) -> Vec<Content<'static>> {
    let time = Timestamp::from_seconds(1_769_860_800);
    let (device, factor) = ("Ada\u{2019}s phone", "OneLogin SMS");
    let named = [Some("Example Shop"), None];
    match kind {
        Kind::Code => vec![Content::Code {
            code: CODE,
            minutes: 10,
        }],
        Kind::Link => named
            .map(|display_name| Content::Link {
                link: LINK,
                minutes: 10,
                display_name,
                time,
            })
            .to_vec(),
        Kind::Push => named
            .map(|display_name| Content::Push { display_name, time })
            .to_vec(),
        Kind::DeviceAdded => vec![Content::Notice(
            Notice::DeviceAdded { device, factor },
            time,
        )],
        Kind::DeviceRemoved => vec![Content::Notice(
            Notice::DeviceRemoved { device, factor },
            time,
        )],
        Kind::TemporaryTokenIssued => {
            let expires = time.plus(86_400);
            vec![Content::Notice(
                Notice::TemporaryTokenIssued { expires },
                time,
            )]
        }
        Kind::RecoveryCodeUsed => [9, 1, 0]
            .map(|left| Content::Notice(Notice::RecoveryCodeUsed { left }, time))
            .to_vec(),
        Kind::RecoveryCodesLow => {
            vec![Content::Notice(Notice::RecoveryCodesLow { left: 2 }, time)]
        }
        Kind::CallPrompt
        | Kind::CallWrong
        | Kind::CallSuccess
        | Kind::CallExpired
        | Kind::CallGoodbye => Vec::new(),
    }
}

/// The values of everything that a template of a kind may be given, with and without what may be missing.
pub(super) fn values(kind: Kind) -> Vec<Example> {
    let needle = kind.needs().map(|needed| match needed {
        "code" => CODE,
        _ => LINK,
    });
    let mut all: Vec<Value> = Vec::new();
    for help in [Some("Call +1 202 555 0123."), None] {
        let contents = contents(kind).into_iter();
        all.extend(contents.map(|content| content.values(SERVICE, help)));
    }
    if all.is_empty() {
        all.push(values::of_call(SERVICE));
    }
    all.into_iter()
        .map(|values| Example { values, needle })
        .collect()
}

const SERVICE: &str = "Example";
const CODE: &str = "123456";
/// Without a character that HTML writes otherwise.
const LINK: &str = "https://mfa.example.com/l/8fJ2kVtq0C3nWm5xYd7rBs";
