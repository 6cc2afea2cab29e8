//! Bearer tokens and the rate limit: the operations of the OAuth2 API.

use reqwest::Method;
use secrecy::SecretString;

use super::{
    ApiClient, Result,
    connection::{Call, json},
    retry::Repeat,
};
use crate::models::{AccessToken, RateLimit, RevokeRequest, TokenRequest};

/// Makes, renews and ends bearer tokens by hand. The other APIs fetch theirs by themselves.
#[derive(Clone, Debug)]
pub struct OAuth2Api {
    client: ApiClient,
}

impl OAuth2Api {
    /// The API over a client.
    pub fn new(client: &ApiClient) -> Self {
        Self {
            client: client.clone(),
        }
    }

    /// Makes a bearer token: `POST /auth/oauth2/v2/token` with the client's own credentials.
    ///
    /// # Errors
    ///
    /// [`Error::is_unauthenticated`](super::Error::is_unauthenticated) if the service does not know the credentials.
    pub async fn generate_token(&self) -> Result<AccessToken> {
        // A second token that nobody uses does no harm.
        self.token(
            "generate_token",
            &TokenRequest::client_credentials(),
            Repeat::Harmless,
        )
        .await
    }

    /// Exchanges a token and its refresh token for a new pair. The old pair ends at once.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](super::Error::Api) if the pair is unknown or has ended.
    pub async fn refresh_token(
        &self,
        access_token: SecretString,
        refresh_token: SecretString,
    ) -> Result<AccessToken> {
        self.token(
            "refresh_token",
            &TokenRequest::refresh(access_token, refresh_token),
            Repeat::Harmful,
        )
        .await
    }

    /// Ends a token: `POST /auth/oauth2/revoke` with the client's own credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](super::Error::Api) if the service refuses.
    pub async fn revoke_tokens(&self, access_token: SecretString) -> Result<()> {
        let call = Call {
            operation: "revoke_tokens",
            method: Method::POST,
            path: &["auth", "oauth2", "revoke"],
            query: &[],
            body: json(&RevokeRequest::new(access_token))?,
            repeat: Repeat::Harmless,
        };
        self.client.send_as_client(call).await.map(drop)
    }

    /// What is left of the rate limit: `GET /auth/rate_limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](super::Error::Api) if the service refuses.
    pub async fn get_rate_limit(&self) -> Result<RateLimit> {
        let call = Call {
            operation: "get_rate_limit",
            method: Method::GET,
            path: &["auth", "rate_limit"],
            query: &[],
            body: None,
            repeat: Repeat::Harmless,
        };
        self.client.send(call).await?.object()
    }

    async fn token(
        &self,
        operation: &'static str,
        request: &TokenRequest,
        repeat: Repeat,
    ) -> Result<AccessToken> {
        let call = Call {
            operation,
            method: Method::POST,
            path: &["auth", "oauth2", "v2", "token"],
            query: &[],
            body: json(request)?,
            repeat,
        };
        self.client.send_as_client(call).await?.object()
    }
}
