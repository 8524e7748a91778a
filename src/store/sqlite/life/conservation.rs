//! The ledger checked against itself: targeted = all targets in the sets (design.md 3.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::inline::{Run, of_runs};
use super::rows::{BROADCAST, inline_plan, read_broadcast, sums, time};
use super::sets;
use crate::model::id::HubId;
use crate::store::Result;
use crate::store::life::codec;
use crate::store::life::conservation::{LOOK_BACK, MOST_FINISHED, difference as difference_of};
use crate::store::life::records::BroadcastRow;

/// Counts every unfinished broadcast and those that ended within the last hour (at most [`MOST_FINISHED`] of each form).
/// Every hub with such a broadcast has an entry.
pub(in super::super) async fn conservation(parts: &Arc<Parts>) -> Result<BTreeMap<HubId, u64>> {
    let of_run = |run: &Run| run.shares.platforms.values().map(|share| difference_of(&share.ledger)).sum::<u64>();
    let running = of_runs(parts, None, of_run).await;
    let since = parts.clock.now().millis() - i64::try_from(LOOK_BACK.as_millis()).unwrap_or(i64::MAX);
    let read = move |connection: &Connection| {
        let mut differences = BTreeMap::new();
        for conditions in [
            "WHERE finished IS NULL AND (?1 IS NOT NULL AND ?2 IS NOT NULL)",
            "WHERE finished > ?1 AND inline IS NOT NULL ORDER BY finished DESC LIMIT ?2",
            "WHERE finished > ?1 AND inline IS NULL ORDER BY finished DESC LIMIT ?2",
        ] {
            let mut query = connection.prepare_cached(&format!("{BROADCAST} {conditions}"))?;
            let mut rows = query.query(params![since, MOST_FINISHED])?;
            while let Some(row) = rows.next()? {
                let row = read_broadcast(row)?;
                let difference = match running.get(&row.id).filter(|_| row.is_running_inline()) {
                    Some(difference) => *difference,
                    None => difference(connection, &row)?,
                };
                *differences.entry(row.hub).or_default() += difference;
            }
        }
        Ok(differences)
    };
    parts.engine.read(read).await
}

fn difference(connection: &Connection, row: &BroadcastRow) -> Result<u64> {
    if row.inline {
        let (_, ledgers) = codec::decode_inline(&inline_plan(connection, row.id)?.unwrap_or_default())?;
        return Ok(ledgers.values().map(difference_of).sum());
    }
    let targeted: u64 = sums(connection, row)?.values().map(|counters| counters.targeted).sum();
    Ok(targeted.abs_diff(in_rows(connection, row)?))
}

fn in_rows(connection: &Connection, row: &BroadcastRow) -> Result<u64> {
    let mut query =
        connection.prepare_cached("SELECT place, detail, due, at, seqs FROM outcome_chunk WHERE broadcast = ?")?;
    let mut rows = query.query([row.id.as_bytes()])?;
    let mut sum = 0;
    while let Some(row) = rows.next()? {
        let at = time(row, 3)?;
        let cell = codec::decode_cell(sets::place(row, 0)?, at, sets::blob(row, 4)?, None)?;
        sum += u64::from(cell.set.len());
    }
    Ok(sum)
}
