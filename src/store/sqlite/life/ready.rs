//! What could be worked on: the reconciler's view of the store.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::inline::of_runs;
use super::rows::{BROADCAST, SHARD, read_broadcast, read_shard};
use crate::model::id::BroadcastId;
use crate::model::time::{Moment, Timestamp};
use crate::store::life::ready as rules;
use crate::store::life::records::BroadcastRow;
use crate::store::{ReadyWork, Result, Work};

pub(in super::super) async fn ready(
    parts: &Arc<Parts>,
    only: Option<BroadcastId>,
    horizon: Duration,
    window: usize,
) -> Result<Vec<ReadyWork>> {
    let running = of_runs(parts, only, |run| run.shares.leases()).await;
    let now = parts.clock.moment();
    let until = now.wall.plus(horizon);
    let read = move |connection: &Connection| {
        let mut ready = Vec::new();
        let plans =
            "WHERE planned IS NULL AND plan_time <= ?1 AND hub IN (SELECT id FROM hub) AND (?2 IS NULL OR id = ?2)";
        each(connection, plans, only, until, |row| {
            ready.extend(rules::plan(&row, now, until));
            Ok(())
        })?;
        let open =
            "WHERE open_shards > 0 AND ?1 IS NOT NULL AND hub IN (SELECT id FROM hub) AND (?2 IS NULL OR id = ?2)";
        each(connection, open, only, until, |row| {
            if rules::rests(&row, until) {
                return Ok(());
            }
            let shards = if row.is_running_inline() {
                rules::inline_shards(&row, running.get(&row.id), now)
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
        take(read_broadcast(row)?)?;
    }
    Ok(())
}

fn open_shards(
    connection: &Connection,
    row: &BroadcastRow,
    now: Moment,
    until: Timestamp,
    window: usize,
) -> Result<Vec<ReadyWork>> {
    let horizon = rules::horizon(row, until);
    let mut query = connection.prepare_cached(&format!(
        "{SHARD} WHERE broadcast = ?1 AND state < 2 AND ((state = 0 AND time <= ?2) OR (state = 1 AND time <= ?3)) \
         ORDER BY time LIMIT ?4"
    ))?;
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let mut rows = query.query(params![row.id.as_bytes(), horizon.millis(), now.lease.millis(), window])?;
    let mut ready = Vec::new();
    while let Some(found) = rows.next()? {
        let shard = read_shard(found)?;
        ready.extend(
            rules::shard_due(row, &shard.lease, now).map(|due| row.ready(Work::Run(shard.at, shard.platform), due)),
        );
    }
    Ok(ready)
}
