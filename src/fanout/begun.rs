//! Which broadcasts have begun here, so that the wait before a first send is measured once for each.
//!
//! A broadcast comes and goes in this process while its shards wait for retries or slots, so what
//! [`active`](super::active) knows is not enough. Ids sort by time: the oldest are forgotten first, and one older than
//! all that are kept counts as begun.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;

/// Broadcasts that are remembered. Two hundred small ones a second fill this within a minute, and then it holds the
/// last minute's.
const REMEMBERED: usize = 12_000;

/// The broadcasts that began here.
#[derive(Debug)]
pub(super) struct Begun {
    /// What was due before this process started may have begun in another.
    since: Timestamp,
    known: Mutex<BTreeSet<BroadcastId>>,
}

impl Begun {
    /// None yet.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { since: now, known: Mutex::default() }
    }

    /// Whether this broadcast, due then, begins just now.
    pub(super) fn begins(&self, id: BroadcastId, due: Timestamp) -> bool {
        if due < self.since {
            return false;
        }
        let mut known = self.known.lock();
        let full = known.len() >= REMEMBERED;
        if full && known.first().is_some_and(|oldest| id < *oldest) {
            return false;
        }
        let begins = known.insert(id);
        if begins && full {
            known.pop_first();
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broadcast_begins_once() {
        let at = Timestamp::from_millis;
        let begun = Begun::new(at(1_000));
        let first = BroadcastId::new(1_000);
        assert!(begun.begins(first, at(1_000)));
        assert!(!begun.begins(first, at(1_000)));
        assert!(!begun.begins(BroadcastId::new(900), at(999)), "it may have begun before the start");
        for millis in 0..REMEMBERED as u64 {
            assert!(begun.begins(BroadcastId::new(2_000 + millis), at(2_000)));
        }
        assert!(!begun.begins(first, at(1_000)), "older than all that are remembered");
        assert_eq!(begun.known.lock().len(), REMEMBERED);
    }
}
