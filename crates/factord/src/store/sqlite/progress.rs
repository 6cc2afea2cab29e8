//! How far the commits have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::store::StoreError;

/// For those who read: a commit can be read before it is synced, and must not be shown
/// before.
pub(super) struct Progress {
    begun: AtomicU64,
    durable: watch::Receiver<u64>,
}

impl Progress {
    /// Nothing has begun yet; and where the writer says what is durable.
    pub fn new() -> (Arc<Self>, watch::Sender<u64>) {
        let (sender, durable) = watch::channel(0);
        let progress = Self {
            begun: AtomicU64::new(0),
            durable,
        };
        (Arc::new(progress), sender)
    }

    /// A commit begins: from now on it may be read.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// The number of the commit that began last.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits until all that can have been read is durable. To be called after the reading.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it will never be.
    pub async fn caught_up(&self) -> Result<(), StoreError> {
        let begun = self.begun();
        if *self.durable.borrow() >= begun {
            return Ok(());
        }
        let mut durable = self.durable.clone();
        let reached = durable.wait_for(|durable| *durable >= begun).await;
        reached
            .map(drop)
            .map_err(|_| StoreError::Unavailable("the store has stopped".to_owned()))
    }
}
