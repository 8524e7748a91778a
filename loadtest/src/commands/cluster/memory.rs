//! `loadtest cluster memory`: what Redis holds for a broadcast, while it runs and when it is over.
use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use serde::Serialize;

use super::{Measured, REST, exit, field, say, write_json};
use crate::{
    chaos::{letter::Letter, scenario::Ground},
    figures::grouped,
};

/// Redis' memory for each target of one broadcast, during and after
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    installations: u64,
    /// Worker nodes
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// Milliseconds until the gateway answers: the broadcast lasts longer with it
    #[arg(long, default_value_t = 50, value_name = "N")]
    latency_ms: u64,
    #[command(flatten)]
    measured: Measured,
}

/// Bytes a target that it may take.
const MOST: f64 = 1.0;
/// Bytes that may be left of it.
const LEFT: i64 = 64 << 10;
const LOOK: Duration = Duration::from_millis(25);

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    before: u64,
    most: u64,
    after: u64,
    bytes_a_target: f64,
    good: bool,
}

pub(super) async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let field = field(Ground::Single, usize::from(args.workers), args.latency_ms, &args.measured).await?;
    field.import(args.installations).await?;
    say(format_args!("{} installations imported", grouped(args.installations)))?;
    let memory = || field.ground.messenger.memory()?.context("there is no Redis");
    let doors = field.doors()?;
    let api = &doors.first().context("nobody takes requests")?.api;
    // A first one makes streams and scripts that stay: they are not the broadcast's.
    for audience in ["u:0", "team:1"] {
        let letter = Letter::new("Before", audience);
        let id = api.broadcast(&letter.request(&field.platforms()), &letter.key).await?;
        while api.standing(&id).await?.finished_at.is_none() {
            tokio::time::sleep(LOOK).await;
        }
    }
    field.settle(REST).await?;
    let before = memory()?;
    let letter = Letter::new("Everyone", "all");
    let id = api.broadcast(&letter.request(&field.platforms()), &letter.key).await?;
    let mut most = before;
    let running = async {
        while api.standing(&id).await?.finished_at.is_none() {
            most = most.max(memory()?);
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    let within = Duration::from_secs(args.measured.within_seconds);
    tokio::time::timeout(within, running).await.context("the broadcast did not end in time")??;
    field.settle(REST).await?;
    let after = memory()?;
    field.strike().await?;
    let bytes_a_target = most.saturating_sub(before) as f64 / args.installations as f64;
    let left = i64::try_from(after)? - i64::try_from(before)?;
    let good = bytes_a_target < MOST && left <= LEFT;
    say(format_args!(
        "Redis held {} bytes before, at most {} during, {} after: {bytes_a_target:.3} bytes a target (below {MOST} is \
         wanted), {left:+} bytes left",
        grouped(before),
        grouped(most),
        grouped(after),
    ))?;
    let report = Report { installations: args.installations, before, most, after, bytes_a_target, good };
    write_json(args.measured.json.as_deref(), &report)?;
    Ok(exit(good))
}
