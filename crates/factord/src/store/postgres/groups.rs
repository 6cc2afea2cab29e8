//! Decisions that wait together are read together and written together: two statements, however many they are. Each stands
//! by itself all the same: it is written on the version that was read of its user, whatever becomes of the others. What
//! reads or writes more than the usual, or was too late, is [decided by itself](super::decision).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::CryptoRng;
use uuid::Uuid;

use super::database::{Kind, NOW};
use super::error::{Failure, corrupt};
use super::users::{StoredUser, json};
use super::{Inner, decision};
use crate::audit::Event;
use crate::clock::{self, Timestamp};
use crate::mfa::Core;
use crate::mfa::decision::{Effects, Reads};
use crate::mfa::hardware::Known;
use crate::mfa::history::History;
use crate::mfa::ids::UserId;
use crate::mfa::user::{Finished, User};
use crate::store::deciding::{self, State};
use crate::store::{Job, StoreError};

/// Where decisions wait. A user's are always in the same lane, which is served by one task at a time.
pub(super) struct Lanes(Vec<Arc<Lane>>);

impl Default for Lanes {
    fn default() -> Self {
        Self((0..LANES).map(|_| Arc::default()).collect())
    }
}

impl Lanes {
    fn of(&self, user: UserId) -> &Arc<Lane> {
        &self.0[usize::try_from(user.get().unsigned_abs() % LANES).unwrap_or_default()]
    }
}

#[derive(Default)]
struct Lane(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    asked: VecDeque<Asked>,
    /// Whether a task takes what waits.
    is_served: bool,
}

/// A decision that is asked for.
struct Asked {
    user: UserId,
    job: Box<dyn Job>,
}

impl Lane {
    /// Whether nobody serves the lane yet.
    fn add(&self, asked: Asked) -> bool {
        let mut waiting = self.waiting();
        waiting.asked.push_back(asked);
        !std::mem::replace(&mut waiting.is_served, true)
    }

