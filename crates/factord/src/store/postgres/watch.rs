//! What a node does all the time beside the requests: it listens for words of other nodes, keeps its idea of the
//! database's time fresh, and notices when its own clock is wrong.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_postgres::AsyncMessage;
use tracing::{info, warn};

use super::Inner;
use super::settings::PostgresSettings;
use crate::clock::{Clock, SystemClock};

/// Who waits for commits of other people.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// Told of messages to send. A single dispatcher waits here: it is told also if it comes late.
    pub messages: Arc<Notify>,
    /// Told of messages in the outbox. All who wait at the moment are told.
    pub outbox: Arc<Notify>,
    /// Whether words of other nodes come at once.
    listening: Arc<AtomicBool>,
}

impl Signals {
    /// Tells everybody: what was said meanwhile was missed.
    fn tell_all(&self) {
        self.messages.notify_one();
        self.outbox.notify_waiters();
    }
}

/// The names under which nodes speak to each other.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub messages: String,
    pub outbox: String,
}

impl Channels {
    /// Those of one schema.
    pub fn of(schema: i32) -> Self {
        Self {
            messages: format!("factord_{schema:08x}_messages"),
            outbox: format!("factord_{schema:08x}_outbox"),
        }
    }
}

/// Listens to other nodes for ever; while it cannot, [`keep_time`] tells everybody once a second.
pub(super) async fn listen(inner: Arc<Inner>, settings: PostgresSettings) {
    loop {
        if let Err(error) = listen_once(&inner, &settings).await {
            warn!(%error, "words of other nodes are not heard for now");
        }
        inner.signals.listening.store(false, Ordering::Release);
        sleep(BETWEEN_CONNECTIONS).await;
    }
}

async fn listen_once(
    inner: &Inner,
    settings: &PostgresSettings,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (client, mut connection) = settings.config.connect(settings.tls()?).await?;
    let Channels { messages, outbox } = &inner.channels;
    let sql = format!("LISTEN {messages}; LISTEN {outbox}");
    let mut subscribed = std::pin::pin!(client.batch_execute(&sql));
    let mut waiting = true;
    loop {
        let message = tokio::select! {
            done = &mut subscribed, if waiting => {
                done?;
                waiting = false;
                inner.signals.listening.store(true, Ordering::Release);
                inner.signals.tell_all();
                continue;
            }
            message = poll_fn(|context| connection.poll_message(context)) => message,
        };
        match message {
            Some(Ok(AsyncMessage::Notification(word))) if word.channel() == messages => {
                inner.signals.messages.notify_one();
            }
            Some(Ok(AsyncMessage::Notification(_))) => inner.signals.outbox.notify_waiters(),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
    }
}

/// Asks for the time once a second, for ever, and compares it with this machine's.
pub(super) async fn keep_time(inner: Arc<Inner>) {
    let own = SystemClock::default();
    let mut said: Option<Instant> = None;
    let mut far = false;
    loop {
        if let (Ok(_), Some(server)) = (inner.db.ask_time().await, inner.db.clock.server_seconds())
        {
            let ahead = own.now().seconds().saturating_sub(server);
            #[expect(clippy::cast_precision_loss, reason = "seconds are small enough")]
            metrics::gauge!("factord_clock_ahead_seconds").set(ahead as f64);
            if ahead.abs() > MOST_SKEW {
                if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                    warn!(
                        seconds = ahead,
                        "this machine's clock is ahead of the database's (behind, if negative); decisions go by the database's"
                    );
                    said = Some(Instant::now());
                }
                far = true;
            } else if far {
                info!("this machine's clock agrees with the database's again");
                (said, far) = (None, false);
            }
        }
        if !inner.signals.listening.load(Ordering::Acquire) {
            inner.signals.tell_all();
        }
        sleep(BETWEEN_QUESTIONS).await;
    }
}

const BETWEEN_CONNECTIONS: Duration = Duration::from_secs(1);
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
/// Seconds by which a clock may be wrong before it is said.
const MOST_SKEW: i64 = 5;
const SAY_AGAIN: Duration = Duration::from_mins(1);
