//! The `factord` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    factord::cli::run()
}
