//! What an operator decides: `factord.toml`, then `FACTORD_…` variables, then flags, each over the one before. A
//! [`Config`] that exists is right; everything that is wrong is said at once. `docs/configuration.md` lists the keys.

mod delivery;
mod error;
mod factors;
mod known;
mod layers;
mod messages;
mod policy;
mod resolving;
mod secrets;
mod settings;
mod values;
mod webauthn;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::{Origin, Url};

use crate::crypto::keys::MasterKey;
use crate::delivery::message::Channel;
use crate::delivery::settings::DeliverySettings;
use crate::factor::webauthn::relying_party::RelyingParty;
use crate::factor::yubikey::Checking;
use crate::messages::Texts;
use crate::mfa::notices::{Notices, Switches};
use crate::mfa::policy::Policies;
use crate::mfa::rules::Rules;
use crate::net::{NetSettings, TlsFiles, TrustedProxies};
use crate::store::Location;
pub use error::{ConfigError, Problem};
use layers::{Read, Source};
use settings::Settings;
pub use settings::{LogFormat, LogSettings};
pub use values::LogLevel;

/// Where the configuration comes from. Does not print: the sealing key may be among it.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file, TOML.
    pub file: Option<PathBuf>,
    /// The environment; variables that do not begin with `FACTORD_` are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line: the key that each stands for, the flag, and its text.
    pub flags: Vec<Flag>,
}

/// A flag of the command line that stands for a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key, for example `data`.
    pub key: &'static str,
    /// As it is typed, for example `--data`: for messages.
    pub name: &'static str,
    /// What was given.
    pub value: String,
}

/// What `factord serve` runs on.
#[derive(Debug)]
pub struct Config {
    /// Where the data is and how it is opened.
    pub storage: Storage,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the service is reached from outside: HTTPS (HTTP on loopback only), no path. Every link starts with it.
    pub public_url: Url,
    /// The name that messages and authenticator apps show: 1 to 64 characters, no colon.
    pub service_name: String,
    /// The certificate and its key; plain HTTP behind a trusted proxy, or on loopback, without.
    pub tls: Option<TlsFiles>,
    /// Whose word about the client is taken.
    pub trusted_proxies: TrustedProxies,
    /// The origins that a `redirect_to` may lead to, HTTPS only.
    pub redirect_origins: Vec<Origin>,
    /// Requests that one credential may make in an hour; `None` is no limit.
    pub rate_limit: Option<u32>,
    /// The bounds of connections and requests.
    pub limits: Limits,
    /// How to log.
    pub log: LogSettings,
    /// The numbers of the rules, within their bounds.
    pub rules: Rules,
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
    /// Who asks for WebAuthn keys, and which are good enough; `None` where `public_url` has no name.
    pub webauthn: Option<RelyingParty>,
    /// By whom messages are sent.
    pub delivery: DeliverySettings,
    /// What messages say, with the operator's templates.
    pub texts: Texts,
    /// Which notices are sent.
    pub notices: Switches,
    /// How YubiKeys are checked.
    pub yubikeys: Checking,
    /// What was written, by its keys.
    written: BTreeMap<String, toml::Value>,
}

/// Where the data is and how it is opened: all that the administrative commands need.
#[derive(Debug)]
pub struct Storage {
    /// Where the data is.
    pub location: Location,
    /// The key from which everything that seals is derived.
    pub sealing_key: MasterKey,
}

/// What an administrative command needs: the data, and how users are told of what is done to their factors.
#[derive(Debug)]
pub struct Administration {
    /// Where the data is and how it is opened.
    pub storage: Storage,
    /// What messages call the service.
    pub service_name: String,
    /// What messages say.
    pub texts: Texts,
    /// Which notices are sent, and by what ways.
    pub notices: Notices,
    /// The numbers that decisions depend on.
    pub rules: Rules,
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
}

/// The bounds of connections and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub max_connections: usize,
    /// For the TLS handshake, and for the head of each request.
    pub header_timeout: Duration,
    /// For the body of a request.
    pub body_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Bytes of a request's body.
    pub body_bytes: usize,
}

