//! Who sends messages, as an operator writes it.

use crate::crypto::keys::{Keys, MasterKey};
use secrecy::ExposeSecret;

use crate::config::tests::{Files, MINIMAL, variables};
use crate::config::{Config, ConfigError, Loaded};
use crate::delivery::message::Channel;
use crate::delivery::settings::Via;
use crate::delivery::twilio::Caller;

#[test]
fn nobody_sends_unless_it_is_said_who() {
    let delivery = load("", &[]).unwrap().config.delivery;
    assert!(delivery.channels().is_empty());
    assert!(delivery.smtp.is_none() && delivery.twilio.is_none() && delivery.webhook.is_none());
}

#[test]
fn every_provider_is_set_up_from_the_file_and_its_secret_from_a_variable() {
    let Loaded { config, warnings } = load(COMPLETE, SECRETS).unwrap();
    let delivery = config.delivery;
    assert_eq!(delivery.sms, [Via::Twilio, Via::Webhook]);
    assert_eq!(delivery.email, [Via::Smtp, Via::Webhook]);
    assert_eq!(delivery.voice, [Via::Twilio, Via::Webhook]);
    let channels = [Channel::Sms, Channel::Voice, Channel::Email];
    assert_eq!(delivery.channels(), channels);
    let keys = delivery.callback_keys();
    let secrets = [keys.twilio, keys.webhook].map(|key| key.unwrap().expose_secret().to_owned());
    assert_eq!(secrets, ["hush two", "hush hush hush hush hush hush hush"]);
    let smtp = delivery.smtp.as_ref().unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port), ("smtp.example.com", 587));
    assert_eq!(smtp.from.to_string(), "Größe <codes@example.com>");
    let (username, password) = smtp.login.as_ref().unwrap();
    assert_eq!(
        (username.as_str(), password.expose_secret()),
        ("codes", "hush one")
    );
    let twilio = delivery.twilio.as_ref().unwrap();
    assert_eq!(twilio.auth_token.expose_secret(), "hush two");
    assert_eq!(twilio.from, Caller::Sender("+12025550100".to_owned()));
    assert_eq!(twilio.call_from.as_deref(), Some("+12025550100"));
    let webhook = delivery.webhook.as_ref().unwrap();
    assert_eq!(webhook.url.as_str(), "http://127.0.0.1:9/take?x=1");
    assert!(!format!("{delivery:?}").contains("hush"));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn calls_need_a_number_and_only_who_calls_is_believed() {
    let service = "delivery.twilio.from = 'MG0123456789abcdef0123456789abcdef'";
    let error = load(&format!("{COMPLETE}\n{service}"), SECRETS).unwrap_err();
    let [problem] = &error.problems[..] else {
        panic!("{error}")
    };
    assert_eq!(problem.key, "delivery.twilio.call_from");
    for number in ["+12025550101", "12025550101", "Example"] {
        let text = format!("{COMPLETE}\n{service}\ndelivery.twilio.call_from = '{number}'");
        let twilio = load(&text, SECRETS).map(|loaded| loaded.config.delivery.twilio);
        match number.strip_prefix('+') {
            Some(_) => assert_eq!(twilio.unwrap().unwrap().call_from.as_deref(), Some(number)),
            None => assert!(twilio.is_err(), "{number}"),
        }
    }
    let by_webhook = format!("{COMPLETE}\n{service}\ndelivery.voice = ['webhook']");
    let keys = load(&by_webhook, SECRETS).unwrap().config.delivery;
    let keys = keys.callback_keys();
    assert!(keys.twilio.is_none() && keys.webhook.is_some());
}

#[tokio::test]
async fn a_sender_is_made_of_the_settings() {
    let delivery = load(COMPLETE, SECRETS).unwrap().config.delivery;
    let clock = std::sync::Arc::new(crate::clock::SystemClock::default());
    let keys = Keys::derive(&MasterKey::generate(&mut crate::clock::system_rng()));
    delivery.sender(clock, &keys).unwrap();
}

#[test]
fn a_secret_in_a_file_is_read_without_its_line_end_and_a_variable_beats_it() {
    for (environment, expected) in [(&SECRETS[1..], "from a file"), (SECRETS, "hush one")] {
        let files = Files::new("");
        let path = files.write("password", "from a file\n", 0o600);
        let text = format!("{COMPLETE}\ndelivery.smtp.password_file = '{path}'\n");
        let delivery = load_in(&files, &text, environment).unwrap().config.delivery;
        let (_, password) = delivery.smtp.unwrap().login.unwrap();
        assert_eq!(password.expose_secret(), expected);
    }
}

