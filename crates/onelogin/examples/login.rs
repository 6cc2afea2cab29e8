//! A login's second step on the command line: challenges the default device, asks for the code, or waits for the phone.
//!
//! `cargo run -p onelogin --example login -- USER_ID`,
//! with `ONELOGIN_HOST`, `ONELOGIN_CLIENT_ID` and `ONELOGIN_CLIENT_SECRET` set.

#![expect(clippy::print_stdout, reason = "an example prints what it gets")]

use std::{env, error::Error, io, time::Duration};

use onelogin::{ApiClient, Configuration, MultiFactorAuthenticationApi, models::UserId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let user_id: UserId = env::args().nth(1).ok_or("usage: USER_ID")?.parse()?;
    let client = ApiClient::new(Configuration::from_env()?)?;
    let challenge = MultiFactorAuthenticationApi::new(&client)
        .challenge(user_id)
        .await?;
    let device = challenge.device();
    if !device.kind().takes_code() {
        println!("Please confirm on {}", device.user_display_name);
        println!("{}", challenge.wait(Duration::from_mins(2)).await?.status);
        return Ok(());
    }
    println!("The code of {}:", device.user_display_name);
    loop {
        let mut line = String::new();
        if io::stdin().read_line(&mut line)? == 0 {
            return Err("no code".into());
        }
        if challenge.verify_code(line.trim()).await? {
            println!("accepted");
            return Ok(());
        }
        println!("That is not it, once more:");
    }
}
