//! `loadtest chaos`: what breaks, and whether anything was lost.
use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};

use super::{Place, exit, on_runtime, say};
use crate::{
    chaos::{
        ground::impossible,
        run::{self, Options},
        scenario::{SCENARIOS, Scenario},
        verdict::Verdict,
    },
    devices::Mix,
    service::Tuning,
};

/// Breaks nodes, servers, links, clocks and disks during broadcasts, and judges what became of everything acknowledged
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which ones, or all; `list` names them
    #[arg(long, default_value = "all", value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Of the faults and their moments, and of the devices; drawn and printed unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Devices that are registered before
    #[arg(long, default_value_t = 40_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    targets: u64,
    /// Faults in each scenario, instead of its own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    kills: Option<u16>,
    /// API nodes on PostgreSQL and Redis
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    api: u8,
    /// Worker nodes on PostgreSQL and Redis
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// Platforms of the devices and their shares
    #[arg(long, default_value_t, value_name = "MIX")]
    platforms: Mix,
    /// About how long a broadcast takes without faults: the gateways answer that late
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    span: f64,
    /// How long a server that is gone for long is gone
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    gone: f64,
    /// Give up on a broadcast that is not over so long after the last fault
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    within: u64,
    /// worker.lease_seconds
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    lease_seconds: u32,
    /// worker.checkpoint_every
    #[arg(long, default_value_t = 2_048, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    checkpoint_every: u32,
    /// worker.shards_in_flight
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    shards_in_flight: u32,
    #[command(flatten)]
    place: Place,
}

impl Args {
    /// Those that are named, in the order of their list.
    fn scenarios(&self) -> anyhow::Result<Vec<&'static Scenario>> {
        let all = self.scenario.iter().any(|name| name == "all");
        for name in self.scenario.iter().filter(|name| *name != "all") {
            let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
            let names = || SCENARIOS.map(|scenario| scenario.name).join(", ");
            ensure!(known, "--scenario: `{name}` is none of all, {}", names());
        }
        Ok(SCENARIOS.iter().filter(|known| all || self.scenario.iter().any(|name| name == known.name)).collect())
    }

    fn options(&self, seed: u64) -> anyhow::Result<Options> {
        let seconds = |name: &str, value: f64| {
            let fits = (0.0..=3_600.0).contains(&value);
            fits.then(|| Duration::from_secs_f64(value)).with_context(|| format!("{name}: must be within an hour"))
        };
        Ok(Options {
            targets: self.targets,
            faults: self.kills.map(usize::from),
            seed,
            api: usize::from(self.api),
            workers: usize::from(self.workers),
            tuning: Tuning {
                lease_seconds: self.lease_seconds,
                checkpoint_every: self.checkpoint_every,
                shards_in_flight: self.shards_in_flight,
                ..Tuning::default()
            },
            mix: self.platforms,
            span: seconds("--span", self.span)?,
            long: seconds("--gone", self.gone)?,
            within: Duration::from_secs(self.within),
            dir: self.place.dir.clone(),
            keep: self.place.keep,
        })
    }
}

/// # Errors
/// When the command line is wrong or a run cannot be made; a breach is an exit status.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.scenario == ["list"] {
        for Scenario { name, about, .. } in &SCENARIOS {
            say(format_args!("{name:<14} {about}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    on_runtime(play(args))
}

async fn play(args: Args) -> anyhow::Result<ExitCode> {
    let scenarios = args.scenarios()?;
    let options = args.options(args.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000)))?;
    say(format_args!("seed {}: the same again with --seed {}", options.seed, options.seed))?;
    let (mut verdicts, mut good) = (Vec::new(), true);
    for scenario in scenarios {
        if let Some(why) = impossible(scenario.footing) {
            say(format_args!("{:<14} skipped: {why}", scenario.name))?;
            continue;
        }
        match Box::pin(run::play(scenario, &options)).await {
            Ok(verdict) => verdicts.push(verdict),
            // The others are worth their run all the same.
            Err(error) => {
                good = false;
                say(format_args!("{:<14} BREACH {error:#}", scenario.name))?;
            }
        }
    }
    say("")?;
    for verdict in &verdicts {
        say(verdict)?;
    }
    Ok(exit(good && verdicts.iter().all(Verdict::is_good)))
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
        Line::try_parse_from(std::iter::once("chaos").chain(line.split_whitespace())).unwrap().args
    }

    #[test]
    fn scenarios_are_found_by_name_and_a_wrong_one_is_told() {
        assert_eq!(args("").scenarios().unwrap().len(), SCENARIOS.len());
        let named = args("--scenario kills,crash").scenarios().unwrap();
        assert_eq!(named.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), ["crash", "kills"]);
        let told = args("--scenario quake").scenarios().unwrap_err().to_string();
        assert!(told.starts_with("--scenario: `quake` is none of all, crash"), "{told}");
        assert!(args("--span 1e9").options(1).is_err());
    }
}
