//! Whether the process lives, whether it can work, and its metrics: for whoever operates it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::Error;
use super::openapi::Ready;

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    #[schema(examples("ok"))]
    status: &'static str,
}

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "Operation",
    responses((status = 200, description = "It is", body = Health)),
)]
pub(super) async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Can the process read and write its data?
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "Operation",
    responses((status = 200, description = "It can", body = Health), Ready),
)]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Health>, Error> {
    match app.service.store().ping().await {
        Ok(()) => Ok(Json(Health { status: "ok" })),
        Err(error) => {
            tracing::error!(%error, "not ready");
            Err(Error::Unavailable)
        }
    }
}

/// The metrics, in Prometheus' text format
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "Operation",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, text)], (app.metrics)()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::Server;

    #[tokio::test]
    async fn whoever_operates_it_needs_no_token() {
        let server = Server::new();
        let stranger = server.client_by("");
        for path in ["/healthz", "/readyz"] {
            let answer = stranger.get(path).await;
            assert_eq!(
                (answer.status, answer.body),
                (200, json!({"status": "ok"})),
                "{path}"
            );
        }
        let metrics = stranger.get("/metrics").await;
        assert_eq!(metrics.text, "factord_up 1\n");
        assert_eq!(
            metrics.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
    }
}
