//! `loadtest count`: what exact counts of tag expressions cost.
use std::{process::ExitCode, time::Duration};

use anyhow::ensure;
use serde::Serialize;

use super::{Run, exit, idle, on_runtime, say, write_json};
use crate::{
    client::api::Counted,
    figures::{grouped, median},
    oracle::Predicate,
};

/// Measures exact counts: ten terms, a tag against its negation, one user
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Installations to register
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    installations: u64,
    /// Rounds; each asks every expression once, medians are shown
    #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    #[command(flatten)]
    run: Run,
}

const EXPRESSIONS: [(&str, &str); 8] = [
    (
        "ten terms",
        "(city:lisbon || city:lagos || city:lima) && (team:1 || team:2 || team:3 || team:4) && lang:en && news && !muted",
    ),
    ("everyone", ""),
    ("a frequent tag", "news"),
    ("without it", "!news"),
    ("a rare tag", "team:42"),
    ("without it", "!team:42"),
    ("one user", "$UserId:{user-3}"),
    ("one tag of one device", "u:7"),
];

/// Milliseconds are medians.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    audience: &'static str,
    count: u64,
    round_trip_ms: f64,
    /// Absent when the service does not say.
    inside_ms: Option<f64>,
}

/// # Errors
/// When the run cannot be made, or a count is wrong.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    on_runtime(measure(args))
}

async fn measure(args: Args) -> anyhow::Result<ExitCode> {
    let stage = idle::stage(&args.run, args.installations).await?;

    let mut answers: [Vec<Counted>; EXPRESSIONS.len()] = Default::default();
    for _ in 0..args.rounds {
        for ((_, audience), answers) in EXPRESSIONS.iter().zip(&mut answers) {
            answers.push(stage.service.api.count(audience).await?);
        }
    }
    let mut lines = Vec::new();
    for ((name, audience), answers) in EXPRESSIONS.into_iter().zip(&answers) {
        let owed = stage.oracle.owed(&Predicate::parse(stage.devices, audience)?, &stage.devices.platforms());
        for answer in answers {
            ensure!(answer.count == owed, "`{audience}` was counted as {}, and is {owed}", answer.count);
        }
        lines.push(Line {
            name,
            audience,
            count: owed,
            round_trip_ms: medians(answers, |answer| Some(answer.round_trip)).unwrap_or_default(),
            inside_ms: medians(answers, |answer| answer.inside),
        });
    }
    stage.strike().await?;
    say(format_args!("{} installations, medians of {} rounds", grouped(args.installations), args.rounds))?;
    say(format_args!("{:<22} {:>12} {:>14} {:>10}  audience", "", "count", "round trip ms", "inside ms"))?;
    for Line { name, audience, count, round_trip_ms, inside_ms } in &lines {
        let inside = inside_ms.map_or_else(|| "–".to_owned(), |millis| format!("{millis:.3}"));
        say(format_args!("{name:<22} {:>12} {round_trip_ms:>14.3} {inside:>10}  {audience}", grouped(*count)))?;
    }
    write_json(args.run.json.as_deref(), &lines)?;
    Ok(exit(true))
}

/// Milliseconds; `None` when no answer has the figure.
fn medians(answers: &[Counted], figure: impl Fn(&Counted) -> Option<Duration>) -> Option<f64> {
    let mut millis: Vec<f64> = answers.iter().filter_map(figure).map(|took| took.as_secs_f64() * 1e3).collect();
    (!millis.is_empty()).then(|| median(&mut millis))
}
