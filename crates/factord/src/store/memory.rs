//! The store in memory, for tests: the same promises as a database's but for durability.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::CryptoRng;
use tokio::sync::Notify;
use uuid::Uuid;

use super::deciding::{
    self, EndExpired, Lookup, OUTBOX_KEPT, REFRESHABLE, State, UNSENT_KEPT, destination_key,
};
use super::{
    Answer, EventFilter, Job, Loaded, OutboxFilter, Sending, Store, StoreError, StoredMessage,
    UserFilter, UserPage,
};
use crate::audit::{Action, Event, StoredEvent};
use crate::auth::{Credential, TokenPair};
use crate::clock::{self, Clock, Timestamp};
use crate::crypto::tokens::TokenHash;
use crate::mfa::cores::Cores;
use crate::mfa::decision::Effects;
use crate::mfa::hardware::{Hardware, Known, Owner};
use crate::mfa::history::{DAY, History};
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, Mfa, Profile, User};

/// A store that ends with the process.
pub struct MemoryStore {
    cores: Cores,
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
    messages: Arc<Notify>,
    outbox: Arc<Notify>,
}

struct Tables {
    rng: Box<dyn CryptoRng + Send>,
    users: BTreeMap<UserId, User>,
    finished: BTreeMap<(UserId, Uuid), (Finished, Timestamp)>,
    histories: BTreeMap<[u8; 16], (History, Timestamp)>,
    hardware: Known,
    links: BTreeMap<[u8; 32], (UserId, Timestamp)>,
    events: Vec<StoredEvent>,
    credentials: BTreeMap<String, Credential>,
    tokens: Vec<TokenPair>,
    waiting: BTreeMap<i64, Waiting>,
    outbox: BTreeMap<i64, StoredMessage>,
    settings: BTreeMap<&'static str, String>,
    last_user: i64,
    last_message: i64,
}

struct Waiting {
    message: StoredMessage,
    not_before: Timestamp,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(cores: impl Into<Cores>, clock: Arc<dyn Clock>) -> Self {
        Self {
            cores: cores.into(),
            clock,
            tables: Mutex::new(Tables {
                rng: Box::new(clock::system_rng()),
                users: BTreeMap::new(),
                finished: BTreeMap::new(),
                histories: BTreeMap::new(),
                hardware: Known::new(),
                links: BTreeMap::new(),
                events: Vec::new(),
                credentials: BTreeMap::new(),
                tokens: Vec::new(),
                waiting: BTreeMap::new(),
                outbox: BTreeMap::new(),
                settings: BTreeMap::new(),
                last_user: 0,
                last_message: 0,
            }),
            messages: Arc::default(),
            outbox: Arc::default(),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut Tables) -> Result<T, StoreError> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move { work(&mut self.tables()) })
    }

    fn decide(&self, id: UserId, job: &mut dyn Job) -> Result<bool, StoreError> {
        let (tables, core) = (&mut *self.tables(), self.cores.current());
        let moment = self.clock.moment();
        let now = moment.timestamp();
        let Some(mut user) = tables.users.get(&id).cloned() else {
            return Ok(false);
        };
        let reads = job.reads(&core, &user);
        let destination = reads
            .destination
            .map(|destination| *destination_key(&core, &destination).as_bytes());
        let before = destination
            .and_then(|key| tables.histories.get(&key))
            .map(|(history, _)| history.clone())
            .unwrap_or_default();
        let mut history = before.clone();
        let found = reads.hardware.into_iter().filter_map(|id| {
            let found = tables.hardware.get(&id)?.clone();
            Some((id, found))
        });
        let mut hardware: Known = found.collect();
        let finished = reads
            .finished
            .and_then(|finished| tables.finished.get(&(id, finished)))
            .map(|(finished, _)| finished.clone());
        let state = State {
            user: &mut user,
            history: &mut history,
            hardware: &mut hardware,
            finished: finished.as_ref(),
        };
        let effects = deciding::run(job, state, &core, moment, &mut *tables.rng);
        if tables.has_username(&user.profile, Some(id)) {
            return Err(StoreError::Conflict("username"));
        }
        if let Some(key) = destination.filter(|_| history != before) {
            tables.histories.insert(key, (history, now));
        }
        tables.hardware.append(&mut hardware);
        if !effects.messages.is_empty() {
            self.messages.notify_one();
        }
        tables.apply(user, effects, now);
        Ok(true)
    }
}

