//! /dev/faults: the next deliveries on a channel go wrong, so that a caller can test what its users see then.

use axum::extract::{Request, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::delivery::faults::{Fault, Outcome};
use crate::delivery::message::Channel;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::{DevFaults, DevPlain};

/// What is to go wrong.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewFault {
    /// The channel: `sms`, `email`, `voice` or `push`.
    #[schema(examples("sms"))]
    channel: String,
    /// `fail`: it can never be delivered, and what it was for ends, `rejected` with the reason `delivery_failed`.
    /// `delay`: it is tried again after a second or two, and longer each time. `drop`: it is handed over and never arrives.
    #[schema(examples("fail"))]
    outcome: String,
    /// How many deliveries: 1 to 1000. Each attempt is one.
    #[schema(minimum = 1, maximum = 1000)]
    count: i64,
}

/// What is still to go wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PendingFault {
    /// The channel.
    #[schema(examples("sms"))]
    channel: &'static str,
    /// How the deliveries go wrong.
    #[schema(examples("fail"))]
    outcome: &'static str,
    /// How many are left.
    #[schema(examples(2))]
    count: u32,
}

/// Make deliveries go wrong
///
/// The next `count` deliveries on the channel, after those that were asked for before. Gives all that is pending.
#[utoipa::path(
    post,
    path = "/dev/faults",
    operation_id = "dev_add_fault",
    tag = "Development",
    request_body(content = NewFault, example = json!({"channel": "sms", "outcome": "fail", "count": 2})),
    responses(
        (status = 200, description = "What is still to go wrong", body = [PendingFault], example = json!([
            {"channel": "sms", "outcome": "fail", "count": 2}
        ])),
        DevFaults,
    ),
)]
pub(in crate::http) async fn add(
    State(app): State<App>,
    request: Request,
) -> Result<axum::Json<Vec<PendingFault>>, Error> {
    let Json(new): Json<NewFault> = app.read_body(request).await?;
    let channel = CHANNELS.into_iter().find(|it| it.as_str() == new.channel);
    let outcome = Outcome::ALL
        .into_iter()
        .find(|it| it.as_str() == new.outcome);
    let count = u32::try_from(new.count).ok();
    let count = count.filter(|count| (1..=MOST).contains(count));
    let (Some(channel), Some(outcome), Some(count)) = (channel, outcome, count) else {
        let wrong = [
            ("channel", channel.is_none()),
            ("outcome", outcome.is_none()),
            ("count", count.is_none()),
        ];
        let wrong = wrong.into_iter().filter(|(_, is_wrong)| *is_wrong);
        return Err(Error::Invalid(wrong.map(|(name, _)| name).collect()));
    };
    let fault = Fault {
        channel,
        outcome,
        count,
    };
    let faults = &app.dev.as_ref().ok_or(Error::NoSuchPath)?.faults;
    if !faults.add(fault) {
        return Err(Error::invalid("count"));
    }
    Ok(axum::Json(shown(&faults.pending())))
}

/// Read what is still to go wrong
#[utoipa::path(
    get,
    path = "/dev/faults",
    operation_id = "dev_faults",
    tag = "Development",
    responses(
        (status = 200, description = "What is still to go wrong, the next first", body = [PendingFault], example = json!([
            {"channel": "sms", "outcome": "fail", "count": 2}
        ])),
        DevPlain,
    ),
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
) -> Result<axum::Json<Vec<PendingFault>>, Error> {
    let faults = &app.dev.as_ref().ok_or(Error::NoSuchPath)?.faults;
    Ok(axum::Json(shown(&faults.pending())))
}

/// Let deliveries go right again
#[utoipa::path(
    delete,
    path = "/dev/faults",
    operation_id = "dev_clear_faults",
    tag = "Development",
    responses((status = 204, description = "Nothing goes wrong any more"), DevPlain),
)]
pub(in crate::http) async fn clear(State(app): State<App>) -> Result<StatusCode, Error> {
    let dev = app.dev.as_ref().ok_or(Error::NoSuchPath)?;
    dev.faults.clear();
    Ok(StatusCode::NO_CONTENT)
}

fn shown(faults: &[Fault]) -> Vec<PendingFault> {
    let shown = faults.iter().map(|fault| PendingFault {
        channel: fault.channel.as_str(),
        outcome: fault.outcome.as_str(),
        count: fault.count,
    });
    shown.collect()
}

