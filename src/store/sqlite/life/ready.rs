//! What could be worked on: the reconciler's view of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::super::Parts;
use super::accept::inline_shard;
use super::inline::{is_running, of_runs};
use super::rows::{BROADCAST, BroadcastRow, SHARD, ShardRow};
use crate::model::broadcast::Wish;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseState};
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Result, Work};

type Leases = BTreeMap<Platform, Lease>;

pub(in super::super) async fn ready(
    parts: &Arc<Parts>,
    only: Option<BroadcastId>,
    horizon: Duration,
    window: usize,
) -> Result<Vec<ReadyWork>> {
    let leases_of = |run: &super::inline::Run| -> Leases {
        run.platforms.iter().map(|(platform, share)| (*platform, share.lease)).collect()
    };
    let running = of_runs(parts, only, leases_of).await;
    let now = parts.clock.now();
    let until = now.plus(horizon);
    let read = move |connection: &Connection| {
        let mut ready = Vec::new();
        let plans =
            "WHERE planned IS NULL AND plan_time <= ?1 AND hub IN (SELECT id FROM hub) AND (?2 IS NULL OR id = ?2)";
        each(connection, plans, only, until, |row| {
            if let Some(due) = due(&row.plan, row.closing(now).is_some(), now).filter(|due| *due <= until) {
                ready.push(row.ready(Work::Plan(row.id), due));
            }
            Ok(())
        })?;
        let open =
            "WHERE open_shards > 0 AND ?1 IS NOT NULL AND hub IN (SELECT id FROM hub) AND (?2 IS NULL OR id = ?2)";
        each(connection, open, only, until, |row| {
            if row.wish == Wish::Pause && row.closing(until).is_none() {
                return Ok(());
            }
            let shards = if is_running(&row) {
                inline_shards(&row, running.get(&row.id), now)
            } else {
                open_shards(connection, &row, now, until, window)?
            };
            ready.extend(shards.into_iter().filter(|work| work.due <= until).take(window));
            Ok(())
        })?;
        Ok(ready)
    };
    parts.engine.read(read).await
}

fn each(
    connection: &Connection,
    conditions: &str,
    only: Option<BroadcastId>,
    until: Timestamp,
    mut take: impl FnMut(BroadcastRow) -> Result<()>,
) -> Result<()> {
    let mut query = connection.prepare_cached(&format!("{BROADCAST} {conditions}"))?;
    let mut rows = query.query(params![until.millis(), only.as_ref().map(|id| id.as_bytes())])?;
    while let Some(row) = rows.next()? {
        take(BroadcastRow::read(row)?)?;
    }
    Ok(())
}

/// From when on somebody could take it; `None` while it is held or when it is closed.
fn due(lease: &Lease, closing: bool, now: Timestamp) -> Option<Timestamp> {
    match lease.state {
        LeaseState::Ready { due } if closing => Some(due.min(now)),
        LeaseState::Ready { due } => Some(due),
        LeaseState::Leased { until, .. } => (until <= now).then_some(until),
        LeaseState::Closed => None,
    }
}

/// The end of the message's life, when everything unheld is to be closed, is a due time too.
fn shard_due(row: &BroadcastRow, lease: &Lease, now: Timestamp) -> Option<Timestamp> {
    let due = due(lease, row.closing(now).is_some(), now)?;
    let paused = row.wish == Wish::Pause && row.closing(now).is_none();
    Some(if paused { row.times.expires } else { due.min(row.times.expires) })
}

fn inline_shards(row: &BroadcastRow, leases: Option<&Leases>, now: Timestamp) -> Vec<ReadyWork> {
    let unheld = Lease::new(row.times.due);
    let of = |platform: &Platform| {
        let lease = leases.and_then(|leases| leases.get(platform)).unwrap_or(&unheld);
        let due = shard_due(row, lease, now)?;
        Some(row.ready(Work::Run(inline_shard(row.id, *platform), *platform), due))
    };
    row.sums.keys().filter_map(of).collect()
}

fn open_shards(
    connection: &Connection,
    row: &BroadcastRow,
    now: Timestamp,
    until: Timestamp,
    window: usize,
) -> Result<Vec<ReadyWork>> {
    // When it ends within the horizon all unheld shards are due, whatever they wait for.
    let horizon = if row.closing(until).is_some() { Timestamp::from_millis(i64::MAX) } else { until };
    let mut query = connection.prepare_cached(&format!(
        "{SHARD} WHERE broadcast = ?1 AND state < 2 AND ((state = 0 AND time <= ?2) OR time <= ?3) \
         ORDER BY time LIMIT ?4"
    ))?;
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let mut rows = query.query(params![row.id.as_bytes(), horizon.millis(), now.millis(), window])?;
    let mut ready = Vec::new();
    while let Some(found) = rows.next()? {
        let shard: ShardRow = read_shard(found)?;
        ready.extend(shard_due(row, &shard.lease, now).map(|due| row.ready(Work::Run(shard.at, shard.platform), due)));
    }
    Ok(ready)
}

fn read_shard(row: &Row<'_>) -> Result<ShardRow> {
    ShardRow::read(row)
}
