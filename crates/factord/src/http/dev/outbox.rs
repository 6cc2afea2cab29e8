//! GET /dev/outbox: the messages that would have been sent. It can wait for the next one, so that no test sleeps.

use std::pin::pin;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::delivery::message::Message;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::DevReading;
use crate::http::query;
use crate::http::wire;
use crate::store::{OutboxFilter, Store, StoreError, StoredMessage};

/// The parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only messages to this user.
    user_id: Option<String>,
    /// Only messages with ids above this one.
    after: Option<String>,
    /// Only messages of these kinds, with commas between them: `code`, `link`, `call`, `push`, `notice`.
    #[param(example = "code,link")]
    kind: Option<String>,
    /// Seconds to wait for a message if there is none: at most 25.
    wait: Option<String>,
}

/// A message that was not sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutboxMessage {
    /// Rises with every message.
    pub(super) id: i64,
    /// Whom it is for.
    user_id: i64,
    /// What it is: `code`, `link`, `call`, `push` or `notice`.
    #[schema(examples("code"))]
    pub(super) kind: &'static str,
    /// By what way: `sms`, `email`, `voice` or `push`.
    #[schema(examples("sms"))]
    pub(super) channel: &'static str,
    /// The number or address.
    #[schema(examples("+14155550100"))]
    pub(super) to: String,
    /// The subject, where the channel has one.
    pub(super) subject: Option<String>,
    /// The text.
    pub(super) body: String,
    /// The text in HTML, where an e-mail has one.
    html: Option<String>,
    /// The code in it.
    #[schema(examples("123456"))]
    pub(super) code: Option<String>,
    /// The link in it.
    pub(super) link: Option<String>,
    /// When it would have been sent.
    #[schema(value_type = onelogin::models::Time)]
    pub(super) at: String,
}

