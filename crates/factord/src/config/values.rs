//! The types of single values. A value that exists is right; its error says what was expected.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use lettre::message::Mailbox;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::{Host, Origin, Url};

use crate::delivery::is_loopback;
use crate::delivery::twilio::Caller;
use crate::messages::language::Language;
use crate::store::Location;

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within<const LEAST: u32, const MOST: u32>(pub(super) u32);

impl<const LEAST: u32, const MOST: u32> Within<LEAST, MOST> {
    pub(super) const fn number(self) -> u32 {
        self.0
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(Self(0))
    }
}

impl<const LEAST: u32, const MOST: u32> Visitor<'_> for Within<LEAST, MOST> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self, E> {
        u32::try_from(number)
            .ok()
            .filter(|number| (LEAST..=MOST).contains(number))
            .map(Self)
            .ok_or_else(|| E::custom(format_args!("{number} is outside {LEAST} to {MOST}")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Reads a type from a string by a function that says what it expected.
macro_rules! from_text {
    ($type:ty, $parse:expr) => {
        impl $type {
            fn parse(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<Self, String> = $parse;
                parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use from_text;

/// The URL of a database.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DatabaseUrl(pub(super) Location);

from_text!(DatabaseUrl, |text| {
    let location = Location::parse(text);
    location.map(Self).map_err(|error| error.to_string())
});

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen(pub(super) SocketAddr);

impl Default for Listen {
    fn default() -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], 8080)))
    }
}

from_text!(Listen, |text| {
    let expected = format!(
        "{text:?} is not an address with a port, such as \"127.0.0.1:8080\" or \"[::]:443\""
    );
    text.parse().map(Self).map_err(|_| expected)
});

/// Where the service is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicUrl(pub(super) Url);

from_text!(PublicUrl, |text| {
    let url = bare_url(text)?;
    let secure = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    let expected =
        || format!("{text:?} is not HTTPS (plain HTTP is for loopback only); write \"https://…\"");
    secure.then_some(Self(url)).ok_or_else(expected)
});

/// An origin that a caller's page may be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedirectOrigin(pub(super) Origin);

from_text!(RedirectOrigin, |text| {
    let url = bare_url(text)?;
    let secure = url.scheme() == "https";
    secure
        .then(|| Self(url.origin()))
        .ok_or_else(|| format!("{text:?} is not HTTPS; write \"https://…\""))
});

/// A URL of scheme, host and perhaps port, with nothing behind them.
fn bare_url(text: &str) -> Result<Url, String> {
    let expected = || {
        format!(
            "{text:?} is not a scheme and a host with nothing behind, such as \"https://mfa.example.com\""
        )
    };
    let url = Url::parse(text).map_err(|_| expected())?;
    let nothing_else = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (url.has_host() && nothing_else)
        .then_some(url)
        .ok_or_else(expected)
}

/// The network of a trusted proxy, or its one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proxy(pub(super) IpNet);

from_text!(Proxy, |text| {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err(format!(
            "{text:?} would let anybody say who they are; name the networks that your proxies are in"
        )),
        Ok(network) => Ok(Self(network.trunc())),
        Err(_) => Err(format!(
            "{text:?} is not a network or an address, such as \"10.0.0.0/8\" or \"10.1.2.3\""
        )),
    }
});

/// What people see as the sender of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceName(pub(super) String);

impl Default for ServiceName {
    fn default() -> Self {
        Self("factord".to_owned())
    }
}

from_text!(ServiceName, |text| {
    let name = text.trim();
    let right = (1..=64).contains(&name.chars().count())
        && !name.contains(|c: char| c.is_control() || c == ':');
    let expected = || {
        format!(
            "{text:?} is not a name of 1 to 64 characters without colons and control characters"
        )
    };
    right.then(|| Self(name.to_owned())).ok_or_else(expected)
});

/// What is logged: a level, or one for each target.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel(pub Targets);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Targets::new().with_default(tracing::Level::INFO))
    }
}

from_text!(LogLevel, |text| {
    let level = |text: &str| {
        text.trim().parse::<LevelFilter>().map_err(|_| {
            format!(
                "{text:?} is not a level (off, error, warn, info, debug, trace); write one, and where a part of the \
                 service is to differ its target: \"info,factord::access=off\""
            )
        })
    };
    text.split(',')
        .try_fold(Self::default(), |Self(targets), part| {
            match part.split_once('=') {
                None => Ok(Self(targets.with_default(level(part)?))),
                Some((target, part)) => Ok(Self(targets.with_target(target.trim(), level(part)?))),
            }
        })
});

/// The URL of a service that messages are handed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(pub(super) Url);

impl Endpoint {
    /// Twilio's own.
    #[expect(clippy::expect_used, reason = "the text is right here")]
    pub(super) fn twilio() -> Self {
        Self(Url::parse("https://api.twilio.com").expect("a URL"))
    }
}

