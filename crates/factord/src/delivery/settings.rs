//! By whom messages are sent: the providers that an operator has set up, and their order on each channel.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::callback::CallbackKeys;
use super::dispatcher::Sender;
use super::message::Channel;
use super::provider::Provider;
use super::router::{BreakerSettings, Guarded, Router};
use super::smtp::{Smtp, SmtpSettings};
use super::twilio::{Twilio, TwilioSettings};
use super::web_push::{WebPush, WebPushSettings};
use super::webhook::{Webhook, WebhookSettings};
use crate::clock::Clock;
use crate::crypto::keys::Keys;

/// By whom messages are sent.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Who sends text messages: the first, then the fallbacks. Whoever is named here is set up below.
    pub sms: Vec<Via>,
    /// Who calls.
    pub voice: Vec<Via>,
    /// Who sends e-mails.
    pub email: Vec<Via>,
    /// Who wakes apps up.
    pub push: Vec<Via>,
    /// The mail server.
    pub smtp: Option<SmtpSettings>,
    /// The gateway in Twilio's shape.
    pub twilio: Option<TwilioSettings>,
    /// The operator's own webhook.
    pub webhook: Option<WebhookSettings>,
    /// The push services that apps subscribe at.
    pub web_push: Option<WebPushSettings>,
    /// Certificates of authorities that are trusted besides the system's, PEM; may be empty.
    pub authorities: Vec<u8>,
    /// How long one provider may take for one message.
    pub timeout: Duration,
    /// When a provider is left alone, and for how long.
    pub breaker: BreakerSettings,
}

/// A provider by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The mail server.
    Smtp,
    /// The gateway in Twilio's shape.
    Twilio,
    /// The operator's own webhook.
    Webhook,
    /// The push services that apps subscribe at.
    WebPush,
}

/// A provider cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("delivery cannot be set up: {0}")]
pub struct SetupError(pub(super) String);

impl DeliverySettings {
    /// The channels that somebody sends by.
    pub fn channels(&self) -> Vec<Channel> {
        let chains = [
            (Channel::Sms, &self.sms),
            (Channel::Voice, &self.voice),
            (Channel::Email, &self.email),
            (Channel::Push, &self.push),
        ];
        chains
            .into_iter()
            .filter(|(_, chain)| !chain.is_empty())
            .map(|(channel, _)| channel)
            .collect()
    }

    /// By what the gateways that call are known when they report of a call.
    pub fn callback_keys(&self) -> CallbackKeys {
        let calls = |via| self.voice.contains(&via);
        let twilio = self.twilio.as_ref().filter(|_| calls(Via::Twilio));
        let webhook = self.webhook.as_ref().filter(|_| calls(Via::Webhook));
        CallbackKeys {
            twilio: twilio.map(|settings| settings.auth_token.clone()),
            webhook: webhook.map(|settings| settings.secret.clone()),
        }
    }

    /// Whoever sends by these settings; push services know it by the key among `keys`.
    ///
    /// # Errors
    /// [`SetupError`] if a provider cannot be set up.
    pub fn sender(
        &self,
        clock: Arc<dyn Clock>,
        keys: &Keys,
    ) -> Result<Arc<dyn Sender>, SetupError> {
        let roots = certificates(&self.authorities)?;
        let mut providers = HashMap::new();
        let mut add = |via, provider: Box<dyn Provider>| {
            providers.insert(via, Arc::new(Guarded::new(provider, self.breaker)));
        };
        if let Some(settings) = self.smtp.clone() {
            add(Via::Smtp, Box::new(Smtp::new(settings, &self.authorities)?));
        }
        if let Some(settings) = self.twilio.clone() {
            add(Via::Twilio, Box::new(Twilio::new(settings, &roots)?));
        }
        if let Some(settings) = self.webhook.clone() {
            add(Via::Webhook, Box::new(Webhook::new(settings, &roots)?));
        }
        if let Some(settings) = self.web_push.clone() {
            let key = Arc::clone(keys.web_push());
            let sender = WebPush::new(settings, key, &roots, self.timeout)?;
            add(Via::WebPush, Box::new(sender));
        }
        let chain = |names: &[Via]| {
            names
                .iter()
                .filter_map(|via| providers.get(via).cloned())
                .collect()
        };
        let chains = HashMap::from([
            (Channel::Sms, chain(&self.sms)),
            (Channel::Voice, chain(&self.voice)),
            (Channel::Email, chain(&self.email)),
            (Channel::Push, chain(&self.push)),
        ]);
        Ok(Arc::new(Router::new(chains, clock, self.timeout)))
    }
}

/// The certificates in a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| SetupError(format!("authorities: {error}")))
}
