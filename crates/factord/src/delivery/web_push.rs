//! Web Push: wakes apps up through the servers that they have subscribed at. Those are whoever's the app says, so that only
//! servers of the public internet are called, and none can make the others wait.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, StatusCode};
use rustls::pki_types::CertificateDer;

use super::http;
use super::provider::{Failure, HandOver, Meaning, Provider};
use super::settings::SetupError;
use crate::clock::{self, Timestamp};
use crate::crypto::web_push::{WebPushKey, encrypt};
use crate::factor::protect::subscription::{Endpoints, Subscription, is_public_address};
use crate::store::StoredMessage;

/// How apps are woken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPushSettings {
    /// Where a push service's operator can reach ours: `mailto:…` or `https://…`.
    pub contact: String,
}

/// The push services that apps have subscribed at.
pub struct WebPush {
    http: Client,
    settings: WebPushSettings,
    key: Arc<WebPushKey>,
    endpoints: Endpoints,
    patience: Duration,
}

impl WebPush {
    /// A sender, which trusts the system's authorities and `roots`, and gives a server somewhat less than `timeout`.
    ///
    /// # Errors
    /// [`SetupError`] if TLS cannot be set up.
    pub fn new(
        settings: WebPushSettings,
        key: Arc<WebPushKey>,
        roots: &[CertificateDer<'static>],
        timeout: Duration,
    ) -> Result<Self, SetupError> {
        let client = http::builder(roots)?.dns_resolver(Arc::new(PublicOnly));
        Self::by(client, settings, key, Endpoints::Public, timeout)
    }

    fn by(
        client: reqwest::ClientBuilder,
        settings: WebPushSettings,
        key: Arc<WebPushKey>,
        endpoints: Endpoints,
        timeout: Duration,
    ) -> Result<Self, SetupError> {
        // A proxy would resolve names by itself, and lead to what is not public.
        let client = client.no_proxy().build();
        Ok(Self {
            http: client.map_err(|error| SetupError(error.to_string()))?,
            settings,
            key,
            endpoints,
            patience: timeout.mul_f32(0.8),
        })
    }

    async fn post(&self, message: &StoredMessage, now: Timestamp) -> Result<(), Failure> {
        let unusable = || Failure::new(Meaning::Refused, "the subscription cannot be used");
        let message = &message.message;
        let subscription: Subscription =
            serde_json::from_str(&message.to).map_err(|_| unusable())?;
        let to = subscription.usable(self.endpoints).ok_or_else(unusable)?;
        let rng = &mut clock::system_rng();
        let body = encrypt(rng, &to.key, &to.auth, message.body.as_bytes());
        let body = body.ok_or_else(unusable)?;
        let origin = to.endpoint.origin().ascii_serialization();
        let authorization = self.key.authorization(&origin, &self.settings.contact, now);
        let request = self
            .http
            .post(to.endpoint)
            .header("authorization", authorization)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", message.expires_at.since(now).max(0).to_string())
            .header("urgency", "high")
            .timeout(self.patience)
            .body(body);
        let response = request.send().await.map_err(|error| {
            // One server that cannot be reached says nothing about the next.
            let Failure { what, code, .. } = http::unreachable(error);
            Failure {
                meaning: Meaning::Deferred,
                what,
                code,
            }
        })?;
        judge(response.status())
    }
}

impl Provider for WebPush {
    fn name(&self) -> &'static str {
        "web_push"
    }

    fn hand_over<'a>(&'a self, message: &'a StoredMessage, now: Timestamp) -> HandOver<'a> {
        Box::pin(self.post(message, now))
    }
}

/// Each server speaks for itself alone, so that none is ever "unavailable": that would leave all of them alone for a while.
fn judge(status: StatusCode) -> Result<(), Failure> {
    let (meaning, what) = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            (Meaning::Deferred, "the push service is busy")
        }
        _ if status.is_server_error() => (Meaning::Deferred, "the push service failed"),
        _ => (Meaning::Refused, "the push service refused the message"),
    };
    Err(Failure::new(meaning, what).with_code(status.as_u16()))
}

