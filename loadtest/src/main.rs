//! The command line of the load tests.
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::commands;

/// That of the service, which this program is as well (`commands::fanfare`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Load tests for Fanfare: simulated push services, and measured runs against them on this machine
#[derive(Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Run(commands::run::Args),
    Isolation(commands::isolation::Args),
    Latency(commands::latency::Args),
    Direct(commands::direct::Args),
    Whole(commands::whole::Args),
    Templates(commands::templates::Args),
    Count(commands::count::Args),
    Pull(commands::pull::Args),
    Register(commands::register::Args),
    Compare(commands::compare::Args),
    Chaos(commands::chaos::Args),
    #[command(subcommand)]
    Cluster(commands::cluster::Command),
    Gateways(commands::gateways::Args),
    Fuzz(commands::fuzz::Args),
    #[command(hide = true)]
    CompareSender(commands::compare::SenderArgs),
    #[command(hide = true)]
    Fanfare(commands::fanfare::Args),
    #[command(hide = true)]
    Clocked(commands::clocked::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Run(args) => commands::run::run(args),
        Command::Isolation(args) => commands::isolation::run(args),
        Command::Latency(args) => commands::latency::run(args),
        Command::Direct(args) => commands::direct::run(args),
        Command::Whole(args) => commands::whole::run(args),
        Command::Templates(args) => commands::templates::run(args),
        Command::Count(args) => commands::count::run(args),
        Command::Pull(args) => commands::pull::run(args),
        Command::Register(args) => commands::register::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::CompareSender(args) => commands::compare::run_sender(args).map(|()| ExitCode::SUCCESS),
        Command::Cluster(command) => commands::cluster::run(command),
        Command::Chaos(args) => commands::chaos::run(args),
        Command::Gateways(args) => commands::gateways::run(args).map(|()| ExitCode::SUCCESS),
        Command::Fuzz(args) => commands::fuzz::run(args),
        Command::Clocked(args) => commands::clocked::run(args),
        Command::Fanfare(args) => Ok(commands::fanfare::run(args)),
    }
}
