//! What every response carries and leaves behind: a request id, headers against caching and sniffing, one line in the
//! access log, and a count in the metrics. Only the route's template is ever written down, never the path or query
//! that was sent: those can hold tokens.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::extract::MatchedPath;
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use metrics::{Counter, Gauge, Histogram};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::ClientAddr;

/// The layer to put around the whole router, by `Router::layer`, last of all.
#[derive(Clone)]
pub struct Observe(Arc<Shared>);

impl Observe {
    /// Request ids begin with `prefix`, which should be drawn anew for each process.
    pub fn new(prefix: u32) -> Self {
        Self(Arc::new(Shared {
            prefix,
            next: AtomicU64::new(1),
            under_way: AtomicUsize::new(0),
            in_flight: OnceLock::new(),
            routes: ArcSwap::default(),
        }))
    }

    /// Gives a response to a request that does not come through this layer what every response carries.
    pub fn stamp(&self, headers: &mut HeaderMap) {
        add_headers(headers, self.0.next_id());
    }

    /// How many requests are being handled now, but for those that wait.
    pub fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::Relaxed)
    }

    /// Says of a request that has come through this layer that it waits, for its client or for somebody else, and takes
    /// nothing of the machine until the answer is dropped.
    pub fn waits(&self) -> Waits<'_> {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        Waits(&self.0.under_way)
    }
}

/// A request waits, for as long as this lives.
#[must_use]
pub struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The id of a request, unique over processes: a request extension, and what `X-Request-Id` says. Nothing that a
/// client sends can choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    prefix: u32,
    number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.prefix, self.number)
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// A service whose requests are observed.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, Sent, Answer> Service<Request<Sent>> for Observed<S>
where
    S: Service<Request<Sent>, Response = Response<Answer>>,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Sent>) -> Self::Future {
        let record = self.shared.begin(&request);
        request.extensions_mut().insert(record.id);
        Observing {
            answer: self.inner.call(request),
            record: Some(record),
        }
    }
}

pin_project! {
    /// A request that is being observed.
    pub struct Observing<F> {
        #[pin]
        answer: F,
        record: Option<Record>,
    }
}

impl<F, Answer, E> Future for Observing<F>
where
    F: Future<Output = Result<Response<Answer>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(cx));
        if let (Some(mut record), Ok(response)) = (this.record.take(), &mut answer) {
            record.status = Some(response.status());
            add_headers(response.headers_mut(), record.id);
        }
        Poll::Ready(answer)
    }
}

fn add_headers(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(X_REQUEST_ID, id.header_value());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

impl RequestId {
    fn header_value(self) -> HeaderValue {
        use fmt::Write;

        let mut text = BytesMut::with_capacity(REQUEST_ID_BYTES);
        let written = write!(text, "{self}");
        let valid = written
            .is_ok()
            .then(|| HeaderValue::from_maybe_shared(Bytes::from(text)).ok());
        valid.flatten().unwrap_or(HeaderValue::from_static("-"))
    }
}

struct Shared {
    prefix: u32,
    next: AtomicU64,
    /// Requests that do not wait.
    under_way: AtomicUsize,
    in_flight: OnceLock<Gauge>,
    /// The metrics of each route template, resolved when it is first asked for. Read on every request, so it is
    /// copied to be changed; there are only as many entries as the router has routes.
    routes: ArcSwap<HashMap<Box<str>, Arc<Route>>>,
}

impl Shared {
    fn begin<B>(self: &Arc<Self>, request: &Request<B>) -> Record {
        let template = request
            .extensions()
            .get::<MatchedPath>()
            .map_or(UNMATCHED, MatchedPath::as_str);
        let in_flight = self
            .in_flight
            .get_or_init(|| metrics::gauge!("factord_http_requests_in_flight"));
        in_flight.increment(1);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Record {
            id: self.next_id(),
            began: Instant::now(),
            method: method_index(request.method()),
            route: self.route(template),
            client: request
                .extensions()
                .get::<ClientAddr>()
                .map(|client| client.0),
            status: None,
            shared: Arc::clone(self),
        }
    }

    fn next_id(&self) -> RequestId {
        RequestId {
            prefix: self.prefix,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn route(&self, template: &str) -> Arc<Route> {
        if let Some(route) = self.routes.load().get(template) {
            return Arc::clone(route);
        }
        let route = Arc::new(Route {
            template: template.to_owned(),
            methods: Default::default(),
        });
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes
                .entry(template.into())
                .or_insert_with(|| Arc::clone(&route));
            routes
        });
        route
    }
}

/// One request; what is known of it is written down when it is dropped, also when the client went away before there
/// was an answer.
struct Record {
    id: RequestId,
    began: Instant,
    method: usize,
    route: Arc<Route>,
    client: Option<IpAddr>,
    status: Option<StatusCode>,
    shared: Arc<Shared>,
}

impl Drop for Record {
    fn drop(&mut self) {
        let lasted = self.began.elapsed();
        self.shared.under_way.fetch_sub(1, Ordering::Relaxed);
        if let Some(in_flight) = self.shared.in_flight.get() {
            in_flight.decrement(1);
        }
        let metrics = self.route.metrics(self.method);
        let class = self
            .status
            .map_or(0, |status| usize::from(status.as_u16() / 100));
        metrics.by_class[class.min(CLASSES.len() - 1)].increment(1);
        metrics.seconds.record(lasted);
        tracing::info!(
            target: "factord::access",
            request_id = %self.id,
            method = METHODS[self.method],
            route = self.route.template,
            // 0: the client went away before there was an answer.
            status = self.status.map_or(0, |status| status.as_u16()),
            microseconds = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX),
            client = self.client.map(tracing::field::display),
        );
    }
}

