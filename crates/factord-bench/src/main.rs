//! `factord-bench`: measures a running `factord dev` from outside, and checks every answer.

mod connection;
mod load;
mod population;
mod report;
mod scenario;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use connection::Target;
use report::Report;
use scenario::Scenario;

/// Measure a running `factord dev`: so many connections in a closed loop, every answer checked.
#[derive(Debug, Parser)]
#[command(name = "factord-bench", version, after_help = EXAMPLES)]
struct Arguments {
    /// Where it listens, on this machine
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: std::net::SocketAddr,
    /// The client id of a credential that may do everything
    #[arg(long)]
    client_id: String,
    /// Its secret
    #[arg(long, env = "FACTORD_BENCH_SECRET", hide_env_values = true)]
    client_secret: String,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "verify")]
    scenario: Vec<Scenario>,
    /// Connections, each with one request at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    connections: Vec<usize>,
    /// Seconds that each measurement lasts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Users with a device each
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// The server's process id, to say what it used
    #[arg(long)]
    pid: Option<u32>,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(
        arguments.address.ip().is_loopback(),
        "only a server on this machine is measured"
    );
    let target = Target::new(
        arguments.address,
        &arguments.client_id,
        &arguments.client_secret,
    )
    .await?;
    let population = Arc::new(population::enrol(&target, arguments.devices).await?);
    let mut report = Report::new(arguments.json, arguments.pid);
    let duration = Duration::from_secs(arguments.seconds);
    for scenario in arguments.scenario {
        for connections in &arguments.connections {
            let measured =
                load::closed_loop(&target, &population, scenario, *connections, duration);
            report.add(scenario, *connections, measured).await?;
        }
    }
    Ok(())
}

const EXAMPLES: &str = "\
Example:
  factord dev --client-id bench --client-secret \"$SECRET\" &
  FACTORD_BENCH_SECRET=$SECRET factord-bench --client-id bench --pid $! --scenario verify,login";