from_text!(Endpoint, |text| {
    let url = Url::parse(text).ok().filter(|url| {
        let secure = url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
        secure && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
    });
    // Not the text itself: somebody may have put a password into it.
    let expected = "it is not an HTTPS URL (plain HTTP is for loopback only) without user, password and fragment";
    url.map(Self).ok_or_else(|| expected.to_owned())
});

/// Where an operator can be reached (RFC 8292 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contact(pub(super) String);

from_text!(Contact, |text| {
    let url = Url::parse(text).ok().filter(|url| match url.scheme() {
        "mailto" => url.path().contains('@'),
        "https" => url.has_host(),
        _ => false,
    });
    let expected = || format!("{text:?} is neither \"mailto:…\" with an address nor \"https://…\"");
    url.map(|_| Self(text.to_owned())).ok_or_else(expected)
});

/// The name or address of a server, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl HostName {
    pub(super) fn is_loopback(&self) -> bool {
        self.0 == "localhost"
            || self
                .0
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

from_text!(HostName, |text| {
    let address = text.parse::<IpAddr>().is_ok();
    let name = matches!(Host::parse(text), Ok(Host::Domain(name)) if name == text);
    let expected = || format!("{text:?} is not the name of a server, such as \"smtp.example.com\"");
    (address || name)
        .then(|| Self(text.to_owned()))
        .ok_or_else(expected)
});

/// The language of users who prefer none that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Locale(pub(super) Language);

from_text!(Locale, |text| {
    let known = Language::ALL.map(Language::tag).join(", ");
    Language::of_locale(text)
        .map(Self)
        .ok_or_else(|| format!("{text:?} is in none of the languages that there are: {known}"))
});

/// The site that codes by SMS are for; none if it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmsDomain(pub(super) Option<String>);

from_text!(SmsDomain, |text| {
    if text.is_empty() {
        return Ok(Self(None));
    }
    let name = matches!(Host::parse(text), Ok(Host::Domain(name)) if name == text);
    let expected = || {
        format!(
            "{text:?} is not the domain of a site, such as \"login.example.com\"; write \"\" to bind codes to none"
        )
    };
    name.then(|| Self(Some(text.to_owned())))
        .ok_or_else(expected)
});

/// What a notice tells whoever was surprised by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Help(pub(super) String);

from_text!(Help, |text| {
    let help = text.trim();
    let right = (1..=200).contains(&help.chars().count()) && !help.contains(char::is_control);
    right
        .then(|| Self(help.to_owned()))
        .ok_or_else(|| format!("{text:?} is not one line of 1 to 200 characters"))
});

/// Whom e-mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromAddress(pub(super) Mailbox);

from_text!(FromAddress, |text| {
    let mailbox = text.parse::<Mailbox>().ok();
    let plain = |mailbox: &Mailbox| {
        AsRef::<str>::as_ref(&mailbox.email).is_ascii() && !text.contains(char::is_control)
    };
    let expected =
        || format!("{text:?} is not an address, such as \"Example <codes@example.com>\"");
    mailbox.filter(plain).map(Self).ok_or_else(expected)
});

/// An account at a gateway in Twilio's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountSid(pub(super) String);

from_text!(AccountSid, |text| {
    let right = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
    let expected = || format!("{text:?} is not an account SID, such as \"AC\" and 32 digits");
    right.then(|| Self(text.to_owned())).ok_or_else(expected)
});

/// A telephone number, E.164.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhoneNumber(pub(super) String);

from_text!(PhoneNumber, |text| {
    let expected = || format!("{text:?} is not a telephone number, such as \"+12025550100\"");
    is_number(text)
        .then(|| Self(text.to_owned()))
        .ok_or_else(expected)
});

fn is_number(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|it| (8..=15).contains(&it.len()) && it.chars().all(|c| c.is_ascii_digit()))
}

impl SenderId {
    /// The number that it is, if it is one.
    pub(super) fn number(&self) -> Option<String> {
        match &self.0 {
            Caller::Sender(sender) if is_number(sender) => Some(sender.clone()),
            _ => None,
        }
    }
}

/// Whom text messages are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SenderId(pub(super) Caller);

from_text!(SenderId, |text| {
    let hex = |text: &str| text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
    let number = is_number(text);
    let name = (3..=11).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '-');
    match text.strip_prefix("MG") {
        Some(rest) if hex(rest) => Ok(Self(Caller::MessagingService(text.to_owned()))),
        _ if number || name => Ok(Self(Caller::Sender(text.to_owned()))),
        _ => Err(format!(
            "{text:?} is neither a number (\"+12025550100\"), a short code or name of 3 to 11 characters, nor a \
             messaging service (\"MG\" and 32 digits)"
        )),
    }
});
