//! What the service needs of a database, whichever it is. Every decision is atomic: nothing it reads changes before its
//! commit, and what it answers is durable when the caller hears it.

#[cfg(test)]
mod contract;
mod deciding;
mod location;
pub mod memory;
pub mod postgres;
pub mod sqlite;
pub mod transfer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::audit::StoredEvent;
use crate::auth::{Credential, TokenPair};
use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use crate::delivery::message::Message;
use crate::mfa::Core;
use crate::mfa::decision::{self, Decide, Draft, Reads};
use crate::mfa::hardware::{Hardware, Known};
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Finished, Profile, User};
pub use location::Location;

/// A store's answer, to be awaited.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A database of users, their factors, credentials and messages.
pub trait Store: Send + Sync {
    /// Decides `job` about `user` and commits what follows, then tells the job. It may be decided again if the commit
    /// turns out stale. [`decide`] is the typed way in.
    fn submit(&self, user: UserId, job: Box<dyn Job>);

    /// The user as committed, with the finished registration or verification that is asked for, and the time of the
    /// reading. `None` if there is no such user.
    fn load(&self, user: UserId, finished: Option<Uuid>) -> Answer<'_, Option<Loaded>>;

    /// The user to whom a link leads that has not expired.
    fn linked_user(&self, token: TokenHash) -> Answer<'_, Option<UserId>>;

    /// Creates a user with an id of its own, and the audit event of it.
    ///
    /// Fails with [`StoreError::Conflict`] if another user has the same `username`, whatever its case.
    fn create_user(&self, profile: Profile) -> Answer<'_, User>;

    /// The users that `filter` picks, by rising id.
    fn users(&self, filter: UserFilter) -> Answer<'_, UserPage>;

    /// Audit events, newest first.
    fn events(&self, filter: EventFilter) -> Answer<'_, Vec<StoredEvent>>;

    /// Keeps a new credential, and the audit event of it. Fails with [`StoreError::Conflict`] if its id is taken.
    fn insert_credential(&self, credential: Credential) -> Answer<'_, ()>;

    /// The credential with this id, revoked or not.
    fn credential(&self, id: String) -> Answer<'_, Option<Credential>>;

    /// All credentials, by id.
    fn credentials(&self) -> Answer<'_, Vec<Credential>>;

    /// Revokes a credential, deletes its tokens, and keeps the audit event of it. `false` if there is none, or it was revoked before.
    fn revoke_credential(&self, id: String) -> Answer<'_, bool>;

    /// Keeps a new pair of tokens, unless its credential has been revoked meanwhile: then the pair is void from the
    /// start.
    fn insert_token(&self, pair: TokenPair) -> Answer<'_, ()>;

    /// The pair with this access token, expired or not.
    fn token(&self, access: TokenHash) -> Answer<'_, Option<TokenPair>>;

    /// Puts `new` in the place of the pair with these two tokens of the same credential; `false` (and nothing is
    /// changed) if there is none. The old pair is void at once.
    fn replace_token(
        &self,
        access: TokenHash,
        refresh: TokenHash,
        new: TokenPair,
    ) -> Answer<'_, bool>;

    /// Deletes the pair with this access token if it is `credential`'s; `false` if there is none.
    fn revoke_token(&self, access: TokenHash, credential: String) -> Answer<'_, bool>;

    /// The oldest messages that are to be sent by now, at most `limit`.
    fn waiting_messages(&self, limit: usize) -> Answer<'_, Vec<StoredMessage>>;

    /// Says what became of a message. A sent or abandoned one is erased.
    fn settle_message(&self, id: i64, outcome: Sending) -> Answer<'_, ()>;

    /// Moves a message to the outbox of `factord dev`, sealed, in one commit.
    fn move_to_outbox(&self, id: i64) -> Answer<'_, ()>;

    /// The outbox of `factord dev`, newest first.
    fn outbox(&self, filter: OutboxFilter) -> Answer<'_, Vec<StoredMessage>>;

    /// Keeps hardware with its secrets, all of it or, where the secret of any is known already, none: gives the ids of
    /// those, and nothing if it was done. Of hardware that is known without its secret the owner and the state stay.
    fn import_hardware(&self, new: Vec<(String, Hardware)>) -> Answer<'_, Vec<String>>;

    /// All hardware.
    fn hardware(&self) -> Answer<'_, Known>;