/// Resolves names, and forgets every address that is not public: a name that leads into our own network leads nowhere.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|it| is_public_address(it.ip())).collect();
            if public.is_empty() {
                return Err(Box::<dyn Error + Send + Sync>::from("no public address"));
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderMap;
    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::routing::post;
    use data_encoding::BASE64URL_NOPAD;
    use p256::SecretKey;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::delivery::message::Channel;
    use crate::delivery::provider::example;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn sender(endpoints: Endpoints) -> WebPush {
        let settings = WebPushSettings {
            contact: "mailto:ops@example.com".to_owned(),
        };
        let key = Arc::new(WebPushKey::from_bytes(&[7; 32]).unwrap());
        match endpoints {
            Endpoints::Public => WebPush::new(settings, key, &[], TIMEOUT).unwrap(),
            Endpoints::Any => {
                let client = http::builder(&[]).unwrap();
                WebPush::by(client, settings, key, endpoints, TIMEOUT).unwrap()
            }
        }
    }

    fn to(endpoint: &str) -> StoredMessage {
        let app = SecretKey::from_slice(&[9; 32]).unwrap().public_key();
        let subscription = serde_json::json!({"endpoint": endpoint, "keys": {
            "p256dh": BASE64URL_NOPAD.encode(&app.to_sec1_bytes()), "auth": BASE64URL_NOPAD.encode(&[5; 16]),
        }});
        example(Channel::Push, &subscription.to_string())
    }

    #[tokio::test]
    async fn a_push_service_gets_an_encrypted_message_that_says_whom_it_is_from() {
        let (sent, mut received) = mpsc::channel(1);
        let take = async |State(sent): State<mpsc::Sender<_>>, headers: HeaderMap, body: Bytes| {
            sent.send((headers, body)).await.unwrap();
            StatusCode::CREATED
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new().route("/push", post(take)).with_state(sent);
        let serving = tokio::spawn(async { axum::serve(listener, service).await });
        let message = to(&format!("{origin}/push"));
        let now = Timestamp::from_seconds(1_700_000_000);
        let sender = sender(Endpoints::Any);
        sender.hand_over(&message, now).await.unwrap();
        let (headers, body) = received.recv().await.unwrap();
        assert_eq!(headers["content-encoding"], "aes128gcm");
        assert_eq!(headers["ttl"], "120");
        let expected = sender
            .key
            .authorization(&origin, "mailto:ops@example.com", now);
        let token = |text: &str| text.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!(
            token(headers["authorization"].to_str().unwrap()),
            token(&expected)
        );
        assert_eq!(body.len(), 86 + message.message.body.len() + 1 + 16);
        serving.abort();
    }

    #[tokio::test]
    async fn nothing_that_is_not_public_is_called() {
        let sender = sender(Endpoints::Public);
        let now = Timestamp::from_seconds(1_700_000_000);
        let refused = sender.hand_over(&to("https://127.0.0.1/"), now).await;
        assert_eq!(refused.unwrap_err().meaning, Meaning::Refused);
        let name = PublicOnly.resolve("localhost".parse().unwrap()).await;
        let error = name.err().unwrap();
        assert_eq!(error.to_string(), "no public address");
    }

    #[test]
    fn a_subscription_that_is_gone_is_refused_for_good_and_no_server_speaks_for_the_others() {
        for (status, meaning) in [
            (404, Meaning::Refused),
            (410, Meaning::Refused),
            (413, Meaning::Refused),
            (301, Meaning::Refused),
            (429, Meaning::Deferred),
            (503, Meaning::Deferred),
        ] {
            let failure = judge(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(failure.meaning, meaning, "{status}");
        }
        assert_eq!(judge(StatusCode::CREATED), Ok(()));
    }
}
