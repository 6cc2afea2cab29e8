//! POST /auth/oauth2/revoke: a pair of tokens ends.

use axum::extract::{Request, State};
use axum::response::Response;
use onelogin::models::{RevokeRequest, VerificationResult};

use super::client::ClientRequest;
use crate::http::error::V1;
use crate::http::openapi::TokenErrors;
use crate::http::{App, wire};

/// Revoke a bearer token
///
/// Its refresh token ends with it. A token that is not the client's, or does not exist, is no error (RFC 7009 section
/// 2.2): afterwards it does not work for the client either way.
#[utoipa::path(
    post,
    path = "/auth/oauth2/revoke",
    operation_id = "revoke_tokens",
    tag = "OAuth 2",
    security((), ("basic" = [])),
    request_body(content(
        (RevokeRequest = "application/json"),
        (RevokeRequest = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The token does not work any more", body = VerificationResult, example = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        })),
        TokenErrors,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Response, V1> {
    let request = ClientRequest::admit(&app, request).await?;
    let asked: RevokeRequest = request.fields()?;
    app.access
        .revoke(&request.client, &asked.access_token)
        .await?;
    Ok(wire::accepted())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use crate::auth::scope::Scope;
    use crate::http::tests::Server;

    const PATH: &str = "/auth/oauth2/revoke";
    const CLIENT: &str = "client_id:Manage-All, client_secret:secret";

    #[tokio::test]
    async fn a_token_ends_with_its_refresh_token_and_ending_it_again_is_no_error() {
        let server = Server::new();
        let (credential, client) = (
            server.credential(Scope::ManageAll).await,
            server.client_by(CLIENT),
        );
        let pair = server.access.issue(&credential).await.unwrap();
        let (access, refresh) = (pair.access.expose_secret(), pair.refresh.expose_secret());
        let caller = server.client_by(&format!("Bearer {access}"));
        assert_eq!(caller.get("/api/2/users").await.status, 200);
        for _ in 0..2 {
            client
                .post(PATH, json!({"access_token": access}))
                .await
                .accepted();
            assert_eq!(caller.get("/api/2/users").await.status, 401);
        }
        let renew = json!({"grant_type": "refresh_token", "access_token": access, "refresh_token": refresh});
        let refused = client.post("/auth/oauth2/v2/token", renew).await;
        refused.refused_v1(401, "Unauthorized", "Authentication Failure");
    }

    #[tokio::test]
    async fn a_token_of_another_client_is_not_touched() {
        let server = Server::new();
        let credential = server.credential(Scope::ReadUsers).await;
        server.credential(Scope::ManageAll).await;
        let pair = server.access.issue(&credential).await.unwrap();
        let access = pair.access.expose_secret();
        server
            .client_by(CLIENT)
            .post(PATH, json!({"access_token": access}))
            .await
            .accepted();
        let caller = server.client_by(&format!("Bearer {access}"));
        assert_eq!(caller.get("/api/2/users").await.status, 200);
    }

    #[tokio::test]
    async fn the_client_and_the_token_are_needed() {
        let server = Server::new();
        server.credential(Scope::ManageAll).await;
        for authorization in ["", "client_id:Manage-All, client_secret:wrong"] {
            let refused = server
                .client_by(authorization)
                .post(PATH, json!({"access_token": "x"}))
                .await;
            refused.refused_v1(401, "Unauthorized", "Authentication Failure");
        }
        let refused = server.client_by(CLIENT).post(PATH, json!({})).await;
        refused.refused_v1(
            400,
            "BadRequest",
            "the body cannot be read: missing field `access_token`",
        );
    }

    #[tokio::test]
    async fn a_form_will_do() {
        let server = Server::new();
        server.credential(Scope::ManageAll).await;
        let form = Some("application/x-www-form-urlencoded");
        let body = "access_token=x&client_id=Manage-All&client_secret=secret";
        server
            .client_by("")
            .raw("POST", PATH, form, body)
            .await
            .accepted();
    }
}
