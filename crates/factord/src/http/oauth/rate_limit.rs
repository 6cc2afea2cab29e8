//! GET /auth/rate_limit: what is left of the credential's requests.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::{RateLimit, RateLimitResponse, StatusBody};

use crate::http::App;
use crate::http::bearer;
use crate::http::error::V1;
use crate::http::openapi::RateLimitErrors;

/// Read the rate limit
///
/// How many requests the credential has left in this hour. Asking does not count.
#[utoipa::path(
    get,
    path = "/auth/rate_limit",
    operation_id = "get_rate_limit",
    tag = "OAuth 2",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The limit", body = RateLimitResponse, example = json!({
            "status": {"error": false, "code": 200, "type": "success", "message": "Success"},
            "data": {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 4994, "X-RateLimit-Reset": 1800}
        })),
        RateLimitErrors,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<RateLimitResponse>, V1> {
    let caller = bearer::caller(&app, request.headers()).await?;
    let now = app.service.store().now();
    let standing = app.access.rate_limiter.standing(&caller.credential, now);
    Ok(Json(RateLimitResponse {
        status: StatusBody::success(),
        data: RateLimit {
            limit: standing.limit.into(),
            remaining: standing.remaining.into(),
            reset: standing.reset.try_into().unwrap_or(i64::MAX),
        },
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::auth::scope::Scope;
    use crate::http::tests::Server;

    #[tokio::test]
    async fn no_limit_reads_as_the_largest_that_every_client_can_hold() {
        let server = Server::new();
        let client = server.client(Scope::AuthenticationOnly).await;
        insta::assert_json_snapshot!(client.get("/auth/rate_limit").await.shown());
    }

    #[tokio::test]
    async fn a_configured_limit_is_counted_down_but_not_by_asking() {
        let server = Server::with(Some(2), |_| {});
        let client = server.admin().await;
        for (left, status) in [(1, 200), (0, 200), (0, 429)] {
            assert_eq!(client.get("/api/2/users").await.status, status);
            let expected = json!({"X-RateLimit-Limit": 2, "X-RateLimit-Remaining": left, "X-RateLimit-Reset": 3_600});
            assert_eq!(client.get("/auth/rate_limit").await.body["data"], expected);
        }
    }

    #[tokio::test]
    async fn it_needs_a_token_and_refuses_in_the_older_shape() {
        let server = Server::new();
        for authorization in ["", "Bearer nonsense"] {
            let refused = server
                .client_by(authorization)
                .get("/auth/rate_limit")
                .await;
            refused.refused_v1(401, "Unauthorized", "Authentication Failure");
            assert!(
                refused
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer")
            );
        }
    }
}
