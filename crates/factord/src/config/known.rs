//! Which keys there are. The names are asked of the types that are read, so that no second list can go stale.

use serde::de::{Deserialize, Deserializer, Visitor, value};
use serde::forward_to_deserialize_any;

use super::delivery::{DeliveryTable, SmtpTable, TwilioTable, WebPushTable, WebhookTable};
use super::factors::{FactorsTable, YubikeyTable};
use super::messages::MessagesTable;
use super::policy::{self, GroupTable, PolicyTable};
use super::secrets::{
    DATABASE_PASSWORD, SMTP_PASSWORD, TWILIO_TOKEN, WEBHOOK_SECRET, YUBIKEY_SECRET,
};
use super::settings::{DatabaseTable, LimitSettings, LogSettings, Settings, TlsSettings};
use super::webauthn::WebauthnTable;
use crate::mfa::notices::Switches;
use crate::mfa::rules::Rules;

/// Tables of the file, each with the keys in it; the first is the top of the file.
pub(super) fn sections() -> [(&'static str, &'static [&'static str]); 19] {
    [
        ("", fields::<Settings>()),
        ("database", fields::<DatabaseTable>()),
        ("tls", fields::<TlsSettings>()),
        ("limits", fields::<LimitSettings>()),
        ("log", fields::<LogSettings>()),
        ("rules", fields::<Rules>()),
        ("policy", fields::<PolicyTable>()),
        // The keys of these two are names: of factors, and of groups.
        (policy::DEVICES, &[]),
        (policy::GROUPS, &[]),
        ("delivery", fields::<DeliveryTable>()),
        ("delivery.smtp", fields::<SmtpTable>()),
        ("delivery.twilio", fields::<TwilioTable>()),
        ("delivery.webhook", fields::<WebhookTable>()),
        ("delivery.web_push", fields::<WebPushTable>()),
        ("messages", fields::<MessagesTable>()),
        ("notices", fields::<Switches>()),
        ("webauthn", fields::<WebauthnTable>()),
        ("factors", fields::<FactorsTable>()),
        ("factors.yubikey", fields::<YubikeyTable>()),
    ]
}

/// Every key that takes a value, with the table that it is in: `limits.idle_timeout`.
pub(super) fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    for (section, fields) in sections() {
        keys.extend(
            fields
                .iter()
                .map(|field| join(section, field))
                .filter(|key| !is_section(key)),
        );
    }
    keys
}

/// Whether `path` is a table of the file.
pub(super) fn is_section(path: &str) -> bool {
    sections().iter().any(|(section, _)| *section == path)
}

/// Whether a variable is read elsewhere: it names the file, or holds a secret.
pub(super) fn is_apart(variable: &str) -> bool {
    [
        SEALING_KEY_VARIABLE,
        CONFIG_VARIABLE,
        DATABASE_PASSWORD.variable,
        SMTP_PASSWORD.variable,
        TWILIO_TOKEN.variable,
        WEBHOOK_SECRET.variable,
        YUBIKEY_SECRET.variable,
    ]
    .contains(&variable)
}

/// The environment variable that stands for `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The known key that `unknown` is most like, if one is near enough for a slip of the keyboard, or is the same key of
/// another table.
pub(super) fn nearest(unknown: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    known
        .into_iter()
        .map(|key| {
            if last(&key) == last(unknown) {
                (1.0, key)
            } else {
                (strsim::normalized_damerau_levenshtein(unknown, &key), key)
            }
        })
        .filter(|(likeness, _)| *likeness > NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

/// `section.key`, or the key alone at the top of the file.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

/// The keys that a group of the policy takes.
pub(super) fn group_keys() -> &'static [&'static str] {
    fields::<GroupTable>()
}

/// The field names of a struct that derives `Deserialize`.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    let _: Result<T, _> = T::deserialize(Asking(&mut fields));
    fields
}

/// Lets a type say which fields it wants, and gives it none.
struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(serde::de::Error::custom("only asking"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// What the environment variables of the configuration begin with.
pub(super) const PREFIX: &str = "FACTORD_";
/// The variable that holds the sealing key itself.
pub(super) const SEALING_KEY_VARIABLE: &str = "FACTORD_SEALING_KEY";
/// The variable that names the file; read by the command line.
const CONFIG_VARIABLE: &str = "FACTORD_CONFIG";
/// The key that names the sealing key's file.
pub(super) const SEALING_KEY_FILE: &str = "sealing_key_file";
/// The share of letters that two names must have in common to differ by a slip.
const NEAR: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_say_which_keys_there_are() {
        let keys = keys();
        for key in [
            "listen",
            "tls.certificate",
            "limits.max_connections",
            "log.level",
        ] {
            assert!(keys.contains(&key.to_owned()), "{key} is not in {keys:?}");
        }
        assert!(!keys.contains(&"limits".to_owned()));
    }

    #[test]
    fn a_slip_is_recognised_and_so_is_a_key_in_the_wrong_table() {
        assert_eq!(nearest("listne", keys()).as_deref(), Some("listen"));
        assert_eq!(
            nearest("max_connections", keys()).as_deref(),
            Some("limits.max_connections")
        );
        assert_eq!(nearest("database", keys()), None);
    }
}
