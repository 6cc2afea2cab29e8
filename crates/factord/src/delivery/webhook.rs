//! Messages to a URL of the operator's, signed, for whatever is not built in.

use reqwest::{Client, StatusCode};
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::callback::sign;
use super::http;
use super::provider::{Failure, HandOver, Meaning, Provider, delivery_id};
use super::settings::SetupError;
use crate::clock::Timestamp;
use crate::store::StoredMessage;

/// Where messages are posted, and what they are signed with.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// HTTPS, or HTTP on loopback.
    pub url: Url,
    /// The secret that both sides know.
    pub secret: SecretString,
}

/// A URL that takes messages.
pub struct Webhook {
    http: Client,
    settings: WebhookSettings,
}

impl Webhook {
    /// A webhook, which trusts the system's authorities and `roots`.
    ///
    /// # Errors
    /// [`SetupError`] if TLS cannot be set up.
    pub fn new(
        settings: WebhookSettings,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, SetupError> {
        let http = http::client(&settings.url, roots)?;
        Ok(Self { http, settings })
    }

    async fn post(&self, message: &StoredMessage, now: Timestamp) -> Result<(), Failure> {
        let id = delivery_id(message);
        let body = serde_json::to_string(&Posted::of(message, &id))
            .map_err(|_| Failure::new(Meaning::Refused, "the message cannot be written"))?;
        let timestamp = now.seconds().to_string();
        let response = self
            .http
            .post(self.settings.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", &id)
            .header(
                "factord-signature",
                sign(&self.settings.secret, &[&timestamp, &body]),
            )
            .header("factord-timestamp", timestamp)
            .body(body)
            .send()
            .await
            .map_err(http::unreachable)?;
        judge(response.status())
    }
}

impl Provider for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn hand_over<'a>(&'a self, message: &'a StoredMessage, now: Timestamp) -> HandOver<'a> {
        Box::pin(self.post(message, now))
    }
}

#[derive(Serialize)]
struct Posted<'a> {
    id: &'a str,
    channel: &'static str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    at: String,
    expires_at: String,
}

impl<'a> Posted<'a> {
    fn of(stored: &'a StoredMessage, id: &'a str) -> Self {
        let message = &stored.message;
        Self {
            id,
            channel: message.channel.as_str(),
            to: &message.to,
            subject: message.subject.as_deref(),
            body: &message.body,
            code: message.code.as_deref(),
            link: message.link.as_deref(),
            at: stored.at.to_string(),
            expires_at: message.expires_at.to_string(),
        }
    }
}

fn judge(status: StatusCode) -> Result<(), Failure> {
    let (meaning, what) = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            (Meaning::Unavailable, "the webhook is busy")
        }
        _ if status.is_client_error() => (Meaning::Refused, "the webhook refused the message"),
        _ => (Meaning::Unavailable, "the webhook failed"),
    };
    Err(Failure::new(meaning, what).with_code(status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::message::Channel;
    use crate::delivery::provider::example;

    #[test]
    fn a_signature_is_the_one_that_python_computes() {
        let secret = "0123456789abcdef0123456789abcdef".into();
        let signature = sign(&secret, &["1700000000", r#"{"to":"ü"}"#]);
        assert_eq!(
            signature,
            "v1=2394fd01add3b2e08f8649e3529500d3a8fc0001212a99f21650364021edfd48"
        );
    }

    #[test]
    fn a_body_holds_the_message_and_leaves_out_what_it_has_not() {
        let mut message = example(Channel::Sms, "+12025550123");
        message.message.subject = None;
        let body = serde_json::to_value(Posted::of(&message, "0a")).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "id": "0a", "channel": "sms", "to": "+12025550123", "body": "Your code is 123456.",
                "code": "123456", "at": "2023-11-14T22:13:20Z", "expires_at": "2023-11-14T22:15:20Z",
            })
        );
    }

    #[test]
    fn a_4xx_is_for_good_but_for_those_that_ask_for_patience() {
        for (status, meaning) in [
            (400, Meaning::Refused),
            (404, Meaning::Refused),
            (410, Meaning::Refused),
            (408, Meaning::Unavailable),
            (429, Meaning::Unavailable),
            (301, Meaning::Unavailable),
            (500, Meaning::Unavailable),
            (503, Meaning::Unavailable),
        ] {
            let failure = judge(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(failure.meaning, meaning, "{status}");
        }
        assert_eq!(judge(StatusCode::ACCEPTED), Ok(()));
    }
}
