//! A whole service in memory behind the whole router, for the tests of the operations.

mod bad_input;
mod envelope;
mod order;
mod policy;
mod tries;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{AppState, Dev, router};
use crate::auth::Credential;
use crate::auth::scope::Scope;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::otp::{self, Algorithm};
use crate::crypto::tokens::TokenHash;
use crate::delivery::callback::CallbackKeys;
use crate::delivery::faults::Faults;
use crate::delivery::message::Channel;
use crate::factor::webauthn::relying_party::RelyingParty;
use crate::mfa::Core;
use crate::mfa::notices::Notices;
use crate::mfa::redirect::RedirectPolicy;
use crate::net::Observe;
use crate::service::Service;
use crate::service::access::Access;
use crate::service::rate_limit::RateLimiter;
use crate::store::memory::MemoryStore;
use crate::store::{OutboxFilter, Store, StoredMessage};

pub(super) const AUTHENTICATOR: i64 = 58_957;
pub(super) const PROTECT: i64 = 58_958;
pub(super) const SMS: i64 = 58_959;
pub(super) const EMAIL: i64 = 58_961;
pub(super) const WEBAUTHN: i64 = 58_963;
pub(super) const RECOVERY_CODES: i64 = 58_965;
/// A well-formed id of no registration and no verification.
pub(super) const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A service, its clock and its router.
pub(super) struct Server {
    router: Router,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) access: Arc<Access>,
    pub(super) faults: Arc<Faults>,
}

impl Server {
    /// What `factord dev` serves.
    pub(super) fn new() -> Self {
        Self::with(None, |_| {})
    }

    /// The same with a rate limit, or with a changed state.
    pub(super) fn with(rate_limit: Option<u32>, change: impl FnOnce(&mut AppState)) -> Self {
        Self::of(rate_limit, |_| {}, change)
    }

    /// The same with other rules, where the gateway in Twilio's shape calls.
    pub(super) fn of_voice(change: impl FnOnce(&mut Core), auth_token: &str) -> Self {
        Self::of(None, change, |state| {
            state.gateways.twilio = Some(auth_token.into());
        })
    }

    /// The same with other rules.
    pub(super) fn with_core(change: impl FnOnce(&mut Core)) -> Self {
        Self::of(None, change, |_| {})
    }

    fn of(
        rate_limit: Option<u32>,
        change_core: impl FnOnce(&mut Core),
        change: impl FnOnce(&mut AppState),
    ) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
        let public_url: url::Url = "http://localhost:8080".parse().unwrap();
        let keys = Keys::derive(&MasterKey::generate(&mut StdRng::seed_from_u64(1)));
        let mut core = Core {
            redirects: RedirectPolicy::Loopback,
            notices: Notices {
                channels: vec![Channel::Sms, Channel::Email],
                ..Notices::default()
            },
            webauthn: RelyingParty::at(&public_url),
            ..Core::new(keys, public_url)
        };
        change_core(&mut core);
        let core = Arc::new(core);
        let shared: Arc<dyn Clock> = clock.clone();
        let memory = MemoryStore::new(Arc::clone(&core), Arc::clone(&shared));
        let store: Arc<dyn Store> = Arc::new(memory);
        let limiter = RateLimiter::new(rate_limit);
        let access = Arc::new(Access::new(Arc::clone(&store), limiter));
        let faults: Arc<Faults> = Arc::default();
        let mut state = AppState {
            service: Service::new(core, Arc::clone(&store)),
            access: Arc::clone(&access),
            dev: Some(Arc::new(Dev::new(shared, false, Arc::clone(&faults)))),
            public_url: "http://localhost:8080".parse().unwrap(),
            gateways: CallbackKeys::default(),
            body_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            metrics: Arc::new(|| "factord_up 1\n".to_owned()),
            observe: Observe::new(7),
        };
        change(&mut state);
        Self {
            router: router(state),
            clock,
            store,
            access,
            faults,
        }
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Keeps a credential whose id is its scope's name, and whose secret is `secret`.
    pub(super) async fn credential(&self, scope: Scope) -> Credential {
        let id = scope.as_str().replace(' ', "-");
        if let Some(known) = self.store.credential(id.clone()).await.unwrap() {
            return known;
        }
        let credential = Credential {
            id,
            secret: TokenHash::of("secret"),
            scope,
            created_at: self.store.now(),
            revoked_at: None,
        };
        let inserted = self.store.insert_credential(credential.clone()).await;
        inserted.unwrap();
        credential
    }

