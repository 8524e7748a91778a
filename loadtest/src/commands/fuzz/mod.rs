//! `loadtest fuzz`: noise for what reads the bytes of strangers.
//!
//! Each round is made from a seed of its own: mostly legal input with faults in it, because pure noise ends at the first
//! byte. What a round must show is checked beside what it does; a panic is a finding as well. A finding names the seed,
//! and `--seed N --seconds 0` plays that round alone.
//!
//! - `session`, `hpack`, `frames`: the engine's HTTP/2 core, each a game of its own.
//! - [`readers`]: what a request's body or header says, at any length up to the longest body. `mutation` makes the inputs,
//!   `reading` plays them, `cost` says what they may cost.
mod cost;
mod frames;
mod hpack;
mod mutation;
mod readers;
mod reading;
mod session;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use fanfare::clock::{Clock as _, SystemClock};
use fastrand::Rng;

use super::{exit, say};
use crate::figures::grouped;

/// Feeds what reads the bytes of strangers with structured noise, round by round, until the time is up
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to feed
    #[arg(long, value_enum)]
    target: Target,
    /// How long; at least one round is played
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
    /// Of the first round; the next has the next number
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Play this file instead of rounds; not for the HTTP/2 core
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where inputs that were found are written; not for the HTTP/2 core
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// A connection's state machine
    Session,
    /// Header compression, both ways
    Hpack,
    /// Frame heads, and a session that reads them in pieces
    Frames,
    /// XML of strangers
    Xml,
    /// Installations, as JSON
    Installation,
    /// Registrations of the Notification Hubs face
    Registration,
    /// Its jobs
    Job,
    /// Its hubs
    Hub,
    /// Its direct sends in batches
    Batch,
    /// Shared access signatures
    Token,
    /// Audiences
    Audience,
    /// Templates
    Template,
    /// Filters of the apps' tables
    Filter,
}

/// What a round found; the text is for people.
type Round = fn(&mut Rng) -> Result<(), String>;

/// # Errors
/// When stdout is closed, or a file cannot be read or written. A finding is no error but a failed exit.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let reader = match args.target {
        Target::Session => return games(&args, session::round),
        Target::Hpack => return games(&args, hpack::round),
        Target::Frames => return games(&args, frames::round),
        Target::Xml => readers::xml::documents(),
        Target::Registration => readers::xml::registrations(),
        Target::Job => readers::xml::jobs(),
        Target::Hub => readers::xml::hubs(),
        Target::Installation => readers::installation::reader(),
        Target::Batch => readers::batch::reader(),
        Target::Token => readers::token::reader(),
        Target::Audience => readers::audience::reader(),
        Target::Template => readers::template::reader(),
        Target::Filter => readers::filter::reader(),
    };
    let good = match &args.input {
        Some(file) => reading::replay(&reader, file)?,
        None => reading::play(&reader, args.seed, Duration::from_secs(args.seconds), &args.dir)?,
    };
    Ok(exit(good))
}

fn games(args: &Args, round: Round) -> anyhow::Result<ExitCode> {
    if args.input.is_some() {
        bail!("--input is for what reads a text; play a seed of this target instead");
    }
    let (began, limit) = (SystemClock.boot(), Duration::from_secs(args.seconds));
    let mut rounds = 0_u64;
    loop {
        let seed = args.seed.wrapping_add(rounds);
        let mut rng = Rng::with_seed(seed);
        let found = catch_unwind(AssertUnwindSafe(|| round(&mut rng))).unwrap_or_else(|_| Err("a panic".to_owned()));
        if let Err(finding) = found {
            say(format_args!("seed {seed}: {finding}"))?;
            return Ok(exit(false));
        }
        rounds += 1;
        if SystemClock.boot().after(began) >= limit {
            say(format_args!("{} rounds from seed {}, no finding", grouped(rounds), args.seed))?;
            return Ok(exit(true));
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = rng.usize(0..=most);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// Spoils a few of the bytes: changed, taken out, put in.
fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>) {
    while rng.u32(0..3) == 0 && !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        match rng.u32(0..3) {
            0 => bytes[at] = rng.u8(..),
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, rng.u8(..)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_rounds_of_each_find_nothing() {
        for round in [session::round as Round, hpack::round, frames::round] {
            for seed in 0..500 {
                assert_eq!(round(&mut Rng::with_seed(seed)), Ok(()), "seed {seed}");
            }
        }
    }
}