#[test]
fn a_secret_that_others_may_read_is_refused_and_so_is_one_that_is_none() {
    for (text, mode, reason) in [
        ("hush hush", 0o640, "is open to other users"),
        ("", 0o600, "fewer than 1 characters"),
        ("hush\nhush", 0o600, "more than one line"),
    ] {
        let files = Files::new("");
        let path = files.write("password", text, mode);
        let text = format!("{COMPLETE}\ndelivery.smtp.password_file = '{path}'\n");
        let error = load_in(&files, &text, &SECRETS[1..])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("delivery.smtp.password_file: ") && error.contains(reason),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn whoever_is_named_must_be_set_up_and_everything_that_is_missing_is_said_at_once() {
    let error = load(
        "delivery.sms = ['twilio', 'webhook']\ndelivery.email = ['smtp']",
        &[],
    )
    .unwrap_err();
    let keys: Vec<_> = error
        .problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    let expected = [
        "delivery.smtp.host",
        "delivery.smtp.from",
        "delivery.twilio.account_sid",
        "delivery.twilio.from",
        "delivery.twilio.auth_token_file",
        "delivery.webhook.url",
        "delivery.webhook.secret_file",
    ];
    assert_eq!(keys, expected);
    assert!(
        error
            .to_string()
            .contains("or put it into FACTORD_DELIVERY_TWILIO_AUTH_TOKEN")
    );
}

#[test]
fn whoever_is_set_up_but_not_named_is_warned_about() {
    let warnings = load("delivery.smtp.host = 'smtp.example.com'", &[])
        .unwrap()
        .warnings;
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(
        warning.ends_with("name \"smtp\" in delivery.email"),
        "{warning}"
    );
}

#[test]
fn authorities_come_from_a_file_with_at_least_one_certificate() {
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (pem, right) in [
        (authority.cert.pem(), true),
        ("no certificate".to_owned(), false),
        (String::new(), false),
    ] {
        let files = Files::new("");
        let path = files.write("authorities.pem", &pem, 0o644);
        let loaded = load_in(&files, &format!("delivery.ca_file = '{path}'"), &[]);
        assert_eq!(loaded.is_ok(), right, "{loaded:?}");
    }
}

#[test]
fn every_wrong_value_is_named_with_what_is_expected() {
    for (line, key, reason) in WRONG {
        let error = load(&format!("{COMPLETE}\n{line}"), SECRETS)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("\n  {key}")) && error.contains(reason),
            "{line} gave {error}"
        );
    }
}

/// Loads a minimal configuration with `text` in addition; a key that comes twice is taken from the later line.
fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded<Config>, ConfigError> {
    load_in(&Files::new(""), text, environment)
}

fn load_in(
    files: &Files,
    text: &str,
    environment: &[(&str, &str)],
) -> Result<Loaded<Config>, ConfigError> {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        let key = |line: &str| line.split('=').next().map(str::to_owned);
        lines.retain(|earlier| key(earlier) != key(line));
        lines.push(line);
    }
    let minimal = MINIMAL.replace("KEY", &files.key_path());
    files.write(
        "factord.toml",
        &format!("{minimal}{}\n", lines.join("\n")),
        0o600,
    );
    let mut sources = files.sources();
    sources.environment = variables(environment);
    Config::load(&sources)
}

const COMPLETE: &str = "\
delivery.sms = ['twilio', 'webhook']
delivery.voice = ['twilio', 'webhook']
delivery.email = ['smtp', 'webhook']
delivery.smtp.host = 'smtp.example.com'
delivery.smtp.username = 'codes'
delivery.smtp.from = 'Größe <codes@example.com>'
delivery.twilio.account_sid = 'AC0123456789abcdef0123456789abcdef'
delivery.twilio.from = '+12025550100'
delivery.webhook.url = 'http://127.0.0.1:9/take?x=1'";
const SECRETS: &[(&str, &str)] = &[
    ("FACTORD_DELIVERY_SMTP_PASSWORD", "hush one"),
    ("FACTORD_DELIVERY_TWILIO_AUTH_TOKEN", "hush two"),
    (
        "FACTORD_DELIVERY_WEBHOOK_SECRET",
        "hush hush hush hush hush hush hush",
    ),
];
/// A line, how the problem begins, and what it says.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "delivery.sms = ['smtp']",
        "delivery.sms (in ",
        "expected `twilio` or `webhook`",
    ),
    (
        "delivery.email = ['smpt']",
        "delivery.email (in ",
        "expected `smtp` or `webhook`",
    ),
    (
        "delivery.email = ['smtp', 'smtp']",
        "delivery.email: ",
        "names one twice",
    ),
    (
        "delivery.timeout = 0",
        "delivery.timeout (in ",
        "0 is outside 1 to 60",
    ),
    (
        "delivery.breaker_failures = 101",
        "delivery.breaker_failures (in ",
        "outside 1 to 100",
    ),
    (
        "delivery.smtp.hots = 'x'",
        "delivery.smtp.hots (in ",
        "did you mean delivery.smtp.host?",
    ),
    (
        "delivery.smtp.host = 'smtp.example.com:587'",
        "delivery.smtp.host (in ",
        "is not the name of a server",
    ),
    (
        "delivery.smtp.port = 65536",
        "delivery.smtp.port (in ",
        "outside 1 to 65535",
    ),
    (
        "delivery.smtp.security = 'tls'",
        "delivery.smtp.security (in ",
        "expected one of `starttls`, `implicit`, `none`",
    ),
    (
        "delivery.smtp.security = 'none'",
        "delivery.smtp.security: ",
        "everybody in between",
    ),
    (
        "delivery.smtp.from = 'codes'",
        "delivery.smtp.from (in ",
        "is not an address",
    ),
    (
        "delivery.smtp.from = 'a@b.example, c@d.example'",
        "delivery.smtp.from (in ",
        "is not an address",
    ),
    (
        "delivery.twilio.account_sid = '../x'",
        "delivery.twilio.account_sid (in ",
        "is not an account SID",
    ),
    (
        "delivery.twilio.from = '+1'",
        "delivery.twilio.from (in ",
        "is neither a number",
    ),
    (
        "delivery.twilio.base_url = 'http://api.twilio.com'",
        "delivery.twilio.base_url (in ",
        "is not an HTTPS URL",
    ),
    (
        "delivery.webhook.url = 'https://me:pw@example.com'",
        "delivery.webhook.url (in ",
        "without user, password",
    ),
    (
        "delivery.ca_file = 'nowhere.pem'",
        "delivery.ca_file: ",
        "cannot be read",
    ),
];
