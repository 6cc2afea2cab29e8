//! One running node: the store opened, the service and access over it, and the work that goes on beside the requests.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::crypto::keys::{Keys, MasterKey};
use crate::delivery::dispatcher::{self, Sender};
use crate::delivery::message::Channel;
use crate::factor::catalogue::Catalogue;
use crate::factor::protect::subscription::Endpoints;
use crate::factor::webauthn::relying_party::RelyingParty;
use crate::factor::yubikey::{Checking, UnusableSettings};
use crate::messages::Texts;
use crate::mfa::Core;
use crate::mfa::cores::Cores;
use crate::mfa::notices::{Notices, Switches};
use crate::mfa::policy::Policies;
use crate::mfa::redirect::RedirectPolicy;
use crate::mfa::rules::Rules;
use crate::service::access::Access;
use crate::service::rate_limit::{self, RateLimiter};
use crate::service::{Service, cleaner};
use crate::store::postgres::{PostgresOpenError, PostgresStore};
use crate::store::sqlite::{self, OpenError, SqliteStore};
use crate::store::{Location, Store, StoreError};

/// What a data directory is used for. One that was used for the one is never opened for the other: what `factord dev`
/// lets a developer do would be the end of a production's promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `factord dev`.
    Dev,
    /// `factord serve`.
    Serve,
    /// An administrative command, on either; a new directory becomes one for `serve`.
    Administration,
}

/// What a node decides by.
#[derive(Debug)]
pub struct Setup {
    /// The numbers of the rules.
    pub rules: Rules,
    /// What messages and authenticator apps call the service.
    pub service_name: String,
    /// Where a `redirect_to` may point.
    pub redirects: RedirectPolicy,
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
    /// What messages say.
    pub texts: Texts,
    /// Which notices are sent.
    pub notices: Switches,
    /// Where people reach the service.
    pub public_url: Url,
    /// The ways by which messages can be sent.
    pub channels: Vec<Channel>,
    /// Who asks for WebAuthn keys.
    pub webauthn: Option<RelyingParty>,
    /// Whose servers may wake apps up; `None` leaves it to the apps to ask.
    pub push: Option<Endpoints>,
    /// How YubiKeys are checked.
    pub yubikeys: Checking,
    /// Requests that one credential may make in an hour.
    pub rate_limit: Option<u32>,
}

impl Setup {
    /// The defaults, for a service that people reach at `public_url`.
    pub fn at(public_url: Url) -> Self {
        Self {
            rules: Rules::default(),
            service_name: "factord".to_owned(),
            redirects: RedirectPolicy::Origins(Vec::new()),
            policies: Policies::default(),
            texts: Texts::default(),
            notices: Switches::default(),
            webauthn: RelyingParty::at(&public_url),
            public_url,
            channels: Vec::new(),
            push: None,
            yubikeys: Checking::default(),
            rate_limit: None,
        }
    }
}

/// What a running node can be told to decide by from now on.
#[derive(Debug)]
pub struct Change {
    /// The numbers of the rules.
    pub rules: Rules,
    /// What messages and authenticator apps call the service.
    pub service_name: String,
    /// Where a `redirect_to` may point.
    pub redirects: RedirectPolicy,
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
    /// What messages say.
    pub texts: Texts,
    /// Which notices are sent.
    pub notices: Switches,
}

/// A data directory that is open.
pub struct Node {
    /// The operations on users and their factors.
    pub service: Service,
    /// Access by bearer tokens.
    pub access: Arc<Access>,
    /// The clock of the decisions.
    pub clock: Arc<dyn Clock>,
    /// The store beneath both.
    pub store: Arc<dyn Store>,
    /// What every decision knows.
    cores: Cores,
    /// Held while a server runs, so that there is one at a time.
    _lock: Option<File>,
}

