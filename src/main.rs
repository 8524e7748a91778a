//! The command line: parse, wire, run.
use clap::Parser;
use fanfare::cli::Cli;
use std::process::ExitCode;

/// Memory stays level whatever the size of the store; see `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
