//! `loadtest gateways`: simulated push services until a signal ends them.
use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::gateways::{Fleet, FleetConfig};

/// Simulated push services on loopback, with their certificates and keys in a folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports, limits and scripts, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where certificates and keys are written; a new folder in the temporary directory unless given.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Threads that serve connections; as many as there are cores unless given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// When the configuration is wrong, an address taken or a file not writable.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => read(path).with_context(|| format!("{}", path.display()))?,
        None => FleetConfig::default(),
    };
    let dir = match args.dir {
        Some(dir) => dir,
        None => tempfile::Builder::new().prefix("fanfare-gateways-").tempdir()?.keep(),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = args.threads {
        runtime.worker_threads(threads.max(1));
    }
    runtime.enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let fleet = Fleet::start(config, &dir).await?;
        let credentials = serde_json::to_string_pretty(&fleet.credentials)?;
        let mut stdout = io::stdout().lock();
        let (apns, fcm, wns) = (fleet.apns.endpoint(), fleet.fcm.endpoint(), fleet.wns.endpoint());
        let control = fleet.control.address();
        writeln!(stdout, "{credentials}\nAPNs {apns}\nFCM {fcm}\nWNS {wns}\ncontrol http://{control}")?;
        stdout.flush()?;
        drop(stdout);
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

fn read(path: &PathBuf) -> anyhow::Result<FleetConfig> {
    let config: FleetConfig = toml::from_str(&std::fs::read_to_string(path)?)?;
    Ok(config.with_ports())
}
