//! The page behind a magic link: what is asked, and a button.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::asked::Asked;
use super::reader::{Reader, visit};
use super::{Told, back, give, gone, render, render_and_go};
use crate::crypto::tokens::TokenHash;
use crate::factor::magic_link;
use crate::http::App;
use crate::http::error::Error;
use crate::mfa::answer::{Accepted, Outcome};
use crate::mfa::data::Data;
use crate::mfa::user::User;

/// The page behind a magic link
///
/// It changes nothing: only the press of its button does.
#[utoipa::path(
    get,
    path = "/link/{id}/{token}",
    operation_id = "magic_link_page",
    tag = "Pages",
    params(
        ("id" = String, Path, description = "The registration or verification"),
        ("token" = String, Path, description = "The token of the link"),
    ),
    responses(
        (status = 200, description = "What is asked, and a button", body = String, content_type = "text/html"),
        (status = 410, description = "The link is used, has expired or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn ask(
    State(app): State<App>,
    Path((id, token)): Path<(String, SecretString)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (core, link) = (app.service.core(), TokenHash::of_secret(&token));
    let (reader, user) = visit(&app, &core, Some(link), &headers).await?;
    let (Some(user), Ok(id)) = (user, id.parse()) else {
        return gone(reader);
    };
    match asked(&app, reader, &user, id, &token) {
        Some(asked) => render(StatusCode::OK, &Ask { reader, asked }),
        None => gone(reader),
    }
}

/// Press the button behind a magic link
#[utoipa::path(
    post,
    path = "/link/{id}/{token}",
    operation_id = "press_magic_link",
    tag = "Pages",
    params(
        ("id" = String, Path, description = "The registration or verification"),
        ("token" = String, Path, description = "The token of the link"),
    ),
    responses(
        (status = 200, description = "It is confirmed", body = String, content_type = "text/html"),
        (status = 410, description = "The link is used, has expired or never was", body = String, content_type = "text/html"),
    ),
)]
pub(in crate::http) async fn press(
    State(app): State<App>,
    Path((id, token)): Path<(String, SecretString)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (core, link) = (app.service.core(), TokenHash::of_secret(&token));
    let (reader, user) = visit(&app, &core, Some(link), &headers).await?;
    let (Some(user), Ok(id)) = (user, id.parse()) else {
        return gone(reader);
    };
    let answer = Data::of(&token.expose_secret());
    match give(&app, user.id, id, answer).await? {
        Some(Outcome::Accepted(accepted)) => {
            let redirect_to = match accepted {
                Accepted::Registration(it) => it.redirect_to,
                Accepted::Verification(it) => it.redirect_to,
            };
            confirmed(reader, redirect_to.as_deref())
        }
        Some(Outcome::OnPage { otp, redirect_to }) => {
            back(reader, redirect_to.as_deref(), id, &otp)
        }
        Some(Outcome::Pending | Outcome::Ended) | None => gone(reader),
    }
}

/// What the person is asked to confirm.
fn asked<'a>(
    app: &App,
    reader: Reader<'a>,
    user: &'a User,
    id: Uuid,
    token: &SecretString,
) -> Option<Asked<'a>> {
    let (core, now) = (app.service.core(), app.service.store().now());
    let is_open =
        |data, expires_at| now < expires_at && magic_link::is_open(&core, user.id, id, data, token);
    let mut verifications = user.mfa.verifications.iter();
    let verification = verifications.find(|it| it.id == id && is_open(&it.data, it.expires_at));
    let verification = verification.map(|it| {
        let name = it.display_name.as_deref();
        Asked::new(reader, reader.texts.confirm_login, name, it.created_at)
    });
    let mut registrations = user.mfa.registrations.iter();
    let registration = registrations.find(|it| it.id == id && is_open(&it.data, it.expires_at));
    verification.or_else(|| {
        registration.map(|it| {
            let name = Some(it.display_name.as_str());
            Asked::new(reader, reader.texts.confirm_address, name, it.created_at)
        })
    })
}

#[derive(Template)]
#[template(path = "ask.html")]
struct Ask<'a> {
    reader: Reader<'a>,
    asked: Asked<'a>,
}

fn confirmed(reader: Reader<'_>, next: Option<&str>) -> Result<Response, Error> {
    let page = Told {
        reader,
        title: reader.texts.thank_you,
        text: reader.texts.confirmed,
        next,
    };
    match next {
        Some(next) => render_and_go(&page, SECONDS_TO_READ, next),
        None => render(StatusCode::OK, &page),
    }
}

