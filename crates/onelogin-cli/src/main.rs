//! The command line of OneLogin's multi-factor authentication API, and of every service that speaks it.
//!
//! This file only decides the exit code; `arguments` says what can be asked, and `commands` does it, one file a verb.

mod arguments;
mod commands;
mod exit;
mod output;
mod profile;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use self::{arguments::Cli, exit::Exit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Done {
                terminal::tell(&format!("error: {failure}"));
            }
            failure.exit.into()
        }
    }
}
