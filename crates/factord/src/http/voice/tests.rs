use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::delivery::callback::CallbackKeys;
use crate::http::tests::{Answer, Person, Server, newest_event, other};

const VOICE: i64 = 58_960;
const BASE: &str = "http://localhost:8080";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "a secret of more than thirty-two characters";

fn server() -> Server {
    Server::with(None, |state| {
        state.gateways = CallbackKeys {
            twilio: Some(TOKEN.into()),
            webhook: Some(SECRET.into()),
        };
    })
}

/// The path of the newest call's link.
async fn ring(server: &Server) -> String {
    server.deliver().await;
    let outbox = server.client_by("").get("/dev/outbox").await.body;
    assert_eq!(
        (&outbox[0]["channel"], &outbox[0]["code"]),
        (&json!("voice"), &Value::Null)
    );
    let link = outbox[0]["link"].as_str().unwrap();
    link.strip_prefix(BASE).unwrap().to_owned()
}

fn told(made: &Answer) -> String {
    let code = &made.body["factor_data"]["verification_token"];
    code.as_str().unwrap().to_owned()
}

async fn post(server: &Server, path: &str, headers: &[(&str, String)], body: String) -> Answer {
    let mut request = Request::post(path).header("host", "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    server.send(request.body(body.into()).unwrap()).await
}

/// A form as Twilio signs it, for `signed`, sent to `path`. The fields are sorted by name.
async fn twilio_as(server: &Server, signed: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{BASE}{signed}").as_bytes());
    for (name, value) in form {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let headers = [
        ("x-twilio-signature", signature),
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
    ];
    post(server, path, &headers, body).await
}

async fn twilio(server: &Server, path: &str, form: &[(&str, &str)]) -> Answer {
    twilio_as(server, path, path, form).await
}

async fn types(server: &Server, link: &str, digits: &str) -> Answer {
    let form = [
        ("CallSid", "CA1"),
        ("Digits", digits),
        ("From", "+12025550100"),
    ];
    twilio(server, &format!("{link}/digits"), &form).await
}

async fn ends(server: &Server, link: &str, status: &str) -> Answer {
    let form = [("CallSid", "CA1"), ("CallStatus", status)];
    twilio(server, &format!("{link}/status"), &form).await
}

async fn webhook_at(server: &Server, seconds: i64, path: &str, body: Value) -> Answer {
    let (time, body) = (seconds.to_string(), body.to_string());
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{time}.{BASE}{path}.{body}").as_bytes());
    let signature = format!("v1={}", HEXLOWER.encode(&mac.finalize().into_bytes()));
    let headers = [
        ("factord-signature", signature),
        ("factord-timestamp", time),
        ("content-type", "application/json".to_owned()),
    ];
    post(server, path, &headers, body).await
}

async fn webhook(server: &Server, path: &str, body: Value) -> Answer {
    webhook_at(server, server.store.now().seconds(), path, body).await
}

/// A new verification: the tail of its path, its code, and the path of the call's link.
async fn challenge(server: &Server, person: &Person<'_>) -> (String, String, String) {
    let device = match person.get("/devices").await.body[0]["device_id"].as_str() {
        Some(device) => device.to_owned(),
        None => person.enrol(VOICE).await,
    };
    let made = person
        .post("/verifications", json!({"device_id": device}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let tail = format!("/verifications/{}", made.id());
    (tail, told(&made), ring(server).await)
}

async fn stands(person: &Person<'_>, tail: &str) -> (String, Option<String>) {
    let body = person.get(tail).await.body;
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    (text("status").unwrap(), text("reason"))
}

fn pending() -> (String, Option<String>) {
    ("pending".to_owned(), None)
}

fn rejected(reason: Option<&str>) -> (String, Option<String>) {
    ("rejected".to_owned(), reason.map(str::to_owned))
}

#[tokio::test]
async fn a_call_enrols_by_what_is_typed_on_the_phone_and_by_nothing_else() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let made = person.register(VOICE).await;
    let (tail, code) = (format!("/registrations/{}", made.id()), told(&made));
    let link = ring(&server).await;
    assert_eq!(told(&person.get(&tail).await), code);
    let page = twilio(
        &server,
        &link,
        &[("CallSid", "CA1"), ("CallStatus", "in-progress")],
    )
    .await;
    assert_eq!(
        page.header("content-type"),
        Some("application/xml; charset=utf-8")
    );
    let start = r##"<?xml version="1.0" encoding="UTF-8"?>
<Response><Gather input="dtmf" numDigits="6" finishOnKey="#" timeout="15" method="POST" action=""##;
    let rest = page.text.strip_prefix(start).unwrap();
    let expected = format!(
        r#"{BASE}{link}/digits"><Say language="en-US">This is factord. Please type the code that is shown to you, then press the hash key. If you did not ask for this call, hang up.</Say></Gather><Say language="en-US">Goodbye.</Say><Hangup/></Response>"#
    );
    assert_eq!(rest.trim_end(), expected);
    assert!(!page.text.contains(&code));

    person
        .put(&tail, json!({"otp": code}))
        .await
        .refused_as_polled();
    assert_eq!(stands(&person, &tail).await, pending());
    let again = types(&server, &link, &other(&code)).await.text;
    assert!(again.contains("<Gather") && again.contains("That is not the code. Please try again."));
    let done = types(&server, &link, &code).await.text;
    assert!(done.contains("Thank you") && done.contains("Goodbye.") && !done.contains("<Gather"));
    assert_eq!(stands(&person, &tail).await, ("accepted".to_owned(), None));
    assert_eq!(person.get(&tail).await.body.get("factor_data"), None);
    // That the call is over afterwards says nothing new, and is no refusal.
    assert_eq!(ends(&server, &link, "completed").await.status, 204);
    let event = newest_event(&admin, &person).await;
    assert_eq!(
        (&event["action"], &event["outcome"]),
        (&json!("confirm_registration"), &json!("success"))
    );
}

#[tokio::test]
async fn a_verification_waits_for_the_phone_and_a_put_with_the_code_is_a_wrong_code() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    person.put(&tail, json!({"otp": code})).await.wrong_code();
    person.put(&tail, json!({})).await.refused_as_polled();
    assert_eq!(stands(&person, &tail).await, pending());
    let done = types(&server, &link, &code).await;
    assert!(done.text.contains("Thank you"));
    assert_eq!(stands(&person, &tail).await, ("accepted".to_owned(), None));
    let late = types(&server, &link, &code).await;
    assert!(
        late.status == 200 && !late.text.contains("Thank you") && late.text.contains("Goodbye")
    );
    assert_eq!(newest_event(&admin, &person).await["reason"], "finished");
    let greeted = twilio(&server, &link, &[]).await.text;
    assert!(!greeted.contains("<Gather") && greeted.contains("<Hangup/>"));
}

#[tokio::test]
async fn three_wrong_codes_reject_and_say_goodbye() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    for _ in 0..2 {
        let again = types(&server, &link, &other(&code)).await.text;
        assert!(again.contains("<Gather"));
    }
    let last = types(&server, &link, &other(&code)).await.text;
    assert!(!last.contains("<Gather") && last.contains("Goodbye"));
    assert_eq!(stands(&person, &tail).await, rejected(None));
    types(&server, &link, &code).await;
    assert_eq!(stands(&person, &tail).await, rejected(None));
}

#[tokio::test]
async fn how_a_call_ended_is_what_the_caller_reads() {
    for (status, reason) in [
        ("completed", Some("hung_up")),
        ("busy", Some("no_answer")),
        ("no-answer", Some("no_answer")),
        ("failed", Some("no_answer")),
        ("canceled", Some("no_answer")),
        ("ringing", None),
        ("in-progress", None),
        ("", None),
    ] {
        let server = server();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code, link) = challenge(&server, &person).await;
        assert_eq!(ends(&server, &link, status).await.status, 204);
        let Some(reason) = reason else {
            assert_eq!(stands(&person, &tail).await, pending(), "{status}");
            continue;
        };
        assert_eq!(
            stands(&person, &tail).await,
            rejected(Some(reason)),
            "{status}"
        );
        assert_eq!(newest_event(&admin, &person).await["reason"], reason);
        types(&server, &link, &code).await;
        assert_eq!(stands(&person, &tail).await, rejected(Some(reason)));
    }
}

