//! `loadtest whole`: the whole way of a broadcast (plan, rows, render, send, verdict, outcome, checkpoint) beside h2load,
//! which only sends. Both to the lean sink, turn by turn in one run.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Measured, compare, exit, on_runtime, say, write_json};
use crate::{
    client::{Api, Standing},
    compare::{
        BODY, Task,
        process::Cores,
        receiver::{Against, Credentials, Receiver, Setting},
        senders::Sender,
    },
    devices::Devices,
    figures::{grouped, median, micros_each, per_second, rate},
    service::{Service, Site, Tuning},
};

/// Measures a broadcast through the whole service beside h2load's bare requests, in one run
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register, all on APNs
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    installations: u64,
    /// Rounds: a broadcast to everyone, and a fifth of that by h2load
    #[arg(long, default_value_t = 5, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    measured: Measured,
}

/// Requests in flight on a connection.
const STREAMS: usize = 1_000;
/// The most of h2load's CPU that the service may take.
const MOST: f64 = 0.5;
/// Between two looks at a broadcast.
const LOOK: Duration = Duration::from_millis(20);

/// One broadcast beside one turn of h2load.
#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    /// All CPU of the service's process, µs a device.
    service_cpu_micros: f64,
    /// From acceptance to the last outcome.
    devices_per_second: f64,
    /// µs a request.
    h2load_cpu_micros: f64,
    h2load_per_second: f64,
    missing: u64,
    repeated: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    seed: u64,
    tuning: Tuning,
    rounds: Vec<Round>,
    cpu_ratio: f64,
    rate_ratio: f64,
    good: bool,
}

/// # Errors
/// When the run cannot be made; a wrong or dear result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(why) = Sender::H2load.absent().await {
        bail!("h2load is what the service is measured by, and {why}");
    }
    let mut site = Site::new(args.measured.place.dir.as_deref())?;
    if args.measured.place.keep {
        site.keep();
    }
    let folder = site.dir().to_owned();
    let cores = Cores::choose()?;
    let setting = Setting {
        against: Against::Lean,
        streams: STREAMS,
        delay_ms: 0,
        seed: args.measured.seed,
        devices: args.installations,
    };
    let receiver = Receiver::start(setting, cores, &folder).await?;
    site.configure(&args.measured.tuning, None)?;
    let service = Service::start(site).await?;
    service
        .api
        .put_hub(&hub(&receiver.credentials, args.measured.tuning.connections)?)
        .await
        .context("cannot make the hub")?;
    let devices = Devices::new(args.measured.seed);
    let imported = service.api.import(&devices, 0..args.installations, |_| ()).await?;
    if imported.imported != args.installations {
        bail!("of {} installations {} were imported", args.installations, imported.imported);
    }
    say(format_args!("{} installations imported", grouped(args.installations)))?;

    let mut rounds = Vec::new();
    for number in 0..args.rounds {
        service.settle(Duration::from_secs(20)).await;
        let mut round = broadcast(&service, &receiver, &args, number).await?;
        let connections = usize::try_from(args.measured.tuning.connections).unwrap_or(1);
        let task = compare::task(&receiver.credentials, connections, STREAMS)?;
        let task = Task { requests: (args.installations / 5).max(1_000), warm_up: 0, ..task };
        let done = Sender::H2load.take_turn(&task, cores, &folder).await?;
        round.h2load_cpu_micros = done.cpu_micros as f64 / task.requests as f64;
        round.h2load_per_second = task.requests as f64 / (done.wall_micros as f64 / 1e6);
        say(format_args!(
            "round {}: the service {:.2} µs of CPU a device at {} devices/s; h2load {:.2} µs a request at {} requests/s; \
             missing {} repeated {}",
            number + 1,
            round.service_cpu_micros,
            rate(round.devices_per_second),
            round.h2load_cpu_micros,
            rate(round.h2load_per_second),
            round.missing,
            round.repeated,
        ))?;
        rounds.push(round);
    }
    service.stop().await?;
    receiver.stop().await;
    conclude(args, rounds)
}

