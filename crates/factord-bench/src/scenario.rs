//! What can be measured: each scenario is one unit of work on one connection, its answers checked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use http::{Method, StatusCode};
use tokio::task::JoinSet;

use crate::connection::{Answer, Connection, Target};
use crate::population::{Population, Turn};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One call: POST /verifications with a right code
    Verify,
    /// Two calls: POST /verifications, then PUT with a right code
    Login,
    /// One call with a wrong code; every fourth is right, so that nobody is held back
    Wrong,
    /// Three calls: a new user, a registration, and its confirmation
    Enrol,
    /// GET one of 10,000 pending verifications
    Poll,
    /// GET /devices
    Devices,
    /// POST a token request
    Token,
    /// A day: logins of both kinds, slips of the finger, polling, device lists, enrolments and tokens
    Mixed,
    /// GET /healthz: the stack with nothing behind it
    Health,
}

/// How a unit of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its answers are what they must be.
    Done,
    /// The server was too busy, and said when to come again.
    Shed,
}

/// A scenario against one server.
#[derive(Debug)]
pub struct Work {
    scenario: Scenario,
    target: Target,
    population: Arc<Population>,
    pending: Vec<String>,
    polled: AtomicUsize,
    accepted: Option<Mutex<Vec<Turn>>>,
}

impl Scenario {
    /// What the tables call it.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

impl Work {
    /// Makes what the scenario needs to be there.
    ///
    /// # Errors
    /// If an answer is not what it must be.
    pub async fn prepare(
        scenario: Scenario,
        target: &Target,
        population: &Arc<Population>,
    ) -> anyhow::Result<Self> {
        let mut work = Self {
            scenario,
            target: target.renewed().await?,
            population: Arc::clone(population),
            pending: Vec::new(),
            polled: AtomicUsize::new(0),
            accepted: None,
        };
        if scenario == Scenario::Poll {
            work.pending = pending(&work.target, population).await?;
        }
        Ok(work)
    }

    /// The same work, which remembers whose codes were accepted ([`Scenario::Verify`] alone).
    pub fn remembering(self) -> Self {
        Self {
            accepted: Some(Mutex::default()),
            ..self
        }
    }

