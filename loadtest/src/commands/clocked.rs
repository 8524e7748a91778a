//! `loadtest clocked …`: the service with a wall clock that its run turns. What the service does is not touched: it takes
//! its time from a clock in any case, and here that is another one. The `fanfare` binary has no such clock.
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::Context;
use fanfare::{
    clock::{BootInstant, Clock, SystemClock},
    config::Config,
    fanout,
    model::time::Timestamp,
    service::{Options, Running},
    telemetry::logging,
};
use tokio::signal::unix::{SignalKind, signal};

use super::die_with_parent;

/// The service with a wall clock that can be turned.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[arg(long, value_enum)]
    role: Role,
    /// Milliseconds that the wall clock is ahead; read at the start and on each SIGHUP, none when missing
    #[arg(long, value_name = "FILE")]
    clock: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    All,
    Api,
    Worker,
}

impl From<Role> for fanout::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::All => Self::All,
            Role::Api => Self::Api,
            Role::Worker => Self::Worker,
        }
    }
}

/// The machine's clocks, the wall clock so many milliseconds ahead. The boot clock is never stepped, here as in life.
#[derive(Debug, Default)]
struct Turned {
    ahead: AtomicI64,
}

impl Turned {
    /// A file that is missing or holds no number changes nothing.
    fn read(&self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(ahead) = text.trim().parse() {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_millis(SystemClock.now().millis().saturating_add(ahead))
    }

    fn boot(&self) -> BootInstant {
        SystemClock.boot()
    }
}

/// Runs until SIGTERM, as `fanfare serve` does.
///
/// # Errors
/// When it does not start.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    die_with_parent();
    let config = Config::load_with(Some(&args.config), std::env::vars_os())?;
    let filter = std::env::var("FANFARE_LOG").ok();
    logging::install(filter.as_deref(), logging::Format::Text, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(&config, &args));
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config, args: &Args) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    let clock = Arc::new(Turned::default());
    clock.read(&args.clock);
    let options = Options { role: Some(args.role.into()), clock: Some(clock.clone()), ..Options::default() };
    let starting = Running::start(config, options);
    tokio::pin!(starting);
    let running = loop {
        tokio::select! {
            started = &mut starting => break started?,
            _ = hang_up.recv() => clock.read(&args.clock),
        }
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = hang_up.recv() => clock.read(&args.clock),
        }
    }
    running.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_ahead_by_what_the_file_says_and_the_boot_clock_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clock");
        let clock = Turned::default();
        let off = || clock.now().millis() - SystemClock.now().millis();
        clock.read(&file);
        assert!(off().abs() < 1_000);
        std::fs::write(&file, "-3600000\n").unwrap();
        clock.read(&file);
        assert!((off() + 3_600_000).abs() < 1_000);
        std::fs::write(&file, "soon").unwrap();
        clock.read(&file);
        assert!((off() + 3_600_000).abs() < 1_000);
        assert!(clock.boot().after(SystemClock.boot()) < std::time::Duration::from_secs(1));
    }
}
