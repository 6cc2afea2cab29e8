//! From the tables to settings: what is needed is there, secrets are read, and what is wrong is collected.

use std::time::Duration;

use secrecy::SecretString;

use super::{DeliveryTable, SmtpTable, TwilioTable, WebhookTable};
use crate::config::resolving::Resolving;
use crate::config::secrets::{SMTP_PASSWORD, TWILIO_TOKEN, WEBHOOK_SECRET};
use crate::config::values::{FromAddress, HostName};
use crate::config::{Problem, Sources};
use crate::delivery::router::BreakerSettings;
use crate::delivery::settings::{DeliverySettings, Via};
use crate::delivery::smtp::{Security, SmtpSettings};
use crate::delivery::twilio::TwilioSettings;
use crate::delivery::webhook::WebhookSettings;

impl DeliveryTable {
    /// The settings, with the secrets that they need; those that are wrong are not to be used.
    pub(in crate::config) fn resolve(&self, sources: &Sources) -> (DeliverySettings, Vec<Problem>) {
        let mut resolving = Resolving::of(sources);
        let (sms, email) = self.chains();
        names_each_once(&mut resolving, "delivery.sms", &sms);
        names_each_once(&mut resolving, "delivery.email", &email);
        let named = |via| sms.contains(&via) || email.contains(&via);
        let seconds = |number: u32| Duration::from_secs(number.into());
        let settings = DeliverySettings {
            smtp: named(Via::Smtp)
                .then(|| self.smtp.resolve(&mut resolving))
                .flatten(),
            twilio: named(Via::Twilio)
                .then(|| self.twilio.resolve(&mut resolving))
                .flatten(),
            webhook: named(Via::Webhook)
                .then(|| self.webhook.resolve(&mut resolving))
                .flatten(),
            authorities: resolving.authorities("delivery.ca_file", self.ca_file.as_deref()),
            sms,
            email,
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
    fn resolve(&self, resolving: &mut Resolving<'_>) -> Option<TwilioSettings> {
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
        let auth_token = resolving.needed_secret(&TWILIO_TOKEN, self.auth_token_file.as_deref());
        Some(TwilioSettings {
            account_sid: sid?.0.clone(),
            auth_token: auth_token?,
            from: from?.0.clone(),
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

fn names_each_once(resolving: &mut Resolving<'_>, key: &str, chain: &[Via]) {
    if (1..chain.len()).any(|place| chain[..place].contains(&chain[place])) {
        resolving.refuse(key, "it names one twice; each is asked once");
    }
}
