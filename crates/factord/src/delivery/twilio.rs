//! Text messages and calls by Twilio's API, or another gateway that has its shape.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha1::Sha1;
use url::{Url, form_urlencoded};

use super::http;
use super::message::Channel;
use super::provider::{Failure, HandOver, Meaning, Provider};
use super::settings::SetupError;
use crate::clock::Timestamp;
use crate::store::StoredMessage;

/// The account at the gateway.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// The account's SID.
    pub account_sid: String,
    /// The account's token, which also signs what the gateway sends us.
    pub auth_token: SecretString,
    /// Whom messages and calls are from.
    pub from: Caller,
    /// The number that calls show, E.164; without one it makes none.
    pub call_from: Option<String>,
    /// The gateway: HTTPS, or HTTP on loopback.
    pub base_url: Url,
}

/// Whom messages and calls are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A number (E.164), a short code or a name.
    Sender(String),
    /// A messaging service, which picks the number.
    MessagingService(String),
}

/// A gateway in Twilio's shape.
pub struct Twilio {
    http: Client,
    settings: TwilioSettings,
}

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall<'a> {
    /// The number that is rung, E.164.
    pub to: &'a str,
    /// The number that it shows, E.164.
    pub from: &'a str,
    /// Where the gateway asks what it shall say: POST, answered with TwiML.
    pub url: &'a Url,
    /// Where the gateway tells that the call has ended, and how.
    pub status_callback: &'a Url,
}

impl Twilio {
    /// A gateway, which trusts the system's authorities and `roots`.
    ///
    /// # Errors
    /// [`SetupError`] if TLS cannot be set up.
    pub fn new(
        settings: TwilioSettings,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, SetupError> {
        let http = http::client(&settings.base_url, roots)?;
        Ok(Self { http, settings })
    }

    /// Has a call made and gives its SID, by which the status callback names it. Whoever calls ends it when it takes
    /// too long.
    ///
    /// # Errors
    /// [`Failure`] as for a message.
    pub async fn call(&self, call: &NewCall<'_>) -> Result<String, Failure> {
        let response = self
            .post(
                "Calls.json",
                &[
                    ("To", call.to),
                    ("From", call.from),
                    ("Url", call.url.as_str()),
                    ("StatusCallback", call.status_callback.as_str()),
                ],
            )
            .await?;
        let body = http::short_body(response).await.unwrap_or_default();
        let created: Created = serde_json::from_slice(&body)
            .map_err(|_| Failure::new(Meaning::Unavailable, "an answer without a SID"))?;
        Ok(created.sid)
    }

    /// Has the call of a message made: what is said in it the gateway asks at the message's link.
    async fn ring(&self, message: &StoredMessage) -> Result<(), Failure> {
        let no_call = || Failure::new(Meaning::Refused, "a call without a number or a link");
        let link = message.message.link.as_deref().ok_or_else(no_call)?;
        let from = self.settings.call_from.as_deref().ok_or_else(no_call)?;
        let url = Url::parse(link).map_err(|_| no_call())?;
        let status = Url::parse(&format!("{link}/status")).map_err(|_| no_call())?;
        let call = NewCall {
            to: &message.message.to,
            from,
            url: &url,
            status_callback: &status,
        };
        self.call(&call).await.map(drop)
    }

    async fn text(&self, message: &StoredMessage, now: Timestamp) -> Result<(), Failure> {
        // How long it may wait in the gateway's own queue: Twilio takes 1 second to 10 hours.
        let left = message.message.expires_at.since(now).clamp(1, 36_000);
        let from = match &self.settings.from {
            Caller::Sender(sender) => ("From", sender.as_str()),
            Caller::MessagingService(sid) => ("MessagingServiceSid", sid.as_str()),
        };
        self.post(
            "Messages.json",
            &[
                ("To", &message.message.to),
                from,
                ("Body", &message.message.body),
                ("ValidityPeriod", &left.to_string()),
            ],
        )
        .await?;
        Ok(())
    }

    async fn post(&self, resource: &str, form: &[(&str, &str)]) -> Result<Response, Failure> {
        let mut url = self.settings.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::new(Meaning::Unavailable, "base_url is no HTTP URL"))?
            .pop_if_empty()
            .extend([
                "2010-04-01",
                "Accounts",
                &self.settings.account_sid,
                resource,
            ]);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let response = self
            .http
            .post(url)
            .basic_auth(
                &self.settings.account_sid,
                Some(self.settings.auth_token.expose_secret()),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form)
            .send()
            .await
            .map_err(http::unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response).await)
    }
}

