//! Where a PostgreSQL database is and how it is reached: a URL, read once, and TLS that verifies whom it speaks to.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How a database is reached. Does not print its password.
#[derive(Clone, PartialEq)]
pub struct PostgresSettings {
    pub(super) config: Config,
    shown: String,
    roots: Option<PathBuf>,
    /// Connections that may be open at once for requests, 1 to 1000.
    pub connections: usize,
}

/// A URL of a database that cannot be used; says why, and repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(pub String);

impl PostgresSettings {
    /// Reads `postgres://user@host:port/database?…` (or `postgresql://`). The parameters are those of libpq; `sslmode` is
    /// `verify-full` (the default, but not on this machine) or `disable` (on this machine only), and `sslrootcert` names a
    /// PEM file of authorities in the place of the system's.
    ///
    /// # Errors
    /// [`BadUrl`] if it is none, holds a password, or asks for less than verified TLS over a network.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => roots = Some(PathBuf::from(value.into_owned())),
                _ => kept.push((name.into_owned(), value.into_owned())),
            }
        }
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let query: Vec<_> = kept
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let mut config: Config = format!("{base}?{}", query.join("&")).parse().map_err(|_| {
            bad("it is not a URL such as \"postgres://factord@db.example.com/factord\"")
        })?;
        if config.get_password().is_some() {
            return Err(bad(
                "it holds a password, which everybody who sees the configuration would see: put it into the file that \
                 database.password_file names, or into FACTORD_DATABASE_PASSWORD",
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(bad("it names no host"));
        }
        let local = config.get_hosts().iter().all(is_local);
        let tls = match mode.as_deref() {
            None => !local,
            Some("verify-full" | "require" | "verify-ca") => true,
            Some("disable") if local => false,
            Some("disable") => {
                return Err(bad(
                    "sslmode=disable would show every secret to whoever is in between: it is for this machine only",
                ));
            }
            Some(_) => return Err(bad("sslmode must be verify-full or disable")),
        };
        config.ssl_mode(if tls {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        bound(&mut config);
        Ok(Self {
            shown: shown(&config),
            config,
            roots,
            connections: CONNECTIONS,
        })
    }

    /// The same with a password.
    pub fn with_password(mut self, password: &SecretString) -> Self {
        self.config.password(password.expose_secret());
        self
    }

    /// The same for sessions that may change a database while it is being restored.
    pub fn restoring(mut self) -> Self {
        let given = self.config.get_options().unwrap_or_default();
        let options = format!("{given} -c {}=yes", super::transfer::SESSION);
        self.config.options(options);
        self
    }

    /// The way to make connections secure, where the URL asks for it.
    pub(super) fn tls(&self) -> Result<MakeRustlsConnect, BadUrl> {
        let unusable = |error: rustls::Error| bad(&format!("TLS: {error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let Some(path) = &self.roots else {
            let verifier = Verifier::new(provider).map_err(unusable)?;
            let config = builder
                .dangerous() // rustls' word for any verifier that is not its own; this one is the operating system's
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            return Ok(MakeRustlsConnect::new(config));
        };
        let cannot =
            |error: &dyn fmt::Display| bad(&format!("sslrootcert: {}: {error}", path.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| cannot(&error))? {
            let added = roots.add(certificate.map_err(|error| cannot(&error))?);
            added.map_err(|error| cannot(&error))?;
        }
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSettings({})", self.shown)
    }
}

/// The hosts and the database, for messages.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn bad(text: &str) -> BadUrl {
    BadUrl(text.to_owned())
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|it: IpAddr| it.is_loopback())
        }
    }
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<_> = hosts.collect();
    let database = config.get_dbname().or(config.get_user());
    format!(
        "the database {} on {}",
        database.unwrap_or("of the same name as the user"),
        hosts.join(",")
    )
}

/// Bounds on how long anything may take, so that a database that is gone is found to be gone. Only a primary will do.
fn bound(config: &mut Config) {
    let given = config.get_options().unwrap_or_default();
    config.options(format!("{SESSION} {given}"));
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("factord");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.keepalives_idle(KEEPALIVE);
    config.keepalives_interval(KEEPALIVE);
    config.keepalives_retries(3);
    config.tcp_user_timeout(DEAD_AFTER);
}

/// What each session sets. A commit is never bounded by a statement's time-out: PostgreSQL would acknowledge it without
/// its standby.
const SESSION: &str = "-c statement_timeout=5s -c lock_timeout=4s \
    -c idle_in_transaction_session_timeout=10s -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 \
    -c tcp_keepalives_count=3 -c tcp_user_timeout=10s -c default_transaction_isolation=read\\ committed -c jit=off";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(2);
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// Connections where nothing is configured.
pub const CONNECTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_means_verified_tls_and_this_machine_may_do_without() {
        let mode = |url: &str| PostgresSettings::parse(url).map(|it| it.config.get_ssl_mode());
        assert_eq!(mode("postgres://a@db.example.com/f"), Ok(SslMode::Require));
        assert_eq!(
            mode("postgresql://a@db/f?sslmode=require"),
            Ok(SslMode::Require)
        );
        assert_eq!(mode("postgres://a@127.0.0.1:5433/f"), Ok(SslMode::Disable));
        assert_eq!(
            mode("postgres:///f?host=/run/pg&user=a"),
            Ok(SslMode::Disable)
        );
        assert_eq!(
            mode("postgres://a@127.0.0.1/f?sslmode=verify-full"),
            Ok(SslMode::Require)
        );
        for refused in [
            "postgres://a@db/f?sslmode=disable",
            "postgres://a@127.0.0.1,db/f?sslmode=disable",
            "postgres://a@db/f?sslmode=prefer",
            "postgres://a@db/f?nonsense=1",
            "postgres:///f",
            "mysql://a@db/f",
        ] {
            assert!(mode(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_password_stands_nowhere_where_it_is_shown() {
        let refused = PostgresSettings::parse("postgres://a:hunter2@db/f").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
        let settings = PostgresSettings::parse("postgres://a@db/f").unwrap();
        let settings = settings.with_password(&"hunter2".to_owned().into());
        assert!(!format!("{settings:?} {settings}").contains("hunter2"));
        assert_eq!(settings.to_string(), "the database f on db");
    }
}
