//! `loadtest cluster turns`: how soon another hub's broadcast begins while a large one is under way, and whether two
//! broadcasts share by their weights.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use fanfare::model::chunk_set::CHUNK_SIZE;
use serde::Serialize;
use serde_json::json;

use super::{Measured, REST, exit, field, pacing::second_hub, say, write_json};
use crate::{
    chaos::{
        field::{Door, Field},
        letter::Letter,
        run::over,
        scenario::Ground,
    },
    devices::{Devices, Platform},
    figures::{grouped, median},
    gateways::Simulated,
    service::HUB,
};

/// Another hub's broadcast beside a large one, and two broadcasts of weights 1 and 3
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations of the large hub
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..))]
    installations: u64,
    /// Installations of the other hub
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    others: u64,
    /// Broadcasts of the other hub during the large one
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    starts: u32,
    /// How often two broadcasts of weights 1 and 3 share the workers
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Worker nodes
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// Milliseconds until the gateways answer, so that the large broadcast lasts
    #[arg(long, default_value_t = 200, value_name = "N")]
    latency_ms: u64,
    #[command(flatten)]
    measured: Measured,
}

/// Milliseconds until the first request of another hub's broadcast.
const MOST: f64 = 1_000.0;
const WEIGHTS: [u32; 2] = [1, 3];
/// How far the shares may be from the weights.
const OFF: f64 = 0.10;
const SECOND: &str = "second";
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    starts_ms: Vec<f64>,
    weights: [u32; 2],
    /// Of each round.
    shares: Vec<f64>,
    /// Of all rounds together.
    share: f64,
    good: bool,
}

pub(super) async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let field = field(Ground::Single, usize::from(args.workers), args.latency_ms, &args.measured).await?;
    let other = second_hub(&field, SECOND, &args.measured, 0).await?;
    let door = *field.cast.doors().first().context("nobody takes requests")?;
    field.import(args.installations).await?;
    let (large, second) = (field.door_to(door, HUB)?, field.door_to(door, SECOND)?);
    let devices = Devices::new(args.measured.seed + 1);
    let imported = second.api.import(&devices, 0..args.others, |_| ()).await?;
    ensure!(imported.imported == args.others, "{imported:?}");
    say(format_args!("hubs of {} and {} installations", grouped(args.installations), grouped(args.others)))?;
    field.settle(REST).await?;
    let mut starts_ms = starts(&field, &large, &second, &other, &args).await?;
    for (number, millis) in (1..).zip(&starts_ms) {
        say(format_args!("the other hub's broadcast {number} began after {millis:.0} ms"))?;
    }
    let mut shares = Vec::new();
    let mut both = [0; 2];
    for round in 1..=args.rounds {
        field.settle(REST).await?;
        let reached = shared(&field, &large, &args).await?;
        let share = ratio(reached);
        say(format_args!("round {round}: {} and {} devices, 1:{share:.2}", grouped(reached[0]), grouped(reached[1])))?;
        shares.push(share);
        both = [both[0] + reached[0], both[1] + reached[1]];
    }
    let share = ratio(both);
    let worst = starts_ms.iter().copied().fold(0.0, f64::max);
    let wanted = f64::from(WEIGHTS[1]) / f64::from(WEIGHTS[0]);
    let good = worst < MOST && (share / wanted - 1.0).abs() <= OFF;
    say(format_args!(
        "another hub begins after {:.0} ms (median), {worst:.0} ms at most (below {MOST} is wanted); weights 1:3 share as \
         1:{share:.2} (within {:.0} % is wanted)",
        median(&mut starts_ms),
        OFF * 100.0
    ))?;
    field.strike().await?;
    let report = Report { installations: args.installations, starts_ms, weights: WEIGHTS, shares, share, good };
    write_json(args.measured.json.as_deref(), &report)?;
    Ok(exit(good))
}