    /// Whoever calls with a fresh token of this scope.
    pub(super) async fn client(&self, scope: Scope) -> Client<'_> {
        let credential = self.credential(scope).await;
        let issued = self.access.issue(&credential).await.unwrap();
        self.client_by(&format!("Bearer {}", issued.access.expose_secret()))
    }

    /// Whoever calls with this `Authorization`, or without one if it is empty.
    pub(super) fn client_by(&self, authorization: &str) -> Client<'_> {
        Client {
            server: self,
            authorization: SecretString::from(authorization),
            messages_seen: AtomicI64::new(0),
        }
    }

    pub(super) async fn admin(&self) -> Client<'_> {
        self.client(Scope::ManageAll).await
    }

    /// What waits to be sent, but for the notices.
    pub(super) async fn waiting(&self) -> Vec<StoredMessage> {
        let mut waiting = self.store.waiting_messages(1_000).await.unwrap();
        waiting.retain(|it| !it.message.is_notice());
        waiting
    }

    /// Moves what waits to be sent to the outbox, as the dispatcher of `factord dev` does.
    pub(super) async fn deliver(&self) {
        for message in self.store.waiting_messages(1_000).await.unwrap() {
            self.store.move_to_outbox(message.id).await.unwrap();
        }
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(parts.headers[name], value);
        }
        assert!(parts.headers.contains_key("x-request-id"));
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

/// Somebody who calls.
pub(super) struct Client<'a> {
    pub(super) server: &'a Server,
    authorization: SecretString,
    messages_seen: AtomicI64,
}

impl Client<'_> {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, None, Body::empty()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.raw("DELETE", path, None, Body::empty()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.json("POST", path, body).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.json("PUT", path, body).await
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.raw(method, path, Some("application/json"), body.to_string())
            .await
    }

    /// Any body of any type.
    pub(super) async fn raw(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost:8080");
        if !self.authorization.expose_secret().is_empty() {
            request = request.header(AUTHORIZATION, self.authorization.expose_secret());
        }
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.server.send(request.body(body.into()).unwrap()).await
    }

    /// A new user with a phone number and an address that nobody else has.
    pub(super) async fn person(&self) -> Person<'_> {
        let number = self.get("/api/2/users").await.headers["total-count"]
            .to_str()
            .unwrap()
            .to_owned();
        let made = self
            .post("/api/2/users", json!({
                "username": format!("person{number}"), "email": format!("person{number}@example.com"),
                "phone": format!("+1415555{number:0>4}")
            }))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = made.body["id"].as_i64().unwrap();
        Person { client: self, id }
    }
}

/// A user.
pub(super) struct Person<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) id: i64,
}

