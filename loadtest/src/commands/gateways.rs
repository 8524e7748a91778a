//! `loadtest gateways`: simulated push services until a signal ends them.
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::{die_with_parent, say};
use crate::gateways::{
    Fleet, FleetConfig, LeanConfig, LeanSink,
    fleet::{APNS_PORT, CONTROL_PORT},
    lean::Paths,
};

/// Simulated push services on loopback, with their certificates and keys in a folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports, limits and scripts, TOML
    #[arg(long, value_name = "FILE", conflicts_with = "lean")]
    config: Option<PathBuf>,
    /// Where certificates and keys are written; a new folder in the temporary directory unless given
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Threads that serve connections; as many as there are cores unless given, one with --lean
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Instead of all this the lean sink: an APNs that answers every request with 200 at 0.2 to 0.8 µs, verifies
    /// nothing, and keeps one bit a device. Prints its address and credentials as one line of JSON when it is ready and
    /// its counts as another when it ends; meanwhile GET /counts and POST /reset on the control port
    #[arg(long)]
    lean: bool,
    #[command(flatten)]
    lean_args: LeanArgs,
}

/// Of the lean sink alone.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Lean sink")]
struct LeanArgs {
    /// Streams that a connection may have open
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "lean")]
    streams: u32,
    /// Milliseconds from a request's arrival to its answer
    #[arg(long, value_name = "N", default_value_t = 0, requires = "lean")]
    delay_ms: u64,
    /// Devices that there are: one bit each
    #[arg(long, value_name = "N", default_value_t = 10_000_000, requires = "lean")]
    devices: u64,
    /// Of their tokens
    #[arg(long, value_name = "N", default_value_t = 1, requires = "lean")]
    seed: u64,
    /// Whether tokens are looked at
    #[arg(long, value_enum, default_value_t, requires = "lean")]
    paths: Paths,
    /// Where it listens, loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(APNS_PORT), requires = "lean")]
    listen: SocketAddr,
    /// Its control port
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(CONTROL_PORT), requires = "lean")]
    control: SocketAddr,
    /// End with the process that started it, however that ends
    #[arg(long, hide = true, requires = "lean")]
    with_parent: bool,
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// When the configuration is wrong, an address taken or a file not writable.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.lean {
        return run_lean(args);
    }
    let config = match &args.config {
        Some(path) => read(path).with_context(|| format!("{}", path.display()))?,
        None => FleetConfig::default(),
    };
    let dir = folder(args.dir)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = args.threads {
        runtime.worker_threads(threads.max(1));
    }
    runtime.enable_all().build()?.block_on(async {
        let fleet = Fleet::start(config, &dir).await?;
        let credentials = serde_json::to_string_pretty(&fleet.credentials)?;
        let (apns, fcm, wns) = (fleet.apns.endpoint(), fleet.fcm.endpoint(), fleet.wns.endpoint());
        let web_push = fleet.web_push.endpoint();
        let control = fleet.control.address();
        say(format_args!(
            "{credentials}\nAPNs {apns}\nFCM {fcm}\nWNS {wns}\nWeb Push {web_push}\ncontrol http://{control}"
        ))?;
        ended().await
    })
}

fn run_lean(args: Args) -> anyhow::Result<()> {
    let LeanArgs { streams, delay_ms, devices, seed, paths, listen, control, with_parent } = args.lean_args;
    if args.threads.is_some_and(|threads| threads != 1) {
        bail!("--threads: the lean sink has one thread");
    }
    if streams == 0 {
        bail!("--streams: must be 1 or more");
    }
    if with_parent {
        die_with_parent();
    }
    let config = LeanConfig { listen, control, streams, delay: Duration::from_millis(delay_ms), seed, devices, paths };
    let dir = folder(args.dir)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let sink = LeanSink::start(config).await?;
        say(serde_json::to_string(&sink.write_credentials(&dir)?)?)?;
        ended().await?;
        say(serde_json::to_string(&sink.counts())?)?;
        sink.stop().await;
        Ok(())
    })
}

async fn ended() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn folder(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    Ok(match given {
        Some(dir) => dir,
        None => tempfile::Builder::new().prefix("fanfare-gateways-").tempdir()?.keep(),
    })
}

fn read(path: &PathBuf) -> anyhow::Result<FleetConfig> {
    let config: FleetConfig = toml::from_str(&std::fs::read_to_string(path)?)?;
    Ok(config.with_ports())
}
