//! Where the service is, who asks, and how patiently.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Error, Result};

/// Where the service is, who asks, and how patiently.
///
/// ```
/// use onelogin::Configuration;
///
/// let configuration = Configuration::new("https://example.onelogin.com").client_credentials("my-id", "my-secret");
/// ```
#[derive(Clone, Debug)]
pub struct Configuration {
    pub(crate) host: String,
    pub(crate) credentials: Credentials,
    pub(crate) plain_http: bool,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) max_retry_delay: Duration,
    pub(crate) user_agent: String,
    pub(crate) root_certificates: Vec<Vec<u8>>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    None,
    AccessToken(SecretString),
    Client { id: String, secret: SecretString },
}

impl Configuration {
    /// The service at a base URL such as `https://example.onelogin.com`; a path before `/api` is kept.
    ///
    /// The URL is checked by [`ApiClient::new`](super::ApiClient::new).
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            credentials: Credentials::None,
            plain_http: false,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_retries: 3,
            max_retry_delay: Duration::from_secs(30),
            user_agent: concat!("onelogin-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            root_certificates: Vec::new(),
        }
    }

    /// Reads `ONELOGIN_HOST` and either `ONELOGIN_ACCESS_TOKEN` or `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET`.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] names the variable that is missing.
    pub fn from_env() -> Result<Self> {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let missing = |name: &str| {
            Error::Configuration(format!("the environment variable {name} is not set"))
        };
        let configuration =
            Self::new(read("ONELOGIN_HOST").ok_or_else(|| missing("ONELOGIN_HOST"))?);
        if let Some(token) = read("ONELOGIN_ACCESS_TOKEN") {
            return Ok(configuration.access_token(token));
        }
        let id = read("ONELOGIN_CLIENT_ID").ok_or_else(|| missing("ONELOGIN_CLIENT_ID"))?;
        let secret =
            read("ONELOGIN_CLIENT_SECRET").ok_or_else(|| missing("ONELOGIN_CLIENT_SECRET"))?;
        Ok(configuration.client_credentials(id, secret))
    }

    /// Uses a bearer token as it is. Nobody renews it.
    pub fn access_token(mut self, token: impl Into<SecretString>) -> Self {
        self.credentials = Credentials::AccessToken(token.into());
        self
    }

    /// Fetches a bearer token with the client's id and secret, keeps it, and renews it before it ends or when the service
    /// no longer takes it: once for all callers of the client.
    pub fn client_credentials(
        mut self,
        id: impl Into<String>,
        secret: impl Into<SecretString>,
    ) -> Self {
        self.credentials = Credentials::Client {
            id: id.into(),
            secret: secret.into(),
        };
        self
    }

    /// Allows `http://` to a host that is not this machine. Tokens and codes then travel in the clear: only for a network
    /// that nobody else listens on.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.plain_http = allow;
        self
    }

    /// Sets how long one attempt may take, from connecting to the last byte of the answer. By default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long connecting may take. By default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how often a request that can be repeated safely is repeated. By default 3; 0 turns it off.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets the longest `Retry-After` that is waited for. A longer one is returned as the error that it came with. By
    /// default 30 s.
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.max_retry_delay = delay;
        self
    }

    /// Sets the `User-Agent`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts the certificates of a PEM file, too: for a service with a private certificate authority.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// The base URL, checked.
    pub(crate) fn base_url(&self) -> Result<Url> {
        let refuse =
            |problem: &str| Error::Configuration(format!("host {:?}: {problem}", self.host));
        let url = Url::parse(&self.host).map_err(|error| {
            refuse(&format!(
                "{error}; it must be a URL like https://example.onelogin.com"
            ))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            // Said without repeating it: what stands there is a password.
            return Err(Error::Configuration(
                "the host must not contain a user name or a password".to_owned(),
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must not have a query or a fragment"));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.plain_http || is_loopback(&url) => Ok(url),
            "http" => Err(refuse(
                "plain http to another machine shows tokens and codes to the network; use https, or allow_plain_http",
            )),
            _ => Err(refuse("it must begin with https://")),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_would_show_secrets_or_cannot_work_is_refused() {
        for host in [
            "example.onelogin.com",
            "http://example.onelogin.com",
            "http://192.0.2.1:8080",
            "ftp://example.com",
            "https://",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "",
        ] {
            assert!(
                matches!(
                    Configuration::new(host).base_url(),
                    Err(Error::Configuration(_))
                ),
                "{host}"
            );
        }
        let error = Configuration::new("https://ada:hunter2@example.com")
            .base_url()
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        for host in [
            "http://127.0.0.1:8080",
            "http://localhost:8080/",
            "http://[::1]:8080",
            "https://example.com/prefix/",
        ] {
            assert!(Configuration::new(host).base_url().is_ok(), "{host}");
        }
        assert!(
            Configuration::new("http://factord:8080")
                .allow_plain_http(true)
                .base_url()
                .is_ok()
        );
    }

    #[test]
    fn debug_shows_neither_token_nor_secret() {
        let configuration = Configuration::new("https://example.com");
        let shown = format!(
            "{:?}{:?}",
            configuration.clone().access_token("hush"),
            configuration.client_credentials("id", "hush")
        );
        assert!(!shown.contains("hush"), "{shown}");
    }
}
