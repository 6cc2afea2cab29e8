//! The page behind `factor_data.url` of a pending WebAuthn registration: it makes the key. Its link is void with the
//! registration, so it works once.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::asked::Asked;
use super::key::{self, KeyPage, Next};
use super::reader::visit;
use super::{gone, linked};
use crate::audit::{Action, Reason};
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::factor::webauthn;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract;
use crate::http::openapi::OnPage;
use crate::mfa::ids::UserId;
use crate::mfa::noted::About;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::User;

/// The page on which a key is enrolled
///
/// Behind `factor_data.url` of a pending registration.
#[utoipa::path(
    get,
    path = "/enrol/{token}",
    operation_id = "enrol_page",
    tag = "Pages",
    params(("token" = String, Path, description = "The token of the link")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 410, description = "The link is used, has expired or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn page(
    State(app): State<App>,
    Path(token): Path<SecretString>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (core, link) = (app.service.core(), TokenHash::of_secret(&token));
    let (reader, user) = visit(&app, &core, Some(link), &headers).await?;
    let Some(found) = find(&app, user, &token)? else {
        return gone(reader);
    };
    let name = found.options["user"]["name"].as_str();
    KeyPage {
        reader,
        title: reader.texts.add_key,
        asked: Asked::new(reader, reader.texts.add_key_asked, name, found.asked_at),
        ceremony: "create",
        options: &found.options,
        button: reader.texts.add_key,
        done: reader.texts.key_added,
    }
    .response()
}

/// Send the key that the page has made
#[utoipa::path(
    post,
    path = "/enrol/{token}",
    operation_id = "enrol_on_page",
    tag = "Pages",
    params(("token" = String, Path, description = "The token of the link")),
    request_body(content = Value, description = "The `PublicKeyCredential` in its JSON form"),
    responses(
        (status = 200, description = "The key is enrolled", body = Next, example = json!({})),
        OnPage,
    ),
)]
pub(in crate::http) async fn finish(
    State(app): State<App>,
    Path(token): Path<SecretString>,
    request: Request,
) -> Result<Json<Next>, Error> {
    let extract::Json(credential) = app.read_body(request).await?;
    let link = TokenHash::of_secret(&token);
    let Some(found) = find(&app, linked(&app, Some(link)).await?, &token)? else {
        let (action, about) = (Action::ConfirmRegistration, About::Nothing);
        app.note_refused(link, action, about, Reason::Finished)
            .await?;
        return Err(Refusal::NotFound.into());
    };
    key::answer(&app, found.user, found.id, credential).await
}

/// What a link leads to.
struct Found {
    user: UserId,
    id: Uuid,
    options: Value,
    asked_at: Timestamp,
}

fn find(app: &App, user: Option<User>, token: &SecretString) -> Result<Option<Found>, Error> {
    let now = app.service.store().now();
    let Some(user) = user else {
        return Ok(None);
    };
    let found = webauthn::enrolment(&app.service.core(), &user, token);
    let Some((pending, options)) = found.filter(|(pending, _)| now < pending.expires_at) else {
        return Ok(None);
    };
    Ok(Some(Found {
        user: user.id,
        id: pending.id,
        options: options.read().map_err(Refusal::Fault)?,
        asked_at: pending.created_at,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::factor::webauthn::soft_key::SoftKey;
    use crate::http::tests::{Server, WEBAUTHN, newest_event};

    const ORIGIN: &str = "http://localhost:8080";

    #[tokio::test]
    async fn the_page_enrols_a_key_once_and_the_caller_reads_it() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let made = person.register(WEBAUTHN).await;
        let tail = format!("/registrations/{}", made.id());
        let data = person.get(&tail).await.body["factor_data"].clone();
        assert_eq!(data, made.body["factor_data"]);
        let page = data["url"]
            .as_str()
            .unwrap()
            .strip_prefix(ORIGIN)
            .unwrap()
            .to_owned();
        let visitor = server.client_by("");
        let shown = visitor.get(&page).await;
        assert_eq!(
            (shown.status, shown.header("referrer-policy")),
            (200, Some("no-referrer"))
        );
        assert!(
            shown.text.contains("data-ceremony=\"create\""),
            "{}",
            shown.text
        );
        assert_eq!(person.get(&tail).await.body["status"], "pending");

        let mut wrong = SoftKey::new("http://evil.test");
        wrong.rp_id = "localhost".to_owned();
        visitor
            .post(&page, wrong.create(&data["public_key"]))
            .await
            .wrong_code();
        let mut key = SoftKey::new(ORIGIN);
        let credential = key.create(&data["public_key"]);
        let added = visitor.post(&page, credential.clone()).await;
        assert_eq!((added.status, &added.body), (200, &json!({})));
        let body = person.get(&tail).await.body;
        assert_eq!(
            (&body["status"], body.get("factor_data")),
            (&json!("accepted"), None)
        );
        assert_eq!(
            person.get("/devices").await.body[0]["auth_factor_name"],
            "WebAuthn"
        );
        visitor.post(&page, credential).await.not_found();
        let event = newest_event(&admin, &person).await;
        assert_eq!(
            (&event["action"], &event["reason"]),
            (&json!("confirm_registration"), &json!("finished"))
        );
        assert_eq!(visitor.get(&page).await.status, 410);
    }

    #[tokio::test]
    async fn a_link_that_is_over_or_never_was_leads_nowhere() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, visitor) = (admin.person().await, server.client_by(""));
        let page = async || {
            let made = person.register(WEBAUTHN).await;
            let url = made.body["factor_data"]["url"].as_str().unwrap().to_owned();
            url.strip_prefix(ORIGIN).unwrap().to_owned()
        };
        let (older, newer) = (page().await, page().await);
        assert_eq!(
            (
                visitor.get(&older).await.status,
                visitor.get(&newer).await.status
            ),
            (410, 200)
        );
        server.advance(120);
        for gone in [
            newer.as_str(),
            "/enrol/x",
            "/enrol/0",
            &format!("/enrol/{}", "0".repeat(64)),
        ] {
            assert_eq!(visitor.get(gone).await.status, 410, "{gone}");
            visitor.post(gone, json!({})).await.not_found();
        }
        let refused = visitor
            .raw("POST", &newer, Some("text/plain"), "{}".to_owned())
            .await;
        assert_eq!(refused.status, 415);
    }

    #[tokio::test]
    async fn the_caller_enrols_a_key_on_a_page_of_its_own() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let made = person.register(WEBAUTHN).await;
        let tail = format!("/registrations/{}", made.id());
        for body in [json!({}), json!({"otp": "123456"})] {
            person
                .put(&tail, body)
                .await
                .bad_request("credential is required");
        }
        let credential = SoftKey::new(ORIGIN).create(&made.body["factor_data"]["public_key"]);
        person
            .put(&tail, json!({"credential": {"page": credential}}))
            .await
            .wrong_code();
        let done = person.put(&tail, json!({"credential": credential})).await;
        assert_eq!(done.body["status"], "accepted");
        person
            .put(&tail, json!({"credential": credential}))
            .await
            .wrong_code();
        let other: Value = person.register(WEBAUTHN).await.body;
        let excluded = &other["factor_data"]["public_key"]["excludeCredentials"][0]["id"];
        assert_eq!(excluded, &credential["id"]);
    }
}
