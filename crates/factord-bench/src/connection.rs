//! One HTTP/1.1 connection with one request at a time, and the token that all of them carry.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The server that is measured.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    basic: String,
    bearer: String,
}

impl Target {
    /// Gets a token from the server.
    pub async fn new(address: SocketAddr, id: &str, secret: &str) -> anyhow::Result<Self> {
        let basic = format!(
            "Basic {}",
            data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes())
        );
        let mut target = Self {
            address,
            basic,
            bearer: String::new(),
        };
        target.renew().await?;
        Ok(target)
    }

    /// Gets another token: moving the server's clock ages the old one.
    pub async fn renew(&mut self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let (status, body) = connection.token().await?;
        anyhow::ensure!(status == StatusCode::OK, "no token: {status}");
        let body: Value = serde_json::from_slice(&body)?;
        let token = body["access_token"]
            .as_str()
            .context("a token without access_token")?;
        self.bearer = format!("Bearer {token}");
        Ok(())
    }

    /// Opens a connection.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.address)
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
    pub async fn advance(&self, seconds: u64) -> anyhow::Result<i64> {
        let body = format!("{{\"advance_seconds\":{seconds}}}");
        let answer = self
            .connect()
            .await?
            .json(Method::POST, "/dev/clock", body, StatusCode::OK)
            .await?;
        let now: jiff::Timestamp = answer["now"].as_str().context("no time")?.parse()?;
        Ok(now.as_second())
    }
}

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
}

impl Connection {
    /// Sends a request with the token and waits for the whole answer.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let bearer = self.target.bearer.clone();
        self.send(method, path, &bearer, body).await
    }

    /// The same, for an answer that must have this status and be JSON.
    pub async fn json(
        &mut self,
        method: Method,
        path: &str,
        body: String,
        expected: StatusCode,
    ) -> anyhow::Result<Value> {
        let (status, body) = self.call(method, path, body).await?;
        anyhow::ensure!(
            status == expected,
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks for a token.
    pub async fn token(&mut self) -> anyhow::Result<(StatusCode, Bytes)> {
        let (basic, body) = (
            self.target.basic.clone(),
            r#"{"grant_type":"client_credentials"}"#,
        );
        self.send(
            Method::POST,
            "/auth/oauth2/v2/token",
            &basic,
            body.to_owned(),
        )
        .await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        authorization: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.target.address.to_string())
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
