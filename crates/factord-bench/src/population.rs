//! The users that are measured with: each has an authenticator app, whose codes are computed here.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use anyhow::Context;
use factord::crypto::otp::{self, Algorithm};
use http::{Method, StatusCode};
use tokio::sync::Mutex;

use crate::connection::{Connection, Target};

/// Users with a device each, and where in time they are.
#[derive(Debug)]
pub struct Population {
    members: Vec<Member>,
    turns: AtomicUsize,
    /// The time step of the first round of turns; each round is one step later.
    first_step: i64,
    /// The last time step that the server accepts now.
    last_step: AtomicI64,
    moving: Mutex<()>,
}

/// A user with an authenticator app.
#[derive(Debug)]
pub struct Member {
    /// The user's id.
    pub user: u64,
    /// The device's id.
    pub device: String,
    secret: Vec<u8>,
}

impl Member {
    /// The code of a time step.
    pub fn code(&self, step: i64) -> String {
        format!(
            "{:06}",
            otp::hotp(
                Algorithm::Sha1,
                &self.secret,
                step.cast_unsigned(),
                otp::DIGITS
            )
        )
    }
}

impl Population {
    /// Some member.
    pub fn any(&self) -> &Member {
        &self.members[self.turns.fetch_add(1, Ordering::Relaxed) % self.members.len()]
    }

    /// The next member, and a time step that the server accepts of it now: each round of turns is one step later than
    /// the one before, and moves the server's clock.
    pub async fn turn(&self, target: &Target) -> anyhow::Result<(&Member, i64)> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let (round, member) = (turn / self.members.len(), turn % self.members.len());
        let step = self.first_step + i64::try_from(round)?;
        if step > self.last_step.load(Ordering::Acquire) {
            let _moving = self.moving.lock().await;
            if step > self.last_step.load(Ordering::Acquire) {
                let now = target.advance(otp::STEP_SECONDS.unsigned_abs()).await?;
                self.last_step
                    .store(now.div_euclid(otp::STEP_SECONDS) + 1, Ordering::Release);
            }
        }
        Ok((&self.members[member], step))
    }
}

/// Creates users and enrols a device for each.
pub async fn enrol(target: &Target, count: u32) -> anyhow::Result<Population> {
    let now = target.advance(0).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let target = target.clone();
        tasks.spawn(async move {
            let mut connection = target.connect().await?;
            let mut members = Vec::new();
            for number in (worker..count).step_by(WORKERS as usize) {
                members.push(enrol_one(&mut connection, number, now).await?);
            }
            anyhow::Ok(members)
        });
    }
    let mut members = Vec::with_capacity(usize::try_from(count)?);
    while let Some(done) = tasks.join_next().await {
        members.extend(done??);
    }
    let step = target.advance(60).await?.div_euclid(otp::STEP_SECONDS);
    Ok(Population {
        members,
        turns: AtomicUsize::new(0),
        first_step: step,
        last_step: AtomicI64::new(step + 1),
        moving: Mutex::new(()),
    })
}

async fn enrol_one(connection: &mut Connection, number: u32, epoch: i64) -> anyhow::Result<Member> {
    let body = format!("{{\"username\":\"bench-{epoch}-{number}\"}}");
    let user = connection
        .json(Method::POST, "/api/2/users", body, StatusCode::CREATED)
        .await?;
    let user = user["id"].as_u64().context("a user without id")?;
    let path = format!("/api/2/mfa/users/{user}/registrations");
    let body = r#"{"factor_id":58957,"display_name":"bench"}"#.to_owned();
    let begun = connection
        .json(Method::POST, &path, body, StatusCode::CREATED)
        .await?;
    let text = |pointer: &str| {
        begun
            .pointer(pointer)
            .and_then(|value| value.as_str())
            .context("a registration that lacks something")
    };
    let secret =
        data_encoding::BASE32_NOPAD.decode(text("/factor_data/verification_token")?.as_bytes())?;
    let member = Member {
        user,
        device: text("/device_id")?.to_owned(),
        secret,
    };
    let now: jiff::Timestamp = text("/expires_at")?.parse()?;
    let step = (now.as_second() - 120).div_euclid(otp::STEP_SECONDS);
    let body = format!("{{\"otp\":\"{}\"}}", member.code(step));
    connection
        .json(
            Method::PUT,
            &format!("{path}/{}", text("/id")?),
            body,
            StatusCode::OK,
        )
        .await?;
    Ok(member)
}

const WORKERS: u32 = 32;
