//! Users with an authenticator app each, whose codes are computed here. Of those that were written into a database
//! nothing is kept: device and secret are what a generator draws that is seeded with the user's id.

use anyhow::Context;
use data_encoding::BASE32_NOPAD;
use factord::clock::Moment;
use factord::crypto::otp::{self, Algorithm};
use factord::mfa::ids::{DeviceNumber, UserId, draw_uuid};
use http::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::connection::Connection;

/// A user with an authenticator app.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The user's id.
    pub user: u64,
    /// The device's id.
    pub device: u64,
    secret: [u8; SECRET_BYTES],
    /// The time step in which the device was enrolled, where that is known.
    enrolled_in: Option<i64>,
}

impl Member {
    /// The member whose registration [`generator`] served.
    pub fn drawn(user: u64) -> Self {
        let mut rng = generator(user);
        // What CreateRegistration draws, in its order.
        draw_uuid(&mut rng, Moment::default());
        let device = DeviceNumber::draw(&mut rng);
        let mut secret = [0; SECRET_BYTES];
        rng.fill_bytes(&mut secret);
        Self {
            user,
            device: device.get().into(),
            secret,
            enrolled_in: None,
        }
    }

    /// The code of a time step as a number.
    pub fn number(&self, step: i64) -> u32 {
        let step = step.cast_unsigned();
        otp::hotp(Algorithm::Sha1, &self.secret, step, otp::DIGITS)
    }

    /// The code of a time step.
    pub fn code(&self, step: i64) -> String {
        format!("{:06}", self.number(step))
    }

    /// Whether the code of a time step has by chance the digits of one that the server may have accepted last: a server
    /// that has must refuse it.
    pub fn repeats(&self, step: i64) -> bool {
        let (number, before) = (self.number(step), (1..=10).map(|steps| step - steps));
        before
            .chain(self.enrolled_in)
            .any(|before| self.number(before) == number)
    }

    /// Where verifications of the user begin.
    pub fn verifications(&self) -> String {
        format!("/api/2/mfa/users/{}/verifications", self.user)
    }
}

/// All members.
#[derive(Debug)]
pub enum Members {
    /// They were enrolled one by one.
    Enrolled(Vec<Member>),
    /// Users 1, 2, 3 …, so many, were written into the database, as enrolled in this time step.
    Written(usize, Option<i64>),
}

impl Members {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Enrolled(members) => members.len(),
            Self::Written(count, _) => *count,
        }
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Member {
        match self {
            Self::Enrolled(members) => members[index],
            Self::Written(_, enrolled_in) => Member {
                enrolled_in: *enrolled_in,
                ..Member::drawn(index as u64 + 1)
            },
        }
    }
}

/// The generator that draws everything about a user's device. Its seed is no secret: what is measured lives on loopback,
/// and is deleted afterwards.
pub fn generator(user: u64) -> StdRng {
    let mut seed = *b"factord-bench, members: ........";
    seed[24..].copy_from_slice(&user.to_le_bytes());
    StdRng::from_seed(seed)
}

/// The id of the member at this place.
///
/// # Errors
/// If there are more than ids.
pub fn user_id(index: usize) -> anyhow::Result<UserId> {
    UserId::new(i64::try_from(index)? + 1).context("too many users")
}

/// Creates a user and enrols a device over HTTP: three calls.
///
/// # Errors
/// If an answer is not what it must be.
pub async fn enrol(connection: &mut Connection, name: &str) -> anyhow::Result<Member> {
    let body = format!("{{\"username\":\"{name}\",\"email\":\"{name}@example.com\"}}");
    let user = connection
        .call(Method::POST, "/api/2/users", body)
        .await?
        .json(StatusCode::CREATED)?;
    let user = user["id"].as_u64().context("a user without id")?;
    let path = format!("/api/2/mfa/users/{user}/registrations");
    let body = format!("{{\"factor_id\":{AUTHENTICATOR},\"display_name\":\"{DEVICE_NAME}\"}}");
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
    let secret = BASE32_NOPAD.decode(text("/factor_data/verification_token")?.as_bytes())?;
    let member = Member {
        user,
        device: text("/device_id")?.parse()?,
        secret: secret.as_slice().try_into()?,
        enrolled_in: None,
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

const SECRET_BYTES: usize = 20;
/// The factor that members have.
pub const AUTHENTICATOR: i64 = factord::factor::catalogue::AUTHENTICATOR;
/// What their devices are called.
pub const DEVICE_NAME: &str = "bench";
