//! The store on PostgreSQL: any number of nodes on one database. Whatever they share is in it, so that each may die at any
//! time.

mod credentials;
mod database;
mod decision;
mod duty;
mod error;
mod events;
mod filter;
mod groups;
mod hardware;
mod messages;
mod open;
mod settings;
#[cfg(test)]
mod sharding;
mod statement;
#[cfg(test)]
pub(super) mod tests;
mod time;
mod transfer;
mod upkeep;
mod users;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::{
    Answer, Duty, EventFilter, Job, Loaded, OutboxFilter, RequestCount, Sending, Store,
    StoredMessage, UserFilter, UserPage,
};
use crate::audit::StoredEvent;
use crate::auth::{Credential, TokenPair};
use crate::clock::{self, Clock, Timestamp};
use crate::crypto::tokens::TokenHash;
use crate::mfa::cores::Cores;
use crate::mfa::hardware::{Hardware, Known};
use crate::mfa::ids::UserId;
use crate::mfa::user::{Profile, User};
use database::Database;
use decision::Stripes;
use groups::Lanes;
pub use open::{PostgresOpenError, SchemaStatus, migrate, status};
pub use settings::{BadUrl, CONNECTIONS, PostgresSettings};
pub use time::DatabaseClock;
pub use transfer::Mover;
use watch::{Channels, Signals};

/// A store in a PostgreSQL database, which many nodes may share.
pub struct PostgresStore {
    inner: Arc<Inner>,
    settings: PostgresSettings,
    schema: i32,
    watching: Vec<AbortHandle>,
}

/// What requests and background tasks share.
struct Inner {
    db: Database,
    cores: Cores,
    lanes: Lanes,
    stripes: Stripes,
    signals: Signals,
    channels: Channels,
    moving: Mutex<()>,
}

impl PostgresStore {
    /// Opens the database, and brings its schema up to date. Decisions are made by the database's clock.
    ///
    /// # Errors
    /// [`PostgresOpenError`].
    pub async fn open(
        settings: PostgresSettings,
        cores: impl Into<Cores>,
    ) -> Result<Self, PostgresOpenError> {
        Self::open_at(settings, cores.into(), None).await
    }

    async fn open_at(
        settings: PostgresSettings,
        cores: Cores,
        given: Option<Arc<dyn Clock>>,
    ) -> Result<Self, PostgresOpenError> {
        let identity =
            open::open(&settings, &cores.current().keys, &mut clock::system_rng()).await?;
        let inner = Arc::new(Inner {
            db: Database::new(&settings, given)?,
            cores,
            lanes: Lanes::default(),
            stripes: Stripes::default(),
            signals: Signals::default(),
            channels: Channels::of(identity.schema),
            moving: Mutex::default(),
        });
        inner
            .db
            .ask_time()
            .await
            .map_err(|error| PostgresOpenError::Unreachable {
                database: settings.to_string(),
                reason: error.to_string(),
            })?;
        let watching = vec![
            tokio::spawn(watch::listen(Arc::clone(&inner), settings.clone())).abort_handle(),
            tokio::spawn(watch::keep_time(Arc::clone(&inner))).abort_handle(),
        ];
        Ok(Self {
            inner,
            settings,
            schema: identity.schema,
            watching,
        })
    }

    /// The database's clock, with the offset of `factord dev`.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.db.clock) as Arc<dyn Clock>
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.watching.iter().for_each(AbortHandle::abort);
    }
}

impl Store for PostgresStore {
    fn submit(&self, user: UserId, job: Box<dyn Job>) {
        groups::submit(&self.inner, user, job);
    }

