//! What came out of a scenario, in one line and, where something is wrong, in as many as it takes.
use std::fmt;

use crate::oracle::Tally;

/// A scenario's end.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub scenario: &'static str,
    pub seed: u64,
    pub faults: usize,
    pub broadcasts: usize,
    /// Registered while things broke, and acknowledged.
    pub registered: u64,
    /// Over all broadcasts.
    pub total: Tally,
    /// Acceptances beyond the first that the faults may have caused.
    pub allowed: u64,
    /// How often conservation was looked at.
    pub looks: u64,
    /// What Redis held for the broadcast at the end beyond what it held before, bytes.
    pub grown: Option<i64>,
    pub seconds: f64,
    pub breaches: Vec<String>,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.breaches.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, faults, broadcasts, registered, total, allowed, looks, grown, seconds, breaches } =
            self;
        for breach in breaches {
            writeln!(f, "{scenario:<14} BREACH {breach}")?;
        }
        let word = if self.is_good() { "good" } else { "BAD" };
        write!(
            f,
            "{scenario:<14} {word}: seed {seed}, {faults} faults, {broadcasts} broadcasts, {registered} registered \
             meanwhile: {total}; accepted once more {} times, at most {allowed}; conservation looked at {looks} times; ",
            total.extra
        )?;
        if let Some(grown) = grown {
            write!(f, "Redis {grown:+} bytes; ")?;
        }
        write!(f, "{seconds:.1} s")
    }
}
