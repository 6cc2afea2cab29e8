//! The outbox of `factord dev`: messages are kept, sealed, for the developer to read instead of sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::dispatcher::{Sender, Sent};
use crate::store::{Store, StoreError, StoredMessage};

/// Moves every message to the outbox.
pub struct Outbox {
    store: Arc<dyn Store>,
}

impl Outbox {
    /// An outbox in the same database.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Sender for Outbox {
    fn send<'a>(
        &'a self,
        message: &'a StoredMessage,
    ) -> Pin<Box<dyn Future<Output = Result<Sent, StoreError>> + Send + 'a>> {
        Box::pin(async move {
            self.store.move_to_outbox(message.id).await?;
            Ok(Sent::Erased)
        })
    }
}