#[tokio::test]
async fn digits_after_the_time_is_up_are_refused_and_audited() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    server.advance(120);
    assert!(!twilio(&server, &link, &[]).await.text.contains("<Gather"));
    let late = types(&server, &link, &code).await.text;
    assert!(!late.contains("Thank you") && late.contains("<Hangup/>"));
    assert_eq!(stands(&person, &tail).await, rejected(Some("expired")));
    assert_eq!(newest_event(&admin, &person).await["reason"], "expired");
}

#[tokio::test]
async fn what_is_not_signed_as_it_must_be_changes_nothing_tells_nothing_and_is_audited() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    let digits = format!("{link}/digits");
    let form = [("Digits", code.as_str())];
    let plain = |body: String, headers: Vec<(&'static str, String)>| {
        let (server, digits) = (&server, &digits);
        async move { post(server, digits, &headers, body).await }
    };
    let now = server.store.now().seconds();
    let forged = [
        plain(format!("Digits={code}"), vec![]).await,
        plain(
            format!("Digits={code}"),
            vec![("x-twilio-signature", "bm90aGluZw==".to_owned())],
        )
        .await,
        // Signed for the greeting, for another host's name of the path, and without the digits.
        twilio_as(&server, &link, &digits, &form).await,
        twilio_as(&server, &format!("{digits}?x=1"), &digits, &form).await,
        plain(
            json!({"digits": code}).to_string(),
            vec![
                ("factord-signature", "v1=00".to_owned()),
                ("factord-timestamp", now.to_string()),
            ],
        )
        .await,
        webhook_at(&server, now - 301, &digits, json!({"digits": code})).await,
        webhook_at(&server, now + 301, &digits, json!({"digits": code})).await,
    ];
    for answer in forged {
        answer.refused(
            403,
            "ForbiddenAction",
            "The request is not signed by the gateway",
        );
        let event = newest_event(&admin, &person).await;
        assert_eq!(event["reason"], "not_signed");
        assert_eq!(event["action"], "complete_verification");
    }
    let unsigned_end = post(
        &server,
        &format!("{link}/status"),
        &[],
        "CallStatus=completed".to_owned(),
    )
    .await;
    assert_eq!(unsigned_end.status, 403);
    assert_eq!(stands(&person, &tail).await, pending());
    assert!(
        types(&server, &link, &code)
            .await
            .text
            .contains("Thank you")
    );
}

