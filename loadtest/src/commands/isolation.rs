//! `loadtest isolation`: whether a platform in trouble costs another one time.
//!
//! One population. Pairs of broadcasts to all of it: one that goes to APNs alone, one that goes to every platform of the
//! mix while FCM answers 429 beyond so many a second and WNS refuses every connection. Both are over when APNs has nothing
//! pending; what the other platforms have left is cancelled. The order within a pair changes from pair to pair, so that a
//! machine that grows slower or faster favours neither.
use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::ensure;
use serde::Serialize;

use super::{Measured, exit, on_runtime, say, write_json};
use crate::{
    devices::{Mix, Platform},
    figures::{grouped, median},
    gateways::{
        Answer, Script,
        script::{Act, Refusal},
    },
    service::Tuning,
    stage::{Plan, Stage, broadcast::Order, outcome::Outcome},
};

/// What APNs may take beside the others, as a multiple of its time alone.
const MOST: f64 = 1.10;
const EVERYONE: &str = "all";

/// Measures APNs alone against APNs beside a throttled FCM and a dead WNS
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    installations: u64,
    /// Pairs of broadcasts; the median of their ratios counts
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Platforms of the installations and their shares; apns, fcm and wns must have one
    #[arg(long, default_value = "apns=50,fcm=40,wns=10", value_name = "MIX")]
    platforms: Mix,
    /// Requests a second that FCM takes
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fcm_quota: u64,
    #[command(flatten)]
    measured: Measured,
}

/// The same broadcast, without and with the others.
#[derive(Debug, Serialize)]
struct Pair {
    alone: Outcome,
    beside: Outcome,
    /// Of APNs' time beside the others to its time alone.
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    platforms: Mix,
    fcm_quota: u64,
    seed: u64,
    tuning: Tuning,
    pairs: Vec<Pair>,
    medians: Medians,
    good: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Medians {
    alone_seconds: f64,
    beside_seconds: f64,
    alone_cpu_micros_per_device: f64,
    beside_cpu_micros_per_device: f64,
    ratio: f64,
}

/// # Errors
/// When the run cannot be made; a wrong or slow result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let shares = args.platforms.platforms();
    let needed = [Platform::Apns, Platform::Fcm, Platform::Wns];
    ensure!(needed.iter().all(|one| shares.contains(one)), "--platforms must give apns, fcm and wns a share each");
    let mut stage = Stage::set_up(Plan {
        dir: args.measured.place.dir.clone(),
        keep: args.measured.place.keep,
        tuning: args.measured.tuning.clone(),
        scripts: trouble(args.fcm_quota),
        mix: args.platforms,
        seed: args.measured.seed,
        ..Plan::default()
    })
    .await?;
    stage.import(args.installations).await?;
    say(format_args!(
        "{} installations, {}; FCM takes {} a second, WNS refuses every connection",
        grouped(args.installations),
        args.platforms,
        args.fcm_quota,
    ))?;

    let mut pairs = Vec::new();
    for number in 0..args.pairs {
        let within = Duration::from_secs(args.measured.within_seconds);
        let (alone, beside) = if number % 2 == 0 {
            let alone = one(&mut stage, &[Platform::Apns], within).await?;
            (alone, one(&mut stage, &Platform::ALL, within).await?)
        } else {
            let beside = one(&mut stage, &Platform::ALL, within).await?;
            (one(&mut stage, &[Platform::Apns], within).await?, beside)
        };
        let pair = Pair { ratio: seconds(&beside) / seconds(&alone).max(f64::EPSILON), alone, beside };
        tell(number + 1, &pair)?;
        pairs.push(pair);
    }
    stage.strike().await?;

