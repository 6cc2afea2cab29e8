//! Lists the factors that a user may still enrol.
//!
//! `cargo run -p onelogin --example get_auth_factors -- USER_ID`,
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
    for factor in api.get_auth_factors(user_id).await? {
        println!(
            "{} {} ({})",
            factor.factor_id, factor.name, factor.auth_factor_name
        );
    }
    Ok(())
}