#[tokio::test]
async fn without_a_gateway_that_calls_nobody_s_word_is_taken() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    assert_eq!(types(&server, &link, &code).await.status, 403);
    let signed = webhook(&server, &format!("{link}/digits"), json!({"digits": code})).await;
    assert_eq!(signed.status, 403);
    assert_eq!(stands(&person, &tail).await, pending());
}

#[tokio::test]
async fn a_link_of_another_thing_another_user_or_nobody_does_nothing() {
    let server = server();
    let admin = server.admin().await;
    let (owner, stranger) = (admin.person().await, admin.person().await);
    let (theirs, code, link) = challenge(&server, &owner).await;
    let (tail, own, other_link) = challenge(&server, &stranger).await;
    let parts = |link: &str| -> (String, String) {
        let mut parts = link.rsplit('/').map(str::to_owned);
        let token = parts.next().unwrap();
        (parts.next().unwrap(), token)
    };
    let ((id, token), (other_id, _)) = (parts(&link), parts(&other_link));
    let zero = "0".repeat(64);
    for (wrong, digits) in [
        (format!("/voice/{other_id}/{token}"), own.as_str()),
        (format!("/voice/{id}/{zero}"), &code),
        (format!("/voice/x/{token}"), &code),
    ] {
        assert!(
            !twilio(&server, &wrong, &[]).await.text.contains("<Gather"),
            "{wrong}"
        );
        let said = types(&server, &wrong, digits).await;
        assert!(
            said.status == 200 && !said.text.contains("Thank you"),
            "{wrong}"
        );
        assert_eq!(ends(&server, &wrong, "completed").await.status, 204);
    }
    assert_eq!(stands(&owner, &theirs).await, pending());
    assert_eq!(stands(&stranger, &tail).await, pending());
}

