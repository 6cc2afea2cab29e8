//! Begins to enrol a factor, and prints what the user must be shown.
//!
//! `cargo run -p onelogin --example create_factor_registration -- USER_ID FACTOR_ID DISPLAY_NAME [verified]`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{CreateFactorRegistrationRequest, FactorId, UserId},
};
use secrecy::ExposeSecret;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments.next().ok_or_else(|| {
            format!("which {name}? usage: USER_ID FACTOR_ID DISPLAY_NAME [verified]")
        })
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let factor_id: FactorId = argument("FACTOR_ID")?.parse()?;
    let display_name = argument("DISPLAY_NAME")?;
    let verified = argument("verified").is_ok_and(|word| word == "verified");
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    let request = CreateFactorRegistrationRequest::new(factor_id, display_name)
        .expires_in(300)
        .verified(verified);
    let registration = api.create_factor_registration(user_id, &request).await?;
    println!("{} {}", registration.id, registration.status);
    if let Some(data) = registration.factor_data {
        for secret in [data.totp_url, data.verification_token, data.url]
            .into_iter()
            .flatten()
        {
            println!("{}", secret.expose_secret());
        }
    }
    Ok(())
}