impl Person<'_> {
    /// The path of one of the MFA operations.
    pub(super) fn path(&self, tail: &str) -> String {
        format!("/api/2/mfa/users/{}{tail}", self.id)
    }

    pub(super) async fn get(&self, tail: &str) -> Answer {
        self.client.get(&self.path(tail)).await
    }

    pub(super) async fn delete(&self, tail: &str) -> Answer {
        self.client.delete(&self.path(tail)).await
    }

    pub(super) async fn post(&self, tail: &str, body: Value) -> Answer {
        self.client.post(&self.path(tail), body).await
    }

    pub(super) async fn put(&self, tail: &str, body: Value) -> Answer {
        self.client.put(&self.path(tail), body).await
    }

    pub(super) async fn update(&self, body: Value) -> Answer {
        self.client
            .put(&format!("/api/2/users/{}", self.id), body)
            .await
    }

    pub(super) async fn register(&self, factor_id: i64) -> Answer {
        self.post(
            "/registrations",
            json!({"factor_id": factor_id, "display_name": "mine"}),
        )
        .await
    }

    /// The id of a device whose destination is taken as proven.
    pub(super) async fn enrol(&self, factor_id: i64) -> String {
        let body = json!({"factor_id": factor_id, "display_name": "mine", "verified": true});
        let made = self.post("/registrations", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.body["device_id"].as_str().unwrap().to_owned()
    }

    /// The id and the secret of an authenticator app, registered by the code of the step before now's.
    pub(super) async fn enrol_app(&self) -> (String, String) {
        let made = self.register(AUTHENTICATOR).await;
        let secret = made.body["factor_data"]["verification_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let code = self.totp(&secret, -1);
        let confirmed = self
            .put(
                &format!("/registrations/{}", made.id()),
                json!({"otp": code}),
            )
            .await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text);
        (
            confirmed.body["device_id"].as_str().unwrap().to_owned(),
            secret,
        )
    }

    /// What the app shows `steps` from now.
    pub(super) fn totp(&self, secret: &str, steps: i64) -> String {
        let secret = data_encoding::BASE32_NOPAD
            .decode(secret.as_bytes())
            .unwrap();
        let at = self.client.server.clock.now().plus(steps * 30);
        let value = otp::hotp(Algorithm::Sha1, &secret, otp::time_step(at), 6);
        format!("{value:06}")
    }

    /// The tail of a new verification's path, and its code.
    pub(super) async fn challenge(&self, device: &str) -> (String, String) {
        let made = self
            .post("/verifications", json!({"device_id": device}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        (format!("/verifications/{}", made.id()), self.code().await)
    }

    /// The code of the newest message, which was not asked for before.
    pub(super) async fn code(&self) -> String {
        let server = self.client.server;
        server.deliver().await;
        let filter = OutboxFilter {
            user: self.id.to_string().parse().ok(),
            after: Some(self.client.messages_seen.load(Ordering::Relaxed)),
            limit: 10,
        };
        let messages = server.store.outbox(filter).await.unwrap();
        let mut messages = messages.iter().filter(|it| !it.message.is_notice());
        let newest = messages.next().unwrap();
        self.client
            .messages_seen
            .store(newest.id, Ordering::Relaxed);
        newest.message.code.clone().unwrap()
    }
}

/// Another code than this one.
pub(super) fn other(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Answer {
    /// The id in the body.
    pub(super) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The answer for a snapshot: the status, the headers that are its own, the body.
    pub(super) fn shown(&self) -> Value {
        let envelope = [
            "x-request-id",
            "cache-control",
            "x-content-type-options",
            "content-length",
        ];
        let own = self
            .headers
            .iter()
            .filter(|(name, _)| !envelope.contains(&name.as_str()));
        let headers: serde_json::Map<_, _> = own
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        json!({"status": self.status, "headers": headers, "body": self.body})
    }

    /// An error of exactly this status, name and message, with nothing else in it.
    #[track_caller]
    pub(super) fn refused(&self, status: u16, name: &str, message: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.body,
            json!({"statusCode": status, "name": name, "message": message})
        );
    }

    #[track_caller]
    pub(super) fn bad_request(&self, message: &str) {
        self.refused(400, "BadRequest", message);
    }

    #[track_caller]
    pub(super) fn not_found(&self) {
        self.refused(404, "NotFound", "The user has nothing with this id");
    }

    #[track_caller]
    pub(super) fn no_such_user(&self) {
        self.refused(404, "NotFound", "There is no such user");
    }

    #[track_caller]
    pub(super) fn forbidden(&self, message: &str) {
        self.refused(403, "ForbiddenAction", message);
        assert_eq!(self.header("retry-after"), None);
    }

    #[track_caller]
    pub(super) fn delayed(&self, seconds: u64) {
        let message = "Too many wrong codes: none is looked at for a while";
        self.refused(403, "ForbiddenAction", message);
        assert_eq!(
            self.header("retry-after"),
            Some(seconds.to_string().as_str())
        );
    }

    /// A 422 that names these parameters.
    #[track_caller]
    pub(super) fn invalid(&self, parameters: &[&str]) {
        assert_eq!(self.status, 422, "{}", self.text);
        let expected = json!({
            "statusCode": 422, "name": "ValidationError", "message": "Validations failed",
            "details": {"parameters": parameters}
        });
        assert_eq!(self.body, expected);
    }

    /// The 422 of what is not completed by a code from the caller.
    #[track_caller]
    pub(super) fn refused_as_polled(&self) {
        assert_eq!(self.status, 422, "{}", self.text);
        assert_eq!(self.body["details"]["parameters"], json!(["otp"]));
    }

    /// A code that is refused, without a word why.
    #[track_caller]
    pub(super) fn wrong_code(&self) {
        assert_eq!(self.status, 401, "{}", self.text);
        let message = "Authentication Failure";
        let expected = json!({
            "statusCode": 401, "name": "Unauthorized", "message": message,
            "status": {"error": true, "code": 401, "type": "Unauthorized", "message": message}
        });
        assert_eq!(self.body, expected);
        assert_eq!(self.header("www-authenticate"), None);
    }

    /// A code that is accepted.
    #[track_caller]
    pub(super) fn accepted(&self) {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let expected = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        });
        assert_eq!(self.body, expected);
    }

    /// An error in the shape of the older API.
    #[track_caller]
    pub(super) fn refused_v1(&self, status: u16, kind: &str, message: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        let expected =
            json!({"status": {"error": true, "code": status, "type": kind, "message": message}});
        assert_eq!(self.body, expected);
    }
}

