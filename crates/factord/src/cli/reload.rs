//! SIGHUP: a server reads its configuration again and takes over what it can. A file that is wrong changes nothing.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::shutdown::Shutdown;
use crate::config::{Config, Sources};
use crate::mfa::redirect::RedirectPolicy;
use crate::node::{Change, Node};

/// Reads the configuration again at each SIGHUP. From when it is made the signal does not end the process any more.
pub struct Reload {
    signal: Signal,
    sources: Arc<Sources>,
}

impl Reload {
    /// Listens for the signal.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn listen(sources: Sources) -> io::Result<Self> {
        Ok(Self {
            signal: signal(SignalKind::hangup())?,
            sources: Arc::new(sources),
        })
    }

    /// Takes over each new configuration until `shutdown`. `started` is what the server was started with.
    pub async fn until(mut self, shutdown: Shutdown, node: &Node, started: &Config) {
        let ended = async move {
            loop {
                let Some(()) = self.signal.recv().await else {
                    return;
                };
                self.reload(node, started).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = shutdown.signalled() => {}
        }
    }

    async fn reload(&self, node: &Node, started: &Config) {
        let sources = Arc::clone(&self.sources);
        let loaded = match tokio::task::spawn_blocking(move || Config::load(&sources)).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(wrong)) => {
                for problem in wrong.problems {
                    error!(%problem, "the new configuration is wrong");
                }
                return error!("nothing was taken over: the old configuration stays");
            }
            Err(error) => return error!(%error, "the configuration could not be read again"),
        };
        loaded
            .warnings
            .iter()
            .for_each(|warning| warn!("{warning}"));
        let config = loaded.config;
        for key in config.changed_beyond_reload(started) {
            warn!(key, "a key has changed that only a new start takes over");
        }
        node.change(Change {
            rules: config.rules,
            service_name: config.service_name,
            redirects: RedirectPolicy::Origins(config.redirect_origins),
            policies: config.policies,
            texts: config.texts,
            notices: config.notices,
        });
        info!("the configuration was read again and taken over");
    }
}
