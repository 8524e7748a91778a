//! `loadtest run`: broadcasts to a population of any size, measured and judged; with kills when asked for.
use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use serde::Serialize;

use super::{Place, exit, on_runtime, say, write_json};
use crate::{
    figures::{grouped, per_second, rate},
    gateways::{Script, script::Latency},
    oracle::Predicate,
    service::Tuning,
    stage::{
        HubFrom, Plan, Stage,
        broadcast::{Order, Outcome},
        kills,
    },
};

/// Measures broadcasts: devices a second, CPU a device, memory, owed against received
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    installations: u64,
    /// Broadcasts, one after the other
    #[arg(long, default_value_t = 1, value_name = "K")]
    broadcasts: u32,
    /// Tag expression; every installation has the tag all, and one each of city:…, team:0…99, lang:en|de|fr,
    /// news|digest (40 %), muted|sound (5 %), plan:gold|plan:free (1 %), u:N
    #[arg(long, default_value = "all", value_name = "EXPR")]
    audience: String,
    /// kill -9 the service so often during each broadcast, and start it again
    #[arg(long, default_value_t = 0, value_name = "K")]
    kills: u32,
    /// Devices a second; 0 = as fast as it goes
    #[arg(long, default_value_t = 0, value_name = "N")]
    rate: u64,
    /// Milliseconds until the gateway answers
    #[arg(long, value_name = "N")]
    latency_ms: Option<u64>,
    /// What the gateway answers: a script as `loadtest gateways` takes it, TOML
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Of devices and kills
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Give up on a broadcast after so many seconds
    #[arg(long, default_value_t = 600, value_name = "N")]
    within_seconds: u64,
    /// Write the results here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    seed: u64,
    import_seconds: f64,
    imported_per_second: f64,
    tuning: Tuning,
    rate_per_second: u64,
    broadcasts: Vec<Outcome>,
    good: bool,
}

/// # Errors
/// When the run cannot be made; a wrong result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let mut script = match &args.script {
        Some(file) => toml::from_str(&std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?)?,
        None => Script::default(),
    };
    if let Some(millis) = args.latency_ms {
        script.latency_ms = Latency::Fixed(millis);
    }
    let plan = Plan {
        dir: args.place.dir,
        keep: args.place.keep,
        tuning: args.tuning.clone(),
        script,
        hub: HubFrom::Configuration,
        seed: args.seed,
    };
    let mut stage = Stage::set_up(plan).await?;
    let took = stage.import(args.installations).await?;
    let imported_per_second = per_second(args.installations, took);
    let (count, seconds) = (grouped(args.installations), took.as_secs_f64());
    say(format_args!("{count} installations imported in {seconds:.1} s: {} a second", rate(imported_per_second)))?;
    stage.service.settle(Duration::from_secs(20)).await;

    let mut outcomes = Vec::new();
    for number in 0..args.broadcasts {
        let owed = stage.oracle.owed(&Predicate::parse(stage.devices, &args.audience)?);
        let order = Order {
            audience: args.audience.clone(),
            title: format!("Broadcast {number}"),
            rate_per_second: args.rate,
            kills: kills::moments(args.seed.wrapping_add(u64::from(number)), args.kills, owed),
            within: Duration::from_secs(args.within_seconds),
            scripted: args.script.is_some(),
        };
        let outcome = stage.broadcast(order).await?;
        say(&outcome)?;
        outcomes.push(outcome);
    }
    stage.strike().await?;
    let good = outcomes.iter().all(Outcome::is_good);
    let report = Report {
        installations: args.installations,
        seed: args.seed,
        import_seconds: seconds,
        imported_per_second,
        tuning: args.tuning,
        rate_per_second: args.rate,
        broadcasts: outcomes,
        good,
    };
    write_json(args.json.as_deref(), &report)?;
    Ok(exit(good))
}
