//! `loadtest latency`: how long one user's push takes on an idle service, from the first byte of the POST to the moment
//! the simulated APNs has judged it.
use std::{fmt, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::{Place, exit, on_runtime, say, write_json};
use crate::{
    figures::grouped,
    gateways::{Simulated, Token},
    stage::{Plan, Stage},
};

/// Measures one user's push from POST to gateway, one after the other
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register; two belong to each user
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    installations: u64,
    /// Sends, each to another user
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=100_000))]
    sends: u64,
    /// The 99th percentile must be below so many milliseconds
    #[arg(long, default_value_t = 20.0, value_name = "MS")]
    within_ms: f64,
    /// Of the devices
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Sends before those that count: connections open, caches fill.
const WARM_UP: u64 = 20;
/// Between two looks at whether a broadcast is over.
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds of many sends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    pub median: f64,
    pub p90: f64,
    pub p99: f64,
    pub most: f64,
}

impl Spread {
    pub(super) fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among few")]
        let at = |share: f64| {
            let rank = (share * millis.len() as f64).ceil() as usize;
            millis.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self { median: at(0.5), p90: at(0.9), p99: at(0.99), most: at(1.0) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p90, p99, most } = self;
        write!(f, "median {median:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, most {most:.2} ms")
    }
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    sends: u64,
    seed: u64,
    /// To the first of the user's two devices, and to the second.
    first_ms: Spread,
    last_ms: Spread,
    good: bool,
}

/// # Errors
/// When the run cannot be made, or a push does not come.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let plan = Plan { dir: args.place.dir, keep: args.place.keep, seed: args.seed, ..Plan::default() };
    let mut stage = Stage::set_up(plan).await?;
    stage.import(args.installations).await?;
    stage.service.settle(Duration::from_secs(20)).await;

    let (mut first, mut last) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + args.sends {
        let device = number.wrapping_mul(7_919) % (args.installations / 2) * 2;
        let (one, both) = send(&stage, number, device).await?;
        if number >= WARM_UP {
            first.push(one);
            last.push(both);
        }
    }
    stage.strike().await?;

    let (first_ms, last_ms) = (Spread::of(first), Spread::of(last));
    let good = last_ms.p99 < args.within_ms;
    say(format_args!("{} sends to one user of {}, two devices each", args.sends, grouped(args.installations / 2)))?;
    say(format_args!("first device: {first_ms}\nboth devices: {last_ms}"))?;
    say(format_args!("below {:.0} ms at the 99th percentile: {}", args.within_ms, if good { "yes" } else { "NO" }))?;
    let report =
        Report { installations: args.installations, sends: args.sends, seed: args.seed, first_ms, last_ms, good };
    write_json(args.json.as_deref(), &report)?;
    Ok(exit(good))
}

/// Sends to the user of a device and its neighbour. Answers the milliseconds to the first and to the last push.
async fn send(stage: &Stage, number: u64, device: u64) -> anyhow::Result<(f64, f64)> {
    let receipts = stage.fleet.apns.receipts();
    let before = receipts.len();
    let audience = format!("$UserId:{{{}}}", stage.devices.user(device));
    let request = json!({
        "audience": audience,
        "notification": { "title": "For you", "body": "One user's push" },
        "lane": "transactional",
    });
    let begun = Instant::now();
    let arrived = async {
        receipts.wait_for(before + 1).await;
        let first = begun.elapsed();
        receipts.wait_for(before + 2).await;
        (first, begun.elapsed())
    };
    let key = format!("latency-{number}");
    let posted = stage.service.api.broadcast(&request, &key);
    let (posted, arrived) = tokio::join!(posted, tokio::time::timeout(PATIENCE, arrived));
    let id = posted?;
    let (first, last) = arrived.with_context(|| format!("the push to `{audience}` did not come"))?;
    let got: Vec<Token> = receipts.page(before, 2).into_iter().map(|receipt| receipt.token).collect();
    for neighbour in [device, device + 1] {
        let token = Token::new(&stage.devices.token(neighbour));
        anyhow::ensure!(got.contains(&token), "device {neighbour} did not get the push to its user");
    }
    // Idle again before the next one.
    while stage.service.api.standing(&id).await?.finished_at.is_none() {
        tokio::time::sleep(LOOK).await;
    }
    Ok((first.as_secs_f64() * 1e3, last.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let spread = Spread::of((1..=1_000).rev().map(f64::from).collect());
        assert_eq!((spread.median, spread.p90, spread.p99, spread.most), (500.0, 900.0, 990.0, 1_000.0));
        assert_eq!(Spread::of(Vec::new()).p99, 0.0);
    }
}
