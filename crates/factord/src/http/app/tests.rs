//! The app's protocol by an app in a few lines, whose signatures are written by hand from the documentation.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use crate::factor::protect::subscription::Endpoints;
use crate::http::tests::{Answer, Client, PROTECT, Person, Server};

/// An app on somebody's phone.
struct Phone<'a> {
    client: &'a Client<'a>,
    key: SigningKey,
    user: String,
    device: String,
}

impl<'a> Phone<'a> {
    fn new(client: &'a Client<'a>, seed: u8) -> Self {
        Self {
            client,
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            user: String::new(),
            device: String::new(),
        }
    }

    /// An app that is activated for this person.
    async fn of(client: &'a Client<'a>, person: &Person<'_>, seed: u8) -> Self {
        let mut phone = Self::new(client, seed);
        let code = person.register(PROTECT).await.body["factor_data"]["verification_token"].clone();
        let answer = phone.activate(json!({"code": code})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        phone.user = answer.body["user_id"].as_str().unwrap().to_owned();
        phone.device = answer.body["device_id"].as_str().unwrap().to_owned();
        phone
    }

    fn public_key(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        let part = |from: usize| BASE64URL_NOPAD.encode(&point.as_bytes()[from..from + 32]);
        json!({"kty": "EC", "crv": "P-256", "x": part(1), "y": part(33)})
    }

    async fn activate(&self, mut body: Value) -> Answer {
        if body.get("public_key").is_none() {
            body["public_key"] = self.public_key();
        }
        self.client.post("/app/v1/activations", body).await
    }

    fn sign(&self, parts: &[&str]) -> String {
        let netstring = |part: &&str| format!("{}:{part},", part.len());
        let text = parts.iter().map(netstring).collect::<Vec<_>>().concat();
        let signature: Signature = self.key.sign(text.as_bytes());
        BASE64URL_NOPAD.encode(&signature.to_bytes())
    }

    async fn now(&self) -> String {
        let service = self.client.get("/app/v1/service").await.body;
        service["at"].as_str().unwrap().to_owned()
    }

    async fn list_at(&self, at: &str, wait: u64) -> Answer {
        let signature = self.sign(&["factord app v1 list", &self.user, &self.device, at]);
        let asked = json!({
            "user_id": self.user, "device_id": self.device, "at": at, "wait": wait, "signature": signature
        });
        self.client.post("/app/v1/pending", asked).await
    }

    async fn list(&self, wait: u64) -> Value {
        let answer = self.list_at(&self.now().await, wait).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["verifications"].clone()
    }

    async fn say(&self, shown: &Value, decision: &str, number: &str) -> Answer {
        let text = |name: &str| shown[name].as_str().unwrap();
        let signature = self.sign(&[
            "factord app v1 answer",
            text("id"),
            &self.user,
            &self.device,
            text("service_name"),
            text("at"),
            text("message"),
            number,
            decision,
        ]);
        let answer = json!({
            "user_id": self.user, "verification_id": shown["id"], "decision": decision, "number": number,
            "signature": signature
        });
        self.client.post("/app/v1/answers", answer).await
    }
}

async fn challenge(person: &Person<'_>, phone: &Phone<'_>, mut body: Value) -> Answer {
    body["device_id"] = phone.device.clone().into();
    let made = person.post("/verifications", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made
}

#[tokio::test]
async fn an_app_is_activated_sees_a_login_and_approves_it() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let made = person.register(PROTECT).await;
    let tail = format!("/registrations/{}", made.id());
    assert_eq!(
        person.get(&tail).await.body["factor_data"],
        made.body["factor_data"]
    );
    person
        .put(&tail, json!({"otp": "123456"}))
        .await
        .refused_as_polled();
    let phone = Phone::of(&app, &person, 1).await;
    assert_eq!(person.get(&tail).await.body["status"], "rejected");
    let devices = person.get("/devices").await.body;
    assert_eq!(devices[0]["auth_factor_name"], "OneLogin");

    assert_eq!(phone.list(0).await, json!([]));
    let asked = json!({"display_name": "the wiki", "number_matching": true});
    let made = challenge(&person, &phone, asked).await;
    let number = made.body["factor_data"]["number"].as_str().unwrap();
    let pending = phone.list(0).await;
    assert_eq!(
        pending,
        json!([{
            "id": made.id(), "service_name": "factord", "at": "2023-11-14T22:13:20Z",
            "expires_at": "2023-11-14T22:15:20Z", "message": "the wiki", "number_digits": 2
        }])
    );
    let tail = format!("/verifications/{}", made.id());
    assert_eq!(person.get(&tail).await.body["status"], "pending");
    person.put(&tail, json!({})).await.refused_as_polled();
    let said = phone.say(&pending[0], "approve", number).await;
    assert_eq!(
        (said.status, &said.body["status"]),
        (200, &json!("accepted"))
    );
    assert_eq!(person.get(&tail).await.body["status"], "accepted");
    phone.say(&pending[0], "approve", number).await.wrong_code();
    assert_eq!(phone.list(0).await, json!([]));

    let made = challenge(&person, &phone, json!({})).await;
    let pending = phone.list(0).await;
    let said = phone.say(&pending[0], "deny", "").await;
    assert_eq!((said.status, &said.body["status"]), (200, &json!("denied")));
    let tail = format!("/verifications/{}", made.id());
    let ended = person.get(&tail).await.body;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("rejected"), &json!("denied"))
    );
}

