//! `factord key`: the sealing key.

use std::io::{self, Write};

use clap::Subcommand;

use crate::clock;
use crate::crypto::keys::MasterKey;

/// The sealing key.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Print a new sealing key. Write it to a file that only the service may read, and keep a copy apart from the data
    #[command(after_help = "Example:\n  (umask 077; factord key generate > sealing.key)")]
    Generate,
}

impl Key {
    /// Prints the key.
    pub fn run(self) -> anyhow::Result<()> {
        let Self::Generate = self;
        let key = MasterKey::generate(&mut clock::system_rng()).to_text();
        writeln!(io::stdout(), "{}", *key)?;
        Ok(())
    }
}
