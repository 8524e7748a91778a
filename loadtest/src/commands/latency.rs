//! `loadtest latency`: how long one user's push takes on an idle service, from the first byte of the POST to the moment
//! the simulated APNs has judged it.
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Run, exit,
    idle::{self, PATIENCE, Spread, WARM_UP},
    on_runtime, say, write_json,
};
use crate::{
    figures::grouped,
    gateways::{Simulated, Token},
    stage::Stage,
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
    #[command(flatten)]
    run: Run,
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
    let stage = idle::stage(&args.run, args.installations).await?;

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
    say(format_args!("{} sends to one user of {}, two devices each", args.sends, grouped(args.installations / 2)))?;
    say(format_args!("first device: {first_ms}\nboth devices: {last_ms}"))?;
    let good = idle::judge(&last_ms, args.within_ms)?;
    let Args { installations, sends, run: Run { seed, json, .. }, .. } = args;
    write_json(json.as_deref(), &Report { installations, sends, seed, first_ms, last_ms, good })?;
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
    idle::again(stage, &id).await?;
    Ok((first.as_secs_f64() * 1e3, last.as_secs_f64() * 1e3))
}
