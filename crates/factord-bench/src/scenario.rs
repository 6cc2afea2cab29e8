//! What can be measured: each scenario is one unit of work on one connection, its answers checked.

use anyhow::Context;
use clap::ValueEnum;
use http::{Method, StatusCode};

use crate::connection::{Connection, Target};
use crate::population::Population;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One call: POST /verifications with a right code
    Verify,
    /// Two calls: POST /verifications, then PUT with a right code
    Login,
    /// GET /devices
    Devices,
    /// POST a token request
    Token,
    /// GET /healthz: the stack with nothing behind it
    Health,
}

impl Scenario {
    /// Does one unit of it.
    ///
    /// # Errors
    /// If an answer is not what it must be.
    pub async fn run(
        self,
        connection: &mut Connection,
        target: &Target,
        population: &Population,
    ) -> anyhow::Result<()> {
        match self {
            Self::Verify => {
                let (member, step) = population.turn(target).await?;
                let path = format!("/api/2/mfa/users/{}/verifications", member.user);
                let body = format!(
                    "{{\"device_id\":{},\"otp\":\"{}\"}}",
                    member.device,
                    member.code(step)
                );
                expect(connection, Method::POST, &path, body, StatusCode::OK).await
            }
            Self::Login => {
                let (member, step) = population.turn(target).await?;
                let path = format!("/api/2/mfa/users/{}/verifications", member.user);
                let body = format!("{{\"device_id\":{}}}", member.device);
                let begun = connection
                    .json(Method::POST, &path, body, StatusCode::CREATED)
                    .await?;
                let path = format!(
                    "{path}/{}",
                    begun["id"].as_str().context("a verification without id")?
                );
                let body = format!("{{\"otp\":\"{}\"}}", member.code(step));
                expect(connection, Method::PUT, &path, body, StatusCode::OK).await
            }
            Self::Devices => {
                let path = format!("/api/2/mfa/users/{}/devices", population.any().user);
                expect(
                    connection,
                    Method::GET,
                    &path,
                    String::new(),
                    StatusCode::OK,
                )
                .await
            }
            Self::Token => {
                let (status, _) = connection.token().await?;
                anyhow::ensure!(status == StatusCode::OK, "token: {status}");
                Ok(())
            }
            Self::Health => {
                expect(
                    connection,
                    Method::GET,
                    "/healthz",
                    String::new(),
                    StatusCode::OK,
                )
                .await
            }
        }
    }
}

async fn expect(
    connection: &mut Connection,
    method: Method,
    path: &str,
    body: String,
    expected: StatusCode,
) -> anyhow::Result<()> {
    let (status, body) = connection.call(method, path, body).await?;
    anyhow::ensure!(
        status == expected,
        "{path}: {status} {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
