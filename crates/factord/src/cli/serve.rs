//! `factord serve`: the service for production.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing::{info, warn};

use super::data::sources;
use super::reload::Reload;
use super::shutdown::Shutdown;
use super::web::{self, Web};
use crate::config::Config;
use crate::factor::protect::subscription::Endpoints;
use crate::mfa::redirect::RedirectPolicy;
use crate::net::Server;
use crate::node::{Mode, Node, Setup};
use crate::telemetry::Telemetry;

/// Run the service for production.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  factord serve --config /etc/factord/factord.toml")]
pub struct Serve {
    /// The configuration (docs/configuration.md lists the keys)
    #[arg(long, value_name = "FILE", env = "FACTORD_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen, in the place of what is configured
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The data directory, in the place of what is configured
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The database, in the place of what is configured: sqlite:DIRECTORY or postgres://user@host/database
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    database: Option<PathBuf>,
    /// The file with the sealing key, in the place of what is configured
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Serve {
    /// Runs until a signal ends it.
    pub async fn run(self) -> anyhow::Result<()> {
        let listen = self.listen.map(PathBuf::from);
        let flags = [
            ("listen", "--listen", listen.as_deref()),
            ("data", "--data", self.data.as_deref()),
            ("database.url", "--database", self.database.as_deref()),
            ("sealing_key_file", "--key", self.key.as_deref()),
        ];
        let sources = sources(self.config.as_deref(), &flags);
        let loaded = Config::load(&sources)?;
        let config = loaded.config;
        let shutdown = Shutdown::listen()?;
        let reload = Reload::listen(sources)?;
        let telemetry = Telemetry::install(&config.log)?;
        loaded
            .warnings
            .iter()
            .for_each(|warning| warn!("{warning}"));

        let setup = Setup {
            rules: config.rules.clone(),
            service_name: config.service_name.clone(),
            public_url: config.public_url.clone(),
            redirects: RedirectPolicy::Origins(config.redirect_origins.clone()),
            policies: config.policies.clone(),
            texts: config.texts.clone(),
            notices: config.notices,
            channels: config.delivery.channels(),
            webauthn: config.webauthn.clone(),
            push: (!config.delivery.push.is_empty()).then_some(Endpoints::Public),
            yubikeys: config.yubikeys.clone(),
            rate_limit: config.rate_limit,
        };
        let node = Node::open(
            &config.storage.location,
            &config.storage.sealing_key,
            Mode::Serve,
            setup,
        )
        .await?;
        let sender = if config.delivery.channels().is_empty() {
            None
        } else {
            let core = node.service.core();
            Some(
                config
                    .delivery
                    .sender(Arc::clone(&node.clock), &core.keys)?,
            )
        };
        let server = Server::bind(config.net()).await?;
        let shutdown = shutdown.or(node.closed());
        info!(address = %server.address(), "listening");
        let Web { router, turn_away } = web::serve(&node, &telemetry, &config);
        let server = server.turning_away(turn_away);
        let (drained, (), ()) = tokio::join!(
            server.serve(router, shutdown.clone().signalled()),
            node.work(sender, shutdown.clone().signalled()),
            reload.until(shutdown, &node, &config),
        );
        info!(cut = drained.cut, "stopped");
        Ok(node.ensure_open().await?)
    }
}
