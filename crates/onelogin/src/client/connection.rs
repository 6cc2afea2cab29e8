//! The connection to a service: sending requests with the right authorization, and again where that is safe.

use std::sync::Arc;

use bytes::BytesMut;
use data_encoding::BASE64;
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::{
    ApiError, Configuration, Error, OAuth2Api, Result,
    answer::{Answer, request_id, undecodable},
    bearer::BearerCache,
    configuration::Credentials,
    entropy,
    retry::{Policy, Repeat},
    tls, trace,
};

/// A connection to one service: cheap to clone, and all clones share the connections and the bearer token.
///
/// It needs a tokio runtime with I/O and time enabled.
#[derive(Clone, Debug)]
pub struct ApiClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    bearer: BearerCache,
    retries: Policy,
}

/// A request before it is sent.
pub(crate) struct Call<'a> {
    /// The operation's name, for traces.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, String)],
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) repeat: Repeat,
}

/// How a request shows who sends it.
enum Authorization<'a> {
    /// By the configured bearer token.
    Bearer,
    /// By the client's id and secret.
    Client {
        id: &'a str,
        secret: &'a SecretString,
    },
}

impl ApiClient {
    /// Opens nothing yet: connections and the bearer token come with the first request.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if the host is not a URL, would show secrets to the network, or TLS cannot be set up.
    pub fn new(configuration: Configuration) -> Result<Self> {
        let base = configuration.base_url()?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(&configuration)?)
            .redirect(reqwest::redirect::Policy::none()) // a redirected write would be sent twice
            .timeout(configuration.timeout)
            .connect_timeout(configuration.connect_timeout)
            .user_agent(configuration.user_agent)
            .build()
            .map_err(|error| Error::Configuration(error.to_string()))?;
        let retries = Policy {
            max_retries: configuration.max_retries,
            max_delay: configuration.max_retry_delay,
        };
        let credentials = configuration.credentials;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                base,
                credentials,
                bearer: BearerCache::default(),
                retries,
            }),
        })
    }

    /// Sends a request with the bearer token, again where that is safe. A token that the service does not take any more is
    /// replaced once: such a request was turned away unread.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let token = self.bearer_token().await?;
        match self
            .send_repeatedly(&call, &Authorization::Bearer, Some(&token))
            .await
        {
            Err(error)
                if error.is_unauthenticated()
                    && matches!(self.inner.credentials, Credentials::Client { .. }) =>
            {
                self.inner.bearer.forget(&token).await;
                let token = self.bearer_token().await?;
                self.send_repeatedly(&call, &Authorization::Bearer, Some(&token))
                    .await
            }
            outcome => outcome,
        }
    }

    /// Sends a request with the client's own id and secret.
    pub(crate) async fn send_as_client(&self, call: Call<'_>) -> Result<Answer> {
        match &self.inner.credentials {
            Credentials::Client { id, secret } => {
                self.send_repeatedly(&call, &Authorization::Client { id, secret }, None)
                    .await
                    .map_err(|mut error| {
                        if let Error::Api(refused) = &mut error {
                            refused.bearer = refused.status == 401; // here it can only mean the credentials
                        }
                        error
                    })
            }
            _ => Err(Error::Configuration(
                "this needs the client's id and secret: Configuration::client_credentials"
                    .to_owned(),
            )),
        }
    }

    async fn bearer_token(&self) -> Result<SecretString> {
        match &self.inner.credentials {
            Credentials::AccessToken(token) => Ok(token.clone()),
            Credentials::Client { .. } => {
                let api = OAuth2Api::new(self);
                // Boxed, since fetching a token is itself a request.
                self.inner.bearer.get(|| Box::pin(api.generate_token())).await
            }
            Credentials::None => Err(Error::Configuration(
                "no credentials: use Configuration::client_credentials or Configuration::access_token".to_owned(),
            )),
        }
    }

    async fn send_repeatedly(
        &self,
        call: &Call<'_>,
        authorization: &Authorization<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer> {
        let url = self.url(call.path, call.query)?;
        let authorization = authorization.header(token)?;
        let mut attempt = 0;
        loop {
            let error = match self.attempt(call, url.clone(), authorization.clone()).await {
                Ok(answer) => {
                    trace::answered(
                        call.operation,
                        attempt,
                        answer.status,
                        request_id(&answer.headers),
                    );
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(delay) =
                self.inner
                    .retries
                    .delay(call.repeat, attempt, &error, entropy::jitter())
            else {
                trace::failed(call.operation, attempt, &error);
                return Err(error);
            };
            trace::retrying(call.operation, attempt, delay, &error);
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        url: Url,
        authorization: HeaderValue,
    ) -> Result<Answer> {
        let mut request = self.inner.http.request(call.method.clone(), url);
        request = request
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json");
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let mut response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(undecodable(
                    status,
                    &headers,
                    &[],
                    format!("longer than {LONGEST_ANSWER} bytes"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        if !(200..300).contains(&status) {
            return Err(Error::Api(Box::new(ApiError::read(
                status, &headers, &body,
            ))));
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Result<Url> {
        let mut url = self.inner.base.clone();
        for segment in path {
            // An empty or dotted id would make another operation's path.
            if segment.is_empty() || *segment == "." || *segment == ".." {
                return Err(Error::Request(format!("{segment:?} is not an id")));
            }
        }
        url.path_segments_mut()
            .map_err(|()| Error::Configuration("the host cannot be a base URL".to_owned()))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

impl Authorization<'_> {
    fn header(&self, token: Option<&SecretString>) -> Result<HeaderValue> {
        let text = match self {
            Self::Bearer => format!("Bearer {}", token.map_or("", ExposeSecret::expose_secret)),
            Self::Client { id, secret } => format!(
                "Basic {}",
                BASE64.encode(format!("{id}:{}", secret.expose_secret()).as_bytes())
            ),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            Error::Configuration("the token holds characters that no header can carry".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The JSON of a request's body.
pub(crate) fn json<T: Serialize>(body: &T) -> Result<Option<Vec<u8>>> {
    serde_json::to_vec(body)
        .map(Some)
        .map_err(|error| Error::Request(error.to_string()))
}

fn transport(error: reqwest::Error) -> Error {
    // The URL holds ids and names of users.
    let error = error.without_url();
    Error::Transport {
        unsent: error.is_connect(),
        timeout: error.is_timeout(),
        source: Arc::new(error),
    }
}

/// The longest answer that is read. The largest real one, a page of 100 users, is far below it.
const LONGEST_ANSWER: usize = 16 << 20;
