//! The command line, one file per subcommand. Everything that a command does is in the library; here are its words, its
//! exit status and what it prints.
//!
//! Exit status: 0 done; 1 something went wrong on the way; 2 the command line or the configuration is refused, in one
//! line on stderr and before anything was touched.
mod check;
mod client;
mod completions;
mod doctor;
mod health;
mod hub;
mod installations;
mod migrate;
mod progress;
mod send;
mod serve;
mod watch;

use crate::config::ConfigError;
use crate::service::StartError;
use clap::{Args, Parser, Subcommand};
use client::{Client, ClientError, Connection};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Self-hosted push notifications: one broadcast, everyone it is for, and what became of each device.
///
/// Backends post a tagged broadcast, apps register installations, and Fanfare delivers to APNs, FCM, WNS and Web Push.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and print what it amounts to
    ///
    /// Reads the file and the environment over it, opens every certificate, key and account that they name, and prints
    /// the effective configuration as TOML with secrets as "***". Contacts nobody and changes nothing.
    ///
    /// A key that is unknown or has a bad value ends it: exit status 2 and one line on stderr,
    /// `config: KEY: RULE (got VALUE)`.
    Check(Configured),
    /// Ask a running service whether it is well
    ///
    /// Exit status 0 when it answers that it is, else 1. For health checks of containers.
    Health(health::Health),
    /// Bring the store to this version's schema
    ///
    /// `serve` does the same when it starts. Here it can be done ahead, while nothing else uses the store.
    Migrate(Configured),
    /// Run the service
    ///
    /// Without a configuration: the embedded store in ./data, an in-process queue, 127.0.0.1:8080. The admin key is made
    /// at the first start, kept in ./data/admin.key and shown once on a terminal.
    ///
    /// SIGTERM or SIGINT stops it within server.drain_seconds: what runs finishes or is handed back. A second one ends
    /// it at once, which loses nothing either.
    Serve(serve::Serve),
    /// Test what a configuration needs: store, queue, clock, each hub's credentials and push services
    ///
    /// One line each, `ok`, `warn` or `fail`, with what to do about it; exit status 1 when something fails. It notifies
    /// nobody, changes nothing, and may run beside the service.
    Doctor(Configured),
    /// Hubs, their access keys and their senders
    #[command(subcommand, arg_required_else_help = true)]
    Hub(hub::Hub),
    /// Send a broadcast and print its id
    Send(Box<send::Send>),
    /// Follow a broadcast to its end
    ///
    /// A progress bar on a terminal, a line for each change elsewhere; goes on through restarts of the service. Exit
    /// status 0 when the broadcast completed, 1 when it was cancelled, expired or failed, or was lost sight of.
    Watch(watch::Watch),
    /// Installations in and out, as NDJSON
    #[command(subcommand, arg_required_else_help = true)]
    Installations(installations::Installations),
    /// Print a completion script, such as `fanfare completions bash > /etc/bash_completion.d/fanfare`
    Completions(completions::Completions),
}

/// What every command that needs the configuration takes.
#[derive(Debug, Args)]
pub struct Configured {
    /// The TOML file. Without it: the embedded store in ./data, an in-process queue, 127.0.0.1:8080
    ///
    /// Every key can also come from the environment, which has the last word: FANFARE__SECTION__KEY, for instance
    /// FANFARE__SERVER__LISTEN=0.0.0.0:8080. Relative paths are relative to the file's folder, without a file to the
    /// working directory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Cli {
    /// Runs the command to its end and says how the process should exit.
    pub fn run(self) -> ExitCode {
        let environment = std::env::vars_os();
        let done = match self.command {
            Command::Check(args) => check::run(&args, environment, &mut io::stdout().lock()),
            Command::Health(args) => health::run(&args, environment, &mut io::stdout().lock()),
            Command::Migrate(args) => migrate::run(&args, environment, &mut io::stdout().lock()),
            // Not locked: log lines go to stderr from other threads.
            Command::Serve(args) => serve::run(&args, environment, &mut io::stderr()),
            Command::Doctor(args) => doctor::run(&args, environment, &mut io::stdout().lock()),
            Command::Completions(args) => completions::run(&args, &mut io::stdout().lock()),
            Command::Hub(command) => {
                remote(&self.connection, async |client| hub::run(&command, client, &mut io::stdout()).await)
            }
            Command::Send(args) => {
                remote(&self.connection, async |client| send::run(&args, client, &mut io::stdout()).await)
            }
            Command::Watch(args) => {
                remote(&self.connection, async |client| watch::run(&args, client, &mut io::stdout()).await)
            }
            Command::Installations(command) => {
                remote(&self.connection, async |client| installations::run(&command, client, &mut io::stdout()).await)
            }
        };
        report(done, &mut io::stderr().lock())
    }
}

/// Runs a command that talks to a service.
fn remote(connection: &Connection, command: impl AsyncFnOnce(&Client) -> Result<(), Failure>) -> Result<(), Failure> {
    let client = Client::new(connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command(&client))
}

/// A whole file, or stdin for `-`.
fn read_input(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()));
    }
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What stands on the command line or in the environment cannot be used.
    #[error("fanfare: {0}")]
    Usage(ClientError),
    #[error("fanfare: {0:#}")]
    Other(#[from] anyhow::Error),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => Self::Config(error),
            other => Self::Other(other.into()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if error.is_usage() { Self::Usage(error) } else { Self::Other(error.into()) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

/// Says why, in one line, and turns it into the exit status.
fn report(result: Result<(), Failure>, stderr: &mut impl Write) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    // Nowhere is left to say that stderr is gone.
    let _ = writeln!(stderr, "{failure}");
    match failure {
        Failure::Config(_) | Failure::Usage(_) => ExitCode::from(2),
        Failure::Other(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
