//! Who is really asking: the peer of the connection, or whom a trusted proxy names. A header from anybody else is
//! not believed.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{AsHeaderName, FORWARDED, HeaderName};
use ipnet::IpNet;

/// The other end of the TCP connection, a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The client's address, a request extension: the peer's, or the one that a trusted proxy named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

/// A request extension that is there when the client speaks HTTPS: to us, or to a trusted proxy that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverHttps;

/// Which header the trusted proxies write. Only this one is read: a proxy that writes one passes the other on as the
/// client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose word about the client is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    /// The networks they are in; none trusts nobody.
    pub networks: Vec<IpNet>,
    /// The header they write.
    pub header: ForwardedHeader,
}

impl TrustedProxies {
    /// The client behind `peer`, and whether a trusted proxy says that it came over HTTPS.
    ///
    /// Every proxy appends the address that it saw, so the list is read from its end: the first address that is not a
    /// trusted proxy's is the client. An entry that is not an address ends the search at the last trusted proxy.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> (ClientAddr, bool) {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return (ClientAddr(peer), false);
        }
        match self.header {
            ForwardedHeader::XForwardedFor => (
                self.first_untrusted(
                    peer,
                    elements_from_the_end(headers, &X_FORWARDED_FOR).map(address),
                ),
                elements_from_the_end(headers, &X_FORWARDED_PROTO)
                    .next()
                    .is_some_and(is_https),
            ),
            ForwardedHeader::Forwarded => (
                self.first_untrusted(
                    peer,
                    elements_from_the_end(headers, FORWARDED)
                        .map(|element| parameter(element, "for").and_then(address)),
                ),
                elements_from_the_end(headers, FORWARDED)
                    .next()
                    .and_then(|element| parameter(element, "proto"))
                    .is_some_and(is_https),
            ),
        }
    }

    fn first_untrusted(
        &self,
        peer: IpAddr,
        hops: impl Iterator<Item = Option<IpAddr>>,
    ) -> ClientAddr {
        let mut client = peer;
        for hop in hops {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        ClientAddr(client)
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// The comma-separated elements of all header lines of that name, the last one first. (A quoted comma would be torn
/// apart; neither an address nor a scheme has one, so such an element is simply not an address.)
fn elements_from_the_end(
    headers: &HeaderMap,
    name: impl AsHeaderName,
) -> impl Iterator<Item = &str> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines
        .into_iter()
        .rev()
        .flat_map(|line| line.to_str().unwrap_or("?").rsplit(','))
        .map(str::trim)
}

/// The value of one parameter of a `Forwarded` element (RFC 7239 section 4), without its quotes.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// An address, with or without a port, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

fn is_https(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https")
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(
        header: ForwardedHeader,
        peer: &str,
        lines: &[(&'static str, &str)],
    ) -> (String, bool) {
        let networks = ["10.0.0.0/8", "fd00::/8"]
            .map(|network| network.parse().unwrap())
            .to_vec();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let (ClientAddr(address), https) =
            TrustedProxies { networks, header }.client(peer.parse().unwrap(), &headers);
        (address.to_string(), https)
    }

    use ForwardedHeader::{Forwarded, XForwardedFor};

    #[test]
    fn a_stranger_cannot_say_who_they_are() {
        let lines = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=192.0.2.1"),
        ];
        assert_eq!(
            client(XForwardedFor, "203.0.113.9", &lines),
            ("203.0.113.9".to_owned(), false)
        );
        assert_eq!(
            client(Forwarded, "203.0.113.9", &lines),
            ("203.0.113.9".to_owned(), false)
        );
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client_whatever_stands_before_it() {
        let lines = [
            ("x-forwarded-for", "192.0.2.66, 198.51.100.7"),
            ("x-forwarded-for", "10.1.1.1"),
        ];
        assert_eq!(
            client(XForwardedFor, "10.0.0.1", &lines),
            ("198.51.100.7".to_owned(), false)
        );
    }

    #[test]
    fn without_the_header_or_with_nonsense_in_it_the_proxy_is_all_we_know() {
        assert_eq!(client(XForwardedFor, "10.0.0.1", &[]).0, "10.0.0.1");
        assert_eq!(
            client(
                XForwardedFor,
                "10.0.0.1",
                &[("x-forwarded-for", "192.0.2.1, unknown")]
            )
            .0,
            "10.0.0.1"
        );
        assert_eq!(
            client(
                XForwardedFor,
                "10.0.0.1",
                &[("x-forwarded-for", "192.0.2.1, , 10.2.2.2")]
            )
            .0,
            "10.2.2.2"
        );
    }

    #[test]
    fn only_the_header_that_the_proxies_write_is_read() {
        assert_eq!(
            client(
                XForwardedFor,
                "10.0.0.1",
                &[("forwarded", "for=192.0.2.1;proto=https")]
            )
            .0,
            "10.0.0.1"
        );
        assert_eq!(
            client(Forwarded, "10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]).0,
            "10.0.0.1"
        );
    }

    #[test]
    fn the_standard_header_is_read_with_quotes_ports_and_brackets() {
        let lines = [(
            "forwarded",
            "for=192.0.2.66, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1",
        )];
        assert_eq!(
            client(Forwarded, "10.0.0.1", &lines),
            ("2001:db8::7".to_owned(), true)
        );
    }

    #[test]
    fn a_mapped_address_is_the_one_it_maps() {
        assert_eq!(
            client(
                XForwardedFor,
                "::ffff:10.0.0.1",
                &[("x-forwarded-for", "192.0.2.1:80")]
            )
            .0,
            "192.0.2.1"
        );
        assert_eq!(
            client(
                XForwardedFor,
                "fd00::1",
                &[("x-forwarded-proto", "http, HTTPS")]
            ),
            ("fd00::1".to_owned(), true)
        );
    }
}
