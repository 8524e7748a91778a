//! The ledger checked against itself: targeted = all targets in the sets (design.md 3.3).

use std::time::Duration;

use super::ledger::Ledger;

/// Broadcasts that ended longer ago were looked at before, and their sets no longer change.
pub(in crate::store) const LOOK_BACK: Duration = Duration::from_secs(3_600);
/// A service that ends more broadcasts an hour has the last so many looked at; all of them small, or it could not.
pub(in crate::store) const MOST_FINISHED: i64 = 4_096;

/// How far counters and sets of a whole ledger are apart.
pub(in crate::store) fn difference(ledger: &Ledger) -> u64 {
    let in_sets = ledger.cells().map(|(_, cell)| u64::from(cell.set.len())).sum();
    ledger.counters.targeted.abs_diff(in_sets)
}
