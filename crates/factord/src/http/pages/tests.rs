//! The pages in every language, as a browser gets them.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::texts::PageTexts;
use crate::factor::webauthn::soft_key::SoftKey;
use crate::http::tests::{Answer, Client, Person, Server, WEBAUTHN};
use crate::messages::language::Language;

const ORIGIN: &str = "http://localhost:8080";
const MAGIC_LINK: i64 = 58_962;

/// The page is in this language, and nothing that it says is in another.
fn is_in(page: &Answer, language: Language, texts: &[&str]) {
    let tag = format!("<html lang=\"{}\">", language.tag());
    assert!(page.text.contains(&tag), "{}", page.text);
    for text in texts {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    for other in Language::ALL.into_iter().filter(|it| *it != language) {
        for (name, text) in PageTexts::of(other).all() {
            for words in text.split(['{', '}']).filter(|it| it.len() > 12) {
                assert!(!page.text.contains(words), "{name}: {}", page.text);
            }
        }
    }
}

/// Opens a page by a browser that asks for this language.
async fn open(server: &Server, path: &str, accepted: &str) -> Answer {
    let request = Request::get(path)
        .header("host", "localhost:8080")
        .header("accept-language", accepted);
    server.send(request.body(Body::empty()).unwrap()).await
}

async fn person_in<'a>(admin: &'a Client<'a>, language: Language) -> Person<'a> {
    let person = admin.person().await;
    let locale = json!({"preferred_locale_code": language.voice_tag()});
    assert_eq!(person.update(locale).await.status, 200);
    person
}

#[tokio::test]
async fn the_pages_of_a_link_are_in_the_users_language_whatever_the_browsers() {
    let server = Server::new();
    let admin = server.admin().await;
    for language in Language::ALL {
        let person = person_in(&admin, language).await;
        let texts = PageTexts::of(language);
        let body = json!({"factor_id": MAGIC_LINK, "display_name": "<i>{time}"});
        assert_eq!(person.post("/registrations", body).await.status, 201);
        server.deliver().await;
        let outbox = admin.get("/dev/outbox?kind=link").await.body;
        let link = outbox[0]["link"].as_str().unwrap();
        let link = link.strip_prefix(ORIGIN).unwrap();
        let page = open(&server, link, "it, nl;q=0.5").await;
        assert_eq!(page.status, 200);
        let said = [texts.is_this_you, texts.link_button, texts.link_warning];
        is_in(&page, language, &said);
        let values = [
            "<b>factord</b>",
            " (<b>&#60;i&#62;{time}</b>)",
            "<time>2023-11-14T22:13:20Z</time>",
        ];
        is_in(&page, language, &values);

        let pressed = admin.raw("POST", link, None, Body::empty()).await;
        assert_eq!(pressed.status, 200);
        is_in(&pressed, language, &[texts.thank_you, texts.confirmed]);
        let again = admin.raw("POST", link, None, Body::empty()).await;
        assert_eq!(again.status, 410);
        is_in(&again, language, &[texts.gone, texts.gone_explained]);
    }
}

#[tokio::test]
async fn the_pages_of_a_key_and_what_their_script_says_are_in_the_users_language() {
    let server = Server::new();
    let admin = server.admin().await;
    for language in Language::ALL {
        let person = person_in(&admin, language).await;
        let texts = PageTexts::of(language);
        let made = person.register(WEBAUTHN).await;
        let data = &made.body["factor_data"];
        let link = data["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
        let failed = format!("data-failed=\"{}\"", texts.key_failed);
        let over = format!("data-over=\"{}\"", texts.key_over);
        let unable = format!("data-unable=\"{}\"", texts.key_unable);
        let common = [
            &failed,
            &over,
            &unable,
            texts.key_needs_script,
            texts.key_warning,
        ];
        let page = open(&server, link, "it").await;
        is_in(&page, language, &common);
        let done = format!("data-done=\"{}\"", texts.key_added);
        is_in(&page, language, &[texts.add_key, &done]);

        let credential = SoftKey::new(ORIGIN).create(&data["public_key"]);
        let tail = format!("/registrations/{}", made.id());
        let device: Value = person
            .put(&tail, json!({"credential": credential}))
            .await
            .body["device_id"]
            .clone();
        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/"});
        let made = person.post("/verifications", asked).await;
        let page = open(&server, &format!("/verify/{}", made.id()), "it").await;
        is_in(&page, language, &common);
        let done = format!("data-done=\"{}\"", texts.taken_back);
        is_in(
            &page,
            language,
            &[texts.use_key, texts.use_key_button, &done],
        );
    }
}

#[tokio::test]
async fn a_link_that_never_was_is_answered_in_the_browsers_language_or_in_the_default() {
    let server = Server::with_core(|core| core.texts.default_language = Language::French);
    for path in ["/link/x/y", "/enrol/x", "/verify/x"] {
        for (accepted, language) in Language::ALL
            .map(|it| (it.voice_tag(), it))
            .into_iter()
            .chain([
                ("it, *", Language::French),
                ("\"><script>", Language::French),
            ])
        {
            let page = open(&server, path, accepted).await;
            assert_eq!(page.status, 410);
            let texts = PageTexts::of(language);
            is_in(&page, language, &[texts.gone, texts.gone_explained]);
            assert!(!page.text.contains("script"), "{}", page.text);
        }
    }
}