/// A configuration, and what was odd about its sources but no reason to refuse it.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    /// Sentences for the log, for example about a variable that stands for no key.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads everything that `factord serve` needs.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong: a file that cannot be read or is not TOML, unknown keys, values of the
    /// wrong type or outside their bounds, keys that are missing, a sealing key that is missing or open to others.
    pub fn load(sources: &Sources) -> Result<Loaded<Self>, ConfigError> {
        let Read {
            settings,
            values: written,
            mut problems,
            mut warnings,
        } = read(sources);
        let storage = storage(sources, &settings, &mut problems);
        let (delivery, without) = settings.delivery.resolve(sources);
        let (policies, wrong) = settings.policy.resolve();
        let public_url = settings.public_url.as_ref().map(|url| &url.0);
        let (texts, wrong_texts) = settings.messages.resolve(public_url);
        let (yubikeys, no_servers) = settings.factors.yubikeys(sources);
        let contradictions = settings.contradictions().into_iter();
        let of_factors = wrong.into_iter().chain(no_servers);
        for problem in contradictions.chain(of_factors).chain(without) {
            add(&mut problems, problem);
        }
        // One key, and each file behind it that is wrong.
        problems.extend(wrong_texts);
        let (webauthn, wrong) = match &settings.public_url {
            Some(public_url) => settings.webauthn.resolve(&public_url.0),
            None => (None, Vec::new()),
        };
        for problem in wrong {
            add(&mut problems, problem);
        }
        warnings.extend(settings.delivery.warnings());
        warnings.extend(settings.policy.warnings(&delivery.channels()));
        warnings.extend(settings.factors.warnings());
        match (storage, settings.public_url) {
            (Some(storage), Some(public_url)) if problems.is_empty() => {
                let limits = settings.limits.resolve();
                let trusted_proxies = TrustedProxies {
                    networks: settings
                        .trusted_proxies
                        .into_iter()
                        .map(|proxy| proxy.0)
                        .collect(),
                    header: settings.forwarded_header,
                };
                let config = Self {
                    storage,
                    listen: settings.listen.0,
                    public_url: public_url.0,
                    service_name: settings.service_name.0,
                    tls: settings.tls.files(),
                    trusted_proxies,
                    redirect_origins: settings
                        .redirect_origins
                        .into_iter()
                        .map(|origin| origin.0)
                        .collect(),
                    rate_limit: settings.rate_limit.map(values::Within::number),
                    limits,
                    log: settings.log,
                    rules: settings.rules,
                    policies,
                    webauthn,
                    delivery,
                    texts,
                    notices: settings.notices,
                    yubikeys,
                    written,
                };
                Ok(Loaded { config, warnings })
            }
            _ => Err(ConfigError { problems }),
        }
    }

    /// The keys whose values differ from those of `running` in what they do, and which only a new start takes over: all
    /// but the policy, the rules, the name of the service and the redirect origins.
    pub fn changed_beyond_reload(&self, running: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.written.keys().chain(running.written.keys()).collect();
        keys.into_iter()
            .filter(|key| !is_reloaded(key))
            .filter(|key| {
                let (new, old) = (self.written.get(*key), running.written.get(*key));
                !layers::is_same(key, new, old)
            })
            .cloned()
            .collect()
    }

    /// What the server needs to know of it.
    pub fn net(&self) -> NetSettings {
        NetSettings {
            tls: self.tls.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            proxies_only: self.tls.is_none() && !self.listen.ip().is_loopback(),
            max_connections: self.limits.max_connections,
            header_timeout: self.limits.header_timeout,
            body_timeout: self.limits.body_timeout,
            idle_timeout: self.limits.idle_timeout,
            ..NetSettings::new(self.listen)
        }
    }
}

impl Storage {
    /// Reads only what it takes to open the data, so that an administrative command runs without the rest.
    ///
    /// # Errors
    /// As [`Config::load`], but nothing is missing except a sealing key.
    pub fn load(sources: &Sources) -> Result<Loaded<Self>, ConfigError> {
        let Read {
            settings,
            mut problems,
            warnings,
            ..
        } = read(sources);
        match storage(sources, &settings, &mut problems) {
            Some(config) if problems.is_empty() => Ok(Loaded { config, warnings }),
            _ => Err(ConfigError { problems }),
        }
    }
}

impl Administration {
    /// Reads only what an administrative command needs. Templates and policies that are wrong are warned of, and not used:
    /// they are no reason to do nothing.
    ///
    /// # Errors
    /// As [`Config::load`], but nothing is missing except a sealing key.
    pub fn load(sources: &Sources) -> Result<Loaded<Self>, ConfigError> {
        let Read {
            settings,
            mut problems,
            mut warnings,
            ..
        } = read(sources);
        let public_url = settings.public_url.as_ref().map(|url| &url.0);
        let (texts, wrong) = settings.messages.resolve(public_url);
        let (policies, wrong_policies) = settings.policy.resolve();
        let wrong = wrong.iter().chain(&wrong_policies);
        warnings.extend(wrong.map(Problem::to_string));
        match storage(sources, &settings, &mut problems) {
            Some(storage) if problems.is_empty() => {
                let config = Self {
                    storage,
                    service_name: settings.service_name.0,
                    texts,
                    notices: Notices {
                        switches: settings.notices,
                        channels: settings.delivery.resolve(sources).0.channels(),
                    },
                    rules: settings.rules,
                    policies,
                };
                Ok(Loaded { config, warnings })
            }
            _ => Err(ConfigError { problems }),
        }
    }
}