/// A data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database server cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresOpenError),
    /// The servers that check YubiKeys cannot be set up.
    #[error(transparent)]
    Yubikeys(#[from] UnusableSettings),
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data was put back, and what must end has not ended.
    #[error(
        "{location} was being restored, and that was cut off: run `factord restore` again before a server starts on it"
    )]
    Restoring {
        /// Where the data is.
        location: String,
    },
    /// Another server runs on the directory.
    #[error(
        "another server runs on {directory}: end it first, or give this one a directory of its own"
    )]
    InUse {
        /// The directory.
        directory: String,
    },
    /// The file that shows that a server runs cannot be made.
    #[error("cannot lock {directory}: {source}")]
    Lock {
        /// The directory.
        directory: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The directory belongs to the other way of running.
    #[error(
        "{directory} holds the data of `factord {used}`, which `factord {wanted}` must not touch: give it a directory of its own"
    )]
    OtherMode {
        /// The directory.
        directory: String,
        /// What it was used for.
        used: String,
        /// What it was to be used for.
        wanted: &'static str,
    },
}

impl Node {
    /// Opens the data at `location`; a directory is made if it is not there.
    ///
    /// # Errors
    /// [`NodeError`] if the data cannot be opened with this key, or belongs to another mode.
    pub async fn open(
        location: &Location,
        key: &MasterKey,
        mode: Mode,
        setup: Setup,
    ) -> Result<Self, NodeError> {
        let cores = Cores::from(Core {
            rules: setup.rules,
            keys: Keys::derive(key),
            catalogue: Catalogue::standard()
                .sending_by(&setup.channels)
                .with_webauthn(setup.webauthn.is_some())
                .with_yubikeys(setup.yubikeys.factor()?),
            service_name: setup.service_name,
            redirects: setup.redirects,
            policies: setup.policies,
            texts: setup.texts,
            notices: Notices {
                switches: setup.notices,
                channels: setup.channels,
            },
            public_url: setup.public_url,
            webauthn: setup.webauthn,
            push: setup.push,
        });
        let (store, clock, lock) = match location {
            Location::Directory(directory) => embedded(directory, mode, &cores)?,
            Location::Postgres(settings) => {
                let store = PostgresStore::open((**settings).clone(), cores.clone()).await?;
                let clock = store.clock();
                (Arc::new(store) as Arc<dyn Store>, clock, None)
            }
        };
        claim(&*store, location, mode).await?;
        let restoring = store.setting(RESTORING).await?.as_deref() == Some("yes");
        if restoring && mode != Mode::Administration {
            return Err(NodeError::Restoring {
                location: location.to_string(),
            });
        }
        if let Some(offset) = store
            .setting(CLOCK_OFFSET)
            .await?
            .and_then(|text| text.parse().ok())
        {
            clock.set_offset(offset);
        }
        let access = Arc::new(Access::new(
            Arc::clone(&store),
            RateLimiter::new(setup.rate_limit),
        ));
        Ok(Self {
            service: Service::new(cores.clone(), Arc::clone(&store)),
            access,
            clock,
            store,
            cores,
            _lock: lock,
        })
    }

    /// Takes over a change: what is being decided ends as it began, and whatever is decided later knows it.
    pub fn change(&self, change: Change) {
        let Change {
            rules,
            service_name,
            redirects,
            policies,
            texts,
            notices: switches,
        } = change;
        let core = Core::clone(&self.cores.current());
        self.cores.replace(Core {
            rules,
            service_name,
            redirects,
            policies,
            texts,
            notices: Notices {
                switches,
                channels: core.notices.channels.clone(),
            },
            ..core
        });
    }

    /// Cleans up, and sends messages by `sender` if there is one, until `shutdown`: whenever the background work is this
    /// node's.
    pub async fn work(&self, sender: Option<Arc<dyn Sender>>, shutdown: impl Future<Output = ()>) {
        let (over, is_over) = watch::channel(());
        let sharing = tokio::spawn({
            let (store, mut is_over) = (Arc::clone(&self.store), is_over);
            let mut limiters = vec![Arc::clone(&self.access.rate_limiter)];
            limiters.extend(self.service.limiters());
            rate_limit::share(
                store,
                limiters,
                async move { drop(is_over.changed().await) },
            )
        });
        self.background(sender, shutdown).await;
        drop(over);
        // It panicked, or it has ended: there is nothing left to wait for.
        drop(sharing.await);
    }

