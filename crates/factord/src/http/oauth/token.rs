//! POST /auth/oauth2/v2/token: a bearer token for an application, or a new pair for an old one.

use axum::Json;
use axum::extract::{Request, State};
use onelogin::models::{AccessToken, TokenRequest};

use super::client::ClientRequest;
use crate::auth::{ACCESS_TOKEN_SECONDS, Credential, IssuedPair};
use crate::http::error::{Error, V1};
use crate::http::openapi::TokenErrors;
use crate::http::{App, AppState, wire};

/// Get a bearer token
///
/// The client authenticates by HTTP Basic, by `Authorization: client_id:ID, client_secret:SECRET`, or by the fields of the body.
/// `refresh_token` exchanges a pair for a new one; the old pair ends at once.
#[utoipa::path(
    post,
    path = "/auth/oauth2/v2/token",
    operation_id = "generate_token",
    tag = "OAuth 2",
    security((), ("basic" = [])),
    request_body(content(
        (TokenRequest = "application/json"),
        (TokenRequest = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The token", body = AccessToken, example = json!({
            "access_token": "0f5b4a0a6a2c9f0e6c8a7c9a5f1b7c3d2e4f6a8b0c1d3e5f7a9b2c4d6e8f0a1b",
            "created_at": "2026-01-31T12:00:00Z", "expires_in": 36000,
            "refresh_token": "9b7c5d3e1f0a8b6c4d2e0f1a3b5c7d9e8f6a4b2c0d1e3f5a7b9c8d6e4f2a0b1c",
            "token_type": "bearer", "account_id": 1
        })),
        TokenErrors,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Json<AccessToken>, V1> {
    let request = ClientRequest::admit(&app, request).await?;
    let asked: TokenRequest = request.fields()?;
    let issued = match asked.grant_type.as_str() {
        "client_credentials" => app.access.issue(&request.client).await?,
        "refresh_token" => refresh(&app, &request.client, asked).await?,
        _ => {
            return Err(Error::bad_request(
                "grant_type must be client_credentials or refresh_token",
            )
            .into());
        }
    };
    Ok(Json(AccessToken {
        access_token: issued.access,
        created_at: wire::time(issued.created_at),
        expires_in: Some(ACCESS_TOKEN_SECONDS),
        refresh_token: Some(issued.refresh),
        token_type: "bearer".to_owned(),
        account_id: Some(ACCOUNT_ID),
    }))
}

async fn refresh(
    app: &AppState,
    client: &Credential,
    asked: TokenRequest,
) -> Result<IssuedPair, Error> {
    let required = |name| Error::bad_request(format!("{name} is required"));
    let access = asked.access_token.ok_or_else(|| required("access_token"))?;
    let refresh = asked
        .refresh_token
        .ok_or_else(|| required("refresh_token"))?;
    let issued = app.access.refresh(client, &access, &refresh).await?;
    issued.ok_or(Error::InvalidClient)
}

/// The one account of an installation.
const ACCOUNT_ID: i64 = 1;
