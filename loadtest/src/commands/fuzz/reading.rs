//! Readers, input by input: each must answer what is right, in the time and the memory that the input's length allows.
use std::{
    fs::File,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use anyhow::Context;
use fanfare::clock::{Clock as _, SystemClock};
use fastrand::Rng;

use super::{
    cost::{Cost, Meter},
    mutation::Seeds,
};
use crate::{commands::say, figures::grouped};

/// A round that takes longer than one to two of these never ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What reads inputs.
#[derive(Debug)]
pub(super) struct Reader {
    /// Of its files.
    pub name: &'static str,
    pub seeds: Seeds,
    /// Reads one; the error is a finding, for people.
    pub read: fn(&[u8]) -> Result<(), String>,
}

impl Reader {
    fn input(&self, seed: u64) -> Vec<u8> {
        self.seeds.input(&mut Rng::with_seed(seed))
    }

    /// Reads an input. Dear ones are read again before it is held against them: the machine has other things to do.
    fn play(&self, input: &[u8]) -> Result<Cost, String> {
        let limit = Cost::limit(input.len());
        let mut least: Option<Cost> = None;
        for _ in 0..3 {
            let meter = Meter::start();
            let found = catch_unwind(AssertUnwindSafe(|| (self.read)(input)));
            let cost = meter.stop();
            found.unwrap_or_else(|_| Err("a panic".to_owned()))?;
            let cost = least.map_or(cost, |least| least.least(cost));
            if cost.is_within(limit) {
                return Ok(cost);
            }
            least = Some(cost);
        }
        let took = least.unwrap_or_default();
        Err(format!("{} bytes take {took}, where {limit} are the most", grouped(input.len() as u64)))
    }
}

/// What was dearest.
#[derive(Clone, Copy, Debug, Default)]
struct Dearest {
    seed: u64,
    length: usize,
    cost: Cost,
}

impl Dearest {
    fn see(&mut self, seed: u64, length: usize, cost: Cost, by: impl Fn(Cost) -> u128) {
        if by(cost) >= by(self.cost) {
            *self = Self { seed, length, cost };
        }
    }

    fn told(&self, what: &str) -> String {
        let Self { seed, length, cost } = self;
        format!("{what}: seed {seed}, {} bytes: {cost}", grouped(*length as u64))
    }
}

/// Plays an input from a file.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn replay(reader: &Reader, file: &Path) -> anyhow::Result<bool> {
    let input = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    match reader.play(&input) {
        Ok(cost) => say(format_args!("{} bytes, no finding: {cost}", grouped(input.len() as u64)))?,
        Err(finding) => {
            say(finding)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Plays rounds until the time is up; answers whether there was no finding.
///
/// # Errors
/// When stdout is closed, or a file cannot be written.
pub(super) fn play(reader: &Reader, first: u64, limit: Duration, folder: &Path) -> anyhow::Result<bool> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Names the round even when the process dies of it, as of a stack that is too deep.
    let trace = folder.join(format!("fuzz-{}.seed", reader.name));
    let tracing = File::create(&trace).with_context(|| format!("cannot write {}", trace.display()))?;
    let current = AtomicU64::new(first);
    let (running, ended) = channel();
    let good = std::thread::scope(|scope| {
        scope.spawn(|| watch(reader, &current, ended, folder));
        let good = rounds(reader, first, limit, folder, |seed| {
            current.store(seed, Ordering::Relaxed);
            tracing.write_all_at(format!("{seed:<20}\n").as_bytes(), 0)
        });
        drop(running);
        good
    })?;
    std::fs::remove_file(&trace).with_context(|| format!("cannot remove {}", trace.display()))?;
    Ok(good)
}

fn rounds(
    reader: &Reader,
    first: u64,
    limit: Duration,
    folder: &Path,
    begins: impl Fn(u64) -> std::io::Result<()>,
) -> anyhow::Result<bool> {
    let began = SystemClock.boot();
    let (mut rounds, mut bytes) = (0_u64, 0_u64);
    let (mut slowest, mut largest) = (Dearest::default(), Dearest::default());
    loop {
        let seed = first.wrapping_add(rounds);
        begins(seed)?;
        let input = reader.input(seed);
        match reader.play(&input) {
            Ok(cost) => {
                slowest.see(seed, input.len(), cost, |cost| cost.time.as_nanos());
                largest.see(seed, input.len(), cost, |cost| u128::from(cost.memory));
            }
            Err(finding) => {
                say(format_args!("seed {seed}: {finding}"))?;
                let file = keep(reader, seed, &input, folder)?;
                say(format_args!("the input is in {}", file.display()))?;
                return Ok(false);
            }
        }
        (rounds, bytes) = (rounds + 1, bytes + input.len() as u64);
        if SystemClock.boot().after(began) >= limit {
            let (rounds, bytes) = (grouped(rounds), grouped(bytes));
            say(format_args!("{}: {rounds} rounds from seed {first}, {bytes} bytes, no finding", reader.name))?;
            say(slowest.told("slowest"))?;
            say(largest.told("most memory"))?;
            return Ok(true);
        }
    }
}

/// Writes an input beside the others.
fn keep(reader: &Reader, seed: u64, input: &[u8], folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("fuzz-{}-{seed}.input", reader.name));
    std::fs::write(&file, input).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Ends the process with a finding when a round does not end.
fn watch(reader: &Reader, current: &AtomicU64, ended: Receiver<()>, folder: &Path) {
    let mut last = None;
    while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        let seed = current.load(Ordering::Relaxed);
        if last.replace(seed) == Some(seed) {
            let kept = keep(reader, seed, &reader.input(seed), folder);
            let place =
                kept.map_or_else(|error| error.to_string(), |file| format!("the input is in {}", file.display()));
            // Nothing else is to be done when nobody listens.
            drop(say(format_args!("seed {seed}: it does not end; {place}")));
            process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn reader(read: fn(&[u8]) -> Result<(), String>) -> Reader {
        Reader { name: "test", seeds: Seeds { samples: vec![b"(a b)".to_vec()], words: &["c"] }, read }
    }

    #[test]
    fn a_finding_is_kept_and_is_one_again() {
        let folder = TempDir::new().unwrap();
        let finds = reader(|input| if input.contains(&b'c') { Err("a c".to_owned()) } else { Ok(()) });
        assert!(!play(&finds, 1, Duration::from_secs(60), folder.path()).unwrap());
        let kept: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(!replay(&finds, &kept[0]).unwrap());
        let panics = reader(|input| panic!("{}", input.len()));
        assert_eq!(panics.play(b"x"), Err("a panic".to_owned()));
    }

    #[test]
    fn one_round_is_played_at_least() {
        let folder = TempDir::new().unwrap();
        assert!(play(&reader(|_| Ok(())), 7, Duration::ZERO, folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }
}
