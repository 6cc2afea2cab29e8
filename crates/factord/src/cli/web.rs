//! What `factord dev` and `factord serve` put between the network and the service: the routes, and when requests are turned
//! away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rand::Rng;
use url::Url;

use crate::clock;
use crate::config::Config;
use crate::delivery::callback::CallbackKeys;
use crate::delivery::faults::Faults;
use crate::http::{AppState, Dev, router, turning_away};
use crate::net::{Lag, Observe, Pressure, TurnAway};
use crate::node::Node;
use crate::telemetry::Telemetry;

/// What a server is given.
pub struct Web {
    /// The routes.
    pub router: Router,
    /// The answer to requests that are to be turned away.
    pub turn_away: TurnAway,
}

impl Web {
    fn of(node: &Node, state: AppState) -> Self {
        Self {
            turn_away: turn_away(node, &state.observe),
            router: router(state),
        }
    }
}

/// What `factord dev` answers, reached at `address`.
///
/// # Errors
/// None in practice: an address and a port make a URL.
pub fn dev(
    node: &Node,
    telemetry: &Telemetry,
    address: SocketAddr,
    exposed: bool,
    faults: Arc<Faults>,
) -> anyhow::Result<Web> {
    let dev = Dev::new(Arc::clone(&node.clock), exposed, faults);
    let state = AppState {
        dev: Some(Arc::new(dev)),
        ..state(node, telemetry, Url::parse(&format!("http://{address}"))?)
    };
    Ok(Web::of(node, state))
}

/// What `factord serve` answers.
pub fn serve(node: &Node, telemetry: &Telemetry, config: &Config) -> Web {
    let state = AppState {
        gateways: config.delivery.callback_keys(),
        body_bytes: config.limits.body_bytes,
        body_timeout: config.limits.body_timeout,
        ..state(node, telemetry, config.public_url.clone())
    };
    Web::of(node, state)
}

fn turn_away(node: &Node, observe: &Observe) -> TurnAway {
    let (store, lag) = (Arc::clone(&node.store), Lag::new());
    tokio::spawn(lag.clone().measure());
    let pressure = Pressure::new(observe.clone(), lag);
    Arc::new(turning_away(observe.clone(), move || {
        pressure.is_too_high(store.is_congested())
    }))
}

fn state(node: &Node, telemetry: &Telemetry, public_url: Url) -> AppState {
    let metrics = telemetry.metrics();
    tokio::spawn(metrics.clone().keep_up());
    AppState {
        service: node.service.clone(),
        access: Arc::clone(&node.access),
        dev: None,
        public_url,
        gateways: CallbackKeys::default(),
        body_bytes: BODY_BYTES,
        body_timeout: BODY_TIMEOUT,
        metrics: Arc::new(move || metrics.render()),
        observe: Observe::new(clock::system_rng().next_u32()),
    }
}

/// The most bytes of a request's body where nothing is configured.
const BODY_BYTES: usize = 64 * 1024;
/// How long it may take where nothing is configured.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
