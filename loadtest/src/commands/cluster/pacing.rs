//! `loadtest cluster pacing`: two hubs, each paced, on two workers, against each alone. A device's time is that from the
//! broadcast's acceptance until its request is at the gateway, so the 99th percentile is late whenever the pace is not kept.
//! Beside it: each worker's share of one broadcast that is not paced.
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::json;

use super::{Measured, REST, exit, field, say, write_json};
use crate::{
    chaos::{
        field::{Door, Field},
        letter::Letter,
        run::over,
        scenario::Ground,
    },
    devices::{Devices, Platform},
    figures::grouped,
    gateways::{ApnsConfig, ApnsSim, FleetConfig, Receipts, Simulated},
    service::{Accounts, HUB},
};

/// Two paced hubs beside each other against each alone, and two workers' shares of one broadcast
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations of each hub
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    installations: u64,
    /// Devices a second of each hub
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Milliseconds until the gateways answer, in the broadcast that both workers share
    #[arg(long, default_value_t = 100, value_name = "N")]
    latency_ms: u64,
    #[command(flatten)]
    measured: Measured,
}

/// The 99th percentile beside another hub, as a multiple of that alone.
const MOST: f64 = 1.10;
/// What a worker of two must send at least of a broadcast that both can take.
const LEAST_SHARE: f64 = 0.3;
const SECOND: &str = "second";
/// Over which receipts are counted to see how even they are, milliseconds.
const WINDOW: u32 = 200;

/// How the devices of one broadcast were served.
#[derive(Clone, Copy, Debug, Serialize)]
struct Paced {
    /// From acceptance, milliseconds.
    median: u32,
    p99: u32,
    /// Receipts in windows of [`WINDOW`], against what the pace allows: the 1st and the 99th percentile.
    least: f64,
    most: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    rate: u64,
    alone: [Paced; 2],
    together: [Paced; 2],
    ratios: [f64; 2],
    shares: Vec<f64>,
    good: bool,
}

/// A hub with its gateway.
struct Hub<'a> {
    door: Door,
    gateway: &'a ApnsSim,
}

pub(super) async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let field = field(Ground::Single, 2, args.latency_ms, &args.measured).await?;
    let other = second_hub(&field, SECOND, &args.measured, args.latency_ms).await?;
    let door = *field.cast.doors().first().context("nobody takes requests")?;
    field.import(args.installations).await?;
    let second = field.door_to(door, SECOND)?;
    let devices = Devices::new(args.measured.seed + 1);
    let imported = second.api.import(&devices, 0..args.installations, |_| ()).await?;
    ensure!(imported.imported == args.installations, "{imported:?}");
    say(format_args!("two hubs of {} installations each", grouped(args.installations)))?;
    let hubs =
        [Hub { door: field.door_to(door, HUB)?, gateway: &field.fleet.apns }, Hub { door: second, gateway: &other }];

    let mut alone = Vec::new();
    for hub in &hubs {
        field.settle(REST).await?;
        alone.push(paced(hub, &args).await?);
    }
    field.settle(REST).await?;
    let (one, two) = tokio::join!(paced(&hubs[0], &args), paced(&hubs[1], &args));
    let (alone, together) = ([alone[0], alone[1]], [one?, two?]);
    let ratio = |at: usize| f64::from(together[at].p99) / f64::from(alone[at].p99.max(1));
    let ratios = [ratio(0), ratio(1)];
    for (name, paced) in [("alone", &alone), ("together", &together)] {
        for (hub, Paced { median, p99, least, most }) in [HUB, SECOND].iter().zip(paced) {
            say(format_args!(
                "{hub} {name} at {}/s: median {median} ms, p99 {p99} ms from acceptance; windows of {WINDOW} ms {least:.2} \
                 to {most:.2} of the pace",
                args.rate
            ))?;
        }
    }
    field.settle(REST).await?;
    let shares = shares(&field, &hubs[0], &args).await?;
    field.strike().await?;
    let good = ratios.iter().all(|ratio| *ratio <= MOST) && shares.iter().all(|share| *share >= LEAST_SHARE);
    say(format_args!(
        "p99 beside the other {:.3} and {:.3} times that alone (at most {MOST} is wanted); workers' shares of one broadcast \
         {shares:.2?}",
        ratios[0], ratios[1]
    ))?;
    let Args { installations, rate, .. } = args;
    write_json(args.measured.json.as_deref(), &Report { installations, rate, alone, together, ratios, shares, good })?;
    Ok(exit(good))
}

