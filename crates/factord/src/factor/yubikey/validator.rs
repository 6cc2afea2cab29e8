//! Asking a validation server, by Yubico's protocol 2.0: the request is signed, and an answer is believed only if its
//! signature, its password and its nonce are those of the request. Whatever cannot be believed is no answer.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use reqwest::Client;
use sha1::Sha1;
use subtle::ConstantTimeEq;
use url::Url;
use zeroize::Zeroizing;

use super::Answer;
use crate::audit::Reason;
use crate::crypto::yubico_otp::{Counter, Otp};
use crate::delivery::settings::{SetupError, certificates};
use crate::delivery::{client, short_body};
use crate::factor::NoAnswer;

/// Which servers are asked, and as whom.
#[derive(Clone)]
pub struct ValidatorSettings {
    /// The client's number at the servers.
    pub client_id: u32,
    /// The key that both sides sign with.
    pub secret: Zeroizing<Vec<u8>>,
    /// The servers: HTTPS, or HTTP on loopback. The next is asked if one does not answer.
    pub urls: Vec<Url>,
    /// How long one of them may take.
    pub timeout: Duration,
    /// Certificates of authorities that are trusted besides the system's, PEM; may be empty.
    pub authorities: Vec<u8>,
}

impl fmt::Debug for ValidatorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorSettings")
            .field("client_id", &self.client_id)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The validation servers cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the YubiKey validation servers cannot be set up: {0}")]
pub struct UnusableSettings(#[from] SetupError);

/// Validation servers.
pub(super) struct Validator(Arc<Asking>);

struct Asking {
    settings: ValidatorSettings,
    servers: Vec<(Url, Client)>,
}

impl Validator {
    pub(super) fn new(settings: ValidatorSettings) -> Result<Self, UnusableSettings> {
        let roots = certificates(&settings.authorities)?;
        let servers = settings.urls.iter().map(|url| {
            let client = client(url, &roots)?;
            Ok((url.clone(), client))
        });
        let servers = servers.collect::<Result<_, SetupError>>()?;
        Ok(Self(Arc::new(Asking { settings, servers })))
    }

    /// Asks one server after the other until one answers.
    pub(super) fn ask(
        &self,
        otp: &Otp,
        rng: &mut dyn CryptoRng,
    ) -> impl Future<Output = Result<Answer, NoAnswer>> + Send + use<> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let request = Request {
            otp: otp.to_text(),
            nonce: HEXLOWER.encode(&nonce),
        };
        let asking = Arc::clone(&self.0);
        async move { asking.ask(&request).await }
    }
}

/// What a server is asked about.
struct Request {
    otp: Zeroizing<String>,
    nonce: String,
}

impl Asking {
    async fn ask(&self, request: &Request) -> Result<Answer, NoAnswer> {
        for (url, client) in &self.servers {
            let asked = self.ask_one(url, client, request);
            let answer = match tokio::time::timeout(self.settings.timeout, asked).await {
                Ok(answer) => answer,
                Err(_) => Err("it took too long".to_owned()),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(what) => {
                    let server = url.host_str().unwrap_or_default();
                    tracing::warn!(server, what, "a YubiKey validation server is of no use");
                }
            }
        }
        Err(NoAnswer)
    }

    /// The error says what is wrong in words that hold nothing of the request.
    async fn ask_one(
        &self,
        url: &Url,
        client: &Client,
        request: &Request,
    ) -> Result<Answer, String> {
        let url = request.url(url, &self.settings);
        let response = client.get(url).send().await;
        let response = response.map_err(|error| error.without_url().to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status().as_u16()));
        }
        let body = short_body(response).await.ok_or("its answer breaks off")?;
        let body = std::str::from_utf8(&body).map_err(|_| "its answer is no text")?;
        request.judge(body, &self.settings.secret)
    }
}

