//! Makes a temporary MFA token for a user whose devices are out of reach.
//!
//! `cargo run -p onelogin --example generate_otp -- USER_ID [SECONDS]`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{GenerateOtpRequest, UserId},
};
use secrecy::ExposeSecret;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID [SECONDS]"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let seconds = argument("SECONDS")
        .unwrap_or_else(|_| "3600".to_owned())
        .parse()?;
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    let token = api
        .generate_otp(user_id, &GenerateOtpRequest::new().expires_in(seconds))
        .await?;
    println!(
        "{} until {}",
        token.mfa_token.expose_secret(),
        token
            .expires_at
            .map(|time| time.to_string())
            .unwrap_or_default()
    );
    Ok(())
}