/// Read the messages that were not sent
///
/// Newest first. With `wait` the answer comes as soon as there is a message, or empty when the time is up.
#[utoipa::path(
    get,
    path = "/dev/outbox",
    operation_id = "dev_outbox",
    tag = "Development",
    params(Query),
    responses(
        (status = 200, description = "The messages", body = [OutboxMessage], example = json!([{
            "id": 7, "user_id": 1, "kind": "code", "channel": "sms", "to": "+14155550100", "subject": null,
            "body": "123456 is your factord code. It is valid for 2 minutes.", "html": null, "code": "123456", "link": null, "at": "2026-01-31T12:00:00Z"
        }])),
        DevReading,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Vec<OutboxMessage>>, Error> {
    let query: Query = query::parse(request.uri())?;
    let filter = OutboxFilter {
        user: query::value("user_id", query.user_id.as_deref())?,
        after: query::value("after", query.after.as_deref())?,
        limit: MOST,
    };
    let kinds: Option<Vec<&str>> = query.kind.as_deref().map(|list| list.split(',').collect());
    let known = |kind: &&str| Message::KINDS.contains(kind);
    if !kinds.iter().flatten().all(known) {
        return Err(Error::invalid("kind"));
    }
    let wait = query::value("wait", query.wait.as_deref())?.unwrap_or(0);
    if wait > LONGEST_WAIT {
        return Err(Error::invalid("wait"));
    }
    let deadline = Instant::now() + Duration::from_secs(wait);
    let messages =
        await_messages(&**app.service.store(), filter, kinds.as_deref(), deadline).await?;
    Ok(Json(messages.into_iter().map(OutboxMessage::of).collect()))
}

/// The messages that `filter` picks and that are of these kinds, as soon as there is one; none when the time is up.
async fn await_messages(
    store: &dyn Store,
    filter: OutboxFilter,
    kinds: Option<&[&str]>,
    deadline: Instant,
) -> Result<Vec<StoredMessage>, StoreError> {
    let signal = store.outbox_signal();
    loop {
        // Listen before looking, so that a message which comes in between is not missed.
        let mut arrival = pin!(signal.notified());
        arrival.as_mut().enable();
        let mut found = store.outbox(filter).await?;
        found.retain(|it| kinds.is_none_or(|kinds| kinds.contains(&it.message.kind())));
        if !found.is_empty() || timeout_at(deadline, arrival).await.is_err() {
            return Ok(found);
        }
    }
}

impl OutboxMessage {
    /// The message as it is shown.
    pub(super) fn of(mut stored: StoredMessage) -> Self {
        let message = &mut stored.message;
        Self {
            id: stored.id,
            user_id: stored.user.get(),
            kind: message.kind(),
            channel: message.channel.as_str(),
            to: std::mem::take(&mut message.to),
            subject: message.subject.take(),
            body: std::mem::take(&mut message.body),
            html: message.html.take(),
            code: message.code.take(),
            link: message.link.take(),
            at: wire::time(stored.at).map_or_else(String::new, |at| at.to_string()),
        }
    }
}

/// The newest messages; more are of no use to anybody.
pub(super) const MOST: usize = 1_000;
/// Seconds. Below the time after which proxies and clients give up.
const LONGEST_WAIT: u64 = 25;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use crate::http::tests::{EMAIL, SMS, Server, a_code};

    #[tokio::test]
    async fn messages_are_shown_newest_first_with_every_field() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person.register(SMS).await;
        person.register(EMAIL).await;
        server.deliver().await;
        let stranger = server.client_by("");
        insta::assert_json_snapshot!(stranger.get("/dev/outbox?user_id=1").await.shown(), {
            ".body[].code" => a_code(),
            ".body[].body" => "[text]",
            ".body[].html" => insta::dynamic_redaction(|value, _| if value.is_nil() { value } else { "[html]".into() }),
        });
    }

    #[tokio::test]
    async fn a_user_sees_their_own_and_everybody_sees_all() {
        let server = Server::new();
        let admin = server.admin().await;
        for _ in 0..2 {
            admin.person().await.register(SMS).await;
        }
        server.deliver().await;
        let users = async |query: &str| {
            let body = admin.get(&format!("/dev/outbox{query}")).await.body;
            body.as_array()
                .unwrap()
                .iter()
                .map(|it| it["user_id"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(users("").await, [2, 1]);
        assert_eq!(users("?user_id=1").await, [1]);
        assert_eq!(users("?user_id=3").await, [0; 0]);
        let newest = admin.get("/dev/outbox").await.body[0]["id"].clone();
        assert_eq!(users(&format!("?after={newest}")).await, [0; 0]);
    }

    #[tokio::test]
    async fn waiting_answers_as_soon_as_a_newer_message_is_there() {
        let server = Server::new();
        let admin = server.admin().await;
        let (person, other) = (admin.person().await, admin.person().await);
        person.register(SMS).await;
        server.deliver().await;
        let seen = admin.get("/dev/outbox?user_id=1").await.body[0]["id"].clone();
        let began = Instant::now();
        let path = format!("/dev/outbox?user_id=1&after={seen}&wait=20");
        let sending = async {
            other.register(SMS).await;
            server.deliver().await;
            tokio::task::yield_now().await;
            person.register(EMAIL).await;
            server.deliver().await;
        };
        let (answer, ()) = tokio::join!(admin.get(&path), sending);
        assert_eq!(
            answer.body.as_array().map(Vec::len),
            Some(1),
            "{}",
            answer.text
        );
        assert_eq!(answer.body[0]["channel"], "email");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_kind_of_message_gets_no_other() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        person.enrol(SMS).await;
        person.register(EMAIL).await;
        server.deliver().await;
        let kinds = async |query: &str| {
            let body = admin.get(&format!("/dev/outbox{query}")).await.body;
            let all = body.as_array().unwrap().iter();
            all.map(|it| it["kind"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds("").await, ["code", "notice", "notice"]);
        assert_eq!(kinds("?kind=code").await, ["code"]);
        assert_eq!(kinds("?kind=notice").await, ["notice", "notice"]);
        assert_eq!(
            kinds("?kind=notice,code").await,
            ["code", "notice", "notice"]
        );
        let newer = async {
            let seen = admin.get("/dev/outbox").await.body[0]["id"].clone();
            kinds(&format!("?kind=code&after={seen}&wait=20")).await
        };
        let sending = async {
            person.post("/mfa_token", json!({})).await;
            server.deliver().await;
            tokio::task::yield_now().await;
            person.register(EMAIL).await;
            server.deliver().await;
        };
        assert_eq!(tokio::join!(newer, sending).0, ["code"]);
    }

    #[tokio::test]
    async fn waiting_in_vain_answers_with_nothing() {
        let server = Server::new();
        let began = Instant::now();
        let answer = server.client_by("").get("/dev/outbox?wait=1").await;
        assert_eq!((answer.status, answer.body), (200, json!([])));
        assert!(began.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_parameter_that_cannot_be_read_is_named() {
        let server = Server::new();
        let stranger = server.client_by("");
        for (query, name) in [
            ("user_id=0", "user_id"),
            ("user_id=x", "user_id"),
            ("after=x", "after"),
            ("kind=letter", "kind"),
            ("kind=code,", "kind"),
            ("kind=", "kind"),
            ("wait=26", "wait"),
            ("wait=-1", "wait"),
        ] {
            stranger
                .get(&format!("/dev/outbox?{query}"))
                .await
                .invalid(&[name]);
        }
        let refused = stranger.get("/dev/outbox?wait=1&wait=2").await;
        refused.bad_request("the query cannot be read: duplicate field `wait`");
    }
}
