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
    let now = app.service.store().now();
    let admitted = app.access.rate_limiter.admit(&request.client.id, now);
    admitted.map_err(Error::TooManyRequests)?;
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

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use serde_json::json;

    use crate::auth::scope::Scope;
    use crate::http::tests::{Answer, Client, Server, a_bearer_token};

    const PATH: &str = "/auth/oauth2/v2/token";
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
    const JSON: Option<&str> = Some("application/json");
    const GRANT: &str = r#"{"grant_type": "client_credentials"}"#;

    fn basic(id: &str, secret: &str) -> String {
        format!(
            "Basic {}",
            BASE64.encode(format!("{id}:{secret}").as_bytes())
        )
    }

    async fn application(server: &Server) -> Client<'_> {
        server.credential(Scope::ManageAll).await;
        server.client_by(&basic("Manage-All", "secret"))
    }

    /// Whether the token in an answer lets a request in.
    async fn works(server: &Server, pair: &Answer) -> bool {
        let token = pair.body["access_token"].as_str().unwrap();
        let client = server.client_by(&format!("bearer {token}"));
        client.get("/api/2/users").await.status == 200
    }

    fn refresh(access: &Answer, refresh: &Answer) -> serde_json::Value {
        json!({
            "grant_type": "refresh_token", "access_token": access.body["access_token"],
            "refresh_token": refresh.body["refresh_token"]
        })
    }

    #[tokio::test]
    async fn a_client_gets_a_token_by_every_way_in_the_field() {
        let server = Server::new();
        let by_basic = application(&server).await;
        let made = by_basic.raw("POST", PATH, JSON, GRANT).await;
        insta::assert_json_snapshot!(made.shown(), {
            ".body.access_token" => a_bearer_token(),
            ".body.refresh_token" => a_bearer_token(),
        });
        assert!(works(&server, &made).await);
        let form = "grant_type=client_credentials";
        let fields = format!("{form}&client_id=Manage-All&client_secret=secret");
        let in_json = r#"{"grant_type": "client_credentials", "client_id": "Manage-All", "client_secret": "secret"}"#;
        let header = "client_id:Manage-All, client_secret:secret";
        for (authorization, content_type, body) in [
            (basic("Manage-All", "secret").as_str(), FORM, form),
            (header, JSON, GRANT),
            (header, None, GRANT),
            (header, FORM, form),
            ("", FORM, fields.as_str()),
            ("", JSON, in_json),
            ("Bearer of something else", JSON, in_json),
        ] {
            let made = server
                .client_by(authorization)
                .raw("POST", PATH, content_type, body.to_owned())
                .await;
            assert_eq!(made.status, 200, "{authorization} {body} {}", made.text);
            assert!(works(&server, &made).await);
        }
    }

    #[tokio::test]
    async fn a_wrong_client_gets_no_token() {
        let server = Server::new();
        let right = application(&server).await;
        for authorization in [
            basic("Manage-All", "wrong"),
            basic("Manage-All", "secret "),
            basic("Manage-All", ""),
            basic("nobody", "secret"),
            basic("", ""),
            "Basic !".to_owned(),
            String::new(),
            "client_id:Manage-All".to_owned(),
            "Bearer x".to_owned(),
            "client_id:Manage-All, client_secret:wrong".to_owned(),
        ] {
            let client = server.client_by(&authorization);
            for body in [GRANT, ""] {
                let refused = client.raw("POST", PATH, JSON, body).await;
                refused.refused_v1(401, "Unauthorized", "Authentication Failure");
                assert_eq!(
                    refused.header("www-authenticate"),
                    Some(r#"Basic realm="factord""#)
                );
            }
        }
        server
            .store
            .revoke_credential("Manage-All".to_owned())
            .await
            .unwrap();
        assert_eq!(right.raw("POST", PATH, JSON, GRANT).await.status, 401);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_bad_request_in_the_older_shape() {
        let server = Server::new();
        let client = application(&server).await;
        let grant = "grant_type must be client_credentials or refresh_token";
        for (content_type, body, message) in [
            (JSON, r#"{"grant_type": "password"}"#, grant),
            (JSON, r#"{"grant_type": 7}"#, grant),
            (
                JSON,
                "{}",
                "the body cannot be read: missing field `grant_type`",
            ),
            (
                JSON,
                "",
                "the body cannot be read: missing field `grant_type`",
            ),
            (
                JSON,
                "{",
                "the body cannot be read: EOF while parsing an object",
            ),
            (JSON, "[]", "the body must be a JSON object"),
            (
                FORM,
                "",
                "the body cannot be read: missing field `grant_type`",
            ),
            (FORM, "grant_type=password", grant),
            (
                FORM,
                "grant_type=a&grant_type=b",
                "the body cannot be read: duplicate field `grant_type`",
            ),
        ] {
            let refused = client.raw("POST", PATH, content_type, body).await;
            if body.contains(": 7") {
                assert_eq!(refused.status, 400);
            } else {
                refused.refused_v1(400, "BadRequest", message);
            }
        }
        let refused = client.raw("POST", PATH, Some("text/plain"), GRANT).await;
        refused.refused_v1(
            415,
            "UnsupportedMediaType",
            "The media type of the body is not taken: send application/json",
        );
        let refused = client.raw("POST", PATH, JSON, "x".repeat(65_537)).await;
        refused.refused_v1(413, "PayloadTooLarge", "The body is too large");
    }

    #[tokio::test]
    async fn a_refresh_gives_a_new_pair_and_ends_the_old_one_at_once() {
        let server = Server::new();
        let client = application(&server).await;
        let old = client.raw("POST", PATH, JSON, GRANT).await;
        assert!(works(&server, &old).await);
        let new = client.post(PATH, refresh(&old, &old)).await;
        assert_eq!(new.status, 200, "{}", new.text);
        assert!(works(&server, &new).await && !works(&server, &old).await);
        let again = client.post(PATH, refresh(&old, &old)).await;
        again.refused_v1(401, "Unauthorized", "Authentication Failure");
        server.advance(36_001);
        assert!(!works(&server, &new).await);
        let late = client.post(PATH, refresh(&new, &new)).await;
        assert!(
            works(&server, &late).await,
            "an expired one can still be renewed"
        );
    }

    #[tokio::test]
    async fn a_refresh_needs_the_client_itself_and_both_halves_of_one_pair() {
        let server = Server::new();
        let client = application(&server).await;
        let one = client.raw("POST", PATH, JSON, GRANT).await;
        let two = client.raw("POST", PATH, JSON, GRANT).await;
        client.post(PATH, refresh(&one, &two)).await.refused_v1(
            401,
            "Unauthorized",
            "Authentication Failure",
        );
        for (absent, message) in [
            ("access_token", "access_token is required"),
            ("refresh_token", "refresh_token is required"),
        ] {
            let mut body = refresh(&one, &one);
            body[absent] = json!(null);
            client
                .post(PATH, body)
                .await
                .refused_v1(400, "BadRequest", message);
        }
        server.credential(Scope::ReadUsers).await;
        for authorization in [String::new(), basic("Read-Users", "secret")] {
            let stranger = server.client_by(&authorization);
            let refused = stranger.post(PATH, refresh(&one, &one)).await;
            refused.refused_v1(401, "Unauthorized", "Authentication Failure");
        }
        assert!(works(&server, &one).await && works(&server, &two).await);
    }
}