impl Request {
    fn url(&self, server: &Url, settings: &ValidatorSettings) -> Url {
        let (id, timeout) = (
            settings.client_id.to_string(),
            settings.timeout.as_secs().to_string(),
        );
        let fields = BTreeMap::from([
            ("id", id.as_str()),
            ("nonce", &self.nonce),
            ("otp", &self.otp),
            ("sl", "secure"),
            ("timeout", &timeout),
            ("timestamp", "1"),
        ]);
        let signature = sign(&fields, &settings.secret);
        let mut url = server.clone();
        url.query_pairs_mut()
            .extend_pairs(&fields)
            .append_pair("h", &signature);
        url
    }

    /// What the answer says, if it is signed and to this request. A refusal need not repeat the request: servers leave it
    /// out where a password does not decrypt.
    fn judge(&self, body: &str, secret: &[u8]) -> Result<Answer, String> {
        let mut fields = BTreeMap::new();
        for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or("its answer has another form")?;
            if fields.insert(name, value).is_some() {
                return Err("its answer says something twice".to_owned());
            }
        }
        let status = *fields.get("status").ok_or("its answer has no status")?;
        let signature = fields.remove("h").unwrap_or_default();
        let signed = sign(&fields, secret).as_bytes().ct_eq(signature.as_bytes());
        let is = |name, expected: &str| {
            let value = fields.get(name).copied();
            value.map(|value| bool::from(value.as_bytes().ct_eq(expected.as_bytes())))
        };
        let (otp, nonce) = (is("otp", &self.otp), is("nonce", &self.nonce));
        if !matches!(status, OK | BAD_OTP | REPLAYED_OTP) {
            let word = |c: char| c.is_ascii_uppercase() || c == '_';
            let known = status.len() < 40 && status.chars().all(word);
            return Err(format!("it says {}", if known { status } else { "…" }));
        }
        if !bool::from(signed) {
            return Err("its answer is not signed with our key".to_owned());
        }
        if otp == Some(false) || nonce == Some(false) {
            return Err("its answer is to another request".to_owned());
        }
        match status {
            OK if (otp, nonce) == (Some(true), Some(true)) => counter(&fields).map(Answer::Right),
            OK => Err("its answer does not say to which request".to_owned()),
            REPLAYED_OTP => Ok(Answer::Wrong(Reason::Used)),
            _ => Ok(Answer::Wrong(Reason::Wrong)),
        }
    }
}

fn counter(fields: &BTreeMap<&str, &str>) -> Result<Counter, String> {
    let number = |name| fields.get(name).and_then(|text| text.parse::<u16>().ok());
    let counters = number("sessioncounter").zip(number("sessionuse"));
    let counter = counters.and_then(|(session, uses)| {
        let uses = u8::try_from(uses).ok()?;
        Some(Counter { session, uses })
    });
    counter.ok_or_else(|| "its answer has no counters".to_owned())
}

/// Base64 of HMAC-SHA1 over the fields in alphabetical order.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn sign(fields: &BTreeMap<&str, &str>, secret: &[u8]) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let text = Zeroizing::new(pairs.join("&"));
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).expect("any length will do");
    mac.update(text.as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}

