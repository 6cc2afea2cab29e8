//! One HTTP/1.1 connection with one request at a time, and the token that all of them carry.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::process::{CLIENT_ID, CLIENT_SECRET};

/// The server that is measured.
#[derive(Clone, Debug)]
pub struct Target(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    host: HeaderValue,
    basic: HeaderValue,
    bearer: HeaderValue,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Target {
    /// Gets a token from the server.
    ///
    /// # Errors
    /// If it gives none.
    pub async fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let pair = data_encoding::BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
        let inner = |bearer| {
            anyhow::Ok(Inner {
                address,
                host: address.to_string().try_into()?,
                basic: format!("Basic {pair}").try_into()?,
                bearer,
            })
        };
        let without = Self(Arc::new(inner(HeaderValue::from_static("none"))?));
        let answer = without.connect().await?.token().await?;
        let body = answer.json(StatusCode::OK)?;
        let token = body["access_token"]
            .as_str()
            .context("a token without access_token")?;
        Ok(Self(Arc::new(inner(
            format!("Bearer {token}").try_into()?,
        )?)))
    }

    /// The same with another token: moving the server's clock ages the old one.
    ///
    /// # Errors
    /// If the server gives none.
    pub async fn renewed(&self) -> anyhow::Result<Self> {
        Self::new(self.0.address).await
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.0.address)
            .await
            .context("no connection to the server")?;
        stream.set_nodelay(true)?;
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Connection {
            sender,
            target: self.clone(),
        })
    }

    /// Moves the server's clock (`factord dev`), and gives its time in seconds since 1970.
    ///
    /// # Errors
    /// If it has no clock to move.
    pub async fn advance(&self, seconds: u64) -> anyhow::Result<i64> {
        let body = format!("{{\"advance_seconds\":{seconds}}}");
        let answer = self
            .connect()
            .await?
            .call(Method::POST, "/dev/clock", body)
            .await?
            .json(StatusCode::OK)?;
        let now: jiff::Timestamp = answer["now"].as_str().context("no time")?.parse()?;
        Ok(now.as_second())
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
}

impl Connection {
    /// Sends a request with the token and waits for the whole answer.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<Answer> {
        let bearer = self.target.0.bearer.clone();
        self.send(method, path, bearer, body).await
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn token(&mut self) -> anyhow::Result<Answer> {
        let basic = self.target.0.basic.clone();
        let body = r#"{"grant_type":"client_credentials"}"#.to_owned();
        self.send(Method::POST, "/auth/oauth2/v2/token", basic, body)
            .await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        authorization: HeaderValue,
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(Bytes::from(body)))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.target.0.host.clone());
        headers.insert(header::AUTHORIZATION, authorization);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Answer {
    /// The JSON of an answer that must have this status.
    ///
    /// # Errors
    /// If it has another, or no JSON.
    pub fn json(&self, expected: StatusCode) -> anyhow::Result<Value> {
        anyhow::ensure!(
            self.status == expected,
            "{} in the place of {expected}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Whether the server was too busy and says when to come again.
    pub fn is_shed(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && self
                .headers
                .get(header::RETRY_AFTER)
                .is_some_and(|value| value.to_str().is_ok_and(|text| text.parse::<u64>().is_ok()))
    }
}
