//! What `factord dev` and `factord serve` put between the network and the service: the routes.

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
use crate::http::{AppState, Dev, router};
use crate::net::{Lag, Observe};
use crate::node::Node;
use crate::telemetry::Telemetry;

/// The routes of `factord dev`, reached at `address`.
///
/// # Errors
/// None in practice: an address and a port make a URL.
pub fn dev(
    node: &Node,
    telemetry: &Telemetry,
    address: SocketAddr,
    exposed: bool,
    faults: Arc<Faults>,
) -> anyhow::Result<Router> {
    let dev = Dev::new(Arc::clone(&node.clock), exposed, faults);
    Ok(router(AppState {
        dev: Some(Arc::new(dev)),
        ..state(node, telemetry, Url::parse(&format!("http://{address}"))?)
    }))
}

/// The routes of `factord serve`.
pub fn serve(node: &Node, telemetry: &Telemetry, config: &Config) -> Router {
    router(AppState {
        gateways: config.delivery.callback_keys(),
        body_bytes: config.limits.body_bytes,
        body_timeout: config.limits.body_timeout,
        ..state(node, telemetry, config.public_url.clone())
    })
}

fn state(node: &Node, telemetry: &Telemetry, public_url: Url) -> AppState {
    let (metrics, store) = (telemetry.metrics(), Arc::clone(&node.store));
    let observe = Observe::new(clock::system_rng().next_u32());
    let (counter, lag) = (observe.clone(), Lag::new());
    tokio::spawn(lag.clone().measure());
    let most_under_way =
        UNDER_WAY_A_PROCESSOR * std::thread::available_parallelism().map_or(1, usize::from);
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
        overloaded: Arc::new(move || {
            store.is_congested()
                || counter.under_way() > most_under_way
                || lag.behind() > MOST_BEHIND
        }),
        observe,
    }
}

/// For how long requests may go on waiting too long for a turn of the processor, before what has its turn is better sent
/// again.
const MOST_BEHIND: Duration = Duration::from_millis(50);
/// Requests for each processor that are handled at once, without those that wait; the next is to be sent again. So many
/// take well under a tenth of a second, so that what is let in is answered in time.
const UNDER_WAY_A_PROCESSOR: usize = 128;
/// The most bytes of a request's body where nothing is configured.
const BODY_BYTES: usize = 64 * 1024;
/// How long it may take where nothing is configured.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