/// Makes another hub, with an APNs of its own.
pub(super) async fn second_hub(
    field: &Field,
    name: &str,
    measured: &Measured,
    latency_ms: u64,
) -> anyhow::Result<ApnsSim> {
    let free = FleetConfig::on_free_ports().apns;
    let script = field.fleet.apns.script().latency(latency_ms);
    let (stream_window, connection_window) = (crate::stage::WINDOW, crate::stage::WINDOW);
    let other = field.fleet.apns.twin(ApnsConfig { script, stream_window, connection_window, ..free }).await?;
    let mut credentials = field.fleet.credentials.clone();
    credentials.apns.endpoint = other.endpoint();
    let accounts = Accounts {
        credentials: &credentials,
        platforms: &[Platform::Apns],
        connections: measured.tuning.connections,
        fcm_rate: 0,
    };
    field.make_hub(name, &accounts.document()?).await?;
    Ok(other)
}

async fn paced(hub: &Hub<'_>, args: &Args) -> anyhow::Result<Paced> {
    let receipts = hub.gateway.receipts();
    hub.gateway.reset();
    let letter = Letter::new("Paced", "all");
    let mut request = letter.request(&[Platform::Apns]);
    request["rate_per_second"] = json!(args.rate);
    let id = hub.door.api.broadcast(&request, &letter.key).await?;
    let accepted = receipts.now_ms();
    let within = std::time::Duration::from_secs(args.measured.within_seconds);
    let standing = over(std::slice::from_ref(&hub.door), &id, within).await?;
    ensure!(standing.counters.delivered == args.installations, "{:?}", standing.counters);
    let times: Vec<u32> = times(receipts, |_| true).into_iter().map(|at| at.saturating_sub(accepted)).collect();
    let at = |share: u64| {
        let rank = usize::try_from(times.len() as u64 * share / 100).unwrap_or_default();
        times.get(rank).or(times.last()).copied().unwrap_or_default()
    };
    let (least, most) = evenness(&times, args.rate);
    Ok(Paced { median: at(50), p99: at(99), least, most })
}

/// When each request came, in order, milliseconds of the gateway's own clock.
pub(super) fn times(receipts: &Receipts, of: impl Fn(u64) -> bool) -> Vec<u32> {
    const PAGE: usize = 8_192;
    let (mut times, mut cursor) = (Vec::new(), 0);
    loop {
        let page = receipts.page(cursor, PAGE);
        if page.is_empty() {
            return times;
        }
        cursor += page.len() as u64;
        times.extend(page.iter().filter(|receipt| of(receipt.body)).map(|receipt| receipt.at_ms));
    }
}

/// The 1st and the 99th percentile of the windows' receipts against the pace; the first and the last window are cut off.
fn evenness(times: &[u32], rate: u64) -> (f64, f64) {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return (0.0, 0.0) };
    let windows = (last - first) / WINDOW;
    let wanted = rate as f64 * f64::from(WINDOW) / 1e3;
    let mut counts = vec![0_u32; windows as usize];
    for at in times {
        if let Some(count) = counts.get_mut(((at - first) / WINDOW) as usize) {
            *count += 1;
        }
    }
    let mut inner = counts.get(1..).unwrap_or_default().to_vec();
    inner.sort_unstable();
    let at = |hundredth: usize| {
        let rank = inner.len() * hundredth / 100;
        inner.get(rank).or(inner.last()).map_or(0.0, |count| f64::from(*count) / wanted)
    };
    (at(1), at(99))
}

/// What each worker delivered of one broadcast.
async fn shares(field: &Field, hub: &Hub<'_>, args: &Args) -> anyhow::Result<Vec<f64>> {
    let workers = field.cast.workers();
    let delivered = async || {
        let mut counts = Vec::new();
        for worker in &workers {
            let metrics = field.door(*worker)?.api.metrics().await?;
            counts.push(metrics.sum_where("fanfare_outcomes_total", &[("outcome", "delivered")]).unwrap_or(0.0));
        }
        anyhow::Ok(counts)
    };
    let before = delivered().await?;
    let letter = Letter::new("Shared", "all");
    let id = hub.door.api.broadcast(&letter.request(&[Platform::Apns]), &letter.key).await?;
    let within = std::time::Duration::from_secs(args.measured.within_seconds);
    over(std::slice::from_ref(&hub.door), &id, within).await?;
    let after = delivered().await?;
    let each = after.iter().zip(&before).map(|(after, before)| after - before);
    Ok(each.map(|count| count / args.installations as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_pace_fills_every_window_alike() {
        let even: Vec<u32> = (0..10_000).map(|n| n / 5).collect();
        assert_eq!(evenness(&even, 5_000), (1.0, 1.0));
        let bursts: Vec<u32> = (0..10_000).map(|n| n / 2_000 * 400).collect();
        let (least, most) = evenness(&bursts, 5_000);
        assert_eq!((least, most), (0.0, 2.0));
    }
}
