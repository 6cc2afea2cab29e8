//! The users that are measured with: each has an authenticator app, whose codes are computed here. A code is good for
//! one use, so the server's clock is moved on by a time step whenever every user has had a turn.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use anyhow::Context;
use factord::crypto::otp::{self, Algorithm};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::connection::{Connection, Target};

/// Users with a device each, and where in time they are.
#[derive(Debug)]
pub struct Population {
    members: Vec<Member>,
    turns: AtomicUsize,
    clock: RwLock<ServerClock>,
    moving: Mutex<()>,
    /// What the names of newcomers begin with.
    epoch: i64,
    /// Users that were created beyond the members.
    newcomers: AtomicU64,
}

/// What time the server has.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    /// What it said.
    said: i64,
    /// When it said so.
    at: Instant,
}

impl ServerClock {
    /// Asks the server, after moving its clock on.
    async fn ask(target: &Target, advance: u64) -> anyhow::Result<Self> {
        let said = target.advance(advance).await?;
        let at = Instant::now();
        Ok(Self { said, at })
    }

    /// The time step that the server is in; at its edges perhaps the one before or after, which it takes as well.
    fn step(self) -> i64 {
        let elapsed = i64::try_from(self.at.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.said
            .saturating_add(elapsed)
            .div_euclid(otp::STEP_SECONDS)
    }
}

/// A user with an authenticator app.
#[derive(Debug)]
pub struct Member {
    /// The user's id.
    pub user: u64,
    /// The device's id.
    pub device: u64,
    secret: Box<[u8]>,
    /// The last time step whose code was used, or is about to be.
    last_step: AtomicI64,
}

/// A member's turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Whose it is.
    pub member: &'a Member,
    /// A time step whose code the server takes now, and has not had yet.
    step: i64,
    /// Counts how often every member has had a turn.
    pub round: usize,
}

impl Turn<'_> {
    /// The right code.
    pub fn code(&self) -> String {
        self.member.code(self.step)
    }

    /// A code that is not right, though it looks like one.
    pub fn wrong_code(&self) -> String {
        format!("{:06}", (self.member.number(self.step) + 1) % 1_000_000)
    }
}

impl Member {
    fn number(&self, step: i64) -> u32 {
        let step = step.cast_unsigned();
        otp::hotp(Algorithm::Sha1, &self.secret, step, otp::DIGITS)
    }

    fn code(&self, step: i64) -> String {
        format!("{:06}", self.number(step))
    }

    /// Whether the step is later than all that were used; then it is taken.
    fn take(&self, step: i64) -> bool {
        self.last_step.fetch_max(step, Ordering::AcqRel) < step
    }
}

impl Population {
    /// The next member. Neighbours in the database do not come one after the other, as in life.
    pub fn any(&self) -> &Member {
        self.member_of(self.turns.fetch_add(1, Ordering::Relaxed))
    }

    fn member_of(&self, turn: usize) -> &Member {
        &self.members[turn.wrapping_mul(PRIME) % self.members.len()]
    }

    /// The next member, and a time step whose code it has not used. If there is none yet, the server's clock is moved on.
    ///
    /// # Errors
    /// If the clock cannot be moved.
    pub async fn turn(&self, target: &Target) -> anyhow::Result<Turn<'_>> {
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        let member = self.member_of(number);
        loop {
            let step = self.clock().step();
            if member.take(step) {
                let round = number / self.members.len();
                return Ok(Turn {
                    member,
                    step,
                    round,
                });
            }
            let _moving = self.moving.lock().await;
            if self.clock().step() == step {
                let moved = ServerClock::ask(target, otp::STEP_SECONDS.unsigned_abs()).await?;
                *self.clock.write().unwrap_or_else(PoisonError::into_inner) = moved;
            }
        }
    }

    fn clock(&self) -> ServerClock {
        *self.clock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates another user and enrols a device: three calls.
    ///
    /// # Errors
    /// If an answer is not what it must be.
    pub async fn newcomer(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let number = self.newcomers.fetch_add(1, Ordering::Relaxed);
        let name = format!("newcomer-{}-{number}", self.epoch);
        enrol_one(connection, &name).await.map(drop)
    }
}

/// Creates users and enrols a device for each.
///
/// # Errors
/// If an answer is not what it must be.
pub async fn enrol(target: &Target, count: usize) -> anyhow::Result<Population> {
    let epoch = target.advance(0).await?;
    let (next, mut tasks) = (
        Arc::new(AtomicUsize::default()),
        tokio::task::JoinSet::new(),
    );
    for _ in 0..WORKERS {
        let (target, next) = (target.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut connection = target.connect().await?;
            let mut members = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(members);
                }
                let name = format!("bench-{epoch}-{number}");
                members.push(enrol_one(&mut connection, &name).await?);
            }
        });
    }
    let mut members = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        members.extend(done??);
    }
    members.sort_unstable_by_key(|member| member.user);
    Ok(Population {
        members,
        turns: AtomicUsize::new(0),
        clock: RwLock::new(ServerClock::ask(target, 60).await?),
        moving: Mutex::new(()),
        epoch,
        newcomers: AtomicU64::new(0),
    })
}

async fn enrol_one(connection: &mut Connection, name: &str) -> anyhow::Result<Member> {
    let body = format!("{{\"username\":\"{name}\",\"email\":\"{name}@example.com\"}}");
    let user = connection
        .call(Method::POST, "/api/2/users", body)
        .await?
        .json(StatusCode::CREATED)?;
    let user = user["id"].as_u64().context("a user without id")?;
    let path = format!("/api/2/mfa/users/{user}/registrations");
    let body = r#"{"factor_id":58957,"display_name":"bench"}"#.to_owned();
    let begun = connection
        .call(Method::POST, &path, body)
        .await?
        .json(StatusCode::CREATED)?;
    let text = |pointer: &str| {
        begun
            .pointer(pointer)
            .and_then(Value::as_str)
            .context("a registration that lacks something")
    };
    let secret =
        data_encoding::BASE32_NOPAD.decode(text("/factor_data/verification_token")?.as_bytes())?;
    let member = Member {
        user,
        device: text("/device_id")?.parse()?,
        secret: secret.into(),
        last_step: AtomicI64::new(0),
    };
    // A registration lives for two minutes, so that its end tells the server's time.
    let ends: jiff::Timestamp = text("/expires_at")?.parse()?;
    let step = (ends.as_second() - 120).div_euclid(otp::STEP_SECONDS);
    let body = format!("{{\"otp\":\"{}\"}}", member.code(step));
    let path = format!("{path}/{}", text("/id")?);
    let confirmed = connection
        .call(Method::PUT, &path, body)
        .await?
        .json(StatusCode::OK)?;
    anyhow::ensure!(
        confirmed["status"] == "accepted",
        "a device that is not confirmed"
    );
    Ok(member)
}

const WORKERS: usize = 64;
/// No number of members is a multiple of it, so that each comes once in a round.
const PRIME: usize = 7_368_787;