impl Tables {
    fn apply(&mut self, user: User, effects: Effects, now: Timestamp) {
        let id = user.id;
        for event in &effects.events {
            self.record(id, event, now);
        }
        for refusal in &effects.repeats {
            let device = refusal.device.map(|device| device.to_string());
            let reason = Some(refusal.reason.to_string());
            let is_it = |event: &&mut StoredEvent| {
                event.user == Some(id)
                    && event.device == device
                    && event.action == refusal.action.as_str()
                    && event.reason == reason
            };
            if let Some(event) = self.events.iter_mut().rfind(is_it) {
                event.count += 1;
                event.at = now;
            }
        }
        for hardware in self.hardware.values_mut() {
            let given_up = |owner: &mut Owner| {
                owner.user == id
                    && (effects.delete_user || effects.released.contains(&owner.device))
            };
            hardware.owner.take_if(given_up);
        }
        if effects.delete_user {
            self.users.remove(&id);
            self.finished.retain(|(user, _), _| *user != id);
            self.waiting.retain(|_, waiting| waiting.message.user != id);
            self.outbox.retain(|_, message| message.user != id);
            self.links.retain(|_, (user, _)| *user != id);
            return;
        }
        self.users.insert(id, user);
        for finished in effects.finished {
            self.finished.insert((id, finished.id()), (finished, now));
        }
        for link in effects.links {
            let token = *link.token.as_bytes();
            self.links.insert(token, (id, link.expires_at));
        }
        for message in effects.messages {
            self.last_message += 1;
            let message = StoredMessage {
                id: self.last_message,
                user: id,
                at: now,
                attempts: 0,
                message,
            };
            let waiting = Waiting {
                message,
                not_before: now,
            };
            self.waiting.insert(self.last_message, waiting);
        }
    }

    fn record(&mut self, user: UserId, event: &Event, now: Timestamp) {
        self.events.push(StoredEvent {
            id: self.next_event(),
            at: now,
            user: Some(user),
            device: event.device.map(|device| device.to_string()),
            credential: None,
            action: event.action.as_str().to_owned(),
            outcome: deciding::outcome(event.refused.is_some()).to_owned(),
            reason: event.refused.map(|reason| reason.to_string()),
            count: 1,
        });
    }

    fn record_credential(&mut self, credential: &str, action: Action, now: Timestamp) {
        self.events.push(StoredEvent {
            id: self.next_event(),
            at: now,
            user: None,
            device: None,
            credential: Some(credential.to_owned()),
            action: action.as_str().to_owned(),
            outcome: deciding::outcome(false).to_owned(),
            reason: None,
            count: 1,
        });
    }

    fn next_event(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX - 1) + 1
    }

    fn has_username(&self, profile: &Profile, but: Option<UserId>) -> bool {
        let wanted = Lookup::of(profile).username;
        wanted.is_some()
            && self
                .users
                .values()
                .any(|user| Some(user.id) != but && Lookup::of(&user.profile).username == wanted)
    }

    fn insert_token(&mut self, pair: TokenPair) {
        let revoked = self
            .credentials
            .get(&pair.credential)
            .is_some_and(|credential| credential.revoked_at.is_some());
        if !revoked {
            self.tokens.push(pair);
        }
    }

    /// Deletes the pairs that `which` picks, and says whether there were any.
    fn end_tokens(&mut self, which: impl Fn(&TokenPair) -> bool) -> bool {
        self.tokens.extract_if(.., |pair| which(pair)).count() > 0
    }
}

impl Store for MemoryStore {
    fn submit(&self, user: UserId, mut job: Box<dyn Job>) {
        let result = self.decide(user, &mut *job);
        job.done(result);
    }

