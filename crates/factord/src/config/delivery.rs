//! The tables of `[delivery]`: who sends messages. What a provider lacks is a mistake only if a channel names it.

mod resolve;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Deserialize;

use super::values::{
    AccountSid, Contact, Endpoint, FromAddress, HostName, PhoneNumber, SenderId, Within,
};
use crate::delivery::settings::Via;
use crate::delivery::smtp::Security;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeliveryTable {
    sms: Vec<SmsVia>,
    voice: Vec<VoiceVia>,
    email: Vec<EmailVia>,
    push: Vec<PushVia>,
    timeout: Within<1, 60>,
    breaker_failures: Within<1, 100>,
    breaker_pause: Within<1, 3600>,
    ca_file: Option<PathBuf>,
    smtp: SmtpTable,
    twilio: TwilioTable,
    webhook: WebhookTable,
    web_push: WebPushTable,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SmtpTable {
    host: Option<HostName>,
    port: Option<Within<1, 65_535>>,
    security: Security,
    username: Option<String>,
    password_file: Option<PathBuf>,
    from: Option<FromAddress>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TwilioTable {
    account_sid: Option<AccountSid>,
    auth_token_file: Option<PathBuf>,
    from: Option<SenderId>,
    call_from: Option<PhoneNumber>,
    base_url: Endpoint,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhookTable {
    url: Option<Endpoint>,
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebPushTable {
    contact: Option<Contact>,
}

/// Who sends text messages, or calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SmsVia {
    Twilio,
    Webhook,
}

/// Who calls.
type VoiceVia = SmsVia;

/// Who sends e-mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EmailVia {
    Smtp,
    Webhook,
}

/// Who wakes apps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PushVia {
    WebPush,
}

impl Default for DeliveryTable {
    fn default() -> Self {
        Self {
            sms: Vec::new(),
            voice: Vec::new(),
            email: Vec::new(),
            push: Vec::new(),
            timeout: Within(10),
            breaker_failures: Within(5),
            breaker_pause: Within(30),
            ca_file: None,
            smtp: SmtpTable::default(),
            twilio: TwilioTable::default(),
            webhook: WebhookTable::default(),
            web_push: WebPushTable::default(),
        }
    }
}

impl Default for SmtpTable {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            security: Security::Starttls,
            username: None,
            password_file: None,
            from: None,
        }
    }
}

impl Default for TwilioTable {
    fn default() -> Self {
        Self {
            account_sid: None,
            auth_token_file: None,
            from: None,
            call_from: None,
            base_url: Endpoint::twilio(),
        }
    }
}

impl DeliveryTable {
    /// Sentences about providers that are set up for nothing.
    pub(super) fn warnings(&self) -> Vec<String> {
        let chains = self.chains();
        let set_up = [
            (
                "smtp",
                Via::Smtp,
                "delivery.email",
                self.smtp != SmtpTable::default(),
            ),
            (
                "twilio",
                Via::Twilio,
                "delivery.sms or delivery.voice",
                self.twilio != TwilioTable::default(),
            ),
            (
                "webhook",
                Via::Webhook,
                "delivery.sms, delivery.voice or delivery.email",
                self.webhook != WebhookTable::default(),
            ),
            (
                "web_push",
                Via::WebPush,
                "delivery.push",
                self.web_push != WebPushTable::default(),
            ),
        ];
        set_up
            .into_iter()
            .filter(|(_, via, _, set_up)| *set_up && !chains.name(*via))
            .map(|(name, _, key, _)| {
                format!(
                    "delivery.{name} is set up, but nothing is sent by it: name \"{name}\" in {key}"
                )
            })
            .collect()
    }

    fn chains(&self) -> Chains {
        let by_gateway = |via: &SmsVia| match via {
            SmsVia::Twilio => Via::Twilio,
            SmsVia::Webhook => Via::Webhook,
        };
        let by_mail = |via: &EmailVia| match via {
            EmailVia::Smtp => Via::Smtp,
            EmailVia::Webhook => Via::Webhook,
        };
        let by_push = |via: &PushVia| match via {
            PushVia::WebPush => Via::WebPush,
        };
        Chains {
            sms: self.sms.iter().map(by_gateway).collect(),
            voice: self.voice.iter().map(by_gateway).collect(),
            email: self.email.iter().map(by_mail).collect(),
            push: self.push.iter().map(by_push).collect(),
        }
    }
}

/// Who sends on each channel.
struct Chains {
    sms: Vec<Via>,
    voice: Vec<Via>,
    email: Vec<Via>,
    push: Vec<Via>,
}

impl Chains {
    fn name(&self, via: Via) -> bool {
        [&self.sms, &self.voice, &self.email, &self.push]
            .iter()
            .any(|chain| chain.contains(&via))
    }
}
