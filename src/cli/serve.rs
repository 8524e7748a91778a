//! `fanfare serve`: the service, until a signal.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::{Configured, Failure};
use crate::config::Config;
use crate::fanout::Role;
use crate::service::{Options, Running};
use crate::telemetry::logging;

/// Which log lines are written, such as `info,fanfare::fanout=debug`.
const LOG_VARIABLE: &str = "FANFARE_LOG";

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    configured: Configured,
    /// Which parts run in this process; api and worker need a store and a queue that processes share
    #[arg(long, value_enum, default_value_t = RoleName::All)]
    role: RoleName,
    /// How log lines look; which ones are written says the variable FANFARE_LOG, `info` by default
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// Takes requests and sends
    All,
    /// Takes requests only
    Api,
    /// Sends only
    Worker,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

pub(super) fn run(
    args: &Serve,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stderr: &mut (impl Write + IsTerminal),
) -> Result<(), Failure> {
    // Before any log line: a refused configuration is exactly one line.
    let config = Config::load_with(args.configured.config.as_deref(), environment)?;
    let format = match args.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    };
    let filter = std::env::var(LOG_VARIABLE).ok();
    logging::install(filter.as_deref(), format, stderr.is_terminal()).context(LOG_VARIABLE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let served = runtime.block_on(serve(&config, args.role, stderr));
    // What did not stop in time must not hold the process.
    runtime.shutdown_background();
    served
}

async fn serve(config: &Config, role: RoleName, stderr: &mut (impl Write + IsTerminal)) -> Result<(), Failure> {
    // Before the start, so that no signal falls into a gap.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let role = match role {
        RoleName::All => Role::All,
        RoleName::Api => Role::Api,
        RoleName::Worker => Role::Worker,
    };
    let running = tokio::select! {
        running = Running::start(config, Options { role: Some(role), ..Options::default() }) => running?,
        _ = terminate.recv() => return stopped_early(),
        _ = interrupt.recv() => return stopped_early(),
    };
    announce(&running, stderr)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(drain_seconds = config.server.drain_seconds, "stopping; a second signal ends at once");
    tokio::select! {
        _ = running.stop() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A stop while it still waited for its store: nothing was begun.
#[expect(clippy::unnecessary_wraps, reason = "it is the end of a command")]
fn stopped_early() -> Result<(), Failure> {
    tracing::info!("stopped before the start was complete");
    Ok(())
}

/// Where it listens; and the admin key once, when somebody is there to see it.
fn announce(running: &Running, stderr: &mut (impl Write + IsTerminal)) -> Result<(), Failure> {
    if let (key, Some(path)) = running.admin_key() {
        let path = path.display();
        match stderr.is_terminal() {
            true => writeln!(stderr, "admin key, kept in {path} and shown only now: {}", key.secret().expose())?,
            false => writeln!(stderr, "the admin key is in {path}")?,
        }
    }
    let role = running.app().role.word();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), role, "listening on http://{}", running.address());
    if let Some(address) = running.tls_address() {
        tracing::info!("listening on https://{address}");
    }
    Ok(())
}
