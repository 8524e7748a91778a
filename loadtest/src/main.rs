//! The command line of the load tests.
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::commands;

/// Load tests for Fanfare.
#[derive(Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Gateways(commands::gateways::Args),
    #[command(hide = true)]
    Fanfare(commands::fanfare::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Gateways(args) => commands::gateways::run(args).map(|()| ExitCode::SUCCESS),
        Command::Fanfare(args) => Ok(commands::fanfare::run(args)),
    }
}