    /// The turns whose codes were accepted and remembered.
    pub fn accepted(&self) -> Vec<Turn> {
        let accepted = self.accepted.as_ref();
        accepted.map_or_else(Vec::new, |it| {
            std::mem::take(&mut it.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Opens a connection to the server.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        self.target.connect().await
    }

    /// Does one unit.
    ///
    /// # Errors
    /// If an answer is not what it must be.
    pub async fn run(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        match self.scenario {
            Scenario::Verify => self.verify(connection).await,
            Scenario::Login => self.login(connection, 0).await,
            Scenario::Wrong => self.wrong(connection).await,
            Scenario::Enrol => self.population.newcomer(connection).await.map(done),
            Scenario::Poll => self.poll(connection).await,
            Scenario::Devices => self.devices(connection).await,
            Scenario::Token => {
                let answer = connection.token().await?;
                settle(&answer, StatusCode::OK, "\"access_token\":")
            }
            Scenario::Mixed => self.mixed(connection).await,
            Scenario::Health => {
                let answer = connection.call(Method::GET, "/healthz", String::new());
                settle(&answer.await?, StatusCode::OK, "\"ok\"")
            }
        }
    }

    /// Sends a code once more that was accepted: it must be refused.
    ///
    /// # Errors
    /// If it is not.
    pub async fn send_again(&self, connection: &mut Connection, turn: &Turn) -> anyhow::Result<()> {
        for _ in 0..MOST_TRIES {
            let answer = verify(connection, turn, &turn.code(), None).await?;
            if settle(&answer, StatusCode::UNAUTHORIZED, FAILED)? == Outcome::Done {
                return Ok(());
            }
            tokio::time::sleep(A_MOMENT).await;
        }
        anyhow::bail!("the server is still too busy")
    }

    async fn verify(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        let turn = self.population.turn(&self.target).await?;
        let answer = verify(connection, &turn, &turn.code(), None).await?;
        let outcome = settle_right(&turn, &answer)?;
        if let (StatusCode::OK, Some(accepted)) = (answer.status, &self.accepted) {
            let mut accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner);
            accepted.push(turn);
        }
        Ok(outcome)
    }

    /// Every fourth code of a user is right: the fifth wrong one in a row would hold the user back.
    async fn wrong(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        let turn = self.population.turn(&self.target).await?;
        if turn.round % 4 == 3 {
            let answer = verify(connection, &turn, &turn.code(), None).await?;
            return settle_right(&turn, &answer);
        }
        let answer = verify(connection, &turn, &turn.wrong_code(), Some(WRONG)).await?;
        settle(&answer, StatusCode::UNAUTHORIZED, FAILED)
    }

    /// A challenge, some polling as of a caller who waits, and the code.
    async fn login(&self, connection: &mut Connection, polls: usize) -> anyhow::Result<Outcome> {
        let turn = self.population.turn(&self.target).await?;
        let path = turn.member.verifications();
        let body = format!("{{\"device_id\":{}}}", turn.member.device);
        let begun = connection.call(Method::POST, &path, body).await?;
        if begun.is_shed() {
            return Ok(Outcome::Shed);
        }
        let path = format!("{path}/{}", id(&begun)?);
        for _ in 0..polls {
            let polled = connection.call(Method::GET, &path, String::new()).await?;
            settle(&polled, StatusCode::OK, PENDING_TEXT)?;
        }
        let body = format!("{{\"otp\":\"{}\"}}", turn.code());
        let answer = connection.call(Method::PUT, &path, body).await?;
        settle_right(&turn, &answer)
    }

    async fn poll(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        let turn = self.polled.fetch_add(1, Ordering::Relaxed);
        let path = &self.pending[turn % self.pending.len()];
        let answer = connection.call(Method::GET, path, String::new()).await?;
        settle(&answer, StatusCode::OK, PENDING_TEXT)
    }

    async fn devices(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        let path = format!("/api/2/mfa/users/{}/devices", self.population.any().user);
        let answer = connection.call(Method::GET, &path, String::new()).await?;
        settle(&answer, StatusCode::OK, "\"device_id\":\"")
    }

    async fn mixed(&self, connection: &mut Connection) -> anyhow::Result<Outcome> {
        let chance = self.polled.fetch_add(1, Ordering::Relaxed) % 20;
        match chance {
            0 => self.population.newcomer(connection).await.map(done),
            1 => settle(
                &connection.token().await?,
                StatusCode::OK,
                "\"access_token\":",
            ),
            2 | 3 => {
                let turn = self.population.turn(&self.target).await?;
                let slip = verify(connection, &turn, &turn.wrong_code(), Some(WRONG)).await?;
                settle(&slip, StatusCode::UNAUTHORIZED, FAILED)?;
                let answer = verify(connection, &turn, &turn.code(), None).await?;
                settle(&answer, StatusCode::OK, ACCEPTED)
            }
            4 | 5 => self.devices(connection).await,
            6..=11 => self.verify(connection).await,
            _ => self.login(connection, 2).await,
        }
    }
}

/// Begins verifications to poll, over some connections at once.
async fn pending(target: &Target, population: &Arc<Population>) -> anyhow::Result<Vec<String>> {
    let mut tasks = JoinSet::new();
    for _ in 0..PREPARING {
        let (target, population) = (target.clone(), Arc::clone(population));
        tasks.spawn(async move {
            let mut connection = target.connect().await?;
            let mut pending = Vec::new();
            for _ in 0..PENDING / PREPARING {
                let member = population.any();
                let path = member.verifications();
                let body = format!("{{\"device_id\":{},\"expires_in\":900}}", member.device);
                let begun = connection.call(Method::POST, &path, body).await?;
                pending.push(format!("{path}/{}", id(&begun)?));
            }
            anyhow::Ok(pending)
        });
    }
    let mut pending = Vec::with_capacity(PENDING);
    while let Some(done) = tasks.join_next().await {
        pending.extend(done??);
    }
    Ok(pending)
}

async fn verify(
    connection: &mut Connection,
    turn: &Turn,
    code: &str,
    display_name: Option<&str>,
) -> anyhow::Result<Answer> {
    let path = turn.member.verifications();
    let device = turn.member.device;
    let body = match display_name {
        None => format!("{{\"device_id\":{device},\"otp\":\"{code}\"}}"),
        Some(name) => {
            format!("{{\"device_id\":{device},\"otp\":\"{code}\",\"display_name\":\"{name}\"}}")
        }
    };
    connection.call(Method::POST, &path, body).await
}

fn done((): ()) -> Outcome {
    Outcome::Done
}

/// Checks the answer to a right code.
fn settle_right(turn: &Turn, answer: &Answer) -> anyhow::Result<Outcome> {
    if answer.status == StatusCode::UNAUTHORIZED && turn.member.repeats(turn.step) {
        return settle(answer, StatusCode::UNAUTHORIZED, FAILED);
    }
    settle(answer, StatusCode::OK, ACCEPTED)
}

/// Checks an answer: its status, and what its body must hold.
fn settle(answer: &Answer, expected: StatusCode, holds: &str) -> anyhow::Result<Outcome> {
    if answer.is_shed() {
        return Ok(Outcome::Shed);
    }
    let found = answer
        .body
        .windows(holds.len())
        .any(|part| part == holds.as_bytes());
    anyhow::ensure!(
        answer.status == expected && found,
        "{} in the place of {expected} with {holds}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(Outcome::Done)
}

fn id(answer: &Answer) -> anyhow::Result<String> {
    let body = answer.json(StatusCode::CREATED)?;
    let id = body["id"].as_str().context("something without an id")?;
    Ok(id.to_owned())
}

/// The `display_name` of a request whose code is wrong, by which the baseline knows it.
pub const WRONG: &str = "wrong";
const PENDING: usize = 10_000;
/// Connections by which they are begun.
const PREPARING: usize = 50;
/// How often a code is sent again to a server that is too busy, and after what time each.
const MOST_TRIES: usize = 100;
const A_MOMENT: Duration = Duration::from_millis(50);
const ACCEPTED: &str = "\"type\":\"success\"";
const FAILED: &str = "\"Authentication Failure\"";
const PENDING_TEXT: &str = "\"pending\"";
