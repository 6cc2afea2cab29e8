//! Deletes in the background, in small steps, what is kept no longer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::store::Store;

/// Cleans up until `shutdown`: a step at a time while there is something to do, then once a minute.
pub async fn run(store: Arc<dyn Store>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        let pause = match store.clean_up(STEP).await {
            Ok(0) => IDLE,
            Ok(deleted) => {
                debug!(deleted, "cleaned up");
                BETWEEN_STEPS
            }
            Err(error) => {
                warn!(%error, "cannot clean up");
                IDLE
            }
        };
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Rows of each kind that one step deletes: few enough that no request waits for it.
const STEP: usize = 200;
const BETWEEN_STEPS: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_mins(1);
