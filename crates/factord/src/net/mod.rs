//! Everything between the network and the router: listening, TLS, connection limits and time-outs, graceful shutdown,
//! who the client is, and what every response carries. It knows HTTP but none of the product's operations.

mod activity;
mod connection;
mod forwarded;
mod lag;
mod observe;
mod pressure;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::Uri;
use hyper::server::conn::http1;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use forwarded::{ClientAddr, ForwardedHeader, OverHttps, PeerAddr, TrustedProxies};
pub use lag::Lag;
pub use observe::{Observe, RequestId};
pub use pressure::Pressure;
pub use tls::{TlsError, TlsFiles};

/// How a server listens and how patient it is. Every time-out is at least a millisecond.
#[derive(Clone, Debug)]
pub struct NetSettings {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The certificate and its key; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// How often the TLS files are looked at for a change.
    pub tls_interval: Duration,
    /// Whose word about the client is taken.
    pub trusted_proxies: TrustedProxies,
    /// Whether only trusted proxies, and this machine itself, may connect: what is not encrypted must not cross a
    /// network that others see.
    pub proxies_only: bool,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How long a client may take for the TLS handshake, and for the head of each request.
    pub header_timeout: Duration,
    /// How long a client may take for the body of a request, once the handler waits for it.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests, and a client may stop taking its answer.
    pub idle_timeout: Duration,
    /// How long a shutdown waits for the requests that are under way.
    pub drain_timeout: Duration,
}

impl NetSettings {
    /// The settings of a server that nobody configured: plain HTTP on `listen`, believing no proxy.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            tls_interval: Duration::from_secs(5),
            trusted_proxies: TrustedProxies::default(),
            proxies_only: false,
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl NetSettings {
    /// Whether a connection from `peer` is let in.
    fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        !self.proxies_only || peer.is_loopback() || self.trusted_proxies.trusts(peer)
    }
}

/// Listening failed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up, and were cut.
    pub cut: usize,
}

/// A server that listens: clients can connect, and are answered once [`Server::serve`] runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<tls::Tls>>,
    settings: NetSettings,
    turn_away: TurnAway,
}

/// The answer to a request that the router is not to see, by where it goes.
pub type TurnAway = Arc<dyn Fn(&Uri) -> Option<Response> + Send + Sync>;

impl Server {
    /// Reads the certificate, if there is one, and listens.
    ///
    /// # Errors
    /// [`BindError`] if the address is taken or not ours, or the TLS files cannot be used.
    pub async fn bind(settings: NetSettings) -> Result<Self, BindError> {
        let tls = settings
            .tls
            .clone()
            .map(tls::Tls::load)
            .transpose()?
            .map(Arc::new);
        let failed = |source| BindError::Address {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            tls,
            settings,
            turn_away: Arc::new(|_| None),
        })
    }

    /// Answers requests for which `turn_away` has an answer by that, before anything else is made of them; it is asked by
    /// each request.
    pub fn turning_away(self, turn_away: TurnAway) -> Self {
        Self { turn_away, ..self }
    }

    /// The address that is listened on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers connections by `router` until `shutdown` resolves; then accepts no more, lets requests that are under
    /// way finish for [`NetSettings::drain_timeout`], and cuts the rest.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()>) -> Drained {
        let Self {
            listener,
            tls,
            settings,
            turn_away,
            ..
        } = self;
        let follower = tls
            .clone()
            .map(|tls| tokio::spawn(tls.follow(settings.tls_interval)));
        let drain_timeout = settings.drain_timeout;
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
        let shared = Arc::new(connection::Shared {
            router,
            turn_away,
            settings,
            http: http(),
            tls,
        });
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => log_panic(ended),
                (stream, peer) = accept(&listener) => {
                    if !shared.settings.admits(peer.ip()) {
                        if let Ok(slot) = Arc::clone(&refusals).try_acquire_owned() {
                            connections.spawn(holding(slot, connection::refuse_stranger(stream)));
                        }
                        continue;
                    }
                    if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                        let work = connection::run(stream, peer, Arc::clone(&shared), stopped.clone());
                        connections.spawn(holding(slot, work));
                    } else if let Ok(slot) = Arc::clone(&refusals).try_acquire_owned() {
                        connections.spawn(holding(slot, connection::refuse(stream, shared.tls.is_some())));
                    }
                }
            }
        }
        drop(listener);
        if let Some(follower) = follower {
            follower.abort();
        }
        stop.send_replace(true);
        drain(connections, drain_timeout).await
    }
}

/// HTTP/1.1 as we speak it: answers to pipelined requests are flushed together, heads are bounded, and the time-outs
/// are the watchdog's (see [`activity`]).
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .pipeline_flush(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES);
    http
}

/// The next connection. An error of the listener itself (no file descriptors left, say) is logged and outwaited.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn holding(slot: OwnedSemaphorePermit, work: impl Future<Output = ()>) {
    work.await;
    drop(slot);
}

async fn drain(mut connections: JoinSet<()>, patience: Duration) -> Drained {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if timeout(patience, all_ended).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = connections.len();
    connections.shutdown().await;
    Drained { cut }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request's handler panicked");
    }
}

/// Heads of requests longer than this are answered with 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// What a connection may hold in memory while it reads.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Connections beyond the limit that are being told so; any more are closed without a word.
const MAX_REFUSALS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
