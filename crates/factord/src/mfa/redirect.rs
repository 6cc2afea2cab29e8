//! Where a `redirect_to` may point (contract, Fine points): to one of the configured origins, by https; in dev to any
//! http or https address on loopback.

use url::{Host, Origin, Url};

/// Which `redirect_to` values are allowed.
#[derive(Clone, Debug)]
pub enum RedirectPolicy {
    /// These https origins alone.
    Origins(Vec<Origin>),
    /// Anything by http or https on this machine.
    Loopback,
}

impl RedirectPolicy {
    /// Whether the browser may be sent to `address`.
    pub fn allows(&self, address: &str) -> bool {
        // Browsers and other parsers disagree about what these are, so nobody is sent there.
        if address.len() > MOST_BYTES
            || address
                .contains(|character: char| character == '\\' || !character.is_ascii_graphic())
        {
            return false;
        }
        let Ok(url) = Url::parse(address) else {
            return false;
        };
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        match self {
            Self::Origins(origins) => url.scheme() == "https" && origins.contains(&url.origin()),
            Self::Loopback => {
                matches!(url.scheme(), "http" | "https")
                    && url.host().is_some_and(|host| is_loopback(&host))
            }
        }
    }
}

/// A longer one is no use to a browser, and is kept with the user.
const MOST_BYTES: usize = 2_048;

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(domain) => *domain == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_on_a_listed_origin_is_allowed() {
        let policy = RedirectPolicy::Origins(vec![
            Url::parse("https://app.example.com").unwrap().origin(),
        ]);
        assert!(policy.allows("https://app.example.com/login?x=1"));
        assert!(policy.allows("https://APP.example.com:443/"));
        for wrong in [
            "http://app.example.com/",
            "https://app.example.com:444/",
            "https://app.example.com.evil.test/",
            "https://user@app.example.com/",
            "//app.example.com/",
            "javascript:alert(1)",
            "",
            "https://",
        ] {
            assert!(!policy.allows(wrong), "{wrong}");
        }
    }

    #[test]
    fn in_dev_any_address_on_loopback_is_allowed_and_no_other() {
        for right in [
            "http://localhost:3000/x",
            "http://127.0.0.1/",
            "https://[::1]:8443/",
        ] {
            assert!(RedirectPolicy::Loopback.allows(right), "{right}");
        }
        for wrong in [
            "http://localhost.evil.test/",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert!(!RedirectPolicy::Loopback.allows(wrong), "{wrong}");
        }
    }
}
