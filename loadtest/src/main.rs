//! The command line of the load tests.
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
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Gateways(args) => commands::gateways::run(args),
    }
}
