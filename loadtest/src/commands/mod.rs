//! The commands of the binary, one file each.
pub mod chaos;
pub mod clocked;
pub mod cluster;
pub mod compare;
pub mod count;
pub mod demo;
pub mod direct;
pub mod fanfare;
pub mod fuzz;
pub mod gateways;
mod idle;
pub mod isolation;
pub mod latency;
pub mod pull;

pub mod register;
pub mod run;
pub mod templates;
pub mod whole;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::{service::Tuning, stage::Plan};

/// Where the run's folder is.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// Make the run's folder (data, log, keys) in this one instead of the system's temporary folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Leave the run's folder behind
    #[arg(long)]
    keep: bool,
}

/// What a run that needs no tuning can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Of the devices
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Run {
    fn plan(&self) -> Plan {
        Plan { dir: self.place.dir.clone(), keep: self.place.keep, seed: self.seed, ..Plan::default() }
    }
}

/// What every measured run of broadcasts can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Measured {
    /// Of the devices, and of what happens by chance
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Give up on a broadcast after so many seconds
    #[arg(long, default_value_t = 600, value_name = "N")]
    within_seconds: u64,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    place: Place,
}

/// Runs a command on a runtime. SIGINT and SIGTERM end it as an error would, so that children and folders go.
fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            done = work => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

/// This process is killed when the thread that started it ends: a run that was killed leaves no children behind.
fn die_with_parent() {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        // Into the run's log; nowhere is left to say that it cannot be written.
        drop(writeln!(io::stderr(), "this process will outlive its run when that is killed: {error}"));
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Results go to stdout, at once.
fn say(text: impl std::fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// For programs, when asked for.
fn write_json(file: Option<&Path>, report: &impl Serialize) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
