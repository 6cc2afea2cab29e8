//! The one statement by which a decision is written: conditional on the version that was read, and everything else in it
//! conditional on that. Every part carries the user's id, so that a database that is spread by it has to ask one node.

use rand::CryptoRng;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::unreadable;
use super::users::{StoredUser, json};
use crate::audit::{Event, Repeatable};
use crate::clock::Timestamp;
use crate::crypto::keys::KeyedHash;
use crate::delivery::message::Message;
use crate::mfa::Core;
use crate::mfa::decision::Effects;
use crate::mfa::hardware::Hardware;
use crate::mfa::history::History;
use crate::mfa::ids::DeviceNumber;
use crate::mfa::user::{Finished, User};
use crate::store::StoreError;
use crate::store::deciding::Lookup;

/// A statement with what is bound to it.
#[derive(Default)]
pub(super) struct Statement {
    pub sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Statement {
    pub fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }

    /// Binds a value, and gives what stands for it.
    fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }
}

/// What a decision changes.
pub(super) struct Change<'a> {
    pub core: &'a Core,
    pub rng: &'a mut dyn CryptoRng,
    pub now: Timestamp,
    pub stored: &'a StoredUser,
    pub user: &'a User,
    pub effects: &'a Effects,
    /// The channel on which the dispatcher is told of messages.
    pub channel: &'a str,
    /// Whether something else is written in the same transaction: it must fail if this is stale then.
    pub fails_if_stale: bool,
}

impl Change<'_> {
    /// The statement, which gives how many users it wrote: 1, or 0 if what was read is stale. `None` if there is nothing
    /// to write.
    pub fn statement(&mut self) -> Result<Option<Statement>, StoreError> {
        let (profile, mfa) = (json(&self.user.profile)?, json(&self.user.mfa)?);
        let Effects {
            events,
            repeats,
            messages,
            finished,
            links,
            released,
            delete_user,
        } = self.effects;
        let nothing = profile == self.stored.profile
            && mfa == self.stored.mfa
            && events.is_empty()
            && repeats.is_empty()
            && messages.is_empty()
            && finished.is_empty()
            && links.is_empty()
            && released.is_empty()
            && !delete_user;
        if nothing && !self.fails_if_stale {
            return Ok(None);
        }
        let mut parts = Parts::default();
        let now = parts.statement.bind(self.now.seconds());
        let (counted, again) = counted(events, repeats);
        let before = parts.statement.bind(self.stored.last_event);
        let last_event = if counted.is_empty() {
            before.clone()
        } else {
            parts.number(&counted);
            "(SELECT max(id) FROM numbered)".to_owned()
        };
        parts.keep(self, &last_event, &profile, mfa);
        if !counted.is_empty() {
            parts.add(&format!(
                "recorded AS (INSERT INTO audit_events (id, user_id, at, device, action, reason, count, previous)
                 SELECT numbered.id, kept.id, {now}::bigint, device, action, reason, count,
                        coalesce(lag(numbered.id) OVER (ORDER BY number), {before}::bigint)
                 FROM numbered, kept)"
            ));
        }
        if !again.is_empty() {
            parts.repeat(&again, self.stored.last_event, &now);
        }
        if *delete_user {
            parts.forget(&last_event);
        } else {
            parts.finish(finished, &now)?;
            parts.link(links);
            parts.release(released);
            self.send(messages, &mut parts, &now)?;
        }
        let told = if *delete_user || messages.is_empty() {
            String::new()
        } else {
            let channel = parts.statement.bind(self.channel.to_owned());
            format!(", (SELECT pg_notify({channel}, '') FROM sent LIMIT 1)")
        };
        // The time is given back, since a value that nothing refers to would have no type.
        let count = if self.fails_if_stale {
            "1 / count(*)"
        } else {
            "count(*)"
        };
        let Parts {
            mut statement,
            with,
        } = parts;
        statement.sql = format!(
            "WITH {}\nSELECT {count}{told}, {now}::bigint FROM kept",
            with.join(",\n")
        );
        Ok(Some(statement))
    }

    fn send(
        &mut self,
        messages: &[Message],
        parts: &mut Parts,
        now: &str,
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let (mut expiries, mut texts) = (Vec::new(), Vec::new());
        for message in messages {
            let text = serde_json::to_vec(message).map_err(unreadable("a new message"))?;
            let text = Zeroizing::new(text);
            let place = Message::place(self.user.id);
            let sealed = self.core.keys.seal(self.rng, place, &text);
            expiries.push(message.expires_at.seconds());
            texts.push(sealed.as_str().to_owned());
        }
        let (expiries, texts) = (parts.statement.bind(expiries), parts.statement.bind(texts));
        parts.add(&format!(
            "sent AS (INSERT INTO messages (id, user_id, at, not_before, expires_at, sealed)
             SELECT nextval('message_ids'), kept.id, {now}::bigint, {now}::bigint, message.expires_at, message.sealed
             FROM kept, unnest({expiries}::bigint[], {texts}::text[]) AS message (expires_at, sealed) RETURNING 1)"
        ));
        Ok(())
    }
}

