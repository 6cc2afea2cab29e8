//! Lists the devices that a user has enrolled.
//!
//! `cargo run -p onelogin --example get_authentication_devices -- USER_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{ApiClient, Configuration, MultiFactorAuthenticationApi, models::UserId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;

    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    for device in api.get_authentication_devices(user_id).await? {
        let mark = if device.default { " (default)" } else { "" };
        println!(
            "{} {} {}{mark}",
            device.device_id, device.auth_factor_name, device.user_display_name
        );
    }
    Ok(())
}
