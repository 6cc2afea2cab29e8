//! The file as it is written: its tables and keys with their defaults. Each value is already within its bounds when
//! it is here; what only shows when several are looked at together is in [`Settings::contradictions`].

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::delivery::DeliveryTable;
use super::factors::FactorsTable;
use super::layers::Source;
use super::messages::MessagesTable;
use super::policy::PolicyTable;
use super::values::{
    DatabaseUrl, Listen, LogLevel, Proxy, PublicUrl, RedirectOrigin, ServiceName, Within,
};
use super::webauthn::WebauthnTable;
use super::{Limits, Problem};
use crate::mfa::notices::Switches;
use crate::mfa::rules::Rules;
use crate::net::{ForwardedHeader, TlsFiles};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) listen: Listen,
    pub(super) public_url: Option<PublicUrl>,
    pub(super) service_name: ServiceName,
    pub(super) data: PathBuf,
    pub(super) sealing_key_file: Option<PathBuf>,
    pub(super) trusted_proxies: Vec<Proxy>,
    pub(super) forwarded_header: ForwardedHeader,
    pub(super) redirect_origins: Vec<RedirectOrigin>,
    pub(super) rate_limit: Option<Within<1, 1_000_000_000>>,
    pub(super) database: DatabaseTable,
    pub(super) tls: TlsSettings,
    pub(super) limits: LimitSettings,
    pub(super) log: LogSettings,
    pub(super) rules: Rules,
    pub(super) policy: PolicyTable,
    pub(super) delivery: DeliveryTable,
    pub(super) messages: MessagesTable,
    pub(super) notices: Switches,
    pub(super) webauthn: WebauthnTable,
    pub(super) factors: FactorsTable,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DatabaseTable {
    pub(super) url: Option<DatabaseUrl>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) connections: Within<1, 1000>,
}

impl Default for DatabaseTable {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            connections: Within(16),
        }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsSettings {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LimitSettings {
    max_connections: Within<1, 1_000_000>,
    header_timeout: Within<1, 300>,
    body_timeout: Within<1, 300>,
    idle_timeout: Within<1, 3600>,
    body_bytes: Within<4096, 1_048_576>,
}

/// How to log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The form of each line.
    pub format: LogFormat,
    /// What is logged at all.
    pub level: LogLevel,
}

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            public_url: None,
            service_name: ServiceName::default(),
            data: PathBuf::from("factord-data"),
            sealing_key_file: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            redirect_origins: Vec::new(),
            rate_limit: None,
            database: DatabaseTable::default(),
            tls: TlsSettings::default(),
            limits: LimitSettings::default(),
            log: LogSettings::default(),
            rules: Rules::default(),
            policy: PolicyTable::default(),
            delivery: DeliveryTable::default(),
            messages: MessagesTable::default(),
            notices: Switches::default(),
            webauthn: WebauthnTable::default(),
            factors: FactorsTable::default(),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            max_connections: Within(4096),
            header_timeout: Within(10),
            body_timeout: Within(10),
            idle_timeout: Within(75),
            body_bytes: Within(65_536),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: LogLevel::default(),
        }
    }
}

impl Settings {
    /// What is wrong with `factord serve` on these settings although each value is right.
    pub(super) fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: &str| {
            problems.push(Problem {
                key: key.to_owned(),
                source: Source::Resolved,
                message: message.to_owned(),
            });
        };
        if self.public_url.is_none() {
            refuse(
                "public_url",
                "it is missing. Write where people reach the service, such as \"https://mfa.example.com\"",
            );
        }
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => refuse(
                "tls.key",
                "it is missing. Name the file with the certificate's private key",
            ),
            (None, Some(_)) => refuse(
                "tls.certificate",
                "it is missing. Name the file with the key's certificate",
            ),
            (None, None)
                if !self.listen.0.ip().is_loopback() && self.trusted_proxies.is_empty() =>
            {
                refuse(
                    "listen",
                    "plain HTTP to other machines would show every code and token to whoever is in between. Set \
                 tls.certificate and tls.key, or trusted_proxies if a proxy in front speaks TLS, or listen on 127.0.0.1",
                );
            }
            _ => {}
        }
        if let Err(out) = self.rules.validate() {
            refuse(
                &format!("rules.{}", out.key),
                &format!(
                    "{} is outside {} to {}, which keeps what is promised",
                    out.value, out.least, out.most
                ),
            );
        }
        problems
    }
}

impl TlsSettings {
    pub(super) fn files(self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.certificate?,
            key: self.key?,
        })
    }
}

impl LimitSettings {
    pub(super) fn resolve(&self) -> Limits {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Limits {
            max_connections: self.max_connections.number() as usize,
            header_timeout: seconds(self.header_timeout.number()),
            body_timeout: seconds(self.body_timeout.number()),
            idle_timeout: seconds(self.idle_timeout.number()),
            body_bytes: self.body_bytes.number() as usize,
        }
    }
}
