//! What gateways send us: whose word is taken, by which signature.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::twilio::verify_signature;
use crate::clock::Timestamp;

/// By what the gateways that call are known when they report of a call.
#[derive(Clone, Debug, Default)]
pub struct CallbackKeys {
    /// The token of the account at the gateway in Twilio's shape, if it calls.
    pub twilio: Option<SecretString>,
    /// The secret of the operator's own webhook, if it calls.
    pub webhook: Option<SecretString>,
}

impl CallbackKeys {
    /// Whether the form that was posted to `url` is Twilio's, by its `X-Twilio-Signature`.
    pub fn is_twilio(&self, url: &str, form: &[(&str, &str)], signature: &str) -> bool {
        self.twilio
            .as_ref()
            .is_some_and(|token| verify_signature(token, url, form, signature))
    }

    /// Whether the body that was posted to `url` is the webhook's: `signature` is `v1=` and the hex of
    /// HMAC-SHA256 of the timestamp, the URL and the body with dots in between, and the timestamp is no more than five minutes from `now`. Compares in constant time.
    ///
    /// The URL is signed too, so that what was sent about one call, or by us, cannot be sent about another.
    pub fn is_webhook(
        &self,
        now: Timestamp,
        timestamp: &str,
        url: &str,
        body: &str,
        signature: &str,
    ) -> bool {
        let Some(secret) = &self.webhook else {
            return false;
        };
        let fresh = timestamp
            .parse()
            .is_ok_and(|at: i64| now.seconds().abs_diff(at) <= MOST_SECONDS);
        let signature = signature
            .strip_prefix("v1=")
            .and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let right = signature.is_some_and(|signature| {
            mac(secret, &[timestamp, url, body])
                .verify_slice(&signature)
                .is_ok()
        });
        fresh && right
    }
}

/// `v1=` and the hex of HMAC-SHA256 by `secret` of the parts, with a dot in between. The first is a timestamp, so that
/// what was recorded once cannot be sent again later.
pub(crate) fn sign(secret: &SecretString, parts: &[&str]) -> String {
    format!(
        "v1={}",
        HEXLOWER.encode(&mac(secret, parts).finalize().into_bytes())
    )
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &SecretString, parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("any length will do");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            mac.update(b".");
        }
        mac.update(part.as_bytes());
    }
    mac
}

/// How far the clock of a webhook may be from ours, and how long what it sent can be sent again.
const MOST_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mfa.example.com/voice/1/2/digits";
    const BODY: &str = r#"{"digits":"123456"}"#;
    /// Computed by Python: `hmac.new(key, f"1700000000.{URL}.{BODY}".encode(), hashlib.sha256).hexdigest()`.
    const SIGNATURE: &str = "v1=c5d2afe1f5bc5976e71789df310d54c400559e073d1297fa6ddd1a940564edc2";

    fn keys() -> CallbackKeys {
        CallbackKeys {
            webhook: Some("0123456789abcdef0123456789abcdef".into()),
            ..CallbackKeys::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_signature_that_python_computed_is_accepted_for_five_minutes_either_way() {
        let accepts = |now| keys().is_webhook(at(now), "1700000000", URL, BODY, SIGNATURE);
        assert!(accepts(1_700_000_300) && accepts(1_699_999_700));
        assert!(!accepts(1_700_000_301) && !accepts(1_699_999_699));
    }

    #[test]
    fn it_holds_for_no_other_url_body_time_or_secret() {
        let now = at(1_700_000_000);
        let refused = |keys: &CallbackKeys, time, url: &str, body, signature| {
            !keys.is_webhook(now, time, url, body, signature)
        };
        let (keys, time) = (keys(), "1700000000");
        assert!(refused(
            &keys,
            time,
            "https://mfa.example.com/voice/1/3/digits",
            BODY,
            SIGNATURE
        ));
        assert!(refused(
            &keys,
            time,
            URL,
            r#"{"digits":"123457"}"#,
            SIGNATURE
        ));
        assert!(refused(&keys, "1700000001", URL, BODY, SIGNATURE));
        assert!(refused(
            &CallbackKeys::default(),
            time,
            URL,
            BODY,
            SIGNATURE
        ));
        for signature in ["", "v1=", "v1=zz", &SIGNATURE[3..], &SIGNATURE[..20]] {
            assert!(refused(&keys, time, URL, BODY, signature), "{signature}");
        }
        for time in ["", "x", "9223372036854775808", "-9223372036854775808"] {
            assert!(refused(&keys, time, URL, BODY, SIGNATURE), "{time}");
        }
    }
}
