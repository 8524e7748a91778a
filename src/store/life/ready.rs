//! From when on a piece of work could be taken: the reconciler's view of the store.

use std::collections::BTreeMap;

use super::records::{BroadcastRow, inline_shard};
use crate::model::broadcast::Wish;
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseState};
use crate::model::time::{Moment, Timestamp};
use crate::store::{ReadyWork, Work};

/// From when on somebody could take it; `None` while it is held or when it is closed.
fn due(lease: &Lease, closing: bool, now: Moment) -> Option<Timestamp> {
    match lease.state {
        LeaseState::Ready { due } if closing => Some(due.min(now.wall)),
        LeaseState::Ready { due } => Some(due),
        LeaseState::Leased { until, .. } => (until <= now.lease).then_some(until.min(now.wall)),
        LeaseState::Closed => None,
    }
}

/// The plan of a broadcast that is not planned, if it is due until then.
pub(in crate::store) fn plan(row: &BroadcastRow, now: Moment, until: Timestamp) -> Option<ReadyWork> {
    let due = due(&row.plan, row.closing(now.wall).is_some(), now).filter(|due| *due <= until)?;
    Some(row.ready(Work::Plan(row.id), due))
}

/// The end of the message's life, when everything unheld is to be closed, is a due time too.
pub(in crate::store) fn shard_due(row: &BroadcastRow, lease: &Lease, now: Moment) -> Option<Timestamp> {
    let due = due(lease, row.closing(now.wall).is_some(), now)?;
    let paused = row.wish == Wish::Pause && row.closing(now.wall).is_none();
    Some(if paused { row.times.expires } else { due.min(row.times.expires) })
}

/// Whether the shards of a broadcast are left out: it is paused, and not over before `until`.
pub(in crate::store) fn rests(row: &BroadcastRow, until: Timestamp) -> bool {
    row.wish == Wish::Pause && row.closing(until).is_none()
}

/// Until when shards are looked for: when the broadcast ends within the horizon all unheld ones are due, whatever they
/// wait for.
pub(in crate::store) fn horizon(row: &BroadcastRow, until: Timestamp) -> Timestamp {
    if row.closing(until).is_some() { Timestamp::from_millis(i64::MAX) } else { until }
}

/// The pseudo-shards of an inline plan; those without a lease were never taken.
pub(in crate::store) fn inline_shards(
    row: &BroadcastRow,
    leases: Option<&BTreeMap<Platform, Lease>>,
    now: Moment,
) -> Vec<ReadyWork> {
    let unheld = Lease::new(row.times.due);
    let of = |platform: &Platform| {
        let lease = leases.and_then(|leases| leases.get(platform)).unwrap_or(&unheld);
        let due = shard_due(row, lease, now)?;
        Some(row.ready(Work::Run(inline_shard(row.id, *platform), *platform), due))
    };
    row.sums.keys().filter_map(of).collect()
}
