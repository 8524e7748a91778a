//! `loadtest run`: broadcasts to a population of any size, measured and judged; with kills when asked for.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{Measured, exit, on_runtime, say, write_json};
use crate::{
    devices::{Mix, Platform},
    figures::{grouped, per_second, rate},
    gateways::{
        Script,
        script::{Latency, Refusal},
    },
    oracle::Predicate,
    service::Tuning,
    stage::{Plan, Stage, broadcast::Order, kills, outcome::Outcome},
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
    /// Platforms of the installations and their shares, such as apns=45,fcm=40,wns=10,web_push=5; the hub has an account of each
    #[arg(long, default_value_t, value_name = "MIX")]
    platforms: Mix,
    /// A broadcast is over when these platforms have nothing pending; the rest is cancelled then, and not judged
    #[arg(long = "await", value_name = "PLATFORM", value_delimiter = ',')]
    awaited: Vec<Platform>,
    /// The service of this platform refuses every connection; unless --await says otherwise it is not awaited
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    dead: Vec<Platform>,
    /// rate_per_second of the hub's FCM account; 0 = unpaced
    #[arg(long, default_value_t = 0, value_name = "N")]
    fcm_rate: u32,
    /// Milliseconds until the gateways answer
    #[arg(long, value_name = "N")]
    latency_ms: Option<u64>,
    /// What APNs answers: a script as `loadtest gateways` takes it, TOML
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// What FCM answers
    #[arg(long, value_name = "FILE")]
    fcm_script: Option<PathBuf>,
    /// What WNS answers
    #[arg(long, value_name = "FILE")]
    wns_script: Option<PathBuf>,
    /// What the push services of browsers answer
    #[arg(long, value_name = "FILE")]
    web_push_script: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

#[derive(Debug, Serialize)]
struct Report {
    installations: u64,
    seed: u64,
    import_seconds: f64,
    imported_per_second: f64,
    tuning: Tuning,
    platforms: Mix,
    awaited: Vec<Platform>,
    dead: Vec<Platform>,
    rate_per_second: u64,
    fcm_rate: u32,
    broadcasts: Vec<Outcome>,
    good: bool,
}

impl Args {
    fn script_files(&self) -> impl Iterator<Item = (Platform, Option<&Path>)> {
        let files = [&self.script, &self.fcm_script, &self.wns_script, &self.web_push_script];
        Platform::ALL.into_iter().zip(files.map(Option::as_deref))
    }

    /// What the gateways of the mix do.
    fn scripts(&self) -> anyhow::Result<BTreeMap<Platform, Script>> {
        let platforms = self.platforms.platforms();
        let named = |platform: &Platform, option: &str| {
            ensure!(platforms.contains(platform), "{option}: --platforms has no {platform}");
            Ok(())
        };
        self.dead.iter().try_for_each(|dead| named(dead, "--dead"))?;
        if self.fcm_rate > 0 {
            named(&Platform::Fcm, "--fcm-rate")?;
        }
        let mut scripts = BTreeMap::new();
        for (platform, file) in self.script_files() {
            let mut script = match file {
                Some(file) => {
                    named(&platform, "a script")?;
                    let name = || file.display().to_string();
                    toml::from_str(&std::fs::read_to_string(file).with_context(name)?).with_context(name)?
                }
                None => Script::default(),
            };
            if let Some(millis) = self.latency_ms {
                script.latency_ms = Latency::Fixed(millis);
            }
            if self.dead.contains(&platform) {
                script.refuse_connections = Some(Refusal::Reset);
            }
            scripts.insert(platform, script);
        }
        Ok(scripts)
    }

    /// Those named, else all that are not dead.
    fn awaited(&self) -> anyhow::Result<Vec<Platform>> {
        let platforms = self.platforms.platforms();
        let wanted = |platform: &Platform| match self.awaited.is_empty() {
            true => !self.dead.contains(platform),
            false => self.awaited.contains(platform),
        };
        for platform in &self.awaited {
            ensure!(platforms.contains(platform), "--await: --platforms has no {platform}");
        }
        let awaited: Vec<_> = platforms.into_iter().filter(wanted).collect();
        ensure!(!awaited.is_empty(), "--dead: a platform must be left to await");
        Ok(awaited)
    }
}

/// # Errors
/// When the run cannot be made; a wrong result is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let scripts = args.scripts()?;
    let awaited = args.awaited()?;
    let scripted = args.script_files().any(|(_, file)| file.is_some());
    let plan = Plan {
        dir: args.measured.place.dir,
        keep: args.measured.place.keep,
        tuning: args.measured.tuning.clone(),
        scripts,
        mix: args.platforms,
        fcm_rate: args.fcm_rate,
        seed: args.measured.seed,
        ..Plan::default()
    };
    let mut stage = Stage::set_up(plan).await?;
    let took = stage.import(args.installations).await?;
    let imported_per_second = per_second(args.installations, took);
    let (count, seconds) = (grouped(args.installations), took.as_secs_f64());
    say(format_args!("{count} installations imported in {seconds:.1} s: {} a second", rate(imported_per_second)))?;
    stage.service.settle(Duration::from_secs(20)).await;

    let mut outcomes = Vec::new();
    for number in 0..args.broadcasts {
        let owed = stage.oracle.owed(&Predicate::parse(stage.devices, &args.audience)?, &awaited);
        let order = Order {
            awaited: awaited.clone(),
            rate_per_second: args.rate,
            kills: kills::moments(args.measured.seed.wrapping_add(u64::from(number)), args.kills, owed),
            within: Duration::from_secs(args.measured.within_seconds),
            scripted,
            ..Order::new(&args.audience, &format!("Broadcast {number}"), &stage.devices.platforms())
        };
        let outcome = stage.broadcast(order).await?;
        say(&outcome)?;
        outcomes.push(outcome);
    }
    stage.strike().await?;
    let good = outcomes.iter().all(Outcome::is_good);
    let report = Report {
        installations: args.installations,
        seed: args.measured.seed,
        import_seconds: seconds,
        imported_per_second,
        tuning: args.measured.tuning,
        platforms: args.platforms,
        awaited,
        dead: args.dead,
        rate_per_second: args.rate,
        fcm_rate: args.fcm_rate,
        broadcasts: outcomes,
        good,
    };
    write_json(args.measured.json.as_deref(), &report)?;
    Ok(exit(good))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        Line::try_parse_from(std::iter::once("run").chain(line.split_whitespace())).unwrap().args
    }

    #[test]
    fn a_dead_platform_is_not_awaited_unless_told() {
        let mixed = "--platforms apns=1,fcm=1,wns=1,web_push=1";
        assert_eq!(args("").awaited().unwrap(), [Platform::Apns]);
        assert_eq!(args(mixed).awaited().unwrap(), Platform::ALL);
        let dead = args(&format!("{mixed} --dead wns"));
        assert_eq!(dead.awaited().unwrap(), [Platform::Apns, Platform::Fcm, Platform::WebPush]);
        let scripts = dead.scripts().unwrap();
        assert_eq!(scripts[&Platform::Wns].refuse_connections, Some(Refusal::Reset));
        assert_eq!(scripts[&Platform::Apns], Script::default());
        let awaited = args(&format!("{mixed} --dead wns --await apns"));
        assert_eq!(awaited.awaited().unwrap(), [Platform::Apns]);
    }

    #[test]
    fn what_the_mix_does_not_have_is_refused_by_name() {
        let told = |line: &str| {
            let args = args(line);
            args.scripts().map(drop).and_then(|()| args.awaited().map(drop)).unwrap_err().to_string()
        };
        assert_eq!(told("--dead wns"), "--dead: --platforms has no wns");
        assert_eq!(told("--fcm-rate 5"), "--fcm-rate: --platforms has no fcm");
        assert_eq!(told("--fcm-script x"), "a script: --platforms has no fcm");
        assert_eq!(told("--await fcm"), "--await: --platforms has no fcm");
        assert_eq!(told("--dead apns"), "--dead: a platform must be left to await");
    }

    #[test]
    fn a_latency_is_everybodys() {
        let scripts = args("--latency-ms 7 --platforms apns=1,wns=1").scripts().unwrap();
        assert!(scripts.values().all(|script| script.latency_ms == Latency::Fixed(7)));
    }
}