fn conclude(args: Args, rounds: Vec<Round>) -> anyhow::Result<ExitCode> {
    let of = |figure: fn(&Round) -> f64| median(&mut rounds.iter().map(figure).collect::<Vec<_>>());
    let cpu_ratio = of(|round| round.service_cpu_micros / round.h2load_cpu_micros);
    let rate_ratio = of(|round| round.devices_per_second / round.h2load_per_second);
    let good = cpu_ratio <= MOST && rounds.iter().all(|round| round.missing == 0 && round.repeated == 0);
    say(format_args!(
        "medians: {:.2} µs of CPU a device, {cpu_ratio:.3} of h2load's a request (at most {MOST} is wanted); \
         {rate_ratio:.2} times its rate",
        of(|round| round.service_cpu_micros),
    ))?;
    let Args { installations, measured: Measured { seed, tuning, json, .. }, .. } = args;
    write_json(json.as_deref(), &Report { installations, seed, tuning, rounds, cpu_ratio, rate_ratio, good })?;
    Ok(exit(good))
}

/// A hub whose APNs is the receiver.
pub(super) fn hub(of: &Credentials, connections: u32) -> anyhow::Result<Value> {
    Ok(json!({ "apns": {
        "endpoint": format!("https://{}", of.address),
        "topic": of.topic,
        "team_id": of.team_id,
        "key_id": of.key_id,
        "key": std::fs::read_to_string(&of.key_file)?,
        "ca": std::fs::read_to_string(&of.ca_file)?,
        "connections": connections,
    } }))
}

async fn broadcast(service: &Service, receiver: &Receiver, args: &Args, number: u32) -> anyhow::Result<Round> {
    let payload: Value = serde_json::from_str(BODY)?;
    let request = json!({ "audience": "all", "payloads": { "apns": payload } });
    let within = Duration::from_secs(args.measured.within_seconds);
    let order = Order { request: &request, key: &format!("whole-{number}"), devices: args.installations, within };
    let sent = order.send(service, &service.api, receiver).await?;
    Ok(Round {
        service_cpu_micros: micros_each(sent.cpu, args.installations),
        devices_per_second: per_second(args.installations, sent.took),
        h2load_cpu_micros: 0.0,
        h2load_per_second: 0.0,
        missing: sent.missing,
        repeated: sent.repeated,
    })
}

/// A broadcast that all of so many devices are owed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'a> {
    pub request: &'a Value,
    pub key: &'a str,
    pub devices: u64,
    pub within: Duration,
}

/// What became of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// All CPU of the service's process meanwhile.
    pub cpu: Duration,
    /// From acceptance to the last outcome.
    pub took: Duration,
    pub missing: u64,
    pub repeated: u64,
}

impl Order<'_> {
    /// Sends it in the hub of `api` and waits for its end.
    pub(super) async fn send(self, service: &Service, api: &Api, receiver: &Receiver) -> anyhow::Result<Sent> {
        receiver.take_counts().await?;
        let before = service.cpu();
        let begun = Instant::now();
        let id = api.broadcast(self.request, self.key).await?;
        let standing = ended(api, &id, self.within).await?;
        let took = match standing.finished_at {
            Some(finished) => finished.since(standing.accepted_at),
            None => begun.elapsed(),
        };
        let cpu = service.cpu().saturating_sub(before);
        let counts = receiver.take_counts().await?.context("the sink does not count")?;
        if standing.counters.delivered != self.devices {
            bail!("of {} devices {} were delivered to", self.devices, standing.counters.delivered);
        }
        let missing = self.devices.saturating_sub(counts.devices);
        Ok(Sent { cpu, took, missing, repeated: counts.repeated })
    }
}

/// Returns the broadcast's end.
pub(super) async fn ended(api: &Api, id: &str, within: Duration) -> anyhow::Result<Standing> {
    let looking = async {
        loop {
            let standing = api.standing(id).await?;
            if standing.finished_at.is_some() {
                return anyhow::Ok(standing);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(within, looking).await.context("the broadcast did not end in time")?
}