/// Seconds until the browser goes on (contract, Factors).
const SECONDS_TO_READ: u8 = 2;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::factor::magic_link::MagicLinkMode;
    use crate::http::tests::{Client, Server};

    const MAGIC_LINK: i64 = 58_962;

    /// The path of the newest link that was sent.
    async fn newest_link(admin: &Client<'_>) -> String {
        admin.server.deliver().await;
        let outbox = admin.get("/dev/outbox?kind=link").await.body;
        let link = outbox[0]["link"].as_str().unwrap();
        let path = link.strip_prefix("http://localhost:8080").unwrap();
        path.to_owned()
    }

    async fn open(admin: &Client<'_>, path: &str) -> crate::http::tests::Answer {
        admin.raw("GET", path, None, String::new()).await
    }

    #[tokio::test]
    async fn opening_changes_nothing_and_pressing_enrols_and_verifies() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let made = person.register(MAGIC_LINK).await;
        let tail = format!("/registrations/{}", made.id());
        let link = newest_link(&admin).await;
        for _ in 0..2 {
            let page = open(&admin, &link).await;
            assert!(page.status == 200 && page.text.contains("Yes, it is me"));
            assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
            assert_eq!(person.get(&tail).await.body["status"], "pending");
        }
        let by_code = person.put(&tail, json!({"otp": "123456"})).await;
        assert_eq!(by_code.status, 422);
        assert_eq!(
            admin.raw("POST", &link, None, String::new()).await.status,
            200
        );
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
        assert_eq!(
            admin.raw("POST", &link, None, String::new()).await.status,
            410
        );
        assert_eq!(open(&admin, &link).await.status, 410);

        let device: Value = person.get("/devices").await.body[0]["device_id"].clone();
        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/in?a=b"});
        let made = person.post("/verifications", asked).await;
        let tail = format!("/verifications/{}", made.id());
        let link = newest_link(&admin).await;
        open(&admin, &link).await;
        assert_eq!(person.get(&tail).await.body["status"], "pending");
        let pressed = admin.raw("POST", &link, None, String::new()).await;
        assert_eq!(
            pressed.header("refresh"),
            Some("2; url=http://localhost:3000/in?a=b")
        );
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
    }

    #[tokio::test]
    async fn a_bound_link_gives_the_browser_a_code_and_accepts_nothing() {
        let server =
            Server::with_core(|core| core.policies.everybody.magic_link = MagicLinkMode::Bound);
        let admin = server.admin().await;
        let person = admin.person().await;
        person.register(MAGIC_LINK).await;
        let link = newest_link(&admin).await;
        admin.raw("POST", &link, None, String::new()).await;
        let device: Value = person.get("/devices").await.body[0]["device_id"].clone();
        let without = person
            .post("/verifications", json!({"device_id": device}))
            .await;
        without.invalid(&["redirect_to"]);

        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/in?a=b"});
        let made = person.post("/verifications", asked).await;
        let tail = format!("/verifications/{}", made.id());
        person
            .put(&tail, json!({}))
            .await
            .bad_request("otp is required");
        let link = newest_link(&admin).await;
        let pressed = admin.raw("POST", &link, None, String::new()).await;
        assert_eq!(person.get(&tail).await.body["status"], "pending");
        assert_eq!(
            admin.raw("POST", &link, None, String::new()).await.status,
            410
        );
        let target = pressed.header("refresh").unwrap().to_owned();
        let start = format!(
            "0; url=http://localhost:3000/in?a=b&verification_id={}&otp=",
            made.id()
        );
        let otp = target.strip_prefix(&start).unwrap().to_owned();
        let at_once = json!({"device_id": device, "otp": otp});
        person.post("/verifications", at_once).await.wrong_code();
        person
            .put(&tail, json!({"otp": format!("{otp}x")}))
            .await
            .wrong_code();
        person.put(&tail, json!({"otp": otp})).await.accepted();
        person.put(&tail, json!({"otp": otp})).await.wrong_code();
    }

    #[tokio::test]
    async fn the_code_of_a_page_lives_for_a_minute() {
        let server =
            Server::with_core(|core| core.policies.everybody.magic_link = MagicLinkMode::Bound);
        let admin = server.admin().await;
        let person = admin.person().await;
        person.register(MAGIC_LINK).await;
        let link = newest_link(&admin).await;
        admin.raw("POST", &link, None, String::new()).await;
        let device: Value = person.get("/devices").await.body[0]["device_id"].clone();
        let asked = json!({"device_id": device, "redirect_to": "http://localhost:3000/"});
        let made = person.post("/verifications", asked).await;
        let link = newest_link(&admin).await;
        let pressed = admin.raw("POST", &link, None, String::new()).await;
        let target = pressed.header("refresh").unwrap().to_owned();
        let otp = target.rsplit_once('=').unwrap().1;
        server.advance(60);
        let tail = format!("/verifications/{}", made.id());
        person.put(&tail, json!({"otp": otp})).await.wrong_code();
    }

    #[tokio::test]
    async fn a_link_of_another_thing_another_user_or_nobody_does_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let theirs = other.register(MAGIC_LINK).await;
        owner.register(MAGIC_LINK).await;
        let link = newest_link(&admin).await;
        let (_, token) = link.rsplit_once('/').unwrap();
        for wrong in [
            format!("/link/{}/{token}", theirs.id()),
            format!("/link/x/{token}"),
            format!("{link}0"),
        ] {
            assert_eq!(open(&admin, &wrong).await.status, 410, "{wrong}");
            assert_eq!(
                admin.raw("POST", &wrong, None, String::new()).await.status,
                410
            );
        }
        let tail = format!("/registrations/{}", theirs.id());
        assert_eq!(other.get(&tail).await.body["status"], "pending");
    }

    #[tokio::test]
    async fn a_link_that_has_expired_does_nothing_and_is_audited() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person.register(MAGIC_LINK).await;
        let link = newest_link(&admin).await;
        server.advance(120);
        assert_eq!(
            admin.raw("POST", &link, None, String::new()).await.status,
            410
        );
    }
}
