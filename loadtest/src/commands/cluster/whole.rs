//! `loadtest cluster whole`: a broadcast's whole way on PostgreSQL and Redis beside the embedded default, pair by pair, the
//! order within a pair changing. The CPU of all nodes and of both servers counts; what an import leaves PostgreSQL to do is
//! done before.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Measured, REST, exit, field, say, write_json};
use crate::{
    chaos::{field::Field, scenario::Ground},
    commands::whole::{ended, hub},
    compare::{
        BODY,
        process::Cores,
        receiver::{Against, Receiver, Setting},
    },
    figures::{grouped, median, rate},
    service::HUB,
};

/// A broadcast's CPU on PostgreSQL and Redis, their own included, against the embedded default
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register with each, all on APNs
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    installations: u64,
    /// Pairs of broadcasts to everyone
    #[arg(long, default_value_t = 5, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Worker nodes on PostgreSQL and Redis, beside one API node
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    #[command(flatten)]
    measured: Measured,
}

/// The most of the embedded default's CPU that it may take.
const MOST: f64 = 2.0;
const STREAMS: usize = 1_000;

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Sent {
    /// Nodes and servers, µs a device.
    cpu_micros: f64,
    /// From acceptance to the last outcome.
    devices_per_second: f64,
    missing: u64,
    repeated: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Pair {
    embedded: Sent,
    cluster: Sent,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    workers: u8,
    pairs: Vec<Pair>,
    cpu_ratio: f64,
    rate_ratio: f64,
    good: bool,
}

pub(super) async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let embedded = field(Ground::Embedded, 1, 0, &args.measured).await?;
    let cluster = field(Ground::Single, usize::from(args.workers), 0, &args.measured).await?;
    let folder = tempfile::tempdir()?;
    let devices = args.installations;
    let setting = Setting { against: Against::Lean, streams: STREAMS, delay_ms: 0, seed: args.measured.seed, devices };
    let receiver = Receiver::start(setting, Cores::choose()?, folder.path()).await?;
    for (name, field) in [("embedded", &embedded), ("cluster", &cluster)] {
        field.make_hub(HUB, &hub(&receiver.credentials, args.measured.tuning.connections)?).await?;
        field.import(devices).await?;
        field.ground.tend()?;
        say(format_args!("{name}: {} installations imported", grouped(devices)))?;
    }
    let mut pairs = Vec::new();
    for number in 0..args.pairs {
        let mut pair = Pair::default();
        for turn in 0..2 {
            let on_cluster = (number + turn) % 2 == 1;
            let (field, sent) = match on_cluster {
                true => (&cluster, &mut pair.cluster),
                false => (&embedded, &mut pair.embedded),
            };
            *sent = broadcast(field, &receiver, &args).await.with_context(|| field.logs())?;
        }
        let Pair { embedded: one, cluster: many } = pair;
        say(format_args!(
            "pair {}: embedded {:.2} µs of CPU a device at {} devices/s; PostgreSQL and Redis {:.2} µs at {} devices/s: \
             {:.2} times; missing {} repeated {}",
            number + 1,
            one.cpu_micros,
            rate(one.devices_per_second),
            many.cpu_micros,
            rate(many.devices_per_second),
            many.cpu_micros / one.cpu_micros,
            one.missing + many.missing,
            one.repeated + many.repeated,
        ))?;
        pairs.push(pair);
    }
    embedded.strike().await?;
    cluster.strike().await?;
    receiver.stop().await;
    let of = |figure: fn(&Pair) -> f64| median(&mut pairs.iter().map(figure).collect::<Vec<_>>());
    let cpu_ratio = of(|pair| pair.cluster.cpu_micros / pair.embedded.cpu_micros);
    let rate_ratio = of(|pair| pair.cluster.devices_per_second / pair.embedded.devices_per_second);
    let whole = |sent: &Sent| sent.missing == 0 && sent.repeated == 0;
    let good = cpu_ratio <= MOST && pairs.iter().all(|pair| whole(&pair.embedded) && whole(&pair.cluster));
    say(format_args!(
        "medians: {cpu_ratio:.2} times the embedded default's CPU (at most {MOST} is wanted), {rate_ratio:.2} times its rate"
    ))?;
    let report = Report { installations: devices, workers: args.workers, pairs, cpu_ratio, rate_ratio, good };
    write_json(args.measured.json.as_deref(), &report)?;
    Ok(exit(good))
}

async fn broadcast(field: &Field, receiver: &Receiver, args: &Args) -> anyhow::Result<Sent> {
    field.settle(REST).await?;
    receiver.take_counts().await?;
    let doors = field.doors()?;
    let api = &doors.first().context("nobody takes requests")?.api;
    let payload: Value = serde_json::from_str(BODY)?;
    let request = json!({ "audience": "all", "payloads": { "apns": payload } });
    let before = field.cpu()?;
    let id = api.broadcast(&request, &format!("{:032x}", fastrand::u128(..))).await?;
    let standing = ended(api, &id, Duration::from_secs(args.measured.within_seconds)).await?;
    let cpu = field.cpu()?.saturating_sub(before);
    let took = standing.finished_at.context("it has no end")?.since(standing.accepted_at);
    let counts = receiver.take_counts().await?.context("the sink does not count")?;
    let (devices, delivered) = (args.installations, standing.counters.delivered);
    ensure!(delivered == devices, "of {devices} devices {delivered} were delivered to");
    Ok(Sent {
        cpu_micros: cpu.as_secs_f64() * 1e6 / devices as f64,
        devices_per_second: devices as f64 / took.as_secs_f64().max(f64::EPSILON),
        missing: devices.saturating_sub(counts.devices),
        repeated: counts.repeated,
    })
}
