//! The connection: flags, `ONELOGIN_*` variables and the profile file, in this order.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use onelogin::{Configuration, secrecy::SecretString};
use serde::Deserialize;

use crate::{
    arguments::{Connection, Format},
    exit::{Failure, Outcome},
};

/// One table of the profile file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    host: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    client_secret_file: Option<PathBuf>,
    access_token: Option<SecretString>,
    ca_certificate: Option<PathBuf>,
    #[serde(default)]
    allow_plain_http: bool,
    output: Option<Format>,
}

/// What the connection settings come to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) configuration: Configuration,
    pub(crate) format: Option<Format>,
}

/// Reads the profile and lays the flags and variables over it.
pub(crate) fn settings(connection: &Connection) -> Outcome<Settings> {
    let profile = profile(connection)?;
    let host = connection.host.clone().or(profile.host).ok_or_else(|| {
        Failure::usage("which service?")
            .advice("give --host, ONELOGIN_HOST, or a profile with `host` (see `onelogin --help`)")
    })?;
    let mut configuration = Configuration::new(&host)
        .allow_plain_http(connection.allow_plain_http || profile.allow_plain_http);
    if let Some(path) = connection
        .ca_certificate
        .as_ref()
        .or(profile.ca_certificate.as_ref())
    {
        configuration = configuration.root_certificates(read(path)?);
    }
    let variable = |name: &str| {
        env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(SecretString::from)
    };
    let secret_file = connection.client_secret_file.as_ref();
    let configuration = if let Some(token) = variable("ONELOGIN_ACCESS_TOKEN") {
        configuration.access_token(token)
    } else if let Some(id) = connection.client_id.clone().or(profile.client_id) {
        let secret = match (
            secret_file,
            variable("ONELOGIN_CLIENT_SECRET"),
            profile.client_secret,
        ) {
            (Some(path), _, _) => secret(path)?,
            (None, Some(secret), _) | (None, None, Some(secret)) => secret,
            (None, None, None) => match &profile.client_secret_file {
                Some(path) => secret(path)?,
                None => {
                    return Err(Failure::usage("the client's secret is missing")
                        .advice("give it as ONELOGIN_CLIENT_SECRET, in the profile, or by --client-secret-file"));
                }
            },
        };
        configuration.client_credentials(id, secret)
    } else if let Some(token) = profile.access_token {
        configuration.access_token(token)
    } else {
        return Err(Failure::usage("no credentials").advice(
            "give ONELOGIN_CLIENT_ID and ONELOGIN_CLIENT_SECRET, ONELOGIN_ACCESS_TOKEN, or a profile (see `onelogin --help`)",
        ));
    };
    Ok(Settings {
        host,
        configuration,
        format: profile.output,
    })
}

fn profile(connection: &Connection) -> Outcome<Profile> {
    let path = match connection.config.clone().or_else(default_path) {
        Some(path) if path.exists() => path,
        Some(path) if connection.config.is_some() || connection.profile.is_some() => {
            return Err(Failure::usage(format!(
                "there is no profile file {}",
                path.display()
            )));
        }
        _ => return Ok(Profile::default()),
    };
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let mut profiles: BTreeMap<String, Profile> = toml::from_str(&text).map_err(|error| {
        // Only the place and the reason: the line itself may hold the secret.
        let line = error.span().map_or(1, |span| {
            text.bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1
        });
        Failure::usage(format!(
            "{}, line {line}: {}",
            path.display(),
            error.message()
        ))
    })?;
    let holds_secret = profiles
        .values()
        .any(|profile| profile.client_secret.is_some() || profile.access_token.is_some());
    if holds_secret {
        refuse_readable_by_others(&path)?;
    }
    match &connection.profile {
        None => Ok(profiles.remove("default").unwrap_or_default()),
        Some(name) => profiles.remove(name).ok_or_else(|| {
            let names: Vec<_> = profiles.keys().map(String::as_str).collect();
            Failure::usage(format!(
                "there is no profile {name:?} in {}",
                path.display()
            ))
            .advice(format!("there are: {}", names.join(", ")))
        }),
    }
}

fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base =
        folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(base.join("onelogin").join("profiles.toml"))
}

#[cfg(unix)]
#[expect(
    clippy::verbose_bit_mask,
    reason = "file modes are read as octal masks"
)]
fn refuse_readable_by_others(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} holds secrets and others can read it",
        path.display()
    ))
    .advice(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &Path) -> Outcome<()> {
    Ok(())
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn secret(path: &Path) -> Outcome<SecretString> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::usage(format!("{}: not text", path.display())))?;
    Ok(text.trim().into())
}
