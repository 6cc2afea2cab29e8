//! Reads how a verification stands.
//!
//! `cargo run -p onelogin --example get_user_verification -- USER_ID VERIFICATION_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{UserId, VerificationId},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |name: &str| {
        arguments
            .next()
            .ok_or_else(|| format!("which {name}? usage: USER_ID VERIFICATION_ID"))
    };
    let user_id: UserId = argument("USER_ID")?.parse()?;
    let verification_id = VerificationId::from(argument("VERIFICATION_ID")?);
    let client = ApiClient::new(Configuration::from_env()?)?;
    let api = MultiFactorAuthenticationApi::new(&client);
    let verification = api.get_user_verification(user_id, verification_id).await?;
    println!(
        "{} {}",
        verification.status,
        verification.reason.unwrap_or_default()
    );
    Ok(())
}