#[tokio::test]
async fn a_webhook_speaks_json_and_is_answered_in_json() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, code, link) = challenge(&server, &person).await;
    let greeted = webhook(&server, &link, json!({})).await;
    assert_eq!(greeted.body["gather"], json!({"digits": 6, "seconds": 15}));
    assert_eq!(greeted.body["language"], "en-US");
    let wrong = json!({"digits": other(&code)});
    let again = webhook(&server, &format!("{link}/digits"), wrong).await;
    assert_eq!(
        again.body["say"],
        json!(["That is not the code. Please try again."])
    );
    assert!(!again.body["gather"].is_null());
    let done = webhook(&server, &format!("{link}/digits"), json!({"digits": code})).await;
    let expected = json!({
        "language": "en-US", "say": ["Thank you, the code is right.", "Goodbye."], "gather": null
    });
    assert_eq!((done.status, done.body), (200, expected));
    assert_eq!(stands(&person, &tail).await, ("accepted".to_owned(), None));

    let (tail, _, link) = challenge(&server, &person).await;
    let over = webhook(
        &server,
        &format!("{link}/status"),
        json!({"status": "no-answer"}),
    )
    .await;
    assert_eq!((over.status, over.text.as_str()), (204, ""));
    assert_eq!(stands(&person, &tail).await, rejected(Some("no_answer")));
}

#[tokio::test]
async fn a_signed_request_that_cannot_be_read_is_refused() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (tail, _, link) = challenge(&server, &person).await;
    for (end, field) in [("digits", "digits"), ("status", "status")] {
        let path = format!("{link}/{end}");
        twilio(&server, &path, &[("CallSid", "CA1")])
            .await
            .invalid(&[field]);
        webhook(&server, &path, json!({})).await.invalid(&[field]);
        let mistyped = webhook(&server, &path, json!({field: [1]})).await;
        assert_eq!(mistyped.status, 400);
    }
    assert_eq!(stands(&person, &tail).await, pending());
}

#[tokio::test]
async fn the_phone_speaks_the_user_s_language_and_what_is_said_is_escaped() {
    let server = Server::of_voice(|core| core.service_name = "A <B> & \"C\"".to_owned(), TOKEN);
    let admin = server.admin().await;
    let person = admin.person().await;
    let changed = person.update(json!({"preferred_locale_code": "de"})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let (_, _, link) = challenge(&server, &person).await;
    let page = twilio(&server, &link, &[]).await.text;
    assert!(
        page.contains(r#"<Say language="de-DE">Hier ist A &#60;B&#62; &#38; &#34;C&#34;."#),
        "{page}"
    );
}

#[tokio::test]
async fn in_dev_a_person_can_be_played() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let play = async |body: Value| {
        let newest = admin.get("/dev/outbox").await.body[0]["id"].clone();
        admin.post(&format!("/dev/voice/{newest}"), body).await
    };
    let made = person.register(VOICE).await;
    ring(&server).await;
    let code = told(&made);
    let heard = play(json!({})).await.body;
    assert!(
        heard["heard"]
            .as_str()
            .unwrap()
            .starts_with("This is factord.")
    );
    assert_eq!(heard["status"], "pending");
    let heard = play(json!({"digits": other(&code)})).await.body;
    let again = "That is not the code. Please try again.";
    assert_eq!(heard, json!({"heard": again, "status": "pending"}));
    let heard = play(json!({"digits": code})).await.body;
    let thanks = "Thank you, the code is right. Goodbye.";
    assert_eq!(heard, json!({"heard": thanks, "status": "accepted"}));

    let (tail, ..) = challenge(&server, &person).await;
    let heard = play(json!({"hang_up": true})).await.body;
    assert_eq!(heard, json!({"heard": "", "status": "rejected"}));
    assert_eq!(stands(&person, &tail).await, rejected(Some("hung_up")));
    play(json!({"hang_up": true, "digits": "1"}))
        .await
        .invalid(&["hang_up"]);
}

#[tokio::test]
async fn in_dev_only_a_call_can_be_answered() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    person.register(crate::http::tests::SMS).await;
    server.deliver().await;
    let newest = admin.get("/dev/outbox").await.body[0]["id"].clone();
    for id in [newest.to_string(), "999".to_owned(), "x".to_owned()] {
        admin
            .post(&format!("/dev/voice/{id}"), json!({}))
            .await
            .not_found();
    }
}