/// The parts of a statement, each a table that later ones may lean on.
#[derive(Default)]
struct Parts {
    statement: Statement,
    with: Vec<String>,
}

impl Parts {
    fn add(&mut self, part: &str) {
        self.with.push(part.to_owned());
    }

    /// Numbers the new events: above all that are committed about the user, since those were numbered before they were
    /// read.
    fn number(&mut self, events: &[Counted]) {
        let (device, action, reason, count) = self.bind_events(events);
        self.add(&format!(
            "numbered AS MATERIALIZED (SELECT nextval('event_ids') AS id, device, action, reason, count, number
             FROM unnest({device}::text[], {action}::text[], {reason}::text[], {count}::bigint[])
                  WITH ORDINALITY AS event (device, action, reason, count, number))"
        ));
    }

    fn bind_events(&mut self, events: &[Counted]) -> (String, String, String, String) {
        let devices: Vec<_> = events.iter().map(|event| event.device.clone()).collect();
        let actions: Vec<_> = events.iter().map(|event| event.action).collect();
        let reasons: Vec<_> = events.iter().map(|event| event.reason.clone()).collect();
        let counts: Vec<_> = events.iter().map(|event| event.count).collect();
        let statement = &mut self.statement;
        (
            statement.bind(devices),
            statement.bind(actions),
            statement.bind(reasons),
            statement.bind(counts),
        )
    }

    /// Writes the user, if the version is the one that was read.
    fn keep(&mut self, change: &Change<'_>, last_event: &str, profile: &str, mfa: String) {
        let (stored, user) = (change.stored, change.user);
        let id = self.statement.bind(user.id.get());
        let version = self.statement.bind(stored.version);
        let condition = format!("WHERE id = {id} AND version = {version} RETURNING id");
        if change.effects.delete_user {
            self.add(&format!("kept AS (DELETE FROM users {condition})"));
            return;
        }
        let mut set = String::from("version = version + 1");
        let mut assign = |column: &str, value: String| {
            set.extend([", ", column, " = ", &value]);
        };
        assign("last_event", format!("{last_event}::bigint"));
        assign("mfa", self.statement.bind(mfa));
        let expiry = user.mfa.next_expiry().map(Timestamp::seconds);
        assign("next_expiry", self.statement.bind(expiry));
        if profile != stored.profile {
            let lookup = Columns::of(&Lookup::of(&user.profile));
            assign("username", self.statement.bind(lookup.username));
            assign("email", self.statement.bind(lookup.email));
            assign("external_id", self.statement.bind(lookup.external_id));
            assign("profile", self.statement.bind(profile.to_owned()));
        }
        self.add(&format!("kept AS (UPDATE users SET {set} {condition})"));
        if let Some(expiry) = expiry {
            let expiry = self.statement.bind(expiry);
            self.add(&format!(
                "awaited AS (INSERT INTO expiries (at, user_id) SELECT {expiry}::bigint, kept.id FROM kept
                 ON CONFLICT DO NOTHING)"
            ));
        }
    }

    /// Counts refusals once more, each in its newest event. The core counts only what is among the user's few newest.
    fn repeat(&mut self, again: &[Counted], last_event: i64, now: &str) {
        let (device, action, reason, count) = self.bind_events(again);
        let last_event = self.statement.bind(last_event);
        let same = "event.device IS NOT DISTINCT FROM again.device AND event.action = again.action
                    AND event.reason = again.reason AS is_it";
        self.add(&format!(
            "found AS MATERIALIZED (SELECT again.count, (
                 WITH RECURSIVE trail AS (
                     SELECT event.id, event.previous, {same} FROM audit_events AS event, kept
                     WHERE event.id = {last_event}::bigint AND event.user_id = kept.id
                     UNION ALL
                     SELECT event.id, event.previous, {same}
                     FROM trail JOIN kept ON true
                     JOIN audit_events AS event ON event.id = trail.previous AND event.user_id = kept.id
                     WHERE NOT trail.is_it)
                 SELECT id FROM trail WHERE is_it LIMIT 1) AS id
             FROM unnest({device}::text[], {action}::text[], {reason}::text[], {count}::bigint[])
                  AS again (device, action, reason, count))"
        ));
        self.add(&format!(
            "repeated AS (UPDATE audit_events AS event SET count = event.count + found.count, at = {now}::bigint
             FROM found, kept WHERE event.id = found.id AND event.user_id = kept.id)"
        ));
    }

    /// Deletes what hangs on a user, and remembers where the trail begins.
    fn forget(&mut self, last_event: &str) {
        for table in ["finished", "messages", "outbox", "links"] {
            self.add(&format!(
                "forgotten_{table} AS (DELETE FROM {table} USING kept WHERE {table}.user_id = kept.id)"
            ));
        }
        self.add(
            "released AS (UPDATE hardware SET user_id = NULL, device = NULL, version = hardware.version + 1
             FROM kept WHERE hardware.user_id = kept.id)",
        );
        self.add(&format!(
            "remembered AS (INSERT INTO deleted_users (id, last_event)
             SELECT kept.id, {last_event}::bigint FROM kept)"
        ));
    }

    fn finish(&mut self, finished: &[Finished], now: &str) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = finished.iter().map(Finished::id).collect();
        let documents = finished.iter().map(json).collect::<Result<Vec<_>, _>>()?;
        let (ids, documents) = (self.statement.bind(ids), self.statement.bind(documents));
        self.add(&format!(
            "ended AS (INSERT INTO finished (user_id, id, finished_at, document)
             SELECT kept.id, ending.id, {now}::bigint, ending.document
             FROM kept, unnest({ids}::uuid[], {documents}::text[]) AS ending (id, document))"
        ));
        Ok(())
    }

    /// The hardware that these devices were is nobody's.
    fn release(&mut self, devices: &[DeviceNumber]) {
        if devices.is_empty() {
            return;
        }
        let devices: Vec<_> = devices.iter().map(|it| i64::from(it.get())).collect();
        let devices = self.statement.bind(devices);
        self.add(&format!(
            "released AS (UPDATE hardware SET user_id = NULL, device = NULL, version = hardware.version + 1
             FROM kept WHERE hardware.user_id = kept.id AND hardware.device = ANY ({devices}::bigint[]))"
        ));
    }

    fn link(&mut self, links: &[crate::mfa::decision::Link]) {
        if links.is_empty() {
            return;
        }
        let tokens: Vec<_> = links
            .iter()
            .map(|link| link.token.as_bytes().to_vec())
            .collect();
        let expiries: Vec<_> = links.iter().map(|link| link.expires_at.seconds()).collect();
        let (tokens, expiries) = (self.statement.bind(tokens), self.statement.bind(expiries));
        self.add(&format!(
            "linked AS (INSERT INTO links (token, user_id, expires_at)
             SELECT link.token, kept.id, link.expires_at
             FROM kept, unnest({tokens}::bytea[], {expiries}::bigint[]) AS link (token, expires_at))"
        ));
    }
}

