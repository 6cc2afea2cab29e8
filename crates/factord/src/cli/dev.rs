//! `factord dev`: the service for developers, with nothing to configure. Messages go to an outbox, the clock can be
//! moved, and nothing of it is meant to be reached from outside this machine.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::credential;
use super::data::{DEFAULT_DATA, DEV_KEY_FILE};
use super::output::note;
use super::shutdown::Shutdown;
use super::web::{self, Web};
use crate::auth::scope::Scope;
use crate::clock;
use crate::config::{LogFormat, LogSettings};
use crate::crypto::keys::MasterKey;
use crate::crypto::tokens::{self, TokenHash};
use crate::delivery::faults::Faults;
use crate::delivery::message::Channel;
use crate::delivery::outbox::Outbox;
use crate::factor::protect::subscription::Endpoints;
use crate::messages::Texts;
use crate::mfa::profile::UpdateProfile;
use crate::mfa::redirect::RedirectPolicy;
use crate::net::{NetSettings, Server};
use crate::node::{Mode, Node, Setup, check_mode};
use crate::store::postgres::CONNECTIONS;
use crate::store::{Location, UserFilter};
use crate::telemetry::Telemetry;

/// Run the service for developers.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  factord dev --seed-user ada@example.com")]
pub struct Dev {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where the data is kept, the sealing key and the generated credential too
    #[arg(long, default_value = DEFAULT_DATA, value_name = "DIR")]
    data: PathBuf,
    /// The database, if it is not to be in the data directory: postgres://user@host/database
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The file with the sealing key; nodes that share a database share it [default: made in the data directory]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The client id of the credential that may do everything [default: dev]
    #[arg(long)]
    client_id: Option<String>,
    /// Its secret [default: generated once, and printed]
    #[arg(long)]
    client_secret: Option<SecretString>,
    /// Another credential, of a smaller scope (may be given more than once)
    #[arg(long, value_name = "ID:SECRET:SCOPE")]
    credential: Vec<Extra>,
    /// Create this user, unless there is one with this e-mail address
    #[arg(long, value_name = "EMAIL")]
    seed_user: Option<String>,
    /// Templates of messages, in the place of the standard ones (docs/messages.md)
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Listen on an address that others can reach: whoever can, reads every code
    #[arg(long)]
    expose: bool,
}

/// A credential on the command line.
#[derive(Clone, Debug)]
struct Extra {
    id: String,
    secret: SecretString,
    scope: Scope,
}

impl FromStr for Extra {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once(':')
            .and_then(|(id, rest)| Some((id, rest.rsplit_once(':')?)));
        let (id, (secret, scope)) = parts.ok_or("expected ID:SECRET:SCOPE")?;
        let scope = scope.parse::<Scope>().map_err(|error| error.to_string())?;
        Ok(Self {
            id: id.to_owned(),
            secret: secret.into(),
            scope,
        })
    }
}

impl Dev {
    /// Runs until a signal ends it.
    pub async fn run(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.listen.ip().is_loopback() || self.expose,
            "{} can be reached from outside, and whoever reaches `factord dev` reads every code: listen on loopback, or \
             say --expose if that is what you want",
            self.listen
        );
        let shutdown = Shutdown::listen()?;
        let telemetry = Telemetry::install(&LogSettings {
            format: LogFormat::Text,
            ..LogSettings::default()
        })?;
        let location = self.location()?;
        if let Location::Directory(directory) = &location {
            self.data.clone_from(directory);
        }
        check_mode(&self.data, Mode::Dev)?;
        let key = match &self.key {
            Some(file) => named_key(file)?,
            None => key(&self.data)?,
        };
        let server = Server::bind(NetSettings::new(self.listen)).await?;
        let address = server.address();
        let setup = Setup {
            texts: self.texts()?,
            ..setup(public_url(address)?)
        };
        let node = Node::open(&location, &key, Mode::Dev, setup).await?;
        let shutdown = shutdown.or(node.closed());
        let secret = self.credentials(&node).await?;
        let user = self.seed(&node).await?;

