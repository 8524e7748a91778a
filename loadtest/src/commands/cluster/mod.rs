//! `loadtest cluster …`: what several nodes on PostgreSQL and Redis cost, and how they share. One run each.
//!
//! - [`whole`]: CPU of a broadcast's whole way, against the embedded default.
//! - [`memory`]: what a broadcast takes in Redis.
//! - [`pacing`]: two paced hubs beside each other against each alone; two workers' shares of one broadcast.
//! - [`turns`]: how soon another hub's broadcast begins, and how weights share.
pub mod memory;
pub mod pacing;
pub mod turns;
pub mod whole;

use std::{process::ExitCode, time::Duration};

use clap::Subcommand;

use super::{Measured, exit, on_runtime, say, write_json};
use crate::{
    chaos::{
        cast::Cast,
        field::{Field, Layout},
        scenario::{Footing, Ground},
    },
    devices::Mix,
};

/// Measures several nodes on PostgreSQL and Redis, which the run starts itself
#[derive(Debug, Subcommand)]
pub enum Command {
    Whole(whole::Args),
    Memory(memory::Args),
    Pacing(pacing::Args),
    Turns(turns::Args),
}

/// # Errors
/// When the run cannot be made; a wrong or dear result is an exit status.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Whole(args) => on_runtime(whole::measure(args)),
        Command::Memory(args) => on_runtime(memory::measure(args)),
        Command::Pacing(args) => on_runtime(pacing::measure(args)),
        Command::Turns(args) => on_runtime(turns::measure(args)),
    }
}

/// How long nodes and servers are given to come to rest.
const REST: Duration = Duration::from_secs(30);

/// The nodes of a measured run; on PostgreSQL and Redis one that takes requests and so many that send. No links.
async fn field(ground: Ground, workers: usize, latency_ms: u64, measured: &Measured) -> anyhow::Result<Field> {
    let cast = match ground {
        Ground::Embedded => Cast::alone(0),
        _ => Cast::of(1, workers, 0),
    };
    let layout = Layout {
        cast,
        tuning: measured.tuning.clone(),
        mix: Mix::default(),
        seed: measured.seed,
        latency: Duration::from_millis(latency_ms),
        streams: 1_000,
        direct: true,
        dir: measured.place.dir.clone(),
        keep: measured.place.keep,
    };
    Field::set_up(Footing::plain(ground), layout).await
}