impl Provider for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn hand_over<'a>(&'a self, message: &'a StoredMessage, now: Timestamp) -> HandOver<'a> {
        Box::pin(async move {
            match message.message.channel {
                Channel::Voice => self.ring(message).await,
                _ => self.text(message, now).await,
            }
        })
    }
}

/// Whether a request is Twilio's: `X-Twilio-Signature` is the base64 of HMAC-SHA1 by the account's token, of the URL
/// as Twilio was given it with the names and values of the form behind it, sorted by name. Compares in constant time.
pub fn verify_signature(
    auth_token: &SecretString,
    url: &str,
    params: &[(&str, &str)],
    signature: &str,
) -> bool {
    let Ok(signature) = BASE64.decode(signature.as_bytes()) else {
        return false;
    };
    let mut params = params.to_vec();
    params.sort_unstable();
    // Twilio's own libraries take a value once that a name has twice.
    params.dedup();
    let Ok(mut mac) =
        <Hmac<Sha1> as KeyInit>::new_from_slice(auth_token.expose_secret().as_bytes())
    else {
        return false;
    };
    mac.update(url.as_bytes());
    for (name, value) in params {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac.verify_slice(&signature).is_ok()
}

#[derive(Deserialize)]
struct Created {
    sid: String,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<u32>,
}

/// What a refusal means. Twilio's code says more than the status; of its text nothing is kept, since it holds the number.
async fn refused(response: Response) -> Failure {
    let status = response.status();
    let body = http::short_body(response).await.unwrap_or_default();
    let code = serde_json::from_slice(&body)
        .ok()
        .and_then(|refusal: Refusal| refusal.code);
    classify(status, code)
}

fn classify(status: StatusCode, code: Option<u32>) -> Failure {
    let (meaning, what) = match (status, code) {
        (StatusCode::BAD_REQUEST, Some(code)) if ABOUT_THE_RECIPIENT.contains(&code) => {
            (Meaning::Refused, "the recipient was refused")
        }
        (StatusCode::BAD_REQUEST, _) => (Meaning::Deferred, "the message was not taken"),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => (
            Meaning::Unavailable,
            "the gateway does not take account_sid or auth_token",
        ),
        (StatusCode::TOO_MANY_REQUESTS, _) => (Meaning::Unavailable, "too many requests"),
        _ => (Meaning::Unavailable, "the gateway failed"),
    };
    let code = code.unwrap_or_else(|| status.as_u16().into());
    Failure::new(meaning, what).with_code(code)
}

/// Twilio's codes that say that no message will ever reach this number from this account: invalid or incomplete number
/// (13224, 21211, 21214, 21217), a country that the account does not write to or call (13227, 21215, 21408), unreachable
/// by the sender (21612), not a mobile (21614), stopped by its owner (21610).
const ABOUT_THE_RECIPIENT: [u32; 10] = [
    13_224, 13_227, 21_211, 21_214, 21_215, 21_217, 21_408, 21_610, 21_612, 21_614,
];

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Computed by Python: `base64.b64encode(hmac.new(token, url + name + value + …, hashlib.sha1).digest())`.
    const URL: &str = "https://mfa.example.com/voice/gather?call=7f&x=a+b";
    const PARAMS: [(&str, &str); 4] = [
        ("To", "+12025550123"),
        ("CallSid", "CA1234567890ABCDE"),
        ("Digits", "12 34&é"),
        ("CallStatus", "in-progress"),
    ];
    const SIGNATURE: &str = "ZaPReQqHvSk1rTgL/pAuwICPyTU=";
    const WITHOUT_PARAMS: &str = "/VecNiSLYTMRbKx8MFlmQcgXnvE=";

    fn token() -> SecretString {
        "0123456789abcdef0123456789abcdef".into()
    }

    #[test]
    fn a_signature_that_python_computed_is_accepted() {
        assert!(verify_signature(&token(), URL, &PARAMS, SIGNATURE));
        assert!(verify_signature(&token(), URL, &[], WITHOUT_PARAMS));
    }

    #[test]
    fn the_order_of_the_parameters_makes_no_difference_nor_does_one_that_comes_twice() {
        let mut params = PARAMS.to_vec();
        params.reverse();
        params.push(params[0]);
        assert!(verify_signature(&token(), URL, &params, SIGNATURE));
    }

    #[test]
    fn a_signature_holds_for_nothing_else() {
        let http = URL.replace("https", "http");
        let mut digits = PARAMS;
        digits[2].1 = "12 35&é";
        let more = [&PARAMS[..], &[("Extra", "1")]].concat();
        let other: SecretString = "another token".into();
        assert!(!verify_signature(&token(), &http, &PARAMS, SIGNATURE));
        assert!(!verify_signature(&token(), URL, &digits, SIGNATURE));
        assert!(!verify_signature(&token(), URL, &PARAMS[..3], SIGNATURE));
        assert!(!verify_signature(&token(), URL, &more, SIGNATURE));
        assert!(!verify_signature(&other, URL, &PARAMS, SIGNATURE));
        for signature in ["", "=", "not base64", WITHOUT_PARAMS, &SIGNATURE[..8]] {
            assert!(!verify_signature(&token(), URL, &PARAMS, signature));
        }
    }

    #[test]
    fn a_code_that_is_about_the_number_is_for_good_and_the_account_s_own_trouble_is_not() {
        for (status, code, meaning) in [
            (400, Some(21_211), Meaning::Refused),
            (400, Some(21_610), Meaning::Refused),
            (400, Some(21_606), Meaning::Deferred),
            (400, None, Meaning::Deferred),
            (401, Some(20_003), Meaning::Unavailable),
            (404, Some(20_404), Meaning::Unavailable),
            (429, Some(20_429), Meaning::Unavailable),
            (500, Some(21_211), Meaning::Unavailable),
            (302, None, Meaning::Unavailable),
        ] {
            let failure = classify(StatusCode::from_u16(status).unwrap(), code);
            assert_eq!(failure.meaning, meaning, "{status} {code:?}");
        }
    }

    #[tokio::test]
    async fn a_call_is_created_with_the_pages_that_the_gateway_shall_ask() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = format!("http://{}/gateway/", listener.local_addr().unwrap());
        let heard = tokio::spawn(answer_once(listener));
        let settings = TwilioSettings {
            account_sid: "AC1".to_owned(),
            auth_token: token(),
            from: Caller::MessagingService("MG1".to_owned()),
            call_from: Some("+12025550100".to_owned()),
            base_url: gateway.parse().unwrap(),
        };
        let call = NewCall {
            to: "+12025550123",
            from: "+12025550100",
            url: &"https://mfa.example.com/voice?call=7&x=1".parse().unwrap(),
            status_callback: &"https://mfa.example.com/voice/status".parse().unwrap(),
        };
        let sid = Twilio::new(settings, &[]).unwrap().call(&call).await;
        assert_eq!(sid.as_deref(), Ok("CA7"));
        let request = heard.await.unwrap();
        assert!(
            request.starts_with("POST /gateway/2010-04-01/Accounts/AC1/Calls.json HTTP/1.1\r\n")
        );
        let form = request.rsplit("\r\n").next().unwrap();
        let fields: Vec<_> = form_urlencoded::parse(form.as_bytes()).collect();
        let expected = [
            ("To", "+12025550123"),
            ("From", "+12025550100"),
            ("Url", "https://mfa.example.com/voice?call=7&x=1"),
            ("StatusCallback", "https://mfa.example.com/voice/status"),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }

    /// Hears one request to its end and answers as Twilio does to a new call.
    async fn answer_once(listener: TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        while !heard.ends_with("status") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            heard.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        let body = r#"{"sid": "CA7", "status": "queued"}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        heard
    }
}