    /// The decisions that go together next, none about the same user; `None` if nothing waits, and then nobody serves the
    /// lane.
    fn next(&self) -> Option<Vec<Asked>> {
        let mut waiting = self.waiting();
        let mut users = HashSet::new();
        let (mut group, mut later) = (Vec::new(), VecDeque::new());
        while group.len() < MOST_TOGETHER
            && let Some(asked) = waiting.asked.pop_front()
        {
            if users.insert(asked.user) {
                group.push(asked);
            } else {
                later.push_back(asked);
            }
        }
        later.append(&mut waiting.asked);
        waiting.asked = later;
        waiting.is_served = !group.is_empty();
        waiting.is_served.then_some(group)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's part of a decision that is on its way.
pub(super) fn submit(inner: &Arc<Inner>, user: UserId, job: Box<dyn Job>) {
    let lane = inner.lanes.of(user);
    if lane.add(Asked { user, job }) {
        tokio::spawn(serve(Arc::clone(inner), Arc::clone(lane)));
    }
}

async fn serve(inner: Arc<Inner>, lane: Arc<Lane>) {
    while let Some(group) = lane.next() {
        // In a task of its own: if it breaks, that is the end of these decisions, not of the lane.
        let decided = tokio::spawn(decide(Arc::clone(&inner), group)).await;
        if let Err(error) = decided {
            tracing::error!(%error, "decisions broke off");
        }
    }
}

async fn decide(inner: Arc<Inner>, group: Vec<Asked>) {
    let ids = group.iter().map(|asked| asked.user.get()).collect();
    let (users, now) = match inner.stored_together(ids).await {
        Ok(read) => read,
        Err(error) => return refuse(group, &error),
    };
    let (core, rng) = (inner.cores.current(), &mut clock::system_rng());
    let (mut writes, mut written) = (Writes::default(), Vec::new());
    for mut asked in group {
        let Some(stored) = users.get(&asked.user) else {
            asked.job.done(Ok(false));
            continue;
        };
        let usual = usual(&mut asked, stored, &core, now, rng);
        let added = usual.and_then(|usual| {
            let add = |usual| writes.add(asked.user, stored, usual);
            usual.map(add).transpose()
        });
        match added {
            Ok(Some(())) => written.push(asked),
            Ok(None) => decision::spawn(Arc::clone(&inner), asked.user, asked.job),
            Err(error) => asked.job.done(Err(error)),
        }
    }
    if written.is_empty() {
        return;
    }
    match inner.write_together(&writes, now).await {
        Ok(kept) => {
            for asked in written {
                if kept.contains(&asked.user.get()) {
                    asked.job.done(Ok(true));
                } else {
                    metrics::counter!("factord_store_conflicts_total").increment(1);
                    decision::spawn(Arc::clone(&inner), asked.user, asked.job);
                }
            }
        }
        Err(Failure::NotDone(_) | Failure::Refused(_)) => {
            for asked in written {
                decision::spawn(Arc::clone(&inner), asked.user, asked.job);
            }
        }
        Err(Failure::Unknown(error)) => refuse(written, &error),
    }
}

/// Decides; `None` if it reads or writes more than a statement for all provides for.
fn usual(
    asked: &mut Asked,
    stored: &StoredUser,
    core: &Core,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
) -> Result<Option<Usual>, StoreError> {
    let mut user = stored.parse(asked.user)?;
    let Reads {
        destination,
        finished,
        hardware,
    } = asked.job.reads(core, &user);
    let elsewhere = finished.is_some_and(|id| !user.mfa.has_pending(id));
    if elsewhere || destination.is_some() || !hardware.is_empty() {
        return Ok(None);
    }
    let mut known = Known::new();
    let state = State {
        user: &mut user,
        history: &mut History::default(),
        hardware: &mut known,
        finished: None,
    };
    let effects = deciding::run(&mut *asked.job, state, core, now.into(), rng);
    let changes_more = !known.is_empty() || json(&user.profile)? != stored.profile;
    Ok(Usual::of(effects, user).filter(|_| !changes_more))
}

fn refuse(group: Vec<Asked>, error: &StoreError) {
    for asked in group {
        asked.job.done(Err(error.clone()));
    }
}

impl Inner {
    /// The users with these ids, and the time.
    async fn stored_together(
        &self,
        ids: Vec<i64>,
    ) -> Result<(HashMap<UserId, StoredUser>, Timestamp), StoreError> {
        let sql = format!(
            "SELECT version, last_event, profile, mfa, {NOW}, id FROM users
             WHERE id = ANY ((SELECT $1::bigint[])::bigint[])"
        );
        let rows = self.db.read(&sql, &[&ids]).await?;
        let mut now = Timestamp::default();
        let mut users = HashMap::with_capacity(rows.len());
        for row in &rows {
            // Rows that are read later may be of a later second.
            now = now.max(self.db.time(row, 4)?);
            let id = super::users::user_id(row, 6)?;
            users.insert(id, StoredUser::from_row(row)?);
        }
        Ok((users, now))
    }

    /// Writes what was decided, and gives the users for whom it was written: what was read of the others is stale, or becoming
    /// so.
    async fn write_together(
        &self,
        writes: &Writes,
        now: Timestamp,
    ) -> Result<HashSet<i64>, Failure> {
        let now = now.seconds();
        let awaited = writes.expiries.iter().any(Option::is_some);
        let awaited = if awaited { AWAITED } else { "" };
        let (ended, count) = if writes.finished.is_empty() {
            ("", VALUES - 3)
        } else {
            (ENDED, VALUES)
        };
        let sql = [WRITE, awaited, ended, KEPT].concat();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); VALUES] = [
            &now,
            &writes.users,
            &writes.versions,
            &writes.documents,
            &writes.expiries,
            &writes.events_before,
            &writes.devices,
            &writes.actions,
            &writes.reasons,
            &writes.finished_by,
            &writes.finished,
            &writes.finished_documents,
        ];
        let rows = self.db.once(Kind::Write, &sql, &values[..count]).await?;
        let ids = rows.iter().map(|row| row.try_get(0));
        let ids = ids.collect::<Result<_, _>>();
        ids.map_err(|error| Failure::Unknown(corrupt(error)))
    }
}

/// What most decisions write: their user's factors, one event, and perhaps what has finished.
struct Usual {
    user: User,
    event: Event,
    finished: Vec<Finished>,
}

