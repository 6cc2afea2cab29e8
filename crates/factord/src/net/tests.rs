//! The server on loopback, spoken to over real sockets with bytes written by hand. Time-outs are short; no test
//! asserts how long anything took.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Extension;
use axum::routing::{get, post};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order_also_when_they_come_at_once() {
    let server = start(settings(), routes()).await;
    let mut client = server.connect().await;
    client
        .write_all(
            b"GET /echo/1 HTTP/1.1\r\nhost: x\r\n\r\nGET /echo/2 HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await
        .unwrap();
    assert!(answer(&mut client).await.ends_with("\r\n\r\n1"));
    assert!(answer(&mut client).await.ends_with("\r\n\r\n2"));
    assert!(ask(&mut client, "/echo/3").await.ends_with("\r\n\r\n3"));
}

#[tokio::test]
async fn what_is_turned_away_never_reaches_a_handler_and_the_connection_goes_on() {
    let server = Server::bind(settings()).await.unwrap();
    let server = server.turning_away(Arc::new(|uri| {
        let answer = || Response::builder().status(503).body(Body::from("later"));
        (uri.path() == "/length").then(|| answer().unwrap())
    }));
    let server = serve(server, routes());
    let mut client = server.connect().await;
    for body in ["", "a body that nobody reads"] {
        let head = format!(
            "POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all((head + body).as_bytes()).await.unwrap();
        let refused = answer(&mut client).await;
        assert!(
            refused.starts_with("HTTP/1.1 503 ") && refused.ends_with("\r\n\r\nlater"),
            "{refused}"
        );
    }
    assert!(ask(&mut client, "/echo/1").await.ends_with("\r\n\r\n1"));
}

#[tokio::test]
async fn a_tls_client_is_served_and_told_apart_from_a_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pair(folder.path(), "localhost");
    let server = start(
        NetSettings {
            tls: Some(files),
            ..settings()
        },
        routes(),
    )
    .await;
    let mut client = server.connect_tls(&certificate).await.unwrap();
    assert!(
        ask(&mut client, "/whoami")
            .await
            .ends_with("127.0.0.1 https")
    );

    let plain = start(settings(), routes()).await;
    assert!(
        ask(&mut plain.connect().await, "/whoami")
            .await
            .ends_with("127.0.0.1 http")
    );
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = write_pair(folder.path(), "localhost");
    let key = files.key.clone();
    let server = start(
        NetSettings {
            tls: Some(files),
            ..settings()
        },
        routes(),
    )
    .await;
    let mut old_connection = server.connect_tls(&first).await.unwrap();

    std::fs::write(&key, "this is no key").unwrap();
    sleep(TLS_INTERVAL * 8).await;
    server
        .connect_tls(&first)
        .await
        .expect("the old pair stays in use");

    let (_, second) = write_pair(folder.path(), "localhost");
    eventually(async || server.connect_tls(&second).await.is_ok()).await;
    assert!(server.connect_tls(&first).await.is_err());
    assert!(
        ask(&mut old_connection, "/echo/on").await.ends_with("on"),
        "open connections go on"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_the_keys_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(folder.path(), "localhost");
    let other = tempfile::tempdir().unwrap();
    let (others, _) = write_pair(other.path(), "localhost");
    let mixed = TlsFiles {
        key: others.key,
        ..files
    };
    let error = Server::bind(NetSettings {
        tls: Some(mixed),
        ..settings()
    })
    .await
    .err()
    .unwrap();
    assert!(error.to_string().contains("key.pem"), "{error}");
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_under_way_and_refuses_what_is_new() {
    let gate = Arc::new(Gate::default());
    let server = start(settings_without_hurry(), gated(&gate)).await;
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    let mut silent = server.connect().await;
    assert!(ask(&mut idle, "/echo/1").await.ends_with('1'));
    send(&mut busy, "/wait").await;
    gate.entered.notified().await;

    let address = server.address;
    let done = server.stop();
    eventually(async || TcpStream::connect(address).await.is_err()).await;
    assert_eq!(
        idle.read(&mut [0; 16]).await.unwrap(),
        0,
        "an idle connection is closed"
    );
    assert_eq!(
        silent.read(&mut [0; 16]).await.unwrap(),
        0,
        "and so is one that has asked nothing yet"
    );

    gate.open.notify_one();
    let answer = answer(&mut busy).await;
    assert!(answer.ends_with("waited"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(done.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let gate = Arc::new(Gate::default());
    let settings = NetSettings {
        drain_timeout: SHORT,
        ..settings_without_hurry()
    };
    let server = start(settings, gated(&gate)).await;
    let mut busy = server.connect().await;
    send(&mut busy, "/wait").await;
    gate.entered.notified().await;
    assert_eq!(server.stop().await.unwrap(), Drained { cut: 1 });
}

#[tokio::test]
async fn a_client_that_drips_its_head_is_cut() {
    let server = start(
        NetSettings {
            header_timeout: SHORT,
            ..settings_without_hurry()
        },
        routes(),
    )
    .await;
    let mut client = server.connect().await;
    client.write_all(b"GET /echo/1 HTTP/1.1\r\n").await.unwrap();
    // Each drop comes well within the time-out; it is the whole head that has to.
    eventually(async || {
        sleep(SHORT / 4).await;
        client.write_all(b"x-drip: drop\r\n").await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_client_that_drips_the_head_of_a_later_request_is_cut() {
    let server = start(
        NetSettings {
            // Long enough for the first request on a machine that is busy with something else.
            header_timeout: SHORT * 10,
            ..settings_without_hurry()
        },
        routes(),
    )
    .await;
    let mut client = server.connect().await;
    assert!(ask(&mut client, "/echo/1").await.ends_with('1'));
    client.write_all(b"GET /ec").await.unwrap();
    assert_closed(&mut client).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_with_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_pair(folder.path(), "localhost");
    for tls in [None, Some(files)] {
        let server = start(
            NetSettings {
                header_timeout: SHORT,
                tls,
                ..settings_without_hurry()
            },
            routes(),
        )
        .await;
        assert_closed(&mut server.connect().await).await;
    }
}

#[tokio::test]
async fn a_client_that_withholds_its_body_is_cut() {
    let server = start(
        NetSettings {
            body_timeout: SHORT,
            ..settings_without_hurry()
        },
        routes(),
    )
    .await;
    let mut client = server.connect().await;
    client
        .write_all(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
        .await
        .unwrap();
    assert_closed(&mut client).await;
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_read() {
    let server = start(settings_without_hurry(), routes()).await;
    let mut client = server.connect().await;
    client
        .write_all(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
        .await
        .unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"67890").await.unwrap();
    assert!(answer(&mut client).await.ends_with("\r\n\r\n10"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(
        NetSettings {
            idle_timeout: SHORT,
            ..settings_without_hurry()
        },
        routes(),
    )
    .await;
    let mut client = server.connect().await;
    assert!(ask(&mut client, "/echo/1").await.ends_with('1'));
    assert_closed(&mut client).await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_gives_up_its_place() {
    let settings = NetSettings {
        idle_timeout: SHORT,
        max_connections: 1,
        ..settings_without_hurry()
    };
    let server = start(settings, routes()).await;
    let mut stuck = server.connect().await;
    send(&mut stuck, "/large").await;
    eventually(async || {
        ask(&mut server.connect().await, "/echo/1")
            .await
            .ends_with("\r\n\r\n1")
    })
    .await;
}

#[tokio::test]
async fn a_handler_may_take_longer_than_a_client() {
    let hurry = NetSettings {
        body_timeout: SHORT,
        idle_timeout: SHORT,
        ..settings_without_hurry()
    };
    let server = start(hurry, routes()).await;
    let mut client = server.connect().await;
    assert!(ask(&mut client, "/slow").await.ends_with("slow"));
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let server = start(
        NetSettings {
            max_connections: 2,
            ..settings_without_hurry()
        },
        routes(),
    )
    .await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    ask(&mut first, "/echo/1").await;
    ask(&mut second, "/echo/2").await;

    let refused = ask(&mut server.connect().await, "/echo/3").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: 1\r\n"), "{refused}");
    assert!(
        refused.ends_with(r#""message":"Too many connections are open"}"#),
        "{refused}"
    );

    drop(first);
    eventually(async || {
        ask(&mut server.connect().await, "/echo/4")
            .await
            .ends_with("\r\n\r\n4")
    })
    .await;
    assert!(
        ask(&mut second, "/echo/5").await.ends_with('5'),
        "those inside are served all along"
    );
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let server = start(settings_without_hurry(), routes()).await;
    for flood in [
        "x-flood: 1\r\n".repeat(200),
        format!("x-flood: {}\r\n", "1".repeat(40_000)),
    ] {
        let mut client = server.connect().await;
        let request = format!("GET /echo/1 HTTP/1.1\r\n{flood}\r\n");
        // The server may close before it has been told everything.
        let _: io::Result<()> = client.write_all(request.as_bytes()).await;
        let mut answer = String::new();
        let _: io::Result<usize> = client.read_to_string(&mut answer).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    assert!(
        ask(&mut server.connect().await, "/echo/1")
            .await
            .ends_with('1')
    );
}

#[tokio::test]
async fn a_client_is_who_a_trusted_proxy_says_and_no_other_peer_may() {
    let header = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n";
    let stranger = start(settings(), routes()).await;
    let answer = ask_with(&mut stranger.connect().await, "/whoami", header).await;
    assert!(answer.ends_with("127.0.0.1 http"), "{answer}");

    let trusted_proxies = TrustedProxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        header: ForwardedHeader::XForwardedFor,
    };
    let proxied = start(
        NetSettings {
            trusted_proxies,
            ..settings()
        },
        routes(),
    )
    .await;
    let answer = ask_with(&mut proxied.connect().await, "/whoami", header).await;
    assert!(answer.ends_with("192.0.2.7 https"), "{answer}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = start(settings(), routes()).await;
    let error = Server::bind(NetSettings {
        listen: server.address,
        ..settings()
    })
    .await
    .err()
    .unwrap();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {}: ", server.address)),
        "{error}"
    );
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Drained>,
}

async fn start(settings: NetSettings, router: Router) -> Running {
    serve(Server::bind(settings).await.unwrap(), router)
}

fn serve(server: Server, router: Router) -> Running {
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(server.serve(router, async {
        // A dropped sender is the end of the test.
        let _: Result<_, _> = stopped.await;
    }));
    Running {
        address,
        stop,
        done,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connect_tls(
        &self,
        trusted: &CertificateDer<'static>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, self.connect().await)
            .await
    }

    fn stop(self) -> JoinHandle<Drained> {
        self.stop.send(()).unwrap();
        self.done
    }
}

fn settings() -> NetSettings {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    NetSettings {
        tls_interval: TLS_INTERVAL,
        ..NetSettings::new(listen)
    }
}

/// Time-outs that no test should meet, so that the one under test is the one that strikes.
fn settings_without_hurry() -> NetSettings {
    let long = Duration::from_mins(10);
    NetSettings {
        header_timeout: long,
        body_timeout: long,
        idle_timeout: long,
        drain_timeout: long,
        ..settings()
    }
}

fn routes() -> Router {
    Router::new()
        .route(
            "/echo/{word}",
            get(async |axum::extract::Path(word): axum::extract::Path<String>| word),
        )
        .route(
            "/length",
            post(async |body: bytes::Bytes| body.len().to_string()),
        )
        .route("/large", get(async || Body::from(vec![b'x'; 32 << 20])))
        .route(
            "/slow",
            get(async || {
                sleep(SHORT * 6).await;
                "slow"
            }),
        )
        .route(
            "/whoami",
            get(
                async |Extension(client): Extension<ClientAddr>,
                       https: Option<Extension<OverHttps>>| {
                    format!(
                        "{} {}",
                        client.0,
                        if https.is_some() { "https" } else { "http" }
                    )
                },
            ),
        )
}

/// A handler that says when it was entered and waits until it is let go.
#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

fn gated(gate: &Arc<Gate>) -> Router {
    let gate = Arc::clone(gate);
    let wait = async move || {
        gate.entered.notify_one();
        gate.open.notified().await;
        "waited"
    };
    routes().route("/wait", get(wait))
}

fn write_pair(folder: &Path, name: &str) -> (TlsFiles, CertificateDer<'static>) {
    let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    (files, pair.cert.der().clone())
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(client: &mut S, path: &str) -> String {
    ask_with(client, path, "").await
}

async fn ask_with<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut S,
    path: &str,
    headers: &str,
) -> String {
    client
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes())
        .await
        .unwrap();
    answer(client).await
}

async fn send(client: &mut TcpStream, path: &str) {
    client
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
}

/// The next answer, head and body; what there was of it if the connection ended.
async fn answer<S: AsyncRead + Unpin>(client: &mut S) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    let mut missing = None;
    while missing != Some(0) {
        if client.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        answer.push(byte[0]);
        missing = match missing {
            Some(bytes) => Some(bytes - 1),
            None if answer.ends_with(b"\r\n\r\n") => Some(content_length(&answer)),
            None => None,
        };
    }
    String::from_utf8(answer).unwrap()
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
    line.map_or(0, |length| length.parse().unwrap())
}

/// Waits until the server has closed the connection; what it still says does not matter.
async fn assert_closed(client: &mut TcpStream) {
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, client.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
}

async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached)
        .await
        .expect("it never came about");
}

/// The time-out under test.
const SHORT: Duration = Duration::from_millis(60);
const TLS_INTERVAL: Duration = Duration::from_millis(20);
/// How long a test waits for what must happen: enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_tls_only_the_proxies_in_front_and_this_machine_may_connect() {
    let settings = NetSettings {
        proxies_only: true,
        trusted_proxies: TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..TrustedProxies::default()
        },
        ..NetSettings::new(([127, 0, 0, 1], 0).into())
    };
    let admits = |peer: &str| settings.admits(peer.parse().unwrap());
    assert!(admits("10.1.2.3") && admits("127.0.0.1") && admits("::1"));
    assert!(!admits("203.0.113.7") && !admits("::ffff:203.0.113.7"));
}