#[tokio::test]
async fn a_code_that_is_wrong_used_or_old_is_a_401_and_a_bad_value_uses_nothing_up() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let phone = Phone::new(&app, 1);
    let code = person.register(PROTECT).await.body["factor_data"]["verification_token"].clone();
    let not_a_point = json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"});
    let subscription = |endpoint: &str, auth: &str| {
        json!({"endpoint": endpoint, "keys": {"auth": auth,
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"}})
    };
    let auth = "BTBZMqHH6r4Tts7J_aSIgg";
    for (field, value) in [
        ("public_key", json!("AAAA")),
        ("public_key", not_a_point),
        ("name", json!("")),
        ("name", json!("a\nb")),
        (
            "push_subscription",
            subscription("https://127.0.0.1/", auth),
        ),
        (
            "push_subscription",
            subscription("http://push.example.com/", auth),
        ),
        (
            "push_subscription",
            subscription("https://push.example.com/", "AAAA"),
        ),
    ] {
        let mut body = json!({"code": code});
        body[field] = value;
        phone.activate(body).await.invalid(&[field]);
    }
    phone
        .activate(json!({}))
        .await
        .bad_request("code is required");
    phone
        .activate(json!({"code": "AAAA-BBBB"}))
        .await
        .wrong_code();
    assert_eq!(phone.activate(json!({"code": code})).await.status, 201);
    for _ in 0..2 {
        phone.activate(json!({"code": code})).await.wrong_code();
    }
    let events = admin.get("/dev/events").await.body;
    assert_eq!(
        (&events[0]["reason"], &events[0]["count"]),
        (&json!("used"), &json!(2))
    );
    let other = admin.person().await;
    let code = other.register(PROTECT).await.body["factor_data"]["verification_token"].clone();
    server.advance(120);
    phone.activate(json!({"code": code})).await.wrong_code();
}

#[tokio::test]
async fn a_listing_is_for_its_own_device_now() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let (person, other) = (admin.person().await, admin.person().await);
    let phone = Phone::of(&app, &person, 1).await;
    let stranger = Phone::of(&app, &other, 2).await;
    challenge(&person, &phone, json!({})).await;
    assert_eq!(stranger.list(0).await, json!([]));
    let now = phone.now().await;
    let named = |user: &Phone<'_>, device: &Phone<'_>, key| Phone {
        client: &app,
        key: SigningKey::from_slice(&[key; 32]).unwrap(),
        user: user.user.clone(),
        device: device.device.clone(),
    };
    for wrong in [
        named(&phone, &phone, 2),
        named(&phone, &stranger, 1),
        named(&stranger, &phone, 1),
    ] {
        wrong.list_at(&now, 25).await.wrong_code();
    }
    for nobody in ["99999", "0"] {
        let nobody = Phone {
            user: nobody.to_owned(),
            ..named(&phone, &phone, 1)
        };
        nobody.list_at(&now, 0).await.wrong_code();
    }
    phone.list_at(&now, 26).await.invalid(&["wait"]);
    phone.list_at("yesterday", 0).await.invalid(&["at"]);
    assert_eq!(phone.list_at(&now, 0).await.status, 200);
    server.advance(301);
    phone.list_at(&now, 0).await.wrong_code();
}

#[tokio::test]
async fn another_users_key_and_another_users_login_are_refused_and_audited() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let (person, other) = (admin.person().await, admin.person().await);
    let phone = Phone::of(&app, &person, 1).await;
    let stranger = Phone::of(&app, &other, 2).await;
    let made = challenge(&person, &phone, json!({})).await;
    let pending = phone.list(0).await;
    stranger.say(&pending[0], "approve", "").await.wrong_code();
    let pretender = Phone {
        client: &app,
        key: SigningKey::from_slice(&[2; 32]).unwrap(),
        user: phone.user.clone(),
        device: phone.device.clone(),
    };
    pretender.say(&pending[0], "approve", "").await.wrong_code();
    let events = admin
        .get(&format!("/dev/events?user_id={}", person.id))
        .await;
    assert_eq!(events.body[0]["reason"], "forged");
    let tail = format!("/verifications/{}", made.id());
    assert_eq!(person.get(&tail).await.body["status"], "pending");
    assert_eq!(phone.say(&pending[0], "approve", "").await.status, 200);
}