    let medians = Medians::of(&pairs);
    let good = medians.ratio <= MOST && pairs.iter().all(|pair| pair.alone.is_good() && pair.beside.is_good());
    say(format_args!(
        "medians: APNs alone {:.3} s and {:.2} µs CPU a device, beside the others {:.3} s and {:.2} µs",
        medians.alone_seconds,
        medians.alone_cpu_micros_per_device,
        medians.beside_seconds,
        medians.beside_cpu_micros_per_device,
    ))?;
    say(format_args!(
        "APNs beside the others took {:.3} of its time alone; at most {MOST:.2} is wanted",
        medians.ratio
    ))?;
    let report = Report {
        installations: args.installations,
        platforms: args.platforms,
        fcm_quota: args.fcm_quota,
        seed: args.measured.seed,
        tuning: args.measured.tuning,
        pairs,
        medians,
        good,
    };
    write_json(args.measured.json.as_deref(), &report)?;
    Ok(exit(good))
}

/// FCM as a project at its quota, WNS as a service that is down.
fn trouble(fcm_quota: u64) -> BTreeMap<Platform, Script> {
    let throttled = Act::Answer(Answer::refused(429, "QUOTA_EXCEEDED").with_retry_after("1"));
    let dead = Script { refuse_connections: Some(Refusal::Reset), ..Script::new() };
    BTreeMap::from([(Platform::Fcm, Script::new().quota(fcm_quota, throttled)), (Platform::Wns, dead)])
}

async fn one(stage: &mut Stage, platforms: &[Platform], within: Duration) -> anyhow::Result<Outcome> {
    // What the one before left to do is not this one's.
    stage.service.settle(Duration::from_secs(20)).await;
    let order = Order::new(EVERYONE, "For everyone", platforms);
    stage.broadcast(Order { awaited: vec![Platform::Apns], within, ..order }).await
}

/// APNs' time.
fn seconds(outcome: &Outcome) -> f64 {
    outcome.platforms.get(&Platform::Apns).and_then(|leg| leg.seconds).unwrap_or_default()
}

fn tell(number: u32, pair: &Pair) -> std::io::Result<()> {
    let Pair { alone, beside, ratio } = pair;
    say(format_args!(
        "pair {number}: APNs alone {:.3} s, {:.2} µs CPU a device; beside the others {:.3} s, {:.2} µs; ratio {ratio:.3}",
        seconds(alone),
        alone.cpu_micros_per_device,
        seconds(beside),
        beside.cpu_micros_per_device,
    ))?;
    for (platform, leg) in beside.platforms.iter().filter(|(platform, _)| **platform != Platform::Apns) {
        say(format_args!("  meanwhile {platform} {leg}"))?;
    }
    for (name, outcome) in [("alone", alone), ("beside the others", beside)].into_iter().filter(|(_, o)| !o.is_good()) {
        say(format_args!("  WRONG {name}: {}", outcome.judgement))?;
        for line in outcome.judgement.details().iter().chain(&outcome.faults) {
            say(format_args!("  WRONG {name}: {line}"))?;
        }
    }
    Ok(())
}

impl Medians {
    fn of(pairs: &[Pair]) -> Self {
        let of = |figure: fn(&Pair) -> f64| median(&mut pairs.iter().map(figure).collect::<Vec<_>>());
        Self {
            alone_seconds: of(|pair| seconds(&pair.alone)),
            beside_seconds: of(|pair| seconds(&pair.beside)),
            alone_cpu_micros_per_device: of(|pair| pair.alone.cpu_micros_per_device),
            beside_cpu_micros_per_device: of(|pair| pair.beside.cpu_micros_per_device),
            ratio: of(|pair| pair.ratio),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trouble_is_a_quota_and_a_service_that_is_down() {
        let scripts = trouble(100);
        assert!(!scripts.contains_key(&Platform::Apns));
        assert_eq!(scripts[&Platform::Wns].refuse_connections, Some(Refusal::Reset));
        let quota = scripts[&Platform::Fcm].quota.as_ref().unwrap();
        assert_eq!((quota.requests, quota.per_ms), (100, 1_000));
        assert!(matches!(&quota.beyond, Act::Answer(Answer { status: 429, .. })));
    }
}
