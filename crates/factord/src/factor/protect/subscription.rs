//! Where an app is woken up: a subscription of the Push API, and which of them we are willing to call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use p256::PublicKey;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use zeroize::Zeroize;

use super::key::bytes;

/// A subscription, as the Push API's `PushSubscription.toJSON()` writes it. Does not print.
#[derive(Clone, Deserialize, Serialize)]
pub struct Subscription {
    endpoint: String,
    keys: SubscriptionKeys,
}

#[derive(Clone, Deserialize, Serialize)]
struct SubscriptionKeys {
    p256dh: String,
    auth: String,
}

/// A subscription that can be used.
pub struct Usable {
    /// Where messages are posted.
    pub endpoint: Url,
    /// The app's key for messages.
    pub key: PublicKey,
    /// The secret that the app shares with us.
    pub auth: [u8; 16],
}

/// Whose servers may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// Those of the public internet, by HTTPS.
    Public,
    /// Any: for `factord dev`, which calls none.
    Any,
}

impl Subscription {
    /// Its parts, if they are well-formed and the endpoint may be called.
    pub fn usable(&self, endpoints: Endpoints) -> Option<Usable> {
        let endpoint = Url::parse(&self.endpoint).ok()?;
        let key = PublicKey::from_sec1_bytes(&bytes(&self.keys.p256dh)?).ok()?;
        let auth = bytes(&self.keys.auth)?.try_into().ok()?;
        let short = self.endpoint.len() <= MOST_BYTES;
        (short && endpoints.include(&endpoint)).then_some(Usable {
            endpoint,
            key,
            auth,
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.endpoint.zeroize();
        self.keys.auth.zeroize();
    }
}

impl Endpoints {
    /// Whether `endpoint` may be called, as far as its text says. What a name leads to is looked at when it is called.
    fn include(self, endpoint: &Url) -> bool {
        let bare = endpoint.username().is_empty() && endpoint.password().is_none();
        bare && match self {
            Self::Any => matches!(endpoint.scheme(), "http" | "https"),
            Self::Public => {
                endpoint.scheme() == "https" && endpoint.host().is_some_and(|host| is_public(&host))
            }
        }
    }
}

fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !LOCAL.iter().any(|end| name.ends_with(end))
        }
        Host::Ipv4(address) => is_public_address((*address).into()),
        Host::Ipv6(address) => is_public_address((*address).into()),
    }
}

/// Whether an address belongs to the public internet (RFC 6890 and the registries it began).
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let assignments = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let special = address.is_private() || address.is_loopback() || address.is_link_local();
    let void = a == 0 || a >= 224 || address.is_documentation();
    !(shared || assignments || benchmarks || special || void)
}

/// Global unicast, but for what holds an address of the other family or is for examples.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
    global && !special && first != 0x3fff
}

/// Names that never leave a network.
const LOCAL: [&str; 6] = [
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
    ".lan",
    ".test",
];
/// A longer endpoint is nobody's.
const MOST_BYTES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_on_the_public_internet_is_called() {
        let includes = |text: &str| Endpoints::Public.include(&Url::parse(text).unwrap());
        for public in [
            "https://push.example.com/abc?d",
            "https://fcm.googleapis.com/fcm/send/x",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]:8443/",
        ] {
            assert!(includes(public), "{public}");
        }
        for other in [
            "http://push.example.com/",
            "https://localhost/",
            "https://printer/",
            "https://db.internal/",
            "https://a.localhost./",
            "https://user@push.example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0.0.0.0/",
            "https://10.1.2.3/",
            "https://172.31.0.1/",
            "https://192.168.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[ff02::1]/",
        ] {
            assert!(!includes(other), "{other}");
        }
    }
}