#[tokio::test]
async fn waiting_answers_as_soon_as_a_login_begins_and_a_newer_request_ends_the_older() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let phone = Phone::of(&app, &person, 1).await;
    let began = Instant::now();
    let (pending, made) = tokio::join!(phone.list(25), challenge(&person, &phone, json!({})));
    assert_eq!(pending[0]["id"], made.id());
    assert_eq!(phone.say(&pending[0], "deny", "").await.status, 200);
    let ended = tokio::select! {
        one = phone.list(25) => one,
        other = phone.list(25) => other,
    };
    assert_eq!(ended, json!([]));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_person_who_is_worn_down_is_left_in_peace() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let phone = Phone::of(&app, &person, 1).await;
    for _ in 0..3 {
        challenge(&person, &phone, json!({})).await;
        let pending = phone.list(0).await;
        assert_eq!(phone.say(&pending[0], "deny", "").await.status, 200);
    }
    let asked = json!({"device_id": phone.device});
    let refused = person.post("/verifications", asked).await;
    let message = "Too many pushes were denied or left unanswered: none is sent for a while";
    refused.refused(403, "ForbiddenAction", message);
    assert_eq!(refused.header("retry-after"), Some("900"));
    let events = admin.get("/dev/events").await.body;
    let has_alarm = |it: &Value| it["action"] == "raise_alarm" && it["reason"] == "fatigue";
    assert!(events.as_array().unwrap().iter().any(has_alarm));
}

#[tokio::test]
async fn an_app_that_has_subscribed_is_woken_up_and_no_login_ends_because_it_was_not() {
    let server = Server::with_core(|core| {
        core.push = Some(Endpoints::Any);
    });
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let service = app.get("/app/v1/service").await.body;
    let key = service["web_push_key"].as_str().unwrap();
    assert_eq!(BASE64URL_NOPAD.decode(key.as_bytes()).unwrap().len(), 65);
    let mut phone = Phone::new(&app, 1);
    let code = person.register(PROTECT).await.body["factor_data"]["verification_token"].clone();
    let activated = phone
        .activate(json!({"code": code, "push_subscription": {
            "endpoint": "http://localhost:9/push", "expirationTime": null, "keys": {
                "p256dh": key, "auth": "BTBZMqHH6r4Tts7J_aSIgg"
            }
        }}))
        .await;
    phone.user = activated.body["user_id"].as_str().unwrap().to_owned();
    phone.device = activated.body["device_id"].as_str().unwrap().to_owned();
    let made = challenge(&person, &phone, json!({"number_matching": true})).await;
    server.deliver().await;
    let outbox = admin.get("/dev/outbox").await.body;
    assert_eq!(outbox[0]["channel"], "push");
    let body: Value = serde_json::from_str(outbox[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "title": "factord: is it you?", "body": "Somebody asks to sign in. Approve only if it is you.",
            "verification_id": made.id(), "user_id": phone.user, "device_id": phone.device,
            "expires_at": made.body["expires_at"]
        })
    );
    let users = server
        .store
        .load(person.id.to_string().parse().unwrap(), None);
    let user = users.await.unwrap().unwrap().user;
    let kept = serde_json::to_string(&user.mfa).unwrap();
    assert!(!kept.contains("localhost:9") && !kept.contains("BTBZMqHH6r4Tts7J_aSIgg"));
}

