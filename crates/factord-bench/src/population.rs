//! The users that are measured with, and where in time they are. A code is good for one use, so the server's clock is
//! moved on by a time step whenever every user has had a turn.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use factord::crypto::otp;
use tokio::sync::Mutex;

use crate::connection::{Connection, Target};
use crate::members::{self, Member, Members};

/// Users with a device each.
#[derive(Debug)]
pub struct Population {
    members: Members,
    /// Of each member the last time step whose code was used, or is about to be.
    last_steps: Vec<AtomicU32>,
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

    /// A time step whose code the server takes: the one after that in which it is by this clock, which may be up to two
    /// seconds late. So it is still good if the server's clock is moved on while the code is under way.
    fn step(self) -> i64 {
        let elapsed = i64::try_from(self.at.elapsed().as_secs()).unwrap_or(i64::MAX);
        let now = self.said.saturating_add(elapsed);
        now.div_euclid(otp::STEP_SECONDS) + 1
    }
}

/// A member's turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Whose it is.
    pub member: Member,
    /// A time step whose code the server takes now, and has not had yet.
    pub step: i64,
    /// Counts how often every member has had a turn.
    pub round: usize,
}

impl Turn {
    /// The right code.
    pub fn code(&self) -> String {
        self.member.code(self.step)
    }

    /// A code that is not right, though it looks like one.
    pub fn wrong_code(&self) -> String {
        format!("{:06}", (self.member.number(self.step) + 1) % 1_000_000)
    }
}

impl Population {
    /// Members of whom no code has been used at the server's time, or is yet to be.
    ///
    /// # Errors
    /// If the server does not tell its time.
    pub async fn new(target: &Target, members: Members) -> anyhow::Result<Self> {
        // Those who were enrolled just now have used a code.
        let clock = ServerClock::ask(target, 60).await?;
        Ok(Self {
            last_steps: (0..members.count()).map(|_| AtomicU32::new(0)).collect(),
            members,
            turns: AtomicUsize::new(0),
            clock: RwLock::new(clock),
            moving: Mutex::new(()),
            epoch: clock.said,
            newcomers: AtomicU64::new(0),
        })
    }

    /// The next member. Neighbours in the database do not come one after the other, as in life.
    pub fn any(&self) -> Member {
        self.members
            .get(self.place_of(self.turns.fetch_add(1, Ordering::Relaxed)))
    }

    fn place_of(&self, turn: usize) -> usize {
        turn.wrapping_mul(PRIME) % self.members.count()
    }

    /// The next member, and a time step whose code it has not used. If there is none yet, the server's clock is moved on.
    ///
    /// # Errors
    /// If the clock cannot be moved.
    pub async fn turn(&self, target: &Target) -> anyhow::Result<Turn> {
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        let place = self.place_of(number);
        loop {
            let step = self.step();
            if self.take(place, step)? {
                return Ok(Turn {
                    member: self.members.get(place),
                    step,
                    round: number / self.members.count(),
                });
            }
            let _moving = self.moving.lock().await;
            if self.step() == step {
                let moved = ServerClock::ask(target, otp::STEP_SECONDS.unsigned_abs()).await?;
                *self.clock.write().unwrap_or_else(PoisonError::into_inner) = moved;
            }
        }
    }

    /// Whether the step is later than all that the member has used; then it is taken.
    fn take(&self, place: usize, step: i64) -> anyhow::Result<bool> {
        let step = u32::try_from(step)?;
        Ok(self.last_steps[place].fetch_max(step, Ordering::AcqRel) < step)
    }

    /// The time step whose codes are sent now.
    pub fn step(&self) -> i64 {
        self.clock
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .step()
    }

    /// Creates another user and enrols a device: three calls.
    ///
    /// # Errors
    /// If an answer is not what it must be.
    pub async fn newcomer(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let number = self.newcomers.fetch_add(1, Ordering::Relaxed);
        let name = format!("newcomer-{}-{number}", self.epoch);
        members::enrol(connection, &name).await.map(drop)
    }
}

/// Creates users and enrols a device for each, over HTTP.
///
/// # Errors
/// If an answer is not what it must be.
pub async fn enrol(target: &Target, count: usize) -> anyhow::Result<Members> {
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
                let name = format!("bench-{number}");
                members.push(members::enrol(&mut connection, &name).await?);
            }
        });
    }
    let mut members = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        members.extend(done??);
    }
    members.sort_unstable_by_key(|member| member.user);
    Ok(Members::Enrolled(members))
}

const WORKERS: usize = 64;
/// No number of members is a multiple of it, so that each comes once in a round.
const PRIME: usize = 7_368_787;
