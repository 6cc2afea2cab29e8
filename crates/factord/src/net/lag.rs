//! How long what has arrived waits to be looked at. Nothing in the program can see that: so a byte is sent over a socket of
//! our own again and again, which waits in the same line as the requests do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

/// How far the runtime is behind with what arrives. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Lag(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// When the byte was sent that is under way, in microseconds from `began`.
    sent: AtomicU64,
}

impl Lag {
    /// Nothing waits yet; [`Lag::measure`] has to run.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            sent: AtomicU64::new(NOTHING),
        }))
    }

    /// How long the byte that is under way has waited; zero if none is.
    pub fn now(&self) -> Duration {
        let sent = self.0.sent.load(Ordering::Relaxed);
        Duration::from_micros(self.micros().saturating_sub(sent))
    }

    /// Sends bytes, for ever. If it ends, nothing is late any more.
    ///
    /// # Errors
    /// The system gives no sockets.
    pub async fn measure(self) -> io::Result<()> {
        let (out, back) = UnixStream::pair()?;
        let ended = self.exchange(out, back).await;
        self.0.sent.store(NOTHING, Ordering::Relaxed);
        ended
    }

    async fn exchange(&self, mut out: UnixStream, mut back: UnixStream) -> io::Result<()> {
        loop {
            self.0.sent.store(self.micros(), Ordering::Relaxed);
            out.write_all(&[0]).await?;
            // There is room for more than comes, so that it is seen that nothing is left.
            if back.read(&mut [0; 8]).await? == 0 {
                return Ok(());
            }
            self.0.sent.store(NOTHING, Ordering::Relaxed);
            sleep(BETWEEN).await;
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Default for Lag {
    fn default() -> Self {
        Self::new()
    }
}

/// No byte is under way.
const NOTHING: u64 = u64::MAX;
const BETWEEN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_that_is_held_up_is_late_until_it_goes_on() {
        let lag = Lag::new();
        assert_eq!(lag.now(), Duration::ZERO);
        tokio::spawn(lag.clone().measure());
        while lag.now() == Duration::ZERO {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(HELD);
        assert!(lag.now() >= HELD);
        while lag.now() > Duration::ZERO {
            tokio::task::yield_now().await;
        }
    }

    const HELD: Duration = Duration::from_millis(40);
}
