//! What an app needs to know of the service before it can be activated.

use axum::Json;
use axum::extract::State;
use onelogin::models::Time;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::App;
use crate::http::wire;

/// The service, for an app.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Known {
    /// What the service is called; it is part of what an app signs.
    #[schema(examples("factord"))]
    service_name: String,
    /// The service's time, for an app whose own clock may be wrong.
    #[schema(value_type = Time)]
    at: Option<Time>,
    /// The `applicationServerKey` to subscribe with (RFC 8292), base64url; absent where apps are not woken up.
    #[serde(skip_serializing_if = "Option::is_none")]
    web_push_key: Option<String>,
}

/// The service, for an app
#[utoipa::path(
    get,
    path = "/app/v1/service",
    operation_id = "app_service",
    tag = "App",
    responses((status = 200, description = "The service", body = Known, example = json!({
        "service_name": "factord", "at": "2026-01-31T12:00:00Z"
    }))),
)]
pub(super) async fn handler(State(app): State<App>) -> Json<Known> {
    let core = app.service.core();
    Json(Known {
        service_name: core.service_name.clone(),
        at: wire::time(app.service.store().now()),
        web_push_key: core.push.map(|_| core.keys.web_push().public_text()),
    })
}
