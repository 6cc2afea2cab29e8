//! The command line: one file a subcommand.

mod audit;
mod backup;
mod credential;
mod data;
mod dev;
mod devices;
mod export;
mod import;
mod key;
mod lines;
mod migrate;
mod output;
mod policy;
mod reload;
mod restore;
mod runtime;
mod serve;
mod shutdown;
mod since;
mod token;
mod user;
mod web;
mod yubikey;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A multi-factor authentication service, wire-compatible with OneLogin's MFA API v2.
#[derive(Debug, Parser)]
#[command(name = "factord", version, about, propagate_version = true, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service for developers: nothing to configure, messages go to an outbox
    Dev(dev::Dev),
    /// Run the service for production
    Serve(serve::Serve),
    /// Make a sealing key
    #[command(subcommand)]
    Key(key::Key),
    /// Create, list, show and delete users
    #[command(subcommand)]
    User(user::User),
    /// Create, list and revoke the credentials of API clients
    #[command(subcommand)]
    Credential(credential::Credential),
    /// Look at what which users may enrol and use
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Import and list hardware tokens (HOTP)
    #[command(subcommand)]
    Token(token::Token),
    /// Import and list YubiKeys
    #[command(subcommand)]
    Yubikey(yubikey::Yubikey),
    /// Read the audit trail
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Bring the schema of the database up to date
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Copy the database to a file, also while a server runs
    Backup(backup::Backup),
    /// Put a backup back, so that no code that was used since works again
    Restore(restore::Restore),
    /// Write the whole state to a sealed stream
    Export(export::Export),
    /// Bring what `export` wrote into an empty database, of either kind
    Import(import::Import),
}

/// Runs the command line of the process, and says how the process should end: 0 done, 1 not done, 2 not understood.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = match runtime::of(&command) {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&error.into()),
    };
    let result = runtime.block_on(async {
        match command {
            Command::Dev(dev) => dev.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Key(key) => key.run(),
            Command::User(user) => user.run().await,
            Command::Credential(credential) => credential.run().await,
            Command::Policy(policy) => policy.run().await,
            Command::Token(token) => token.run().await,
            Command::Yubikey(yubikey) => yubikey.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run().await,
            Command::Export(export) => export.run().await,
            Command::Import(import) => import.run().await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failed(&error),
    }
}

const EXAMPLES: &str = "\
Examples:
  factord dev                                  try it: everything in ./factord-data
  factord key generate > sealing.key           make the key that seals what is secret
  factord serve --config factord.toml          run it
  factord credential create --scope 'Manage All'
  factord audit list --user ada@example.com    why could ada not get in?";
