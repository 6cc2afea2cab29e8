//! `/verify/{verification_id}`: where the person answers a challenge that no short code can answer. It never accepts the
//! verification: it gives the browser a one-time `otp` for whoever began it (contract, Hosted pages).

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use serde_json::Value;
use uuid::Uuid;

use super::asked::Asked;
use super::key::{self, KeyPage, Next};
use super::reader::visit;
use super::{gone, linked, push};
use crate::audit::{Action, Reason};
use crate::crypto::tokens::TokenHash;
use crate::factor::protect;
use crate::factor::webauthn;
use crate::http::App;
use crate::http::body::MediaType;
use crate::http::error::Error;
use crate::http::extract;
use crate::http::openapi::OnPage;
use crate::mfa::decision::Link;
use crate::mfa::ids::UserId;
use crate::mfa::noted::About;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{User, Verification};

/// The page on which a verification is answered
///
/// For a verification with a `redirect_to`, by a browser.
#[utoipa::path(
    get,
    path = "/verify/{verification_id}",
    operation_id = "verify_page",
    tag = "Pages",
    params(("verification_id" = String, Path, description = "The verification")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 409, description = "Another browser shows the page", body = String, content_type = "text/html"),
        (status = 410, description = "It is over, has no page or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn page(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let core = app.service.core();
    let (reader, user) = visit(&app, &core, link(&id), &headers).await?;
    let Some((user, verification)) = find(&app, user, &id) else {
        return gone(reader);
    };
    if is_push(&app, &verification) {
        return push::ask(&app, reader, user, &verification, &headers);
    }
    let Some(options) = webauthn::challenge(&verification) else {
        return gone(reader);
    };
    if app.dev.is_some() && is_elsewhere(&app, &headers) {
        let here = core.link(&format!("verify/{}", verification.id));
        return Ok(Redirect::temporary(&here).into_response());
    }
    let (sentence, name) = (
        reader.texts.use_key_asked,
        verification.display_name.as_deref(),
    );
    KeyPage {
        reader,
        title: reader.texts.use_key,
        asked: Asked::new(reader, sentence, name, verification.created_at),
        ceremony: "get",
        options: &options.read::<Value>().map_err(Refusal::Fault)?,
        button: reader.texts.use_key_button,
        done: reader.texts.taken_back,
    }
    .response()
}

/// Send what the key has signed
///
/// A key's answer is JSON, and so is what follows: it says where the browser goes: back to the caller, with the `otp` that completes the verification.
#[utoipa::path(
    post,
    path = "/verify/{verification_id}",
    operation_id = "verify_on_page",
    tag = "Pages",
    params(("verification_id" = String, Path, description = "The verification")),
    request_body(content((Value = "application/json"), (String = "application/x-www-form-urlencoded")), description = "The `PublicKeyCredential` in its JSON form, or the press of a button"),
    responses(
        (status = 200, description = "Where the browser goes, or the page as it stands now", content(
            (Next = "application/json", example = json!({
                "go_to": "https://app.example.com/in?verification_id=7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10&otp=kPxWqZ0n3vL1c5s7y9b2dA"
            })),
            (String = "text/html"),
        )),
        (status = 409, description = "Another browser shows the page", body = String, content_type = "text/html"),
        (status = 410, description = "It is over, has no page or never was, and a button was pressed", body = String, content_type = "text/html"),
        OnPage,
    ),
)]
pub(in crate::http) async fn finish(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    if MediaType::of(request.headers()) == MediaType::Form {
        let (core, headers) = (app.service.core(), request.headers());
        let (reader, user) = visit(&app, &core, link(&id), headers).await?;
        return match find(&app, user, &id) {
            Some((user, it)) if is_push(&app, &it) => {
                push::press(&app, reader, user, &it, headers).await
            }
            _ => gone(reader),
        };
    }
    let extract::Json(credential) = app.read_body(request).await?;
    let found = find(&app, linked(&app, link(&id)).await?, &id);
    let found = found.filter(|(_, verification)| webauthn::challenge(verification).is_some());
    let Some((user, verification)) = found else {
        if let Ok(id) = id.parse::<Uuid>() {
            let (link, about) = (Link::of_verification(id), About::Pending(id));
            app.note_refused(link, Action::CompleteVerification, about, Reason::Finished)
                .await?;
        }
        return Err(Refusal::NotFound.into());
    };
    let next = key::answer(&app, user, verification.id, credential).await?;
    Ok(next.into_response())
}

fn is_push(app: &App, verification: &Verification) -> bool {
    let core = app.service.core();
    let factor = core.catalogue.described(verification.factor_id);
    factor.is_some_and(|factor| factor.key == protect::KEY)
}

fn link(id: &str) -> Option<TokenHash> {
    id.parse().ok().map(Link::of_verification)
}

/// The pending verification that has a page at this id.
fn find(app: &App, user: Option<User>, id: &str) -> Option<(UserId, Verification)> {
    let (user, id) = (user?, id.parse::<Uuid>().ok()?);
    let now = app.service.store().now();
    let mut pending = user.mfa.verifications.into_iter();
    let found =
        pending.find(|pending| pending.id == id && pending.on_page && now < pending.expires_at);
    found.map(|verification| (user.id, verification))
}

