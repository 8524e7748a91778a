//! The command line: parse, wire, run.
use clap::Parser;
use fanfare::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().run()
}