struct Route {
    template: String,
    methods: [OnceLock<RouteMetrics>; METHODS.len()],
}

impl Route {
    fn metrics(&self, method: usize) -> &RouteMetrics {
        self.methods[method].get_or_init(|| {
            let (name, route) = (METHODS[method], &self.template);
            let counter = |class: &'static str| {
                metrics::counter!(
                    "factord_http_requests_total",
                    "method" => name, "route" => route.clone(), "status" => class,
                )
            };
            RouteMetrics {
                by_class: CLASSES.map(counter),
                seconds: metrics::histogram!(
                    "factord_http_request_duration_seconds",
                    "method" => name, "route" => route.clone(),
                ),
            }
        })
    }
}

struct RouteMetrics {
    by_class: [Counter; CLASSES.len()],
    seconds: Histogram,
}

fn method_index(method: &Method) -> usize {
    METHODS
        .iter()
        .position(|name| *name == method.as_str())
        .unwrap_or(METHODS.len() - 1)
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Eight digits of prefix, a dash, and up to sixteen digits of number.
const REQUEST_ID_BYTES: usize = 25;
/// The route of a request that no route matched: its path is whatever a stranger sent.
const UNMATCHED: &str = "unmatched";
/// Methods that get a label of their own. A client can send any word as a method; all others share the last.
const METHODS: [&str; 8] = [
    "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "other",
];
/// Status classes by their first digit; 0 is a request whose client went away.
const CLASSES: [&str; 6] = ["aborted", "1xx", "2xx", "3xx", "4xx", "5xx"];

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, Once};

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;
    use tracing::subscriber::set_global_default;

    use super::*;

    #[test]
    fn every_response_carries_the_three_headers_and_an_id_that_nobody_can_choose() {
        let mut seen = Vec::new();
        for (method, path, status) in [
            ("GET", "/open/1", 200),
            ("GET", "/open/2", 200),
            ("GET", "/nowhere", 404),
            ("PUT", "/open/1", 405),
        ] {
            let response = observe(|router| async move {
                let request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header("x-request-id", "chosen");
                router
                    .oneshot(request.body(Body::empty()).unwrap())
                    .await
                    .unwrap()
            });
            assert_eq!(response.answer.status(), status);
            let headers = response.answer.headers();
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            seen.push(headers["x-request-id"].to_str().unwrap().to_owned());
        }
        assert_eq!(
            seen, ["0000002a-1"; 4],
            "each router of this test is a process of its own"
        );
    }

    #[test]
    fn ids_differ_between_the_requests_of_a_process() {
        let ids = observe(|router| async move {
            let mut ids = Vec::new();
            for _ in 0..2 {
                let response = router.clone().oneshot(request("/open/1")).await.unwrap();
                ids.push(response.headers()["x-request-id"].clone());
            }
            ids
        });
        assert_eq!(ids.answer, ["0000002a-1", "0000002a-2"]);
    }

    #[test]
    fn the_access_log_knows_the_route_and_not_the_secret_in_it() {
        let observed = observe(|router| async move {
            for path in ["/open/hush?token=hush", "/nowhere/hush?token=hush"] {
                let mut request = request(path);
                request
                    .extensions_mut()
                    .insert(ClientAddr([192, 0, 2, 7].into()));
                router.clone().oneshot(request).await.unwrap();
            }
        });
        assert!(!observed.log.contains("hush"), "{}", observed.log);
        assert!(!observed.metrics.contains("hush"), "{}", observed.metrics);
        let lines: Vec<serde_json::Value> = observed
            .log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [open, nowhere] = &lines[..] else {
            panic!("one line a request: {}", observed.log)
        };
        assert_eq!(open["target"], "factord::access");
        let fields = &open["fields"];
        assert_eq!(fields["method"], "GET");
        assert_eq!(fields["route"], "/open/{word}");
        assert_eq!(fields["status"], 200);
        assert_eq!(fields["request_id"], "0000002a-1");
        assert_eq!(fields["client"], "192.0.2.7");
        assert!(fields["microseconds"].is_u64());
        assert_eq!(nowhere["fields"]["route"], "unmatched");
        assert_eq!(nowhere["fields"]["status"], 404);
    }

    #[test]
    fn requests_are_counted_by_route_method_and_class() {
        let observed = observe(|router| async move {
            for path in ["/open/1", "/open/2", "/nowhere"] {
                router.clone().oneshot(request(path)).await.unwrap();
            }
            let odd = Request::builder()
                .method("BREW")
                .uri("/open/1")
                .body(Body::empty())
                .unwrap();
            router.oneshot(odd).await.unwrap();
        });
        for line in [
            r#"factord_http_requests_total{method="GET",route="/open/{word}",status="2xx"} 2"#,
            r#"factord_http_requests_total{method="GET",route="unmatched",status="4xx"} 1"#,
            r#"factord_http_requests_total{method="other",route="/open/{word}",status="4xx"} 1"#,
            r#"factord_http_request_duration_seconds_count{method="GET",route="/open/{word}"} 2"#,
            "factord_http_requests_in_flight 0",
        ] {
            assert!(
                observed.metrics.contains(line),
                "no {line} in\n{}",
                observed.metrics
            );
        }
    }

    #[test]
    fn the_requests_that_do_not_wait_are_counted_until_they_are_answered_or_given_up() {
        let layer = Observe::new(42);
        let router = Router::new()
            .route("/open", get(async || "open"))
            .route("/never", get(std::future::pending::<()>))
            .route(
                "/waits",
                get({
                    let layer = layer.clone();
                    async move || {
                        let _waits = layer.waits();
                        std::future::pending::<()>().await;
                    }
                }),
            )
            .layer(layer.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut never = Box::pin(router.clone().oneshot(request("/never")));
            tokio::select! { biased; _ = &mut never => unreachable!(), () = tokio::task::yield_now() => {} }
            assert_eq!(layer.under_way(), 1);
            router.clone().oneshot(request("/open")).await.unwrap();
            assert_eq!(layer.under_way(), 1);
            let mut waits = Box::pin(router.oneshot(request("/waits")));
            tokio::select! { biased; _ = &mut waits => unreachable!(), () = tokio::task::yield_now() => {} }
            assert_eq!(layer.under_way(), 1);
            drop((never, waits));
            assert_eq!(layer.under_way(), 0);
        });
    }

    #[test]
    fn a_request_whose_client_went_away_leaves_a_line_and_a_count_too() {
        let observed = observe(|router| async move {
            let request = router.oneshot(request("/never"));
            tokio::select! { biased; _ = request => unreachable!(), () = tokio::task::yield_now() => {} }
        });
        assert!(observed.log.contains(r#""status":0"#), "{}", observed.log);
        let line = r#"factord_http_requests_total{method="GET",route="/never",status="aborted"} 1"#;
        assert!(observed.metrics.contains(line), "{}", observed.metrics);
    }

    struct Observation<T> {
        answer: T,
        log: String,
        metrics: String,
    }

    fn observe<T, F: Future<Output = T>>(exchange: impl FnOnce(Router) -> F) -> Observation<T> {
        // Another test, in a thread that listens to nothing, must not be able to have the line left out for all of them.
        static EVERYTHING: Once = Once::new();
        EVERYTHING.call_once(|| {
            let _: Result<(), _> = set_global_default(tracing_subscriber::registry());
        });
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let router = Router::new()
            .route("/open/{word}", get(async || "open"))
            .route("/never", get(std::future::pending::<()>))
            .layer(Observe::new(42));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = metrics::with_local_recorder(&recorder, || {
            tracing::subscriber::with_default(subscriber, || runtime.block_on(exchange(router)))
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        Observation {
            answer,
            log,
            metrics: handle.render(),
        }
    }

    fn request(path: &str) -> Request<Body> {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
