//! `loadtest fanfare …`: the service itself, for runs that start it as a child process.
use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use fanfare::cli::Cli;

use super::die_with_parent;

/// Fanfare's own command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Runs Fanfare in this process. It dies with the thread that started it: a run that was killed leaves no service behind.
pub fn run(args: Args) -> ExitCode {
    die_with_parent();
    Cli::parse_from([OsString::from("fanfare")].into_iter().chain(args.args)).run()
}
