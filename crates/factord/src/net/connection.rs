//! One connection: the TLS handshake, HTTP/1.1 by hyper, and a watchdog that cuts clients which keep it waiting.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures_util::future::{Either, Ready, ready};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use super::activity::{Activity, Phase, Watched, WatchedBody};
use super::forwarded::{OverHttps, PeerAddr};
use super::tls::Tls;
use super::{NetSettings, TurnAway};

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) turn_away: TurnAway,
    pub(super) settings: NetSettings,
    pub(super) http: http1::Builder,
    pub(super) tls: Option<Arc<Tls>>,
}

/// Serves one accepted connection to its end. When `stop` changes, a request that is under way is still answered.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::new());
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let Some(tls) = &shared.tls else {
        return drive(stream, peer, &shared, activity, stop).await;
    };
    let handshake = timeout(shared.settings.header_timeout, tls.acceptor.accept(stream));
    tokio::select! {
        biased;
        outcome = handshake => match outcome {
            Ok(Ok(stream)) => drive(stream, peer, &shared, activity, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => cut(Phase::Opened),
        },
        _ = stop.changed() => {}
    }
}

/// Answers a connection that is one too many with a 503 which an SDK retries, and closes it. Under TLS it is closed
/// without a word: a handshake costs more than the request it would refuse.
pub(super) async fn refuse(stream: TcpStream, tls: bool) {
    metrics::counter!("factord_connections_refused_total").increment(1);
    if !tls {
        farewell(stream, TOO_MANY).await;
    }
}

/// Answers a connection without TLS that comes from no proxy with a 403, before any secret is read, and closes it.
pub(super) async fn refuse_stranger(stream: TcpStream) {
    metrics::counter!("factord_connections_refused_total").increment(1);
    farewell(stream, NO_PROXY).await;
}

async fn farewell(mut stream: TcpStream, answer: &str) {
    let farewell = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What the client still sends is read and dropped: closing with bytes unread would reset the connection and
        // take the answer with it.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _: Result<_, _> = timeout(REFUSAL_TIMEOUT, farewell).await;
}

async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    activity: Arc<Activity>,
    mut stop: watch::Receiver<bool>,
) {
    let service = Http {
        peer,
        shared: Arc::clone(shared),
        activity: Arc::clone(&activity),
    };
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(shared.http.serve_connection(io, service));
    let tick = shared.settings.watchdog_interval();
    let mut watchdog = pin!(sleep(tick));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "connection ended with an error");
                }
                return;
            }
            _ = stop.changed(), if !stopping => {
                stopping = true;
                if activity.now().0 == Phase::Opened {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
            () = watchdog.as_mut() => {
                let (phase, lasted) = activity.now();
                if shared.settings.patience(phase).is_some_and(|patience| lasted >= patience) {
                    return cut(phase);
                }
                watchdog.as_mut().reset(Instant::now() + tick);
            }
        }
    }
}

fn cut(phase: Phase) {
    tracing::debug!(
        phase = phase.label(),
        "a client took too long; its connection is cut"
    );
    metrics::counter!("factord_connections_cut_total", "phase" => phase.label()).increment(1);
}

impl NetSettings {
    /// How long a connection may stay in `phase`.
    fn patience(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Opened | Phase::Head => Some(self.header_timeout),
            Phase::Body => Some(self.body_timeout),
            Phase::Handling => None,
            Phase::Idle => Some(self.idle_timeout),
        }
    }

    /// How often a connection's patience is looked at: a client is cut at the latest half a time-out too late.
    fn watchdog_interval(&self) -> Duration {
        let shortest = self
            .header_timeout
            .min(self.body_timeout)
            .min(self.idle_timeout);
        (shortest / 2).max(Duration::from_millis(1))
    }
}

/// Hands each request of a connection to the router, with what is known of the client.
struct Http {
    peer: SocketAddr,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Http {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, Handling>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if let Some(answer) = (self.shared.turn_away)(request.uri()) {
            self.activity.enter(Phase::Idle);
            return Either::Left(ready(Ok(answer)));
        }
        self.activity.enter(Phase::Handling);
        let mut request = request.map(|body| WatchedBody::new(body, Arc::clone(&self.activity)));
        let (client, https) = self
            .shared
            .settings
            .trusted_proxies
            .client(self.peer.ip(), request.headers());
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(self.peer));
        extensions.insert(client);
        if https || self.shared.tls.is_some() {
            extensions.insert(OverHttps);
        }
        Either::Right(Handling {
            answer: self.shared.router.clone().call(request),
            activity: Arc::clone(&self.activity),
        })
    }
}

pin_project! {
    /// A request in the router's hands.
    struct Handling {
        #[pin]
        answer: RouteFuture<Infallible>,
        activity: Arc<Activity>,
    }
}

impl Future for Handling {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.answer.poll(cx);
        if answer.is_ready() {
            this.activity.enter(Phase::Idle);
        }
        answer
    }
}

const TOO_MANY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "Retry-After: 1\r\n",
    "Content-Type: application/json\r\n",
    "Content-Length: 88\r\n",
    "Cache-Control: no-store\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Connection: close\r\n",
    "\r\n",
    r#"{"statusCode":503,"name":"ServiceUnavailable","message":"Too many connections are open"}"#,
);

const NO_PROXY: &str = concat!(
    "HTTP/1.1 403 Forbidden\r\n",
    "Content-Type: application/json\r\n",
    "Content-Length: 105\r\n",
    "Cache-Control: no-store\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Connection: close\r\n",
    "\r\n",
    r#"{"statusCode":403,"name":"ForbiddenAction","message":"Only the proxies in front may connect without TLS"}"#,
);

const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