    fn load(&self, user: UserId, finished: Option<Uuid>) -> Answer<'_, Option<Loaded>> {
        self.answer(move |tables| {
            Ok(tables.users.get(&user).map(|found| Loaded {
                user: found.clone(),
                finished: finished
                    .and_then(|id| tables.finished.get(&(user, id)))
                    .map(|(finished, _)| finished.clone()),
                now: self.clock.now(),
            }))
        })
    }

    fn linked_user(&self, token: TokenHash) -> Answer<'_, Option<UserId>> {
        self.answer(move |tables| {
            let link = tables.links.get(token.as_bytes());
            let alive = link.filter(|(_, expires_at)| self.clock.now() < *expires_at);
            Ok(alive.map(|(user, _)| *user))
        })
    }

    fn create_user(&self, profile: Profile) -> Answer<'_, User> {
        self.answer(move |tables| {
            if tables.has_username(&profile, None) {
                return Err(StoreError::Conflict("username"));
            }
            tables.last_user += 1;
            let id = UserId::new(tables.last_user)
                .ok_or_else(|| StoreError::Corrupt("a user's id".to_owned()))?;
            let user = User {
                id,
                profile,
                mfa: Mfa::default(),
            };
            tables.users.insert(id, user.clone());
            let event = Event {
                device: None,
                action: Action::CreateUser,
                refused: None,
            };
            tables.record(id, &event, self.clock.now());
            Ok(user)
        })
    }

    fn users(&self, filter: UserFilter) -> Answer<'_, UserPage> {
        self.answer(move |tables| {
            let picked: Vec<_> = tables
                .users
                .values()
                .filter(|user| deciding::picks(&filter, user))
                .collect();
            Ok(UserPage {
                total: picked.len(),
                users: picked
                    .into_iter()
                    .filter(|user| filter.after.is_none_or(|after| user.id > after))
                    .skip(filter.offset)
                    .take(filter.limit)
                    .cloned()
                    .collect(),
            })
        })
    }

    fn events(&self, filter: EventFilter) -> Answer<'_, Vec<StoredEvent>> {
        self.answer(move |tables| {
            Ok(tables
                .events
                .iter()
                .rev()
                .filter(|event| filter.user.is_none_or(|user| event.user == Some(user)))
                .filter(|event| filter.before.is_none_or(|before| event.id < before))
                .filter(|event| filter.since.is_none_or(|since| event.at >= since))
                .take(filter.limit)
                .cloned()
                .collect())
        })
    }

    fn insert_credential(&self, credential: Credential) -> Answer<'_, ()> {
        self.answer(move |tables| {
            if tables.credentials.contains_key(&credential.id) {
                return Err(StoreError::Conflict("client id"));
            }
            tables.record_credential(&credential.id, Action::CreateCredential, self.clock.now());
            tables.credentials.insert(credential.id.clone(), credential);
            Ok(())
        })
    }

    fn credential(&self, id: String) -> Answer<'_, Option<Credential>> {
        self.answer(move |tables| Ok(tables.credentials.get(&id).cloned()))
    }

    fn credentials(&self) -> Answer<'_, Vec<Credential>> {
        self.answer(|tables| Ok(tables.credentials.values().cloned().collect()))
    }

    fn revoke_credential(&self, id: String) -> Answer<'_, bool> {
        self.answer(move |tables| {
            tables.end_tokens(|pair| pair.credential == id);
            let live = tables
                .credentials
                .get_mut(&id)
                .filter(|credential| credential.revoked_at.is_none());
            let now = self.clock.now();
            let revoked = live.map(|credential| credential.revoked_at = Some(now));
            if revoked.is_some() {
                tables.record_credential(&id, Action::RevokeCredential, now);
            }
            Ok(revoked.is_some())
        })
    }

    fn insert_token(&self, pair: TokenPair) -> Answer<'_, ()> {
        self.answer(move |tables| {
            tables.insert_token(pair);
            Ok(())
        })
    }

    fn token(&self, access: TokenHash) -> Answer<'_, Option<TokenPair>> {
        self.answer(move |tables| {
            Ok(tables
                .tokens
                .iter()
                .find(|pair| pair.access == access)
                .cloned())
        })
    }

    fn replace_token(
        &self,
        access: TokenHash,
        refresh: TokenHash,
        new: TokenPair,
    ) -> Answer<'_, bool> {
        self.answer(move |tables| {
            let ended = tables.end_tokens(|pair| {
                pair.access == access
                    && pair.refresh == refresh
                    && pair.credential == new.credential
            });
            if ended {
                tables.insert_token(new);
            }
            Ok(ended)
        })
    }

    fn revoke_token(&self, access: TokenHash, credential: String) -> Answer<'_, bool> {
        self.answer(move |tables| {
            Ok(tables.end_tokens(|pair| pair.access == access && pair.credential == credential))
        })
    }

    fn waiting_messages(&self, limit: usize) -> Answer<'_, Vec<StoredMessage>> {
        self.answer(move |tables| {
            let now = self.clock.now();
            let mut due: Vec<_> = tables
                .waiting
                .values()
                .filter(|waiting| waiting.not_before <= now)
                .collect();
            due.sort_by_key(|waiting| waiting.not_before);
            Ok(due
                .into_iter()
                .take(limit)
                .map(|waiting| waiting.message.clone())
                .collect())
        })
    }

    fn settle_message(&self, id: i64, outcome: Sending) -> Answer<'_, ()> {
        self.answer(move |tables| {
            match outcome {
                Sending::Sent | Sending::Abandoned => {
                    tables.waiting.remove(&id);
                }
                Sending::Retry(at) => {
                    if let Some(waiting) = tables.waiting.get_mut(&id) {
                        waiting.message.attempts += 1;
                        waiting.not_before = at;
                    }
                }
            }
            Ok(())
        })
    }

    fn move_to_outbox(&self, id: i64) -> Answer<'_, ()> {
        self.answer(move |tables| {
            if let Some(waiting) = tables.waiting.remove(&id) {
                tables.outbox.insert(id, waiting.message);
                self.outbox.notify_waiters();
            }
            Ok(())
        })
    }

    fn outbox(&self, filter: OutboxFilter) -> Answer<'_, Vec<StoredMessage>> {
        self.answer(move |tables| {
            Ok(tables
                .outbox
                .values()
                .rev()
                .filter(|message| filter.user.is_none_or(|user| message.user == user))
                .filter(|message| filter.after.is_none_or(|after| message.id > after))
                .take(filter.limit)
                .cloned()
                .collect())
        })
    }

    fn import_hardware(&self, new: Vec<(String, Hardware)>) -> Answer<'_, Vec<String>> {
        self.answer(move |tables| {
            let is_known = |id: &str| {
                let known = tables.hardware.get(id);
                known.is_some_and(|known| known.secret.is_some())
            };
            let ids = new.iter().map(|(id, _)| id);
            let known: Vec<_> = ids.filter(|id| is_known(id)).cloned().collect();
            if known.is_empty() {
                for (id, new) in new {
                    let kept = tables.hardware.entry(id).or_default();
                    (kept.serial, kept.secret) = (new.serial, new.secret);
                }
            }
            Ok(known)
        })
    }

    fn hardware(&self) -> Answer<'_, Known> {
        self.answer(|tables| Ok(tables.hardware.clone()))
    }

    fn setting(&self, name: &'static str) -> Answer<'_, Option<String>> {
        self.answer(move |tables| Ok(tables.settings.get(name).cloned()))
    }

    fn set_setting(&self, name: &'static str, value: String) -> Answer<'_, ()> {
        self.answer(move |tables| {
            tables.settings.insert(name, value);
            Ok(())
        })
    }

    fn end_sessions(&self) -> Answer<'_, usize> {
        self.answer(|tables| {
            let ended = tables.tokens.len()
                + tables.links.len()
                + tables.waiting.len()
                + tables.outbox.len();
            tables.tokens.clear();
            tables.links.clear();
            tables.waiting.clear();
            tables.outbox.clear();
            Ok(ended)
        })
    }

    fn clean_up(&self, limit: usize) -> Answer<'_, usize> {
        let now = self.clock.now();
        let expired = |user: &&User| user.mfa.next_expiry().is_some_and(|at| at <= now);
        let due: Vec<_> = {
            let tables = self.tables();
            let due = tables.users.values().filter(expired).take(limit);
            due.map(|user| user.id).collect()
        };
        for user in &due {
            // Nothing of it can fail: it changes no name.
            drop(self.decide(*user, &mut EndExpired));
        }
        self.answer(move |tables| {
            let now = self.clock.now();
            let over = |since: Timestamp, kept: i64| now.since(since) >= kept;
            let readable = self.cores.current().rules.finished_readable;
            let Tables {
                finished,
                tokens,
                histories,
                links,
                outbox,
                waiting,
                ..
            } = tables;
            Ok([
                finished
                    .extract_if(.., |_, (_, at)| over(*at, readable))
                    .take(limit)
                    .count(),
                tokens
                    .extract_if(.., |pair| over(pair.expires_at, REFRESHABLE))
                    .take(limit)
                    .count(),
                histories
                    .extract_if(.., |_, (_, at)| over(*at, DAY))
                    .take(limit)
                    .count(),
                links
                    .extract_if(.., |_, (_, expires_at)| *expires_at <= now)
                    .take(limit)
                    .count(),
                outbox
                    .extract_if(.., |_, message| over(message.at, OUTBOX_KEPT))
                    .take(limit)
                    .count(),
                waiting
                    .extract_if(.., |_, it| over(it.message.message.expires_at, UNSENT_KEPT))
                    .take(limit)
                    .count(),
            ]
            .into_iter()
            .sum::<usize>()
                + due.len())
        })
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.answer(|_| Ok(()))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn message_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.messages)
    }

    fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox)
    }
}
