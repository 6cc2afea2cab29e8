//! Confirms a registration with a code.
//!
//! `cargo run -p onelogin --example verify_user_registration -- USER_ID REGISTRATION_ID CODE`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{RegistrationId, UserId, VerifyUserRegistrationRequest},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID REGISTRATION_ID CODE"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let registration_id = RegistrationId::from(argument("REGISTRATION_ID")?);
    let request = VerifyUserRegistrationRequest::new(argument("CODE")?);
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    match api
        .verify_user_registration(user_id, registration_id, &request)
        .await
    {
        Ok(result) => println!("{} as device {:?}", result.status, result.device_id),
        Err(error) if error.is_wrong_code() => println!("the code is wrong"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