/// The policies of a configuration, read by themselves: to be looked at, no key and no secret is needed.
#[derive(Debug)]
pub struct PolicyConfig {
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
    /// The ways by which messages are sent.
    pub channels: Vec<Channel>,
    /// Whether there can be WebAuthn: only where `public_url`, if it is written, has a name.
    pub webauthn: bool,
    /// Whether somebody checks YubiKeys.
    pub yubikeys: bool,
}

impl PolicyConfig {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError`] with every key and value of the whole configuration that is wrong by itself, and with all that is
    /// wrong with the policies. That something else is missing is none of it.
    pub fn load(sources: &Sources) -> Result<Loaded<Self>, ConfigError> {
        let Read {
            settings,
            mut problems,
            mut warnings,
            ..
        } = read(sources);
        let (policies, wrong) = settings.policy.resolve();
        for problem in wrong {
            add(&mut problems, problem);
        }
        let channels = settings.delivery.resolve(sources).0.channels();
        warnings.extend(settings.policy.warnings(&channels));
        let public_url = settings.public_url.as_ref();
        let config = Self {
            policies,
            channels,
            webauthn: public_url.is_none_or(|url| RelyingParty::at(&url.0).is_some()),
            yubikeys: settings.factors.yubikeys_are_checked(),
        };
        if problems.is_empty() {
            Ok(Loaded { config, warnings })
        } else {
            Err(ConfigError { problems })
        }
    }
}

/// Whether a running service takes over a key's new value.
fn is_reloaded(key: &str) -> bool {
    let top = key.split('.').next().unwrap_or(key);
    [
        "policy",
        "rules",
        "service_name",
        "redirect_origins",
        "messages",
        "notices",
    ]
    .contains(&top)
}

fn read(sources: &Sources) -> Read {
    let mut layers = layers::Layers::default();
    if let Some(path) = &sources.file {
        layers.add_file(path);
    }
    layers.add_environment(&sources.environment);
    layers.add_flags(&sources.flags);
    layers.resolve()
}

fn storage(sources: &Sources, settings: &Settings, problems: &mut Vec<Problem>) -> Option<Storage> {
    let location = location(sources, settings).map_err(|problem| add(problems, problem));
    match sealing_key(sources, settings.sealing_key_file.as_deref()) {
        Ok(sealing_key) => Some(Storage {
            location: location.ok()?,
            sealing_key,
        }),
        Err(problem) => {
            add(problems, problem);
            None
        }
    }
}

fn location(sources: &Sources, settings: &Settings) -> Result<Location, Problem> {
    let table = &settings.database;
    let password = secrets::DATABASE_PASSWORD.read(sources, table.password_file.as_deref());
    let password = password.map_err(|message| Problem {
        key: secrets::DATABASE_PASSWORD.key.to_owned(),
        source: Source::Resolved,
        message,
    })?;
    let location = match &table.url {
        Some(url) => url.0.clone(),
        None => Location::Directory(settings.data.clone()),
    };
    Ok(location.with(password.as_ref(), table.connections.number() as usize))
}

/// Adds a problem, unless its key's own value was refused: that it is missing then says nothing new.
fn add(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.iter().all(|earlier| earlier.key != problem.key) {
        problems.push(problem);
    }
}

/// A flag beats the variable that holds the key itself, and that beats the file that a key or variable names.
fn sealing_key(sources: &Sources, file: Option<&Path>) -> Result<MasterKey, Problem> {
    let variable = sources
        .environment
        .iter()
        .find(|(name, _)| name == known::SEALING_KEY_VARIABLE);
    let by_flag = sources
        .flags
        .iter()
        .any(|flag| flag.key == known::SEALING_KEY_FILE);
    match (variable, file) {
        (Some((name, text)), _) if !by_flag => MasterKey::parse(text).map_err(|error| Problem {
            key: name.clone(),
            source: Source::Resolved,
            message: error.to_string(),
        }),
        (_, Some(path)) => read_key_file(path).map_err(about_the_key),
        (_, None) => Err(about_the_key(format!(
            "there is no sealing key, and nothing can be kept without one. Write one with `factord key generate > \
             sealing.key` and name it here, or put the key itself into {}",
            known::SEALING_KEY_VARIABLE
        ))),
    }
}

fn about_the_key(message: String) -> Problem {
    Problem {
        key: known::SEALING_KEY_FILE.to_owned(),
        source: Source::Resolved,
        message,
    }
}

fn read_key_file(path: &Path) -> Result<MasterKey, String> {
    let text = secrets::read_closed(path)?;
    MasterKey::parse(&text).map_err(|error| format!("{} is {error}", path.display()))
}

#[cfg(test)]
mod tests;
