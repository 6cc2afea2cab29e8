//! Takes committed messages from the store, the longest due first, and hands them to whoever sends them, several at a
//! time. What it was at when the process died it takes again.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::lanes::Lanes;
use crate::clock;
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

/// Sends messages until `shutdown`, and then finishes for a while what is under way: what is cut off will be sent again. A
/// database that does not answer is asked again a second later. There must be one dispatcher a database.
pub async fn run(
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    shutdown: impl Future<Output = ()>,
) {
    let mut dispatcher = Dispatcher {
        store,
        sender,
        lanes: Lanes::new(PARALLEL),
        deliveries: JoinSet::new(),
        under_way: HashMap::new(),
    };
    dispatcher.until(shutdown).await;
    drop(tokio::time::timeout(GRACE, async { while dispatcher.finish_one().await {} }).await);
}

struct Dispatcher {
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    lanes: Lanes,
    deliveries: JoinSet<()>,
    under_way: HashMap<task::Id, Arc<StoredMessage>>,
}

impl Dispatcher {
    async fn until(&mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let signal = self.store.message_signal();
        loop {
            // Listen before looking, so that a message which is committed in between is not missed.
            let mut committed = pin!(signal.notified());
            committed.as_mut().enable();
            let mut more = self.look().await;
            let looked = Instant::now();
            loop {
                self.start();
                if more && self.lanes.len() <= BATCH {
                    break;
                }
                tokio::select! {
                    () = &mut shutdown => return,
                    true = self.finish_one() => {}
                    () = &mut committed, if !more => more = true,
                    () = tokio::time::sleep_until(looked + BACKLOG_PAUSE), if more => break,
                    () = tokio::time::sleep_until(looked + LOOK_ANYWAY) => break,
                }
            }
        }
    }

    /// Takes what is due from the store and is not in hand already. Gives whether there may be more.
    async fn look(&mut self) -> bool {
        let limit = (2 * self.lanes.len() + BATCH).min(MOST_IN_HAND);
        match self.store.waiting_messages(limit).await {
            Ok(messages) => {
                let more = messages.len() == limit;
                for message in messages {
                    self.lanes.add(message);
                }
                more
            }
            Err(error) => {
                error!(%error, "messages cannot be read");
                false
            }
        }
    }

    fn start(&mut self) {
        while let Some(message) = self.lanes.next() {
            let delivery = Delivery {
                store: Arc::clone(&self.store),
                sender: Arc::clone(&self.sender),
                message: Arc::clone(&message),
            };
            let handle = self.deliveries.spawn(delivery.run());
            self.under_way.insert(handle.id(), message);
        }
    }

    /// Waits until a delivery has ended; `false` if there is none.
    async fn finish_one(&mut self) -> bool {
        let id = match self.deliveries.join_next_with_id().await {
            None => return false,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
        };
        if let Some(message) = self.under_way.remove(&id) {
            self.lanes.finished(&message);
        }
        true
    }
}

/// One attempt at one message.
struct Delivery {
    store: Arc<dyn Store>,
    sender: Arc<dyn Sender>,
    message: Arc<StoredMessage>,
}

impl Delivery {
    async fn run(self) {
        let (id, channel) = (self.message.id, self.message.message.channel.as_str());
        if self.message.message.expires_at <= self.store.now() {
            warn!(id, channel, "a message was not sent in time");
            return self.give_up().await;
        }
        match self.sender.send(&self.message).await {
            Ok(Sent::Erased) => {}
            Ok(Sent::Done) => self.settle(Sending::Sent).await,
            Ok(Sent::Later) => self.try_later().await,
            Ok(Sent::Never) => {
                warn!(id, channel, "a message cannot be sent");
                self.give_up().await;
            }
            Err(error) => {
                error!(id, channel, %error, "a message cannot be moved");
                tokio::time::sleep(LOOK_ANYWAY).await;
            }
        }
    }

    /// Puts the message off, or gives it up if it would be of no use any more by then.
    async fn try_later(&self) {
        let StoredMessage { id, attempts, .. } = *self.message;
        let channel = self.message.message.channel.as_str();
        let at = self.store.now().plus(wait_after(attempts));
        if at >= self.message.message.expires_at {
            warn!(id, channel, attempts, "a message cannot be sent in time");
            return self.give_up().await;
        }
        info!(id, channel, attempts, "a message will be tried again");
        self.settle(Sending::Retry(at)).await;
    }

    /// Ends what the message was for, then erases it: after a crash in between it is given up again, which changes
    /// nothing.
    async fn give_up(&self) {
        if let Some(about) = self.message.message.about {
            let decided = store::decide(&*self.store, self.message.user, GiveUpMessage { about });
            if let Err(error) = decided.await {
                error!(id = self.message.id, %error, "what a message was for cannot be ended");
                return tokio::time::sleep(LOOK_ANYWAY).await;
            }
        }
        self.settle(Sending::Abandoned).await;
    }

    /// Writes down what became of the message, until the database takes it: it would be sent again otherwise.
    async fn settle(&self, outcome: Sending) {
        while let Err(error) = self.store.settle_message(self.message.id, outcome).await {
            error!(id = self.message.id, %error, "it cannot be written down what became of a message");
            tokio::time::sleep(LOOK_ANYWAY).await;
        }
    }
}

/// Seconds from an attempt to the next: about 1, 2, 4 … up to half a minute, and half as much more or less, so that what
/// failed together does not come back together.
fn wait_after(attempts: u32) -> i64 {
    let seconds = (1 << attempts.min(5)).min(LONGEST_WAIT);
    clock::system_rng().random_range((seconds + 1) / 2..=seconds + seconds / 2)
}

/// Deliveries on one channel at a time.
const PARALLEL: usize = 16;
/// Messages that are read at once; with more than these in hand the dispatcher is behind.
const BATCH: usize = 64;
/// How long it then leaves the store alone, since whatever is in hand is read again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(250);
/// Messages in hand. Behind so many that are stuck on one channel, those of another wait too.
const MOST_IN_HAND: usize = 4096;
/// How long the dispatcher waits for word of a commit before it looks anyway: what is to be tried again comes due.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// How long deliveries may go on after the end was called.
const GRACE: Duration = Duration::from_secs(10);
/// Seconds.
const LONGEST_WAIT: i64 = 30;

#[cfg(test)]
mod tests;