    /// A setting that the database keeps for all its processes.
    fn setting(&self, name: &'static str) -> Answer<'_, Option<String>>;

    /// Keeps a setting.
    fn set_setting(&self, name: &'static str, value: String) -> Answer<'_, ()>;

    /// Ends what has expired of at most `limit` users, and deletes at most `limit` rows each of what is kept no longer:
    /// finished registrations and verifications, expired tokens and links, old message histories. Gives how many there were.
    fn clean_up(&self, limit: usize) -> Answer<'_, usize>;

    /// Ends all bearer tokens and links, and erases the messages that wait: what a database must do that was put back to an
    /// earlier state. Gives how many there were.
    fn end_sessions(&self) -> Answer<'_, usize>;

    /// Whether the database can read and write now.
    fn ping(&self) -> Answer<'_, ()>;

    /// Whether writes wait for so long that new ones are better sent again in a second.
    fn is_congested(&self) -> bool {
        false
    }

    /// The time that decisions are made by.
    fn now(&self) -> Timestamp;

    /// Told whenever a commit of this process held messages to send. It is for one dispatcher, and remembers one word
    /// while nobody waits: whoever sends what is waiting and then waits here misses nothing.
    fn message_signal(&self) -> Arc<Notify>;

    /// Told whenever this process moved a message into the outbox. It remembers nothing, but tells all who wait: take
    /// `notified()` before looking into the outbox and await it after, and nothing is missed in between.
    fn outbox_signal(&self) -> Arc<Notify>;

    /// Adds requests to those that all processes have counted, and gives what they come to with the window that is open;
    /// `None` if there are no other processes. `counts` are in the order of their callers.
    fn count_requests(&self, counts: Vec<RequestCount>) -> Answer<'_, Option<Vec<RequestCount>>> {
        drop(counts);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Waits until the background work on this database (cleaning up, sending messages) falls to this process. One process
    /// has it at a time; a store that only one server can use gives it at once.
    fn duty(&self) -> Pin<Box<dyn Future<Output = Duty> + Send + '_>> {
        Box::pin(std::future::ready(Duty::until(std::future::pending())))
    }
}

/// The background work of a database, as long as it is this process's. Dropping it gives it to others.
pub struct Duty(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Duty {
    /// The work until `lost` ends.
    pub fn until(lost: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(lost))
    }

    /// Waits until the work is somebody else's.
    pub async fn lost(&mut self) {
        (&mut self.0).await;
    }
}

/// What a reading gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The user.
    pub user: User,
    /// The finished registration or verification that was asked for.
    pub finished: Option<Finished>,
    /// The time of the reading.
    pub now: Timestamp,
}

/// Which users are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Fields that must be equal, by their names in the users API: `email`, `username`, `firstname`, `lastname`,
    /// `external_id` …; a `*` at the end stands for anything.
    pub equal: Vec<(&'static str, String)>,
    /// Only these ids.
    pub ids: Option<Vec<UserId>>,
    /// Times that a field must be at or after (`true`) or at or before (`false`): `created_at`, `updated_at` ….
    pub times: Vec<(&'static str, bool, Timestamp)>,
    /// Only ids above this one.
    pub after: Option<UserId>,
    /// How many to leave out first.
    pub offset: usize,
    /// The most to give.
    pub limit: usize,
}

/// Some of the users that a filter picks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// How many the filter picks, but for `after`, `offset` and `limit`.
    pub total: usize,
}

/// Which audit events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those with ids below this one.
    pub before: Option<i64>,
    /// Only those at or after this time.
    pub since: Option<Timestamp>,
    /// The most to give.
    pub limit: usize,
}

/// Which messages of the outbox are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxFilter {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those with ids above this one.
    pub after: Option<i64>,
    /// The most to give.
    pub limit: usize,
}

/// A message as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Rises with every message.
    pub id: i64,
    /// Whom it is for.
    pub user: UserId,
    /// When it was committed.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The message, opened.
    pub message: Message,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It was handed over.
    Sent,
    /// It is to be tried again at this time.
    Retry(Timestamp),
    /// It will not be sent.
    Abandoned,
}

/// How many requests a caller has made in a window of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// Who.
    pub caller: String,
    /// When the window ends, or would if it began now.
    pub ends: Timestamp,
    /// How many.
    pub used: u32,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another record has the same value in this field.
    #[error("another record has the same {0}")]
    Conflict(&'static str),
    /// The database does not answer, or cannot write now. Nothing was changed, unless a server was lost while it was
    /// committing: then nobody knows, and what was asked for may have been done.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

/// A decision on its way through a store. [`decide`] makes them.
pub trait Job: Send {
    /// What it reads besides the user.
    fn reads(&self, core: &Core, user: &User) -> Reads;

    /// Decides into a fresh draft; called again if the commit was stale.
    fn run(&mut self, draft: &mut Draft<'_>);

    /// Tells the caller: `Ok(true)` once the commit is durable, `Ok(false)` if there is no such user.
    fn done(self: Box<Self>, result: Result<bool, StoreError>);
}

/// Decides `command` about `user`; the answer is durable. `None` if there is no such user.
///
/// # Errors
/// [`StoreError`] if nothing could be decided, or is known to be committed.
pub async fn decide<D: Decide>(
    store: &dyn Store,
    user: UserId,
    command: D,
) -> Result<Option<Result<D::Answer, Refusal>>, StoreError> {
    let (sender, receiver) = oneshot::channel();
    store.submit(
        user,
        Box::new(TypedJob {
            command,
            answer: None,
            sender,
        }),
    );
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the store has stopped".to_owned())))
}

type Decided<A> = Result<Option<Result<A, Refusal>>, StoreError>;

struct TypedJob<D: Decide> {
    command: D,
    answer: Option<Result<D::Answer, Refusal>>,
    sender: oneshot::Sender<Decided<D::Answer>>,
}

impl<D: Decide> Job for TypedJob<D> {
    fn reads(&self, core: &Core, user: &User) -> Reads {
        self.command.reads(core, user)
    }

    fn run(&mut self, draft: &mut Draft<'_>) {
        self.answer = Some(decision::run(&self.command, draft));
    }

    fn done(self: Box<Self>, result: Result<bool, StoreError>) {
        let Self { answer, sender, .. } = *self;
        // Whoever asked may have gone; what was decided stands.
        drop(sender.send(result.map(|found| answer.filter(|_| found))));
    }
}
