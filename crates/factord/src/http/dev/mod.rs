//! What `factord dev` adds: the outbox, the clock, deliveries that go wrong, the audit events and previews of
//! the messages, for whoever tries the service out. Nothing of it exists under `factord serve`.

mod clock;
mod events;
mod faults;
mod guard;
mod messages;
mod outbox;
mod outbox_page;
mod page;
mod voice;

use std::sync::Arc;

use tokio::sync::Mutex;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use guard::Guard;

use super::App;
use crate::clock::Clock;
use crate::delivery::faults::Faults;

/// What the additions need.
pub struct Dev {
    clock: Arc<dyn Clock>,
    /// Whether other machines are meant to reach the service: then any name may lead to it.
    exposed: bool,
    /// Held while the clock is moved, so that no move is lost.
    moving: Mutex<()>,
    faults: Arc<Faults>,
}

impl Dev {
    /// The additions to a service that decides by `clock`, and whose deliveries go wrong as `faults` say; `exposed` if it
    /// listens to more than loopback.
    pub fn new(clock: Arc<dyn Clock>, exposed: bool, faults: Arc<Faults>) -> Self {
        Self {
            clock,
            exposed,
            moving: Mutex::default(),
            faults,
        }
    }
}

/// The operations, which need no token.
pub(super) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(outbox::handler))
        .routes(routes!(outbox_page::handler))
        .routes(routes!(messages::index))
        .routes(routes!(messages::one))
        .routes(routes!(messages::html))
        .routes(routes!(clock::handler))
        .routes(routes!(voice::handler))
        .routes(routes!(faults::add, faults::list, faults::clear))
        .routes(routes!(events::handler))
}
