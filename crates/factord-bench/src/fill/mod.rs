//! Writes users with a device each straight into the tables that a factord has made, as many as a disk holds: over HTTP
//! ten million would take hours. What is written of a user is what the service's own decisions come to, two days ago.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::Context;
use data_encoding::BASE32_NOPAD;
use factord::audit::{Action, Event};
use factord::clock::Timestamp;
use factord::crypto::keys::Keys;
use factord::crypto::otp::{self, Algorithm};
use factord::mfa::Core;
use factord::mfa::code::Code;
use factord::mfa::confirmation::ConfirmRegistration;
use factord::mfa::decision::{self, Decide, Draft, Effects};
use factord::mfa::hardware::Known;
use factord::mfa::history::History;
use factord::mfa::ids::UserId;
use factord::mfa::profile::UpdateProfile;
use factord::mfa::registration::CreateRegistration;
use factord::mfa::user::{Mfa, User};
use factord::store::sqlite::FILE;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;

use crate::members::{AUTHENTICATOR, DEVICE_NAME, generator, user_id};
pub use postgres::{connect, fill as postgres};
pub use sqlite::fill as sqlite;

/// A user as the tables hold it.
#[derive(Debug)]
struct Record {
    id: UserId,
    username: String,
    email: String,
    profile: String,
    mfa: String,
    at: Timestamp,
    /// The oldest first; none is a refusal.
    events: Vec<Event>,
}

/// What decides.
struct Recorder {
    core: Core,
    at: Timestamp,
}

impl Recorder {
    /// Decides with these keys; `now` in seconds since 1970.
    fn new(keys: Keys, now: i64) -> anyhow::Result<Self> {
        Ok(Self {
            core: Core::new(keys, "http://localhost".parse()?),
            at: enrolled_at(now),
        })
    }

    /// A user who was created, began a registration and confirmed it.
    fn record(&self, index: usize) -> anyhow::Result<Record> {
        let id = user_id(index)?;
        let username = format!("bench-{index:08}");
        let email = format!("{username}@example.com");
        let profile = UpdateProfile {
            username: Some(username.clone()),
            email: Some(email.clone()),
            ..UpdateProfile::default()
        };
        let profile = profile.create(self.at);
        let profile = profile.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        let mut user = User {
            id,
            profile,
            mfa: Mfa::default(),
        };
        let mut deciding = Deciding {
            recorder: self,
            rng: generator(id.unsigned()),
            effects: Effects::default(),
        };
        let created = Event {
            device: None,
            action: Action::CreateUser,
            refused: None,
        };
        deciding.effects.events.push(created);
        let begun = deciding.decide(
            &mut user,
            &CreateRegistration {
                factor_id: AUTHENTICATOR,
                display_name: DEVICE_NAME.to_owned(),
                expires_in: None,
                verified: false,
                redirect_to: None,
                custom_message: None,
            },
        )?;
        let secret = begun.shown.verification_token.context("no secret")?;
        let secret = BASE32_NOPAD.decode(secret.expose_secret().as_bytes())?;
        let code = otp::hotp(
            Algorithm::Sha1,
            &secret,
            otp::time_step(self.at),
            otp::DIGITS,
        );
        deciding.decide(
            &mut user,
            &ConfirmRegistration {
                id: begun.registration.id,
                code: Some(Code::text(&format!("{code:06}"))),
                evidence: None,
            },
        )?;
        Ok(Record {
            id,
            username,
            email,
            profile: serde_json::to_string(&user.profile)?,
            mfa: serde_json::to_string(&user.mfa)?,
            at: self.at,
            events: deciding.effects.events,
        })
    }
}

/// What two decisions about one user share. What they ended (the registration) is not written: a day later it is gone.
struct Deciding<'a> {
    recorder: &'a Recorder,
    rng: StdRng,
    effects: Effects,
}

impl Deciding<'_> {
    fn decide<D: Decide>(&mut self, user: &mut User, command: &D) -> anyhow::Result<D::Answer> {
        let mut effects = Effects::default();
        let answer = decision::run(
            command,
            &mut Draft {
                core: &self.recorder.core,
                now: self.recorder.at,
                moment: self.recorder.at.into(),
                rng: &mut self.rng,
                user,
                history: &mut History::default(),
                hardware: &mut Known::new(),
                finished: None,
                effects: &mut effects,
            },
        );
        self.effects.events.append(&mut effects.events);
        answer.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
    }
}

/// Makes `count` records by all processors, and gives them to `take` by rising id, some at a time.
fn records(
    recorder: &Recorder,
    count: usize,
    mut take: impl FnMut(Vec<Record>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (next, makers) = (
        AtomicUsize::default(),
        std::thread::available_parallelism()?,
    );
    std::thread::scope(|scope| {
        // A maker that is ahead waits, so that few records are in memory.
        let (sender, receiver) = mpsc::sync_channel(makers.get());
        for _ in 0..makers.get() {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    let end = count.min((chunk + 1) * CHUNK);
                    let made: Vec<usize> = (chunk * CHUNK..end).collect();
                    if made.is_empty() {
                        return;
                    }
                    let made = made.into_iter().map(|index| recorder.record(index));
                    let made = made.collect::<anyhow::Result<Vec<_>>>();
                    // Whoever takes them may have failed.
                    if sender.send((chunk, made)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut early, mut due) = (BTreeMap::new(), 0);
        for (chunk, made) in receiver {
            early.insert(chunk, made);
            while let Some(made) = early.remove(&due) {
                take(made?)?;
                due += 1;
            }
        }
        Ok(())
    })
}

/// How many successes of this action the audit trail has, in the database at `url` or else in the folder.
///
/// # Errors
/// If it cannot be read.
pub async fn successes(
    url: Option<&str>,
    folder: &Path,
    action: &'static str,
) -> anyhow::Result<u64> {
    let sql = "SELECT count(*) FROM audit_events WHERE reason IS NULL AND action = $1";
    let found: i64 = if let Some(url) = url {
        let row = connect(url).await?.query_one(sql, &[&action]).await?;
        row.try_get(0)?
    } else {
        let conn = rusqlite::Connection::open(folder.join(FILE))?;
        conn.query_row(sql, [action], |row| row.get(0))?
    };
    Ok(found.try_into()?)
}

/// When the devices of a database were enrolled that is filled at `now`: with the code of that moment.
pub fn enrolled_at(now: i64) -> Timestamp {
    Timestamp::from_seconds(now - TWO_DAYS)
}

/// Longer ago than anything is kept of a finished registration.
const TWO_DAYS: i64 = 2 * 86_400;
const CHUNK: usize = 1_000;

#[cfg(test)]
mod tests;
