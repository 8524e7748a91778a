//! `loadtest register`: how fast installations are registered, durably, beside bare inserts of the same rows.
//!
//! Each round registers a share of the installations, then inserts the rows that came of it into a second database on the
//! same disk: same schema, same settings, as many rows a transaction as the service made of its requests in that round.
//! What the ratio leaves is what HTTP, checks, look-ups and tags cost.
mod load;
mod yardstick;

use std::{ops::Range, process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use serde::Serialize;

use self::yardstick::Yardstick;
use super::{Run, exit, on_runtime, say, write_json};
use crate::{
    client::Metrics,
    devices::Mix,
    figures::{grouped, median, micros_each, per_second, rate},
    stage::{Plan, Stage},
};

/// Measures registrations through the API against bare inserts of the same rows
#[derive(Debug, clap::Args)]
pub struct Args {
    /// New installations, all rounds together
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    installations: u64,
    /// Rounds of service and yardstick in turn; medians are shown
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Connections that register at the same time
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    connections: u32,
    /// Requests under way on each connection
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pipeline: u32,
    /// Register by import instead of single requests
    #[arg(long)]
    import: bool,
    /// Platforms of the installations and their shares, such as apns=50,fcm=40,wns=10
    #[arg(long, default_value_t, value_name = "MIX")]
    platforms: Mix,
    #[command(flatten)]
    run: Run,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    installations: u64,
    service_per_second: f64,
    bare_per_second: f64,
    ratio: f64,
    /// Registrations that the service put into one transaction, the mean.
    transaction: f64,
    cpu_micros_each: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    how: String,
    rounds: Vec<Round>,
    service_per_second: f64,
    bare_per_second: f64,
    ratio: f64,
    transaction: f64,
    cpu_micros_each: f64,
}

/// # Errors
/// When the run cannot be made.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let plan = Plan { mix: args.platforms, ..args.run.plan() };
    let mut stage = Stage::set_up(plan).await?;
    let site = &stage.service.site;
    let mut yardstick = Yardstick::beside(&site.database_file(), &site.dir().join("bare.db"))?;
    let how = match args.import {
        true => "imported in one stream".to_owned(),
        false => format!("PUT over {} connections, {} under way on each", args.connections, args.pipeline),
    };
    say(format_args!("{} installations with eight tags, {how}", grouped(args.installations)))?;
    let mut rounds = Vec::new();
    for number in 0..u64::from(args.rounds) {
        let (share, first) = (args.installations / u64::from(args.rounds), stage.population);
        let round = one(&mut stage, &mut yardstick, &args, first..first + share).await?;
        say(format_args!(
            "round {}: {} a second, bare inserts {} at {:.0} a transaction: ratio {:.2}; {:.1} µs CPU each",
            number + 1,
            rate(round.service_per_second),
            rate(round.bare_per_second),
            round.transaction,
            round.ratio,
            round.cpu_micros_each,
        ))?;
        rounds.push(round);
    }
    stage.strike().await?;
    let of = |figure: fn(&Round) -> f64| median(&mut rounds.iter().map(figure).collect::<Vec<_>>());
    let report = Report {
        how,
        service_per_second: of(|round| round.service_per_second),
        bare_per_second: of(|round| round.bare_per_second),
        ratio: of(|round| round.ratio),
        transaction: of(|round| round.transaction),
        cpu_micros_each: of(|round| round.cpu_micros_each),
        rounds,
    };
    say(format_args!(
        "medians: {} a second, bare inserts {} at {:.0} a transaction: ratio {:.2}; {:.1} µs CPU each",
        rate(report.service_per_second),
        rate(report.bare_per_second),
        report.transaction,
        report.ratio,
        report.cpu_micros_each,
    ))?;
    write_json(args.run.json.as_deref(), &report)?;
    Ok(exit(true))
}

async fn one(stage: &mut Stage, yardstick: &mut Yardstick, args: &Args, range: Range<u64>) -> anyhow::Result<Round> {
    let installations = range.end - range.start;
    let (before, cpu_before) = (groups(&stage.service.api.metrics().await?)?, stage.service.cpu());
    let took = if args.import {
        stage.import(installations).await?
    } else {
        let api = &stage.service.api;
        let (path, pipeline) = (api.path("/installations"), args.pipeline);
        let took = load::register(&api.peer, &path, stage.devices, range, args.connections, pipeline).await;
        let took = took.with_context(|| stage.service.site.log_tail())?;
        stage.population += installations;
        took
    };
    let after = groups(&stage.service.api.metrics().await?)?;
    // What follows the answers, folding above all, is part of the price but not of the wait.
    stage.service.settle(Duration::from_secs(20)).await;
    let cpu = stage.service.cpu().saturating_sub(cpu_before);
    let (transactions, registered) = (after.0 - before.0, after.1 - before.1);
    ensure!(registered >= installations as f64, "the service counted {registered} registrations of {installations}");
    let transaction = registered / transactions.max(1.0);
    let (copied, bare) = tokio::task::block_in_place(|| yardstick.repeat(transaction))?;
    ensure!(copied == installations, "{installations} installations were registered, {copied} rows came of it");
    let (service_per_second, bare_per_second) = (per_second(installations, took), per_second(copied, bare));
    Ok(Round {
        installations,
        service_per_second,
        bare_per_second,
        ratio: service_per_second / bare_per_second,
        transaction,
        cpu_micros_each: micros_each(cpu, installations),
    })
}

/// Transactions that held registrations, and the registrations in them.
fn groups(metrics: &Metrics) -> anyhow::Result<(f64, f64)> {
    let read = |name: &str| metrics.sum(name).with_context(|| format!("/metrics has no {name}"));
    Ok((read("fanfare_store_registration_groups_total")?, read("fanfare_store_registrations_total")?))
}
