//! From an inline plan to ordinary rows, and what happens to everything unfinished when the file is opened.

use rusqlite::Connection;

use super::accept::inline_shard;
use super::inline::{Run, generation_epoch};
use super::ledger::{Cell, Ledger};
use super::rows::{BROADCAST, BroadcastRow, SHARD, ShardRow};
use super::sets::Table;
use crate::model::shard::LeaseState;
use crate::model::time::Timestamp;
use crate::store::Result;

/// Turns a run into ordinary rows: a shard for each platform under the number it has already, with its lease, sets and
/// counters as they stand.
pub(super) fn spill(tx: &Connection, row: &mut BroadcastRow, run: &Run) -> Result<()> {
    row.inline = false;
    row.times.started = run.started;
    row.sums.clear();
    row.open_shards = 0;
    for (platform, share) in &run.platforms {
        let chunks = || share.ledger.cells().map(|((chunk, _), _)| chunk);
        let shard = ShardRow {
            at: inline_shard(run.id, *platform),
            platform: *platform,
            first_chunk: chunks().next().unwrap_or_default(),
            last_chunk: chunks().last().unwrap_or_default(),
            lease: share.lease,
            counters: share.ledger.counters,
        };
        row.next_shard = row.next_shard.max(shard.at.shard.0 + 1);
        if shard.lease.state == LeaseState::Closed {
            *row.sums.entry(*platform).or_default() += shard.counters;
        } else {
            row.open_shards += 1;
        }
        shard.insert(tx)?;
        let mut rows = Ledger::with_counters(shard.counters);
        for ((chunk, place), cell) in share.ledger.cells() {
            rows.put(chunk, place, Cell { row: None, changed: true, ..cell.clone() });
        }
        Table { connection: tx, shard: &shard }.save(&rows)?;
    }
    run.reasons.save(tx, run.id)?;
    row.save(tx)?;
    row.save_inline(tx, None)
}

/// Takes over from the process that had the file before: its leases are void, whoever held them died with it. An
/// unfinished inline plan becomes ordinary shards with a strike each, because what killed the process may have been it.
pub(in super::super) fn recover(connection: &Connection, now: Timestamp) -> Result<()> {
    let tx = connection.unchecked_transaction()?;
    tx.execute(
        "INSERT INTO meta (key, value) VALUES ('generation', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1",
        [],
    )?;
    let epoch = generation_epoch(&tx)?;
    let mut inline = Vec::new();
    let mut planning = Vec::new();
    {
        let mut query =
            tx.prepare(&format!("{BROADCAST} WHERE finished IS NULL AND (inline IS NOT NULL OR plan_state = 1)"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let row = BroadcastRow::read(row)?;
            if row.inline { inline.push(row) } else { planning.push(row) }
        }
    }
    for mut row in planning {
        row.plan.void(now);
        row.save(&tx)?;
    }
    // Before the spill, whose shards are new and unheld.
    let mut leased = Vec::new();
    {
        let mut query = tx.prepare(&format!("{SHARD} INDEXED BY shard_open WHERE state < 2 AND state = 1"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            leased.push(ShardRow::read(row)?);
        }
    }
    for mut shard in leased {
        shard.lease.void(now);
        shard.save(&tx)?;
    }
    for mut row in inline {
        let mut run = Run::planned(&tx, &row, epoch)?;
        for share in run.platforms.values_mut() {
            share.lease.strikes = 1;
        }
        spill(&tx, &mut row, &run)?;
    }
    tx.commit()?;
    Ok(())
}