/// Whether the browser came by another name than that which keys are bound to: in dev by an address.
fn is_elsewhere(app: &App, headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .map(|host| Authority::try_from(host.as_bytes()));
    let Some(Ok(host)) = host else { return false };
    app.service.core().public_url.host_str() != Some(host.host())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use serde_json::{Value, json};

    use crate::factor::webauthn::soft_key::SoftKey;
    use crate::http::tests::{NO_ID, Person, SMS, Server, WEBAUTHN, newest_event};

    const ORIGIN: &str = "http://localhost:8080";

    /// A user's key, and its device.
    async fn enrol(person: &Person<'_>) -> (SoftKey, Value) {
        let made = person.register(WEBAUTHN).await;
        let mut key = SoftKey::new(ORIGIN);
        let credential = key.create(&made.body["factor_data"]["public_key"]);
        let tail = format!("/registrations/{}", made.id());
        let done = person.put(&tail, json!({"credential": credential})).await;
        (key, done.body["device_id"].clone())
    }

    #[tokio::test]
    async fn the_page_takes_a_code_to_the_caller_who_completes_with_it_once() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, visitor) = (admin.person().await, server.client_by(""));
        let (mut key, device) = enrol(&person).await;
        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/in?a=b"});
        let made = person.post("/verifications", asked).await;
        let (tail, page) = (
            format!("/verifications/{}", made.id()),
            format!("/verify/{}", made.id()),
        );
        let shown = visitor.get(&page).await;
        assert!(
            shown.status == 200 && shown.text.contains("data-ceremony=\"get\""),
            "{}",
            shown.text
        );
        person
            .put(&tail, json!({}))
            .await
            .bad_request("otp is required");

        let options = &made.body["factor_data"]["public_key"];
        visitor
            .post(&page, SoftKey::new(ORIGIN).get(options))
            .await
            .wrong_code();
        let assertion = key.get(options);
        let answered = visitor.post(&page, assertion.clone()).await;
        let start = format!(
            "http://localhost:3000/in?a=b&verification_id={}&otp=",
            made.id()
        );
        let otp = answered.body["go_to"]
            .as_str()
            .unwrap()
            .strip_prefix(&start)
            .unwrap()
            .to_owned();
        assert_eq!(person.get(&tail).await.body["status"], "pending");
        visitor.post(&page, assertion.clone()).await.not_found();
        let event = newest_event(&admin, &person).await;
        assert_eq!(
            (&event["action"], &event["reason"], &event["device_id"]),
            (&json!("complete_verification"), &json!("finished"), &device)
        );
        assert_eq!(visitor.get(&page).await.status, 410);
        person
            .put(&tail, json!({"credential": assertion}))
            .await
            .wrong_code();

        let at_once = json!({"device_id": device, "otp": otp});
        person.post("/verifications", at_once).await.wrong_code();
        person.put(&tail, json!({"otp": otp})).await.accepted();
        person.put(&tail, json!({"otp": otp})).await.wrong_code();
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
    }

    #[tokio::test]
    async fn the_caller_sends_the_credential_itself_where_the_page_is_its_own() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, other) = (admin.person().await, admin.person().await);
        let (mut key, device) = enrol(&person).await;
        let (mut others, _) = enrol(&other).await;
        let made = person
            .post("/verifications", json!({"device_id": device}))
            .await;
        let tail = format!("/verifications/{}", made.id());
        let options = &made.body["factor_data"]["public_key"];
        person
            .put(&tail, json!({}))
            .await
            .bad_request("credential is required");
        person
            .put(&tail, json!({"credential": others.get(options)}))
            .await
            .wrong_code();
        let wrapped = json!({"credential": {"page": key.get(options)}});
        person.put(&tail, wrapped).await.wrong_code();
        let credential = key.get(options);
        other
            .put(&tail, json!({"credential": credential}))
            .await
            .not_found();
        let of_another = json!({"credential": credential, "device_id": "1"});
        person.put(&tail, of_another).await.invalid(&["device_id"]);
        person
            .put(&tail, json!({"credential": credential}))
            .await
            .accepted();
        person
            .put(&tail, json!({"credential": credential}))
            .await
            .wrong_code();
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
        let page = format!("/verify/{}", made.id());
        assert_eq!(server.client_by("").get(&page).await.status, 410);
    }

    #[tokio::test]
    async fn a_temporary_token_stands_in_for_a_lost_key() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (_, device) = enrol(&person).await;
        let token = person.post("/mfa_token", json!({})).await.body["mfa_token"].clone();
        let made = person
            .post("/verifications", json!({"device_id": device}))
            .await;
        let tail = format!("/verifications/{}", made.id());
        person
            .put(&tail, json!({"otp": "00000000"}))
            .await
            .wrong_code();
        person.put(&tail, json!({"otp": token})).await.accepted();
    }

    #[tokio::test]
    async fn what_has_no_page_or_is_over_leads_nowhere() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, visitor) = (admin.person().await, server.client_by(""));
        let (_, device) = enrol(&person).await;
        let back = "http://localhost:3000/";
        let of_key = person
            .post(
                "/verifications",
                json!({"device_id": device, "redirect_to": back}),
            )
            .await;
        let message = person.enrol(SMS).await;
        let of_message = person
            .post(
                "/verifications",
                json!({"device_id": message, "redirect_to": back}),
            )
            .await;
        server.advance(120);
        for id in [of_key.id(), of_message.id(), NO_ID, "x"] {
            let page = format!("/verify/{id}");
            assert_eq!(visitor.get(&page).await.status, 410, "{id}");
            visitor.post(&page, json!({})).await.not_found();
        }
    }

    #[tokio::test]
    async fn in_dev_a_browser_that_came_by_an_address_is_sent_to_the_name() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (_, device) = enrol(&person).await;
        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/"});
        let made = person.post("/verifications", asked).await;
        let request =
            Request::get(format!("/verify/{}", made.id())).header("host", "127.0.0.1:8080");
        let sent = server.send(request.body(Body::empty()).unwrap()).await;
        let here = format!("{ORIGIN}/verify/{}", made.id());
        assert_eq!(
            (sent.status, sent.header("location")),
            (307, Some(here.as_str()))
        );
    }
}
