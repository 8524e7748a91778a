//! Failures that come again with every attempt while something is away: said when they begin, seldom while they last,
//! and once more when they are over. An outage of the store must not fill the disk that the log is on.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How often a trouble that lasts is said again.
const AGAIN: Duration = Duration::from_secs(30);
/// Without a failure for so long it is over, and the next one is a new trouble.
const FORGOTTEN: Duration = Duration::from_secs(90);

/// What is in trouble now, by what cannot be done. A cheap handle; every service has its own.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<BTreeMap<&'static str, Known>>>);

#[derive(Debug)]
struct Known {
    began: Instant,
    said: Instant,
    failed: Instant,
    /// Failures since it was said.
    unsaid: u64,
}

/// What a failure is worth.
#[derive(Debug, PartialEq, Eq)]
enum Worth {
    /// A line, and how many failures it stands for besides.
    Saying(u64),
    Nothing,
}

impl Trouble {
    /// Says that `what` failed, unless that was said lately. `what` begins with "cannot".
    pub fn say(&self, what: &'static str, error: &dyn Display) {
        match self.failed(what, Instant::now()) {
            Worth::Saying(0) => tracing::warn!(%error, "{what}"),
            Worth::Saying(times) => tracing::warn!(%error, times, "{what}, still"),
            Worth::Nothing => {}
        }
    }

    /// `what` worked: if it was in trouble, says that this is over.
    pub fn over(&self, what: &'static str) {
        if let Some(known) = self.end(what) {
            let lasted = Instant::now().duration_since(known.began).as_secs();
            tracing::info!(lasted_seconds = lasted, "over: {what}");
        }
    }

    fn end(&self, what: &'static str) -> Option<Known> {
        let mut known = self.0.lock();
        if known.is_empty() { None } else { known.remove(what) }
    }

    fn failed(&self, what: &'static str, now: Instant) -> Worth {
        let mut all = self.0.lock();
        let lasting = all.get_mut(what).filter(|known| now.duration_since(known.failed) < FORGOTTEN);
        let Some(known) = lasting else {
            all.insert(what, Known { began: now, said: now, failed: now, unsaid: 0 });
            return Worth::Saying(0);
        };
        known.failed = now;
        known.unsaid += 1;
        if now.duration_since(known.said) < AGAIN {
            return Worth::Nothing;
        }
        known.said = now;
        Worth::Saying(std::mem::take(&mut known.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_a_line_now_and_then() {
        let (trouble, start) = (Trouble::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(trouble.failed("cannot", at(0)), Worth::Saying(0));
        let said = (1..100).filter(|second| trouble.failed("cannot", at(*second)) != Worth::Nothing);
        assert_eq!(said.collect::<Vec<_>>(), [30, 60, 90]);
        assert_eq!(trouble.failed("cannot either", at(99)), Worth::Saying(0), "another thing");
        assert_eq!(trouble.failed("cannot", at(300)), Worth::Saying(0), "a new trouble");
        assert_eq!(trouble.failed("cannot", at(330)), Worth::Saying(1));
        assert!(trouble.end("cannot").is_some() && trouble.end("cannot").is_none());
        assert_eq!(trouble.failed("cannot", at(331)), Worth::Saying(0));
    }
}
