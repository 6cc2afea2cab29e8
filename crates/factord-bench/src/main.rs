//! `factord-bench`: measures factord from outside, beside the same HTTP stack with no work behind it, and checks every
//! answer.

mod baseline;
mod connection;
mod database;
mod fill;
mod load;
mod members;
mod overload;
mod population;
mod process;
mod report;
mod scenario;
mod server;
mod suite;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// The server's: the baseline is to be as quick.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measure factord: every answer checked, and every figure beside what the HTTP stack alone can do.
#[derive(Debug, Parser)]
#[command(name = "factord-bench", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(suite::Suite),
    Overload(overload::Overload),
    Baseline(baseline::Baseline),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(suite) => suite.run().await,
        Command::Overload(overload) => overload.run().await,
        Command::Baseline(baseline) => baseline.serve().await,
    }
}

const EXAMPLES: &str = "\
Examples:
  factord-bench run --server target/release/factord
  factord-bench run --server old/factord --server new/factord --scenario verify --connections 32 --rounds 5
  factord-bench run --server target/release/factord --scenario verify --rate 5000
  factord-bench run --server target/release/factord --scenario verify --devices 10000,1000000
  factord-bench overload --server target/release/factord";
