//! The tables of `[factors]`: what a factor needs besides the numbers of the rules.

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::BASE64;
use secrecy::ExposeSecret;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::resolving::Resolving;
use super::secrets::YUBIKEY_SECRET;
use super::values::{Endpoint, Within};
use super::{Problem, Sources};
use crate::factor::yubikey::{Checking, ValidatorSettings};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FactorsTable {
    yubikey: YubikeyTable,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct YubikeyTable {
    mode: Option<Mode>,
    client_id: Option<Within<1, { u32::MAX }>>,
    secret_file: Option<PathBuf>,
    urls: Vec<Endpoint>,
    timeout: Within<1, 30>,
    ca_file: Option<PathBuf>,
}

/// Who checks the passwords of YubiKeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Own,
    Upstream,
}

impl Default for YubikeyTable {
    fn default() -> Self {
        Self {
            mode: None,
            client_id: None,
            secret_file: None,
            urls: Vec::new(),
            timeout: Within(5),
            ca_file: None,
        }
    }
}

impl FactorsTable {
    /// How YubiKeys are checked; settings that are wrong are not to be used.
    pub(super) fn yubikeys(&self, sources: &Sources) -> (Checking, Vec<Problem>) {
        let mut resolving = Resolving::of(sources);
        let checking = match self.yubikey.mode {
            None => Checking::Off,
            Some(Mode::Own) => Checking::Own,
            Some(Mode::Upstream) => self
                .yubikey
                .resolve(&mut resolving)
                .map_or(Checking::Off, Checking::Upstream),
        };
        (checking, resolving.problems)
    }

    /// Whether somebody checks YubiKeys.
    pub(super) fn yubikeys_are_checked(&self) -> bool {
        self.yubikey.mode.is_some()
    }

    /// Sentences about what is set up for nothing.
    pub(super) fn warnings(&self) -> Vec<String> {
        let servers = self.yubikey.client_id.is_some() || !self.yubikey.urls.is_empty();
        let for_nothing = servers && self.yubikey.mode != Some(Mode::Upstream);
        let sentence = "factors.yubikey names validation servers, but nobody asks them: set factors.yubikey.mode to \
                        \"upstream\"";
        for_nothing
            .then(|| sentence.to_owned())
            .into_iter()
            .collect()
    }
}

impl YubikeyTable {
    fn resolve(&self, resolving: &mut Resolving<'_>) -> Option<ValidatorSettings> {
        let client_id = resolving.needed(
            "factors.yubikey.client_id",
            self.client_id.as_ref(),
            "Write the number that the validation servers know you by",
        );
        let secret = resolving.needed_secret(&YUBIKEY_SECRET, self.secret_file.as_deref());
        if self.urls.is_empty() {
            resolving.refuse(
                "factors.yubikey.urls",
                "it is missing. Name the validation servers, such as [\"https://api.yubico.com/wsapi/2.0/verify\"]",
            );
        }
        let decoded = secret.map(|secret| BASE64.decode(secret.expose_secret().as_bytes()));
        let secret = match decoded? {
            Ok(bytes) if bytes.len() >= LEAST_SECRET => Zeroizing::new(bytes),
            _ => {
                resolving.refuse(
                    YUBIKEY_SECRET.key,
                    "it is not the base64 form of 16 bytes or more, as the validation servers give it out",
                );
                return None;
            }
        };
        Some(ValidatorSettings {
            client_id: client_id?.number(),
            secret,
            urls: self.urls.iter().map(|url| url.0.clone()).collect(),
            timeout: Duration::from_secs(self.timeout.number().into()),
            authorities: resolving.authorities("factors.yubikey.ca_file", self.ca_file.as_deref()),
        })
    }
}

/// Bytes of a key to sign with; Yubico gives out 20.
const LEAST_SECRET: usize = 16;

#[cfg(test)]
mod tests {
    use crate::config::tests::{Files, MINIMAL, variables};
    use crate::config::{Config, ConfigError, Loaded};
    use crate::factor::yubikey::Checking;

    const SECRET: (&str, &str) = (
        "FACTORD_FACTORS_YUBIKEY_SECRET",
        "tXCs0HUt4IyRhQB8pn7oeO3o6RQ=",
    );

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded<Config>, ConfigError> {
        let files = Files::new(&format!("{MINIMAL}\n{text}"));
        let mut sources = files.sources();
        sources.environment.extend(variables(environment));
        Config::load(&sources)
    }

    #[test]
    fn yubikeys_are_offered_only_if_it_is_said_who_checks_them() {
        let checking = |text| load(text, &[]).unwrap().config.yubikeys;
        assert!(matches!(checking(""), Checking::Off));
        assert!(matches!(
            checking("factors.yubikey.mode = 'own'"),
            Checking::Own
        ));
    }

    #[test]
    fn validation_servers_need_a_client_its_secret_and_an_address() {
        let complete = "[factors.yubikey]\nmode = 'upstream'\nclient_id = 87\nurls = ['https://a.example/verify', \
                        'http://127.0.0.1:9/verify']";
        let config = load(complete, &[SECRET]).unwrap().config;
        let Checking::Upstream(settings) = &config.yubikeys else {
            panic!("{:?}", config.yubikeys)
        };
        assert_eq!((settings.client_id, settings.secret.len()), (87, 20));
        assert_eq!(settings.urls.len(), 2);
        assert!(!format!("{config:?}").contains("tXCs0"));

        let refused = load("factors.yubikey.mode = 'upstream'", &[])
            .unwrap_err()
            .to_string();
        for key in ["client_id", "secret_file", "urls"] {
            assert!(
                refused.contains(&format!("factors.yubikey.{key}")),
                "{refused}"
            );
        }
        for (text, expected) in [
            (complete.replace("https", "http"), "factors.yubikey.urls"),
            (complete.replace("87", "0"), "factors.yubikey.client_id"),
            (
                complete.replace("upstream", "cloud"),
                "factors.yubikey.mode",
            ),
        ] {
            let refused = load(&text, &[SECRET]).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        let short = load(complete, &[(SECRET.0, "dG9vIHNob3J0IGEgc2VjcmV0===")]).unwrap_err();
        assert!(short.to_string().contains("base64"), "{short}");
        assert!(!short.to_string().contains("dG9v"));
    }

    #[test]
    fn servers_that_nobody_asks_are_warned_of() {
        let loaded = load("factors.yubikey.client_id = 87", &[]).unwrap();
        assert!(
            loaded.warnings[0].contains("upstream"),
            "{:?}",
            loaded.warnings
        );
    }
}