const OK: &str = "OK";
const BAD_OTP: &str = "BAD_OTP";
const REPLAYED_OTP: &str = "REPLAYED_OTP";
/// Bytes of a nonce: it is 16 to 40 letters and digits, here 32.
const NONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of the servers";
    const OTP: &str = "cccccccccccbdvgtiblfkbgturecfllberrvkinnctnn";
    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn request() -> Request {
        Request {
            otp: Zeroizing::new(OTP.to_owned()),
            nonce: NONCE.to_owned(),
        }
    }

    /// An answer as servers write it, signed with `secret`.
    fn answer(secret: &[u8], fields: &[(&str, &str)]) -> String {
        let map: BTreeMap<_, _> = fields.iter().copied().collect();
        let lines = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}\r\n"));
        format!(
            "h={}\r\n{}\r\n",
            sign(&map, secret),
            lines.collect::<String>()
        )
    }

    fn ok<'a>(changed: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
        let fields = [
            ("t", "2026-11-24T15:00:00Z0123"),
            ("otp", OTP),
            ("nonce", NONCE),
            ("sl", "100"),
            ("status", "OK"),
            ("timestamp", "1234"),
            ("sessioncounter", "19"),
            ("sessionuse", "17"),
        ];
        let fields = fields.into_iter().filter(|(name, _)| *name != changed.0);
        fields
            .chain((!changed.1.is_empty()).then_some(changed))
            .collect()
    }

    fn judge(body: &str) -> Result<Answer, String> {
        request().judge(body, SECRET)
    }

    #[test]
    fn the_signature_is_the_one_that_python_computes() {
        let fields = BTreeMap::from([("id", "1"), ("otp", OTP), ("nonce", NONCE)]);
        assert_eq!(sign(&fields, SECRET), "zwvB0buKdphDz+IjRWqKWdi1T44=");
    }

    #[test]
    fn a_right_password_gives_its_counters() {
        let counter = Counter {
            session: 19,
            uses: 17,
        };
        let body = answer(SECRET, &ok(("", "")));
        assert_eq!(judge(&body), Ok(Answer::Right(counter)));
    }

    #[test]
    fn a_refusal_is_believed_with_a_signature_alone_but_not_to_another_request() {
        for (status, reason) in [("BAD_OTP", Reason::Wrong), ("REPLAYED_OTP", Reason::Used)] {
            let short = [("t", "2026-11-24T15:00:00Z0123"), ("status", status)];
            assert_eq!(judge(&answer(SECRET, &short)), Ok(Answer::Wrong(reason)));
            judge(&answer(b"another", &short)).unwrap_err();
            judge(&format!("status={status}\r\n")).unwrap_err();
            let other = [("nonce", "another"), ("status", status)];
            judge(&answer(SECRET, &other)).unwrap_err();
        }
    }

    #[test]
    fn whatever_cannot_be_believed_is_no_answer() {
        let other = format!("{}c", &OTP[..43]);
        for changed in [
            ("otp", ""),
            ("otp", other.as_str()),
            ("nonce", ""),
            ("nonce", "another nonce"),
            ("status", ""),
            ("status", "BACKEND_ERROR"),
            ("status", "NOT_ENOUGH_ANSWERS"),
            ("status", "REPLAYED_REQUEST"),
            ("status", "ok"),
            ("sessioncounter", ""),
            ("sessioncounter", "-1"),
            ("sessionuse", "256"),
        ] {
            judge(&answer(SECRET, &ok(changed))).unwrap_err();
        }
        let right = answer(SECRET, &ok(("", "")));
        for body in [
            answer(b"another secret", &ok(("", ""))),
            right.replace("status=OK", "status=OK\r\nstatus=OK"),
            right.replace("sessionuse=17", "sessionuse=18"),
            right.replace("h=", "hh="),
            "<html>".to_owned(),
            String::new(),
        ] {
            judge(&body).unwrap_err();
        }
    }

    #[test]
    fn a_request_is_signed_and_its_signature_survives_the_url() {
        let settings = ValidatorSettings {
            client_id: 87,
            secret: Zeroizing::new(SECRET.to_vec()),
            urls: Vec::new(),
            timeout: Duration::from_secs(5),
            authorities: Vec::new(),
        };
        let url = request().url(&"https://val.example/verify".parse().unwrap(), &settings);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let mut fields: BTreeMap<_, _> = pairs
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let signature = fields.remove("h").unwrap();
        assert_eq!(signature, sign(&fields, SECRET));
        assert_eq!(
            (fields["id"], fields["otp"], fields["nonce"]),
            ("87", OTP, NONCE)
        );
        assert_eq!(
            (fields["sl"], fields["timeout"], fields["timestamp"]),
            ("secure", "5", "1")
        );
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
