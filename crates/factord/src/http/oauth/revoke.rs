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