        let introduced = self.introduce(address, &secret, user);
        // Whoever started it may have stopped listening to what it says.
        introduced.or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        })?;
        let faults: Arc<Faults> = Arc::default();
        let sender = Arc::new(Outbox::new(Arc::clone(&node.store), Arc::clone(&faults)));
        let Web { router, turn_away } = web::dev(&node, &telemetry, address, self.expose, faults)?;
        let server = server.turning_away(turn_away);
        let (drained, ()) = tokio::join!(
            server.serve(router, shutdown.clone().signalled()),
            node.work(Some(sender), shutdown.signalled()),
        );
        anyhow::ensure!(
            drained.cut == 0,
            "{} connections were cut, since they did not end in time",
            drained.cut
        );
        Ok(node.ensure_open().await?)
    }

    fn location(&self) -> anyhow::Result<Location> {
        let Some(url) = &self.database else {
            return Ok(Location::Directory(self.data.clone()));
        };
        let location = Location::parse(url).context("--database")?;
        let password = std::env::var("FACTORD_DATABASE_PASSWORD").ok();
        Ok(location.with(password.map(SecretString::from).as_ref(), CONNECTIONS))
    }

    /// What messages say, by the templates that were named.
    fn texts(&self) -> anyhow::Result<Texts> {
        let mut texts = Texts::default();
        if let Some(directory) = &self.templates {
            texts.replace(directory).map_err(|problems| {
                let lines = problems.iter().map(|problem| format!("\n  {problem}"));
                anyhow::anyhow!("the templates cannot be used:{}", lines.collect::<String>())
            })?;
        }
        Ok(texts)
    }

    fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or("dev")
    }

    /// Keeps the credentials that were asked for, and gives the secret of the first.
    async fn credentials(&self, node: &Node) -> anyhow::Result<SecretString> {
        let secret = match &self.client_secret {
            Some(secret) => secret.clone(),
            None => generated_secret(&self.data)?,
        };
        ensure_credential(node, self.client_id(), &secret, Scope::ManageAll).await?;
        for extra in &self.credential {
            ensure_credential(node, &extra.id, &extra.secret, extra.scope).await?;
        }
        Ok(secret)
    }

    /// Creates the user that was asked for, and gives the id.
    async fn seed(&self, node: &Node) -> anyhow::Result<Option<i64>> {
        let Some(email) = &self.seed_user else {
            return Ok(None);
        };
        let equal = vec![("email", email.clone())];
        let found = node
            .store
            .users(UserFilter {
                equal,
                limit: 1,
                ..UserFilter::default()
            })
            .await?;
        if let Some(user) = found.users.first() {
            return Ok(Some(user.id.get()));
        }
        let (username, address) = (Some(email.clone()), Some(email.clone()));
        let profile = UpdateProfile {
            username,
            email: address,
            ..UpdateProfile::default()
        };
        let profile = profile.create(node.store.now());
        let profile = profile.map_err(|_| anyhow::anyhow!("{email} is not an e-mail address"))?;
        Ok(Some(node.service.create_user(profile).await?.id.get()))
    }

    /// Prints one block to paste from.
    fn introduce(
        &self,
        address: SocketAddr,
        secret: &SecretString,
        user: Option<i64>,
    ) -> io::Result<()> {
        let (base, id, secret) = (
            format!("http://{address}"),
            self.client_id(),
            secret.expose_secret(),
        );
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "factord dev is listening. Messages are not sent: read them at {base}/dev/outbox.html\n"
        )?;
        writeln!(out, "  base URL       {base}")?;
        writeln!(out, "  client id      {id}")?;
        writeln!(out, "  client secret  {secret}")?;
        if let (Some(user), Some(email)) = (user, &self.seed_user) {
            writeln!(out, "  user           {user} ({email})")?;
        }
        writeln!(out, "\nGet a token:\n")?;
        writeln!(
            out,
            "  curl {base}/auth/oauth2/v2/token -u {id}:{secret} -d grant_type=client_credentials\n"
        )?;
        writeln!(
            out,
            "The API is described at {base}/openapi.json. The data is in {}.",
            self.data.display()
        )?;
        if self.expose {
            note(
                "warning: this server can be reached from outside, and shows every code to whoever asks",
            );
        }
        out.flush()
    }
}

/// Where a person's browser reaches the service: by name, where it listens to this machine alone, since a WebAuthn key
/// needs one.
fn public_url(address: SocketAddr) -> anyhow::Result<Url> {
    let host = if address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    Ok(Url::parse(&format!("http://{host}"))?)
}

/// The ways by which messages get into the outbox.
pub const CHANNELS: [Channel; 4] = [Channel::Sms, Channel::Email, Channel::Voice, Channel::Push];

fn setup(public_url: Url) -> Setup {
    Setup {
        redirects: RedirectPolicy::Loopback,
        push: Some(Endpoints::Any),
        channels: CHANNELS.to_vec(),
        ..Setup::at(public_url)
    }
}

/// The sealing key of the data directory, made at the first start.
fn key(data: &Path) -> anyhow::Result<MasterKey> {
    let text = read_or_create(data, DEV_KEY_FILE, || {
        SecretString::from(
            MasterKey::generate(&mut clock::system_rng())
                .to_text()
                .as_str(),
        )
    })?;
    MasterKey::parse(text.expose_secret())
        .with_context(|| format!("{} in {}", DEV_KEY_FILE, data.display()))
}

/// The sealing key in a file.
fn named_key(file: &Path) -> anyhow::Result<MasterKey> {
    let shown = || file.display().to_string();
    let text = SecretString::from(std::fs::read_to_string(file).with_context(shown)?);
    MasterKey::parse(text.expose_secret()).with_context(shown)
}

/// The secret of the credential, made at the first start.
fn generated_secret(data: &Path) -> anyhow::Result<SecretString> {
    read_or_create(data, "client.secret", || {
        tokens::generate(&mut clock::system_rng())
    })
}

/// Reads a secret that is kept for the owner's eyes alone, or makes it.
fn read_or_create(
    data: &Path,
    name: &str,
    make: impl FnOnce() -> SecretString,
) -> anyhow::Result<SecretString> {
    let path = data.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned().into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    let made = make();
    let written = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .and_then(|()| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            writeln!(file, "{}", made.expose_secret())?;
            file.sync_all()
        });
    written.with_context(|| path.display().to_string())?;
    Ok(made)
}

/// Keeps a credential, unless the very same is kept already, also if another node was faster.
async fn ensure_credential(
    node: &Node,
    id: &str,
    secret: &SecretString,
    scope: Scope,
) -> anyhow::Result<()> {
    let kept = node.store.credential(id.to_owned()).await?;
    let kept = match kept {
        Some(kept) => kept,
        None => match credential::keep(node, id, secret, scope).await {
            Ok(()) => return Ok(()),
            Err(error) => match node.store.credential(id.to_owned()).await? {
                Some(kept) => kept,
                None => return Err(error),
            },
        },
    };
    let same = kept.secret == TokenHash::of_secret(secret)
        && kept.scope == scope
        && kept.revoked_at.is_none();
    anyhow::ensure!(
        same,
        "this data has a credential {id} with another secret or scope, or a revoked one: name another, or start \
         with another --data"
    );
    Ok(())
}
