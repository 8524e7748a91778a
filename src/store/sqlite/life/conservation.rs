//! The ledger checked against itself: targeted = all targets in the sets (design.md 3.3).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::codec;
use super::inline::{Run, is_running, of_runs};
use super::ledger::Ledger;
use super::rows::{BROADCAST, BroadcastRow, inline_plan, sums};
use super::sets;
use crate::model::id::HubId;
use crate::model::outcome::Counters;
use crate::store::Result;

/// Broadcasts that ended longer ago were looked at before, and their sets no longer change.
const LOOK_BACK: Duration = Duration::from_secs(3_600);
/// A service that ends more broadcasts an hour has the last so many looked at; all of them small, or it could not.
const MOST_FINISHED: i64 = 4_096;

/// Counts every unfinished broadcast and those that ended within the last hour (at most [`MOST_FINISHED`] of each form).
/// Every hub with such a broadcast has an entry.
pub(in super::super) async fn conservation(parts: &Arc<Parts>) -> Result<BTreeMap<HubId, u64>> {
    let of_run = |run: &Run| run.platforms.values().map(|share| difference_of(&share.ledger)).sum::<u64>();
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
                let row = BroadcastRow::read(row)?;
                let difference = match running.get(&row.id).filter(|_| is_running(&row)) {
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

fn difference_of(ledger: &Ledger) -> u64 {
    let Counters { targeted, .. } = ledger.counters;
    targeted.abs_diff(ledger.cells().map(|(_, cell)| u64::from(cell.set.len())).sum())
}

fn in_rows(connection: &Connection, row: &BroadcastRow) -> Result<u64> {
    let mut query =
        connection.prepare_cached("SELECT place, detail, due, at, seqs FROM outcome_chunk WHERE broadcast = ?")?;
    let mut rows = query.query([row.id.as_bytes()])?;
    let mut sum = 0;
    while let Some(row) = rows.next()? {
        let at = super::rows::time(row, 3)?;
        let cell = codec::decode_cell(sets::place(row, 0)?, at, sets::blob(row, 4)?, None)?;
        sum += u64::from(cell.set.len());
    }
    Ok(sum)
}