/// What a browser does with the page of a verification: it keeps the cookie.
struct Browser<'a> {
    client: &'a Client<'a>,
    path: String,
    cookie: Option<String>,
}

impl Browser<'_> {
    async fn press(&mut self) -> Answer {
        let request = http::Request::post(&self.path)
            .header("host", "localhost:8080")
            .header("content-type", "application/x-www-form-urlencoded");
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", format!("a=b; {cookie}")),
            None => request,
        };
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = self.client.server.send(request).await;
        if let Some(cookie) = answer.header("set-cookie") {
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            assert_eq!(
                attributes,
                format!("Path={}; HttpOnly; SameSite=Strict", self.path)
            );
            self.cookie = Some(pair.to_owned());
        }
        answer
    }
}

fn number_on(page: &Answer) -> &str {
    assert_eq!(page.status, 200, "{}", page.text);
    let (_, rest) = page.text.split_once(r#"<p class="number">"#).unwrap();
    rest.split_once('<').unwrap().0
}

#[tokio::test]
async fn a_number_on_a_page_is_typed_into_the_app_and_the_browser_takes_the_code_back() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let phone = Phone::of(&app, &person, 1).await;
    let asked = json!({
        "number_matching": true, "redirect_to": "http://localhost:3000/in?a=b", "display_name": "<b>wiki</b>"
    });
    let made = challenge(&person, &phone, asked).await;
    assert_eq!(made.body.get("factor_data"), None);
    let tail = format!("/verifications/{}", made.id());
    person
        .put(&tail, json!({}))
        .await
        .bad_request("otp is required");
    let browser = |cookie: Option<&str>| Browser {
        client: &app,
        path: format!("/verify/{}", made.id()),
        cookie: cookie.map(str::to_owned),
    };
    let mut here = browser(None);
    for _ in 0..2 {
        let page = app.get(&here.path).await;
        assert!(page.status == 200 && page.text.contains("Show the number"));
        assert!(page.text.contains("&#60;b&#62;wiki"), "{}", page.text);
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    let page = here.press().await;
    let number = number_on(&page).to_owned();
    assert_eq!(number_on(&here.press().await), number);
    for cookie in [None, Some("factord_page=0"), Some("factord_page=")] {
        let page = browser(cookie).press().await;
        assert!(page.status == 409 && page.text.contains("open elsewhere"));
        assert_eq!(page.header("set-cookie"), None);
    }
    assert_eq!(app.get(&here.path).await.status, 409);

    let pending = phone.list(0).await;
    let said = phone.say(&pending[0], "approve", &number).await;
    assert_eq!(said.body["status"], "approved");
    assert_eq!(person.get(&tail).await.body["status"], "pending");
    assert_eq!(browser(None).press().await.status, 409);
    let back = here.press().await;
    let start = format!(
        "0; url=http://localhost:3000/in?a=b&verification_id={}&otp=",
        made.id()
    );
    let target = back.header("refresh").unwrap();
    let otp = target.strip_prefix(&start).unwrap().to_owned();
    assert_eq!(person.get(&tail).await.body["status"], "pending");
    assert_eq!(here.press().await.status, 410);
    person.put(&tail, json!({"otp": otp})).await.accepted();
    assert_eq!(app.get(&here.path).await.status, 410);
}

/// The attack that the page is made against: whoever began the login sends the link to its victim, who opens it, presses
/// and approves.
#[tokio::test]
async fn a_link_that_is_sent_to_a_victim_finishes_nothing_for_whoever_sent_it() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let victim = admin.person().await;
    let phone = Phone::of(&app, &victim, 1).await;
    let asked = json!({"number_matching": true, "redirect_to": "http://localhost:3000/in"});
    let made = challenge(&victim, &phone, asked).await;
    let path = format!("/verify/{}", made.id());
    let browser = || Browser {
        client: &app,
        path: path.clone(),
        cookie: None,
    };
    let (mut victims, mut attackers) = (browser(), browser());
    let number = number_on(&victims.press().await).to_owned();
    let pending = phone.list(0).await;
    phone.say(&pending[0], "approve", &number).await;
    let tail = format!("/verifications/{}", made.id());
    // The attacker's browser gets no code, and neither polling nor guessing finishes the login.
    let page = attackers.press().await;
    assert_eq!((page.status, page.header("refresh")), (409, None));
    assert_eq!(victim.get(&tail).await.body["status"], "pending");
    victim.put(&tail, json!({"otp": number})).await.wrong_code();
    // The code goes to the victim's browser, whose session at the caller is another.
    assert!(victims.press().await.header("refresh").is_some());
    assert_eq!(victim.get(&tail).await.body["status"], "pending");
    server.advance(120);
    assert_eq!(victim.get(&tail).await.body["status"], "rejected");
}