    /// The work that one node at a time does.
    async fn background(
        &self,
        sender: Option<Arc<dyn Sender>>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = pin!(shutdown);
        loop {
            let mut duty = tokio::select! {
                () = &mut shutdown => return,
                duty = self.store.duty() => duty,
            };
            let (stop, stopped) = watch::channel(());
            let ended =
                |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
            let mut tasks = JoinSet::new();
            if let Some(sender) = &sender {
                let (store, sender) = (Arc::clone(&self.store), Arc::clone(sender));
                tasks.spawn(dispatcher::run(store, sender, ended(stopped.clone())));
            }
            tasks.spawn(cleaner::run(Arc::clone(&self.store), ended(stopped)));
            let over = tokio::select! {
                () = &mut shutdown => true,
                () = duty.lost() => false,
            };
            drop(stop);
            while tasks.join_next().await.is_some() {}
            if over {
                return;
            }
        }
    }
}

type Opened = (Arc<dyn Store>, Arc<dyn Clock>, Option<File>);

/// Opens a directory, and takes it for this process.
fn embedded(directory: &Path, mode: Mode, cores: &Cores) -> Result<Opened, NodeError> {
    check_mode(directory, mode)?;
    let lock = lock(directory, mode)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = SqliteStore::open(directory, cores.clone(), Arc::clone(&clock))?;
    Ok((Arc::new(store), clock, lock))
}

/// Refuses a directory that was used for the other way of running, before anything is written.
///
/// # Errors
/// [`NodeError::OtherMode`].
pub fn check_mode(directory: &Path, mode: Mode) -> Result<(), NodeError> {
    let is_devs = directory.join(DEV_KEY_FILE).exists();
    let (used, wanted) = match mode {
        Mode::Dev if !is_devs && directory.join(sqlite::FILE).exists() => ("serve", "dev"),
        Mode::Serve if is_devs => ("dev", "serve"),
        _ => return Ok(()),
    };
    Err(NodeError::OtherMode {
        directory: directory.display().to_string(),
        used: used.to_owned(),
        wanted,
    })
}

/// Takes the directory for one server; the system gives it back when the process ends, however it ends.
fn lock(directory: &Path, mode: Mode) -> Result<Option<File>, NodeError> {
    if mode == Mode::Administration {
        return Ok(None);
    }
    let shown = || directory.display().to_string();
    let failed = |source| NodeError::Lock {
        directory: shown(),
        source,
    };
    let mut folder = std::fs::DirBuilder::new();
    folder
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options
        .open(directory.join("server.lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(NodeError::InUse { directory: shown() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Takes the directory for a mode, or finds that it was taken for the other.
async fn claim(store: &dyn Store, location: &Location, mode: Mode) -> Result<(), NodeError> {
    let wanted = match mode {
        Mode::Dev => "dev",
        Mode::Serve | Mode::Administration => "serve",
    };
    match store.setting(MODE).await? {
        None => Ok(store.set_setting(MODE, wanted.to_owned()).await?),
        Some(used) if used == wanted || mode == Mode::Administration => Ok(()),
        Some(used) => Err(NodeError::OtherMode {
            directory: location.to_string(),
            used,
            wanted,
        }),
    }
}

const MODE: &str = "mode";
/// The setting that says whether a restored database is not safe yet.
pub const RESTORING: &str = "restoring";
/// The setting that keeps the seconds by which the service's clock is ahead.
pub const CLOCK_OFFSET: &str = "clock_offset";
/// Where `factord dev` keeps its sealing key, in its data directory: no other directory has it.
pub const DEV_KEY_FILE: &str = "dev.key";
