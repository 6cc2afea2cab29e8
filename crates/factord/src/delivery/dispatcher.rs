//! Takes committed messages from the store, oldest first, and hands them to whoever sends them. What it was at when
//! the process died it takes again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::mfa::undelivered::GiveUpMessage;
use crate::store::{self, Sending, Store, StoreError, StoredMessage};

/// Somebody who sends messages.
pub trait Sender: Send + Sync {
    /// Sends one message and says what became of it.
    ///
    /// Fails with [`StoreError`] if the sender keeps what it sends in the database, and could not.
    fn send<'a>(
        &'a self,
        message: &'a StoredMessage,
    ) -> Pin<Box<dyn Future<Output = Result<Sent, StoreError>> + Send + 'a>>;
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was handed over.
    Done,
    /// It was handed over, and the sender has erased it itself.
    Erased,
    /// It could not be handed over now.
    Later,
    /// It can never be handed over.
    Never,
}

/// Sends messages until `shutdown`. A database that does not answer is asked again a second later.
pub async fn run(
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let signal = store.message_signal();
    loop {
        // Listen before looking, so that a message which is committed in between is not missed.
        let mut committed = pin!(signal.notified());
        committed.as_mut().enable();
        let sent = tokio::select! {
            () = &mut shutdown => return,
            sent = send_waiting(&*store, &*sender) => sent,
        };
        match sent {
            Ok(0) => tokio::select! {
                () = &mut shutdown => return,
                () = committed => {}
                () = tokio::time::sleep(LOOK_ANYWAY) => {}
            },
            Ok(_) => {}
            Err(error) => {
                error!(%error, "messages cannot be read");
                tokio::time::sleep(LOOK_ANYWAY).await;
            }
        }
    }
}

/// Sends what is waiting now, at most a batch; gives how many were looked at.
async fn send_waiting(store: &dyn Store, sender: &dyn Sender) -> Result<usize, StoreError> {
    let waiting = store.waiting_messages(BATCH).await?;
    for message in &waiting {
        let now = store.now();
        let (id, channel) = (message.id, message.message.channel.as_str());
        if message.message.expires_at <= now {
            warn!(id, channel, "a message was not sent in time");
            give_up(store, message).await?;
            continue;
        }
        match sender.send(message).await? {
            Sent::Erased => {}
            Sent::Done => store.settle_message(id, Sending::Sent).await?,
            Sent::Later => {
                let at = now.plus(1 << message.attempts.min(MOST_DOUBLINGS));
                info!(
                    id,
                    channel,
                    attempts = message.attempts,
                    "a message will be tried again"
                );
                store.settle_message(id, Sending::Retry(at)).await?;
            }
            Sent::Never => {
                warn!(id, channel, "a message cannot be sent");
                give_up(store, message).await?;
            }
        }
    }
    Ok(waiting.len())
}

/// Ends what the message was for, then erases it: after a crash in between it is given up again, which changes nothing.
async fn give_up(store: &dyn Store, message: &StoredMessage) -> Result<(), StoreError> {
    if let Some(about) = message.message.about {
        store::decide(store, message.user, GiveUpMessage { about }).await?;
    }
    store.settle_message(message.id, Sending::Abandoned).await
}

/// Messages that are read at once.
const BATCH: usize = 64;
/// How long the dispatcher waits for word of a commit before it looks anyway: another process may have committed, and
/// what is to be tried again comes due.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// The longest wait between two attempts is 2 to this power, in seconds.
const MOST_DOUBLINGS: u32 = 6;