#[tokio::test]
async fn a_page_of_nothing_of_another_factor_or_of_what_has_ended_is_gone() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    let person = admin.person().await;
    let phone = Phone::of(&app, &person, 1).await;
    let plain = challenge(&person, &phone, json!({})).await;
    let asked = json!({"number_matching": true, "redirect_to": "http://localhost:3000/"});
    let denied = challenge(&person, &phone, asked).await;
    let pending = phone.list(0).await;
    phone.say(&pending[1], "deny", "").await;
    for id in ["x", crate::http::tests::NO_ID, plain.id(), denied.id()] {
        let path = format!("/verify/{id}");
        assert_eq!(app.get(&path).await.status, 410, "{id}");
        let mut browser = Browser {
            client: &app,
            path,
            cookie: None,
        };
        assert_eq!(browser.press().await.status, 410, "{id}");
    }
}

#[tokio::test]
async fn the_page_of_a_push_is_in_the_users_language() {
    let server = Server::new();
    let (admin, app) = (server.admin().await, server.client_by(""));
    for (locale, button, typed, gone) in [
        (
            "en-GB",
            "Show the number",
            "I have typed it",
            "does not work any more",
        ),
        (
            "de-AT",
            "Zahl anzeigen",
            "Ich habe sie eingegeben",
            "funktioniert nicht mehr",
        ),
        (
            "fr",
            "Afficher le nombre",
            "Je l’ai saisi",
            "ne fonctionne plus",
        ),
        (
            "es_MX",
            "Mostrar el número",
            "Ya lo he escrito",
            "ya no funciona",
        ),
        ("ja", "数字を表示", "入力しました", "無効になりました"),
    ] {
        let person = admin.person().await;
        person
            .update(json!({"preferred_locale_code": locale}))
            .await;
        let phone = Phone::of(&app, &person, 1).await;
        let asked = json!({"number_matching": true, "redirect_to": "http://localhost:3000/in"});
        let made = challenge(&person, &phone, asked).await;
        let mut browser = Browser {
            client: &app,
            path: format!("/verify/{}", made.id()),
            cookie: None,
        };
        let says = |page: &Answer, text: &str| {
            let html = format!("<html lang=\"{}\">", &locale[..2]);
            assert!(page.text.contains(&html), "{}", page.text);
            assert!(page.text.contains(text), "{}", page.text);
        };
        says(&app.get(&browser.path).await, button);
        says(&browser.press().await, typed);
        server.advance(120);
        says(&app.get(&browser.path).await, gone);
    }
}