/// What is written besides the user, where others write too: each row on the version that was read of it, and all of it
/// fails if one is stale.
#[derive(Default)]
pub(super) struct Shared {
    statement: Statement,
    parts: Vec<String>,
}

impl Shared {
    /// The message history of a destination. Goes by the destination alone.
    pub fn history(
        &mut self,
        destination: &KeyedHash,
        read: i64,
        history: &History,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), StoreError> {
        let statement = &mut self.statement;
        let destination = statement.bind(destination.as_bytes().to_vec());
        let version = statement.bind(draw_version(rng));
        let history = statement.bind(json(history)?);
        let now = statement.bind(now.seconds());
        let read = statement.bind(read);
        self.parts.push(format!(
            "INSERT INTO histories (destination, version, history, updated_at)
             VALUES ({destination}, {version}, {history}, {now})
             ON CONFLICT (destination) DO UPDATE
             SET version = excluded.version, history = excluded.history, updated_at = excluded.updated_at
             WHERE histories.version = {read} RETURNING 1"
        ));
        Ok(())
    }

    /// A piece of hardware. Goes by its id alone.
    pub fn hardware(
        &mut self,
        id: &str,
        read: i64,
        hardware: &Hardware,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), StoreError> {
        let (statement, owner) = (&mut self.statement, hardware.owner);
        let id = statement.bind(id.to_owned());
        let version = statement.bind(draw_version(rng));
        let user = statement.bind(owner.map(|owner| owner.user.get()));
        let device = statement.bind(owner.map(|owner| i64::from(owner.device.get())));
        let document = statement.bind(json(hardware)?);
        let read = statement.bind(read);
        self.parts.push(format!(
            "INSERT INTO hardware (id, version, user_id, device, document)
             VALUES ({id}, {version}, {user}, {device}, {document})
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, user_id = excluded.user_id,
             device = excluded.device, document = excluded.document
             WHERE hardware.version = {read} RETURNING 1"
        ));
        Ok(())
    }

