//! Secrets: in a variable, or in a file that nobody but its owner may read. Never in the configuration file, which is
//! shown, copied and kept with other texts.

use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Sources;

/// A secret of a provider.
pub(super) struct Secret {
    /// The key that names its file.
    pub(super) key: &'static str,
    /// The variable that may hold it instead.
    pub(super) variable: &'static str,
    /// Fewer characters are no secret.
    pub(super) least: usize,
}

impl Secret {
    /// The secret, if there is one; the variable beats the file.
    ///
    /// Fails with what is wrong with it.
    pub(super) fn read(
        &self,
        sources: &Sources,
        file: Option<&Path>,
    ) -> Result<Option<SecretString>, String> {
        let variable = sources
            .environment
            .iter()
            .find(|(name, _)| name == self.variable);
        let (text, shown) = match (variable, file) {
            (Some((_, text)), _) => (Zeroizing::new(text.clone()), self.variable.to_owned()),
            (None, Some(path)) => (read_closed(path)?, path.display().to_string()),
            (None, None) => return Ok(None),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().count() < self.least {
            return Err(format!(
                "{shown} holds fewer than {} characters",
                self.least
            ));
        }
        if text.contains(char::is_control) {
            return Err(format!(
                "{shown} holds more than one line, or a control character"
            ));
        }
        Ok(Some(text.into()))
    }
}

/// The text of a file, if nobody but its owner may read it.
pub(super) fn read_closed(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(cannot)?;
    if let Some(mode) = others_may(&file.metadata().map_err(cannot)?) {
        return Err(format!(
            "{shown} is open to other users (mode {mode:04o}). Close it with `chmod 600 {shown}`; if anybody may have \
             read it, what it holds is no secret any more"
        ));
    }
    std::io::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(cannot)
}

#[cfg(unix)]
fn others_may(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// The password of the database's user.
pub(super) const DATABASE_PASSWORD: Secret = Secret {
    key: "database.password_file",
    variable: "FACTORD_DATABASE_PASSWORD",
    least: 1,
};
pub(super) const SMTP_PASSWORD: Secret = Secret {
    key: "delivery.smtp.password_file",
    variable: "FACTORD_DELIVERY_SMTP_PASSWORD",
    least: 1,
};
pub(super) const TWILIO_TOKEN: Secret = Secret {
    key: "delivery.twilio.auth_token_file",
    variable: "FACTORD_DELIVERY_TWILIO_AUTH_TOKEN",
    least: 1,
};
pub(super) const YUBIKEY_SECRET: Secret = Secret {
    key: "factors.yubikey.secret_file",
    variable: "FACTORD_FACTORS_YUBIKEY_SECRET",
    least: 1,
};
pub(super) const WEBHOOK_SECRET: Secret = Secret {
    key: "delivery.webhook.secret_file",
    variable: "FACTORD_DELIVERY_WEBHOOK_SECRET",
    least: 32,
};
