//! `loadtest fanfare …`: the service itself, for runs that start it as a child process.
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use fanfare::cli::Cli;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Fanfare's own command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Runs Fanfare in this process. It dies with the thread that started it: a run that was killed leaves no service behind.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        // Into the run's log; nowhere is left to say that it cannot be written.
        drop(writeln!(io::stderr(), "the service will outlive its run when that is killed: {error}"));
    }
    Cli::parse_from([OsString::from("fanfare")].into_iter().chain(args.args)).run()
}