/// For a snapshot: the value must be of this form, and is shown as its name.
macro_rules! form {
    ($name:ident, $shown:literal, $check:expr) => {
        pub(super) fn $name() -> insta::internals::Redaction {
            insta::dynamic_redaction(|value, _| {
                let check: fn(&insta::internals::Content) -> bool = $check;
                assert!(check(&value), "{value:?} is not {}", $shown);
                $shown
            })
        }
    };
}

form!(a_uuid, "[uuid]", |value| value.as_str().is_some_and(
    |text| text.len() == 36 && text.parse::<uuid::Uuid>().is_ok()
));
form!(a_device, "[device]", |value| value
    .as_str()
    .is_some_and(|text| text.parse::<u32>().is_ok()));
form!(a_device_number, "[device as a number]", |value| value
    .as_u64()
    .is_some());
form!(a_token_device, "[token device]", |value| value
    .as_str()
    .is_some_and(|text| text.starts_with("user_temp_otp_")));
form!(digits, "[eight digits]", |value| value
    .as_str()
    .is_some_and(
        |text| text.len() == 8 && text.parse::<u32>().is_ok()
    ));
form!(base32, "[base32]", |value| value
    .as_str()
    .is_some_and(|text| text.len() == 32));
form!(a_totp_url, "[otpauth]", |value| value.as_str().is_some_and(
    |text| text.starts_with("otpauth://totp/factord:person0%40example.com?secret=")
));
form!(a_bearer_token, "[256 bits]", |value| value
    .as_str()
    .is_some_and(|text| text.len() == 64));
form!(a_code, "[six digits]", |value| value.as_str().is_some_and(
    |text| text.len() == 6 && text.parse::<u32>().is_ok()
));

/// The newest event of the audit trail about a person.
pub(super) async fn newest_event(admin: &Client<'_>, person: &Person<'_>) -> Value {
    let path = format!("/dev/events?user_id={}", person.id);
    admin.get(&path).await.body[0].clone()
}
