//! Writing wrapped secrets to the wire: the only place where they leave their wrapping.

use secrecy::{ExposeSecret, SecretString};
use serde::ser::{SerializeSeq, Serializer};

/// Writes a secret that is there.
pub(crate) fn expose<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Writes a secret that may be absent.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn expose_optional<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_some(secret.expose_secret()),
        None => serializer.serialize_none(),
    }
}

/// Writes a list of secrets that may be absent.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn expose_list<S: Serializer>(
    secrets: &Option<Vec<SecretString>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let Some(secrets) = secrets else {
        return serializer.serialize_none();
    };
    let mut list = serializer.serialize_seq(Some(secrets.len()))?;
    for secret in secrets {
        list.serialize_element(secret.expose_secret())?;
    }
    list.end()
}
