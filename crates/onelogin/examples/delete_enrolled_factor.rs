//! Removes a device.
//!
//! `cargo run -p onelogin --example delete_enrolled_factor -- USER_ID DEVICE_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{DeviceId, UserId},
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
    api.delete_enrolled_factor(user_id, device_id).await?;
    println!("deleted");
    Ok(())
}
