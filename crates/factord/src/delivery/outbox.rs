//! The outbox of `factord dev`: messages are kept, sealed, for the developer to read instead of sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::dispatcher::{Sender, Sent};
use super::faults::{Faults, Outcome};
use crate::store::{Store, StoreError, StoredMessage};

/// Moves every message to the outbox that is not to go wrong.
pub struct Outbox {
    store: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl Outbox {
    /// An outbox in the same database. Deliveries go wrong as `faults` say.
    pub fn new(store: Arc<dyn Store>, faults: Arc<Faults>) -> Self {
        Self { store, faults }
    }
}

impl Sender for Outbox {
    fn send<'a>(
        &'a self,
        message: &'a StoredMessage,
    ) -> Pin<Box<dyn Future<Output = Result<Sent, StoreError>> + Send + 'a>> {
        Box::pin(async move {
            // A developer means the messages that somebody waits for.
            let meant = (!message.message.is_notice()).then_some(message.message.channel);
            Ok(match meant.and_then(|channel| self.faults.next(channel)) {
                Some(Outcome::Fail) => Sent::Never,
                Some(Outcome::Delay) => Sent::Later,
                Some(Outcome::Drop) => Sent::Done,
                None => {
                    self.store.move_to_outbox(message.id).await?;
                    Sent::Erased
                }
            })
        })
    }
}
