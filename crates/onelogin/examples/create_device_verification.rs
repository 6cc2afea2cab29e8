//! Challenges a device: a code or a push is sent where the factor has one to send.
//!
//! `cargo run -p onelogin --example create_device_verification -- USER_ID DEVICE_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{CreateDeviceVerificationRequest, DeviceId, UserId},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID DEVICE_ID"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let device_id = DeviceId::from(argument("DEVICE_ID")?);
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    let request = CreateDeviceVerificationRequest::new(device_id).expires_in(300);
    let verification = api.create_device_verification(user_id, &request).await?;
    println!(
        "{} {} until {}",
        verification.id,
        verification.status,
        verification
            .expires_at
            .map(|time| time.to_string())
            .unwrap_or_default()
    );
    Ok(())
}