impl Usual {
    fn of(effects: Effects, user: User) -> Option<Self> {
        let Effects {
            mut events,
            repeats,
            messages,
            finished,
            links,
            released,
            delete_user,
        } = effects;
        let usual = repeats.is_empty()
            && messages.is_empty()
            && links.is_empty()
            && released.is_empty()
            && !delete_user;
        let event = events.pop().filter(|_| events.is_empty() && usual)?;
        Some(Self {
            user,
            event,
            finished,
        })
    }
}

/// What a group writes, as the columns that [`WRITE`] takes.
#[derive(Default)]
struct Writes {
    users: Vec<i64>,
    versions: Vec<i64>,
    documents: Vec<String>,
    expiries: Vec<Option<i64>>,
    events_before: Vec<i64>,
    devices: Vec<Option<String>>,
    actions: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    finished_by: Vec<i64>,
    finished: Vec<Uuid>,
    finished_documents: Vec<String>,
}

impl Writes {
    /// Adds a decision, whole or not at all.
    fn add(&mut self, user: UserId, stored: &StoredUser, usual: Usual) -> Result<(), StoreError> {
        let Usual {
            user: decided,
            event,
            finished,
        } = usual;
        let document = json(&decided.mfa)?;
        let documents = finished
            .iter()
            .map(json)
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.users.push(user.get());
        self.versions.push(stored.version);
        self.documents.push(document);
        self.expiries
            .push(decided.mfa.next_expiry().map(Timestamp::seconds));
        self.events_before.push(stored.last_event);
        self.devices.push(event.device.map(|it| it.to_string()));
        self.actions.push(event.action.as_str());
        self.reasons.push(event.refused.map(|it| it.to_string()));
        self.finished_by.extend(finished.iter().map(|_| user.get()));
        self.finished.extend(finished.iter().map(Finished::id));
        self.finished_documents.extend(documents);
        Ok(())
    }
}

/// Writes what was decided; [`AWAITED`] comes where something is to expire, and [`ENDED`] where something has finished. Who is
/// being written by somebody else is passed over, so that no group waits for another; a version that changed meanwhile is seen
/// when the row is locked. The arrays are taken by subselects, so that the plan does not depend on them: to plan costs more than
/// to run.
const WRITE: &str = "WITH
    decided AS MATERIALIZED (
        SELECT nextval('event_ids') AS event, new.*
        FROM unnest((SELECT $2::bigint[]), (SELECT $3::bigint[]), (SELECT $4::text[]), (SELECT $5::bigint[]),
                    (SELECT $6::bigint[]), (SELECT $7::text[]), (SELECT $8::text[]), (SELECT $9::text[]))
             AS new (id, version, mfa, next_expiry, event_before, device, action, reason)
        JOIN users ON users.id = new.id AND users.version = new.version
        FOR UPDATE OF users SKIP LOCKED),
    kept AS (
        UPDATE users SET version = users.version + 1, last_event = decided.event, mfa = decided.mfa,
                         next_expiry = decided.next_expiry
        FROM decided WHERE users.id = decided.id AND users.version = decided.version
        RETURNING users.id, users.next_expiry, event, event_before, device, action, reason),
    recorded AS (
        INSERT INTO audit_events (id, user_id, at, device, action, reason, count, previous)
        SELECT event, kept.id, $1::bigint, device, action, reason, 1, event_before FROM kept)";
const AWAITED: &str = ",
    awaited AS (
        INSERT INTO expiries (at, user_id) SELECT next_expiry, kept.id FROM kept WHERE next_expiry IS NOT NULL
        ON CONFLICT DO NOTHING)";
const ENDED: &str = ",
    ended AS (
        INSERT INTO finished (user_id, id, finished_at, document)
        SELECT kept.id, ending.id, $1::bigint, ending.document
        FROM kept JOIN unnest((SELECT $10::bigint[]), (SELECT $11::uuid[]), (SELECT $12::text[]))
             AS ending (user_id, id, document) ON ending.user_id = kept.id)";
const KEPT: &str = "
    SELECT id FROM kept";

/// What the statement takes; the last three only where something has finished.
const VALUES: usize = 12;
/// So many groups are on their way at once.
const LANES: u64 = 2;
const MOST_TOGETHER: usize = 128;
