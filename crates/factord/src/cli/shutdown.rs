//! The signals that end a server.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Resolves, for everybody who waits, at the first SIGTERM or SIGINT.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for the signals.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn listen() -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let (told, heard) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.send_replace(true);
        });
        Ok(Self(heard))
    }

    /// The same, and the end of `other`, whichever comes first.
    pub fn or(self, other: impl Future<Output = ()> + Send + 'static) -> Self {
        let (told, heard) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                () = self.signalled() => {}
                () = other => {}
            }
            told.send_replace(true);
        });
        Self(heard)
    }

    /// Waits for the signal.
    pub async fn signalled(mut self) {
        // An error means that nobody can signal any more: the runtime is ending.
        drop(self.0.wait_for(|signalled| *signalled).await);
    }
}
