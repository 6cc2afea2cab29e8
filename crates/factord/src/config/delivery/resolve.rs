//! From the tables to settings: what is needed is there, secrets are read, and what is wrong is collected.

use std::time::Duration;

use secrecy::SecretString;

use super::{DeliveryTable, SmtpTable, TwilioTable, WebPushTable, WebhookTable};
use crate::config::resolving::Resolving;
use crate::config::secrets::{SMTP_PASSWORD, TWILIO_TOKEN, WEBHOOK_SECRET};
use crate::config::values::{Contact, FromAddress, HostName};
use crate::config::{Problem, Sources};
use crate::delivery::router::BreakerSettings;
use crate::delivery::settings::{DeliverySettings, Via};
use crate::delivery::smtp::{Security, SmtpSettings};
use crate::delivery::twilio::TwilioSettings;
use crate::delivery::web_push::WebPushSettings;
use crate::delivery::webhook::WebhookSettings;

impl DeliveryTable {
    /// The settings, with the secrets that they need; those that are wrong are not to be used.
    pub(in crate::config) fn resolve(&self, sources: &Sources) -> (DeliverySettings, Vec<Problem>) {
        let mut resolving = Resolving::of(sources);
        let chains = self.chains();
        names_each_once(&mut resolving, "delivery.sms", &chains.sms);
        names_each_once(&mut resolving, "delivery.voice", &chains.voice);
        names_each_once(&mut resolving, "delivery.email", &chains.email);
        names_each_once(&mut resolving, "delivery.push", &chains.push);
        let named = |via| chains.name(via);
        let calls = chains.voice.contains(&Via::Twilio);
        let seconds = |number: u32| Duration::from_secs(number.into());
        let settings = DeliverySettings {
            smtp: named(Via::Smtp)
                .then(|| self.smtp.resolve(&mut resolving))
                .flatten(),
            twilio: named(Via::Twilio)
                .then(|| self.twilio.resolve(&mut resolving, calls))
                .flatten(),
            webhook: named(Via::Webhook)
                .then(|| self.webhook.resolve(&mut resolving))
                .flatten(),
            web_push: named(Via::WebPush)
                .then(|| self.web_push.resolve(&mut resolving))
                .flatten(),
            authorities: resolving.authorities("delivery.ca_file", self.ca_file.as_deref()),
            sms: chains.sms,
            voice: chains.voice,
            email: chains.email,
            push: chains.push,
            timeout: seconds(self.timeout.number()),
            breaker: BreakerSettings {
                failures: self.breaker_failures.number(),
                pause: seconds(self.breaker_pause.number()),
            },
        };
        (settings, resolving.problems)
    }
}

impl SmtpTable {
    fn resolve(&self, resolving: &mut Resolving<'_>) -> Option<SmtpSettings> {
        let host = resolving.needed(
            "delivery.smtp.host",
            self.host.as_ref(),
            "Name the mail server",
        );
        let from = resolving.needed(
            "delivery.smtp.from",
            self.from.as_ref(),
            "Write whom e-mails are from",
        );
        let login = self.login(resolving);
        let (HostName(host), FromAddress(from)) = (host?, from?);
        if self.security == Security::None && !HostName(host.clone()).is_loopback() {
            resolving.refuse(
                "delivery.smtp.security",
                "\"none\" is for a server on this machine: everybody in between would read the codes",
            );
        }
        let port = self.port.map_or(self.security.usual_port(), |port| {
            u16::try_from(port.number()).unwrap_or_default()
        });
        Some(SmtpSettings {
            host: host.clone(),
            port,
            security: self.security,
            login,
            from: from.clone(),
        })
    }

    fn login(&self, resolving: &mut Resolving<'_>) -> Option<(String, SecretString)> {
        let password = resolving.secret(&SMTP_PASSWORD, self.password_file.as_deref());
        match (&self.username, password) {
            (Some(username), Some(password)) => Some((username.clone(), password)),
            (None, None) => None,
            (Some(_), None) => {
                resolving.miss(&SMTP_PASSWORD);
                None
            }
            (None, Some(_)) => {
                resolving.refuse(
                    "delivery.smtp.username",
                    "it is missing. Write whose password it is",
                );
                None
            }
        }
    }
}

impl TwilioTable {
    fn resolve(&self, resolving: &mut Resolving<'_>, calls: bool) -> Option<TwilioSettings> {
        let sid = resolving.needed(
            "delivery.twilio.account_sid",
            self.account_sid.as_ref(),
            "Write the account's SID",
        );
        let from = resolving.needed(
            "delivery.twilio.from",
            self.from.as_ref(),
            "Write the number or the messaging service that messages are from",
        );
        let call_from = self.call_from.as_ref().map(|number| number.0.clone());
        let call_from = call_from.or_else(|| from?.number());
        if calls && from.is_some() && call_from.is_none() {
            resolving.refuse(
                "delivery.twilio.call_from",
                "it is missing. Write the number that calls are from, since delivery.twilio.from is none",
            );
        }
        let auth_token = resolving.needed_secret(&TWILIO_TOKEN, self.auth_token_file.as_deref());
        Some(TwilioSettings {
            account_sid: sid?.0.clone(),
            auth_token: auth_token?,
            from: from?.0.clone(),
            call_from,
            base_url: self.base_url.0.clone(),
        })
    }
}

impl WebhookTable {
    fn resolve(&self, resolving: &mut Resolving<'_>) -> Option<WebhookSettings> {
        let url = resolving.needed(
            "delivery.webhook.url",
            self.url.as_ref(),
            "Write where messages are posted",
        );
        let secret = resolving.needed_secret(&WEBHOOK_SECRET, self.secret_file.as_deref());
        Some(WebhookSettings {
            url: url?.0.clone(),
            secret: secret?,
        })
    }
}

impl WebPushTable {
    fn resolve(&self, resolving: &mut Resolving<'_>) -> Option<WebPushSettings> {
        let contact = resolving.needed(
            "delivery.web_push.contact",
            self.contact.as_ref(),
            "Write where the operator of a push service can reach you, such as \"mailto:ops@example.com\"",
        );
        let Contact(contact) = contact?.clone();
        Some(WebPushSettings { contact })
    }
}

fn names_each_once(resolving: &mut Resolving<'_>, key: &str, chain: &[Via]) {
    if (1..chain.len()).any(|place| chain[..place].contains(&chain[place])) {
        resolving.refuse(key, "it names one twice; each is asked once");
    }
}
