//! Which database: a URL, or the data directory.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::postgres::{BadUrl, PostgresSettings};

/// Where the data is.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// In SQLite's file in this directory, for one server.
    Directory(PathBuf),
    /// In PostgreSQL, for any number of servers.
    Postgres(Box<PostgresSettings>),
}

impl Location {
    /// Reads `sqlite:DIRECTORY` or `postgres://…`.
    ///
    /// # Errors
    /// [`BadUrl`], which repeats nothing of the text.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        match url.split_once(':') {
            Some(("sqlite", directory)) if !directory.is_empty() => {
                let directory = directory.strip_prefix("//").unwrap_or(directory);
                Ok(Self::Directory(PathBuf::from(directory)))
            }
            Some(("postgres" | "postgresql", _)) => {
                PostgresSettings::parse(url).map(|settings| Self::Postgres(Box::new(settings)))
            }
            _ => Err(BadUrl(
                "it is neither \"sqlite:DIRECTORY\" nor \"postgres://user@host/database\""
                    .to_owned(),
            )),
        }
    }

    /// The same with the password and the number of connections, where it takes any.
    pub fn with(self, password: Option<&SecretString>, connections: usize) -> Self {
        match self {
            Self::Postgres(settings) => {
                let mut settings = match password {
                    Some(password) => settings.with_password(password),
                    None => *settings,
                };
                settings.connections = connections;
                Self::Postgres(Box::new(settings))
            }
            directory @ Self::Directory(_) => directory,
        }
    }
}

/// For messages; shows no password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Postgres(settings) => settings.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_directory_or_a_server_and_nothing_else() {
        for url in ["sqlite:/var/lib/factord", "sqlite:///var/lib/factord"] {
            let directory = Location::Directory("/var/lib/factord".into());
            assert_eq!(Location::parse(url), Ok(directory));
        }
        let server = Location::parse("postgres://a@127.0.0.1/f").unwrap();
        assert_eq!(server.to_string(), "the database f on 127.0.0.1");
        for wrong in ["", "sqlite:", "/var/lib/factord", "mysql://a@b/c"] {
            assert!(Location::parse(wrong).is_err(), "{wrong}");
        }
    }
}