    /// The statement, if there is anything to write.
    pub fn statement(self) -> Option<Statement> {
        let Self {
            mut statement,
            parts,
        } = self;
        if parts.is_empty() {
            return None;
        }
        let number = |(number, part)| (format!("part_{number}"), part);
        let parts: Vec<(String, String)> = parts.into_iter().enumerate().map(number).collect();
        let with = parts
            .iter()
            .map(|(name, part)| format!("{name} AS ({part})"));
        let counts = parts
            .iter()
            .map(|(name, _)| format!("1 / (SELECT count(*) FROM {name})"));
        statement.sql = format!(
            "WITH {} SELECT {}",
            with.collect::<Vec<_>>().join(",\n"),
            counts.collect::<Vec<_>>().join(", ")
        );
        Some(statement)
    }
}

/// Drawn, not counted: what was deleted and begun again must not look like what was read. Never 0, which is the version
/// of what is not there.
pub(super) fn draw_version(rng: &mut dyn CryptoRng) -> i64 {
    let mut version = [0; 8];
    rng.fill_bytes(&mut version);
    i64::from_ne_bytes(version) | 1
}

/// An event, or a refusal that came again, and how often.
struct Counted {
    device: Option<String>,
    action: &'static str,
    reason: Option<String>,
    count: i64,
}

/// The new events with what was counted in them, and what is to be counted in older ones.
fn counted(events: &[Event], repeats: &[Repeatable]) -> (Vec<Counted>, Vec<Counted>) {
    let mut new: Vec<_> = events
        .iter()
        .map(|event| Counted {
            device: event.device.map(|device| device.to_string()),
            action: event.action.as_str(),
            reason: event.refused.map(|reason| reason.to_string()),
            count: 1,
        })
        .collect();
    let mut old: Vec<Counted> = Vec::new();
    for refusal in repeats {
        let again = Counted {
            device: refusal.device.map(|device| device.to_string()),
            action: refusal.action.as_str(),
            reason: Some(refusal.reason.to_string()),
            count: 1,
        };
        let same = |it: &&mut Counted| {
            it.device == again.device && it.action == again.action && it.reason == again.reason
        };
        match new.iter_mut().rfind(same) {
            Some(event) => event.count += 1,
            None => match old.iter_mut().find(same) {
                Some(event) => event.count += 1,
                None => old.push(again),
            },
        }
    }
    (new, old)
}

/// What a user is looked up by, as PostgreSQL keeps it: a text cannot hold a NUL.
pub(super) struct Columns {
    pub username: Option<String>,
    pub email: Option<String>,
    pub external_id: Option<String>,
}

impl Columns {
    pub fn of(lookup: &Lookup) -> Self {
        Self {
            username: lookup.username.as_deref().map(without_nul),
            email: lookup.email.as_deref().map(without_nul),
            external_id: lookup.external_id.as_deref().map(without_nul),
        }
    }
}

/// A text that PostgreSQL can hold.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
