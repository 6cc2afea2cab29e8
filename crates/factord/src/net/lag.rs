//! How long what has arrived waits to be looked at. Nothing in the program can see that: so a byte is sent over a socket of
//! our own again and again, which waits in the same line as the requests do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

/// For how long the runtime has been behind with what arrives. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Lag(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// When a byte last arrived in time, in microseconds from `began`.
    in_time: AtomicU64,
}

impl Lag {
    /// Nothing is late yet; [`Lag::measure`] has to run.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            in_time: AtomicU64::new(NOT_MEASURED),
        }))
    }

    /// For how long nothing has arrived in time, within 25 ms; some milliseconds if nothing is late, zero if nothing is
    /// measured. A burst or a moment without a processor make it as long as they last: only what goes on is overload.
    pub fn behind(&self) -> Duration {
        let in_time = self.0.in_time.load(Ordering::Relaxed);
        Duration::from_micros(self.micros().saturating_sub(in_time))
    }

    /// Sends bytes, for ever. If it ends, nothing is late any more.
    ///
    /// # Errors
    /// The system gives no sockets.
    pub async fn measure(self) -> io::Result<()> {
        let (out, back) = UnixStream::pair()?;
        self.arrived_in_time();
        let ended = self.exchange(out, back).await;
        self.0.in_time.store(NOT_MEASURED, Ordering::Relaxed);
        ended
    }

    async fn exchange(&self, mut out: UnixStream, mut back: UnixStream) -> io::Result<()> {
        loop {
            let sent = Instant::now();
            out.write_all(&[0]).await?;
            // There is room for more than comes, so that it is seen that nothing is left.
            if back.read(&mut [0; 8]).await? == 0 {
                return Ok(());
            }
            if sent.elapsed() <= IN_TIME {
                self.arrived_in_time();
            }
            sleep(BETWEEN).await;
        }
    }

    fn arrived_in_time(&self) {
        self.0.in_time.store(self.micros(), Ordering::Relaxed);
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

/// Later than any moment.
const NOT_MEASURED: u64 = u64::MAX;
/// How long a byte may take.
const IN_TIME: Duration = Duration::from_millis(25);
const BETWEEN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_that_is_held_up_is_behind_until_something_arrives_in_time() {
        let lag = Lag::new();
        assert_eq!(lag.behind(), Duration::ZERO);
        tokio::spawn(lag.clone().measure());
        while lag.behind() == Duration::ZERO {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(HELD);
        assert!(lag.behind() >= HELD);
        while lag.behind() >= HELD {
            sleep(BETWEEN).await;
        }
    }

    const HELD: Duration = Duration::from_millis(60);
}
