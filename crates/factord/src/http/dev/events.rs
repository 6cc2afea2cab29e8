//! GET /dev/events: the audit trail of a user, for whoever tries the service out.

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::StoredEvent;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::DevReading;
use crate::http::query;
use crate::http::wire;
use crate::mfa::ids::UserId;
use crate::store::EventFilter;

/// The parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only events of this user.
    user_id: Option<String>,
    /// The most events to list: 1 to 10,000, by default 1000.
    limit: Option<String>,
}

/// An audit event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Rises with every event.
    id: i64,
    /// When it happened; the last time, where `count` is over 1.
    #[schema(value_type = onelogin::models::Time)]
    at: String,
    /// The user it is about; null if it is about an API credential.
    user_id: Option<i64>,
    /// The device or temporary token it was about.
    device_id: Option<String>,
    /// The client id of the API credential it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// What was asked for.
    #[schema(examples("complete_verification"))]
    action: String,
    /// `success` or `refused`.
    #[schema(examples("refused"))]
    outcome: String,
    /// Why it was refused.
    #[schema(examples("wrong"))]
    reason: Option<String>,
    /// How many times in a row.
    #[schema(examples(1))]
    count: i64,
}

/// Read the audit events
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/dev/events",
    operation_id = "dev_events",
    tag = "Development",
    params(Query),
    responses(
        (status = 200, description = "The events", body = [Event], example = json!([{
            "id": 12, "at": "2026-01-31T12:00:00Z", "user_id": 1, "device_id": "39203600",
            "action": "complete_verification", "outcome": "refused", "reason": "wrong", "count": 1
        }])),
        DevReading,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Vec<Event>>, Error> {
    let query: Query = query::parse(request.uri())?;
    let limit = query::positive("limit", query.limit.as_deref())?.unwrap_or(DEFAULT_LIMIT);
    if limit > MOST {
        return Err(Error::invalid("limit"));
    }
    let filter = EventFilter {
        user: query::value("user_id", query.user_id.as_deref())?,
        limit: limit as usize,
        ..EventFilter::default()
    };
    let events = app.service.store().events(filter).await?;
    Ok(Json(events.into_iter().map(Event::of).collect()))
}

impl Event {
    fn of(stored: StoredEvent) -> Self {
        Self {
            id: stored.id,
            at: wire::time(stored.at).map_or_else(String::new, |at| at.to_string()),
            user_id: stored.user.map(UserId::get),
            device_id: stored.device,
            client_id: stored.credential,
            action: stored.action,
            outcome: stored.outcome,
            reason: stored.reason,
            count: stored.count,
        }
    }
}

const DEFAULT_LIMIT: u32 = 1_000;
const MOST: u32 = 10_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{SMS, Server, a_device, other};

    #[tokio::test]
    async fn events_are_shown_newest_first_with_their_reasons() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        person.put(&tail, json!({"otp": other(&code)})).await;
        person.put(&tail, json!({"otp": code})).await;
        for _ in 0..3 {
            person.put(&tail, json!({"otp": code})).await;
        }
        let stranger = server.client_by("");
        insta::assert_json_snapshot!(stranger.get("/dev/events?user_id=1&limit=4").await.shown(), {
            ".body[].device_id" => a_device(),
        });
    }

    #[tokio::test]
    async fn a_user_sees_their_own_and_everybody_sees_all() {
        let server = Server::new();
        let admin = server.admin().await;
        admin.person().await;
        admin.person().await;
        let count = async |query: &str| {
            admin
                .get(&format!("/dev/events{query}"))
                .await
                .body
                .as_array()
                .map(Vec::len)
        };
        assert_eq!(
            (
                count("").await,
                count("?user_id=2").await,
                count("?user_id=3").await
            ),
            (Some(3), Some(1), Some(0))
        );
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=10001", "limit"),
            ("user_id=-1", "user_id"),
        ] {
            admin
                .get(&format!("/dev/events?{query}"))
                .await
                .invalid(&[name]);
        }
    }
}
