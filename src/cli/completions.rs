//! `fanfare completions`: what a shell needs to complete the command line.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to write for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Completions, stdout: &mut impl Write) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fanfare", &mut script);
    Ok(stdout.write_all(&script)?)
}