/// From the request for each broadcast of the other hub to its first device.
async fn starts(
    field: &Field,
    large: &Door,
    second: &Door,
    other: &crate::gateways::ApnsSim,
    args: &Args,
) -> anyhow::Result<Vec<f64>> {
    let within = Duration::from_secs(args.measured.within_seconds);
    let everyone = Letter::new("Large", "all");
    field.fleet.apns.reset();
    let id = large.api.broadcast(&everyone.request(&[Platform::Apns]), &everyone.key).await?;
    let mut took = Vec::new();
    for number in 0..args.starts {
        // Spread over the large one's way.
        let reached = args.installations * u64::from(number + 1) / u64::from(args.starts + 2);
        let coming = tokio::time::timeout(within, field.fleet.apns.receipts().wait_for(reached)).await;
        coming.context("the large broadcast does not go on")?;
        other.reset();
        let letter = Letter::new(&format!("Other {number}"), "all");
        let asked = tokio::time::Instant::now();
        let begun = async {
            other.receipts().wait_for(1).await;
            asked.elapsed()
        };
        let request = letter.request(&[Platform::Apns]);
        let (accepted, begun) =
            tokio::join!(second.api.broadcast(&request, &letter.key), tokio::time::timeout(within, begun));
        took.push(begun.context("the other hub's broadcast does not begin")?.as_secs_f64() * 1e3);
        over(std::slice::from_ref(second), &accepted?, within).await?;
        let large_over = large.api.standing(&id).await?.finished_at.is_some();
        ensure!(
            !large_over,
            "the large broadcast was over before the other ones: more installations, or a larger latency"
        );
    }
    over(std::slice::from_ref(large), &id, within).await?;
    Ok(took)
}

/// What the heavier one got for each device of the lighter one.
fn ratio([light, heavy]: [u64; 2]) -> f64 {
    heavy as f64 / light.max(1) as f64
}

/// The stretch of the heavier broadcast, in devices it reached, in which shards of both wait in the queue: from when the
/// lighter one is through with the slots that it had for itself at first, until the workers hold all that is left of the
/// heavier one (one at work and one next for each slot) and no longer choose between the two.
fn contested(args: &Args) -> anyhow::Result<(u64, u64)> {
    let held =
        5 * u64::from(args.measured.tuning.shards_in_flight) / 2 * u64::from(args.workers) * u64::from(CHUNK_SIZE);
    let (from, to) = (args.installations / 4, args.installations.saturating_sub(held));
    ensure!(to >= 2 * from, "too few installations for that many slots: {} and more are wanted", grouped(2 * held));
    Ok((from, to))
}

/// How many devices of two broadcasts to the same audience, of weights 1 and 3, were reached while both contended.
async fn shared(field: &Field, large: &Door, args: &Args) -> anyhow::Result<[u64; 2]> {
    let (from, to) = contested(args)?;
    let within = Duration::from_secs(args.measured.within_seconds);
    field.fleet.apns.reset();
    let mut ids = Vec::new();
    for weight in WEIGHTS {
        let letter = Letter::new(&format!("Weight {weight}"), "all");
        let mut request = letter.request(&[Platform::Apns]);
        request["weight"] = json!(weight);
        ids.push(large.api.broadcast(&request, &letter.key).await?);
    }
    let delivered = async |id: &str| anyhow::Ok(large.api.standing(id).await?.counters.delivered);
    let (light, heavy) = (ids.first().context("no broadcast")?, ids.last().context("no broadcast")?);
    let watching = async {
        let mut begun: Option<[u64; 2]> = None;
        loop {
            let now = [delivered(light).await?, delivered(heavy).await?];
            match begun {
                None if now[1] >= from => begun = Some(now),
                Some([light, heavy]) if now[1] >= to => return anyhow::Ok([now[0] - light, now[1] - heavy]),
                _ => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let reached = tokio::time::timeout(within, watching).await.context("the broadcasts do not go on")??;
    for id in &ids {
        over(std::slice::from_ref(large), id, within).await?;
    }
    Ok(reached)
}
