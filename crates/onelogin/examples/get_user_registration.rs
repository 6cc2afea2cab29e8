//! Reads how a registration stands.
//!
//! `cargo run -p onelogin --example get_user_registration -- USER_ID REGISTRATION_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{RegistrationId, UserId},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID REGISTRATION_ID"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let registration_id = RegistrationId::from(argument("REGISTRATION_ID")?);
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    let registration = api.get_user_registration(user_id, registration_id).await?;
    println!(
        "{} of device {:?}",
        registration.status, registration.device_id
    );
    Ok(())
}