    fn load(&self, user: UserId, finished: Option<Uuid>) -> Answer<'_, Option<Loaded>> {
        Box::pin(self.inner.load(user, finished))
    }

    fn linked_user(&self, token: TokenHash) -> Answer<'_, Option<UserId>> {
        Box::pin(async move { self.inner.linked(&token).await })
    }

    fn create_user(&self, profile: Profile) -> Answer<'_, User> {
        Box::pin(self.inner.create(profile))
    }

    fn users(&self, filter: UserFilter) -> Answer<'_, UserPage> {
        Box::pin(async move { self.inner.users(&filter).await })
    }

    fn events(&self, filter: EventFilter) -> Answer<'_, Vec<StoredEvent>> {
        Box::pin(async move { self.inner.events(&filter).await })
    }

    fn insert_credential(&self, credential: Credential) -> Answer<'_, ()> {
        Box::pin(async move { self.inner.insert_credential(&credential).await })
    }

    fn credential(&self, id: String) -> Answer<'_, Option<Credential>> {
        Box::pin(async move { self.inner.credential(&id).await })
    }

    fn credentials(&self) -> Answer<'_, Vec<Credential>> {
        Box::pin(self.inner.credentials())
    }

    fn revoke_credential(&self, id: String) -> Answer<'_, bool> {
        Box::pin(async move { self.inner.revoke_credential(&id).await })
    }

    fn insert_token(&self, pair: TokenPair) -> Answer<'_, ()> {
        Box::pin(async move { self.inner.insert_token(&pair).await })
    }

    fn token(&self, access: TokenHash) -> Answer<'_, Option<TokenPair>> {
        Box::pin(async move { self.inner.token(&access).await })
    }

    fn replace_token(
        &self,
        access: TokenHash,
        refresh: TokenHash,
        new: TokenPair,
    ) -> Answer<'_, bool> {
        Box::pin(async move { self.inner.replace_token(&access, &refresh, &new).await })
    }

    fn revoke_token(&self, access: TokenHash, credential: String) -> Answer<'_, bool> {
        Box::pin(async move { self.inner.revoke_token(&access, &credential).await })
    }

    fn waiting_messages(&self, limit: usize) -> Answer<'_, Vec<StoredMessage>> {
        Box::pin(self.inner.waiting(limit))
    }

    fn settle_message(&self, id: i64, outcome: Sending) -> Answer<'_, ()> {
        Box::pin(self.inner.settle(id, outcome))
    }

    fn move_to_outbox(&self, id: i64) -> Answer<'_, ()> {
        Box::pin(self.inner.move_to_outbox(id))
    }

    fn outbox(&self, filter: OutboxFilter) -> Answer<'_, Vec<StoredMessage>> {
        Box::pin(self.inner.outbox(filter))
    }

    fn import_hardware(&self, new: Vec<(String, Hardware)>) -> Answer<'_, Vec<String>> {
        Box::pin(self.inner.import_hardware(new))
    }

    fn hardware(&self) -> Answer<'_, Known> {
        Box::pin(self.inner.all_hardware())
    }

    fn setting(&self, name: &'static str) -> Answer<'_, Option<String>> {
        Box::pin(self.inner.setting(name))
    }

    fn set_setting(&self, name: &'static str, value: String) -> Answer<'_, ()> {
        Box::pin(async move { self.inner.set_setting(name, &value).await })
    }

    fn end_sessions(&self) -> Answer<'_, usize> {
        Box::pin(self.inner.end_sessions())
    }

    fn clean_up(&self, limit: usize) -> Answer<'_, usize> {
        Box::pin(self.inner.clean_up(limit))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.inner.ping())
    }

    fn now(&self) -> Timestamp {
        self.inner.db.now()
    }

    fn message_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.signals.messages)
    }

    fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.signals.outbox)
    }

    fn count_requests(&self, counts: Vec<RequestCount>) -> Answer<'_, Option<Vec<RequestCount>>> {
        Box::pin(async move { self.inner.count_requests(&counts).await.map(Some) })
    }

    fn duty(&self) -> Pin<Box<dyn Future<Output = Duty> + Send + '_>> {
        Box::pin(duty::acquire(&self.settings, self.schema))
    }
}

/// A limit or offset as PostgreSQL takes it.
fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