const CHANNELS: [Channel; 4] = [Channel::Sms, Channel::Email, Channel::Voice, Channel::Push];
/// Deliveries that one request may have go wrong.
const MOST: u32 = 1_000;

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::delivery::dispatcher;
    use crate::delivery::outbox::Outbox;
    use crate::http::tests::{Answer, EMAIL, Person, SMS, Server};

    const PATH: &str = "/dev/faults";

    #[tokio::test]
    async fn what_is_pending_is_shown_in_its_order_and_can_be_cleared() {
        let server = Server::new();
        let stranger = server.client_by("");
        let sms = json!({"channel": "sms", "outcome": "fail", "count": 2});
        let email = json!({"channel": "email", "outcome": "drop", "count": 1000});
        let first = stranger.post(PATH, sms.clone()).await;
        assert_eq!((first.status, first.body), (200, json!([sms])));
        let second = stranger.post(PATH, email.clone()).await;
        assert_eq!(second.body, json!([sms, email]));
        assert_eq!(stranger.get(PATH).await.body, json!([sms, email]));
        assert_eq!(stranger.delete(PATH).await.status, 204);
        assert_eq!(stranger.get(PATH).await.body, json!([]));
    }

    #[tokio::test]
    async fn every_value_that_is_not_allowed_is_named() {
        let server = Server::new();
        let stranger = server.client_by("");
        for (channel, outcome, count, wrong) in [
            ("pigeon", "explode", 0, &["channel", "outcome", "count"][..]),
            ("sms", "fail", 1001, &["count"]),
            ("sms", "fail", -1, &["count"]),
            ("SMS", "fail", 1, &["channel"]),
        ] {
            let body = json!({"channel": channel, "outcome": outcome, "count": count});
            stranger.post(PATH, body).await.invalid(wrong);
        }
        assert_eq!(
            stranger.post(PATH, json!({"channel": "sms"})).await.status,
            400
        );
        assert_eq!(stranger.get(PATH).await.body, json!([]));
    }

    #[tokio::test]
    async fn there_is_a_bound_to_what_is_pending() {
        let server = Server::new();
        let stranger = server.client_by("");
        let fault = json!({"channel": "sms", "outcome": "fail", "count": 1});
        for _ in 0..1_000 {
            assert_eq!(stranger.post(PATH, fault.clone()).await.status, 200);
        }
        stranger.post(PATH, fault).await.invalid(&["count"]);
    }

    #[tokio::test]
    async fn a_delivery_that_fails_ends_its_verification_with_the_reason() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let phone = person.enrol(SMS).await;
        fault(&person, "sms", "fail", 1).await;
        let body = dispatching(&server, async {
            let made = challenge(&person, &phone).await;
            until(&person, made.id(), |body| body["status"] == "rejected").await
        })
        .await;
        assert_eq!(body["reason"], "delivery_failed");
        assert_eq!(admin.get(PATH).await.body, json!([]));
        let delivered = dispatching(&server, async {
            challenge(&person, &phone).await;
            admin.get("/dev/outbox?kind=code&wait=20").await
        })
        .await;
        assert_eq!(delivered.body[0]["channel"], "sms");
    }

    #[tokio::test]
    async fn a_fault_of_one_channel_leaves_the_others_alone() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        fault(&person, "sms", "fail", 1).await;
        let sent = dispatching(&server, async {
            person.register(EMAIL).await;
            admin.get("/dev/outbox?kind=code&wait=20").await
        })
        .await;
        assert_eq!(sent.body[0]["channel"], "email");
        let left = json!([{"channel": "sms", "outcome": "fail", "count": 1}]);
        assert_eq!(admin.get(PATH).await.body, left);
    }

    #[tokio::test]
    async fn a_delivery_that_is_delayed_comes_when_it_is_tried_again() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        fault(&person, "sms", "delay", 1).await;
        let delivered = dispatching(&server, async {
            person.register(SMS).await;
            while admin.get(PATH).await.body != json!([]) {
                tokio::task::yield_now().await;
            }
            assert_eq!(admin.get("/dev/outbox?kind=code").await.body, json!([]));
            server.advance(5);
            admin.get("/dev/outbox?kind=code&wait=20").await
        })
        .await;
        assert_eq!(delivered.body.as_array().map(Vec::len), Some(1));
    }

    #[tokio::test]
    async fn a_delivery_that_is_dropped_leaves_its_verification_pending_and_the_outbox_empty() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let phone = person.enrol(SMS).await;
        fault(&person, "sms", "drop", 1).await;
        let (lost, newer) = dispatching(&server, async {
            let lost = challenge(&person, &phone).await;
            while !server.waiting().await.is_empty() {
                tokio::task::yield_now().await;
            }
            let pending = person.get(&format!("/verifications/{}", lost.id())).await;
            person.register(EMAIL).await;
            (pending, admin.get("/dev/outbox?kind=code&wait=20").await)
        })
        .await;
        assert_eq!(lost.body["status"], "pending");
        let channels: Vec<_> = newer
            .body
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["channel"])
            .collect();
        assert_eq!(channels, ["email"]);
    }

    async fn fault(person: &Person<'_>, channel: &str, outcome: &str, count: u32) {
        let body = json!({"channel": channel, "outcome": outcome, "count": count});
        let added = person.client.post(PATH, body).await;
        assert_eq!(added.status, 200, "{}", added.text);
    }

    async fn challenge(person: &Person<'_>, device: &str) -> Answer {
        let made = person
            .post("/verifications", json!({"device_id": device}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        made
    }

    /// The verification once it is so.
    async fn until(person: &Person<'_>, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let body = person.get(&format!("/verifications/{id}")).await.body;
            if is_so(&body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Does something while messages are delivered as `factord dev` delivers them.
    async fn dispatching<T>(server: &Server, doing: impl Future<Output = T>) -> T {
        let outbox = Outbox::new(Arc::clone(&server.store), Arc::clone(&server.faults));
        let delivering = dispatcher::run(Arc::clone(&server.store), Arc::new(outbox), pending());
        tokio::select! {
            () = delivering => unreachable!("it goes on for ever"),
            done = tokio::time::timeout(Duration::from_secs(30), doing) => done.expect("in time"),
        }
    }
}
