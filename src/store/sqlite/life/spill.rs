//! From an inline plan to ordinary rows, and what happens to everything unfinished when the file is opened.

use rusqlite::Connection;

use super::inline::{Run, generation_epoch};
use super::rows::{
    BROADCAST, SHARD, insert_shard, read_broadcast, read_shard, save_broadcast, save_inline, save_shard,
};
use super::sets::{Table, save_reasons};
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::life::records::BroadcastRow;

/// Turns a run into ordinary rows.
pub(super) fn spill(tx: &Connection, row: &mut BroadcastRow, run: &Run) -> Result<()> {
    for (shard, ledger) in run.shares.spill(row) {
        insert_shard(tx, &shard)?;
        Table { connection: tx, shard: &shard }.save(&ledger)?;
    }
    row.times.started = run.started;
    save_reasons(tx, row.id, &run.shares.reasons)?;
    save_broadcast(tx, row)?;
    save_inline(tx, row.id, None)
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
            let row = read_broadcast(row)?;
            if row.inline { inline.push(row) } else { planning.push(row) }
        }
    }
    for mut row in planning {
        row.plan.void(now);
        save_broadcast(&tx, &row)?;
    }
    // Before the spill, whose shards are new and unheld.
    let mut leased = Vec::new();
    {
        let mut query = tx.prepare(&format!("{SHARD} INDEXED BY shard_open WHERE state < 2 AND state = 1"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            leased.push(read_shard(row)?);
        }
    }
    for mut shard in leased {
        shard.lease.void(now);
        save_shard(&tx, &shard)?;
    }
    for mut row in inline {
        let mut run = Run::planned(&tx, &row, epoch)?;
        for share in run.shares.platforms.values_mut() {
            share.lease.strikes = 1;
        }
        spill(&tx, &mut row, &run)?;
    }
    tx.commit()?;
    Ok(())
}
