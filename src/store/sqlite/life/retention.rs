//! The end of what is kept. A broadcast past its time disappears from view at once; its rows in the other tables, which
//! may be thousands, go slice by slice.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::Parts;
use super::super::engine::Precedence;
use super::bound;
use crate::model::time::Timestamp;
use crate::store::{Result, Retention};

/// Broadcasts that one slice takes out.
pub(super) const SLICE: i64 = 256;
/// Set rows that one slice removes: each frees a page or two.
const SLICE_SETS: u16 = 256;

/// One slice. Answers whether more is waiting.
pub(in super::super) async fn sweep(parts: &Arc<Parts>) -> Result<bool> {
    let bounded = bound::sweep(parts).await?;
    let (retention, now) = (parts.retention, parts.clock.now());
    // Almost always there is nothing to do, and a reader finds that out without the writer.
    if !parts.engine.read(move |connection| is_due(connection, &retention, now)).await? {
        return Ok(bounded);
    }
    parts.engine.write(Precedence::Sweep, usize::from(SLICE_SETS), move |tx| slice(tx, &retention, now)).await?;
    Ok(true)
}

/// When broadcasts of each form must have ended to go now.
fn before(retention: &Retention, now: Timestamp) -> [(&'static str, i64); 2] {
    let back =
        |keep: std::time::Duration| now.millis().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    [
        ("finished <= ? AND inline IS NOT NULL", back(retention.small)),
        ("finished <= ? AND inline IS NULL", back(retention.large)),
    ]
}

fn is_due(connection: &Connection, retention: &Retention, now: Timestamp) -> Result<bool> {
    for (conditions, before) in before(retention, now) {
        let mut query = connection.prepare_cached(&format!("SELECT 1 FROM broadcast WHERE {conditions}"))?;
        if query.exists([before])? {
            return Ok(true);
        }
    }
    let mut purge = connection.prepare_cached("SELECT 1 FROM purge")?;
    Ok(purge.exists([])? || hub_without_row(connection)?.is_some())
}

/// A deleted hub that still has broadcasts. Steps from hub to hub in the index rather than over all broadcasts.
fn hub_without_row(connection: &Connection) -> Result<Option<u32>> {
    let mut next = connection.prepare_cached("SELECT hub FROM broadcast WHERE hub > ? ORDER BY hub LIMIT 1")?;
    let mut exists = connection.prepare_cached("SELECT 1 FROM hub WHERE id = ?")?;
    let mut hub = 0;
    while let Some(found) = next.query_row([hub], |row| row.get::<_, u32>(0)).optional()? {
        if !exists.exists([found])? {
            return Ok(Some(found));
        }
        hub = found;
    }
    Ok(None)
}

fn slice(tx: &Connection, retention: &Retention, now: Timestamp) -> Result<()> {
    for (conditions, before) in before(retention, now) {
        retire(tx, &format!("SELECT id FROM broadcast WHERE {conditions} LIMIT {SLICE}"), before)?;
    }
    if let Some(hub) = hub_without_row(tx)? {
        retire(tx, &format!("SELECT id FROM broadcast WHERE hub = ? LIMIT {SLICE}"), i64::from(hub))?;
    }
    purge(tx)
}

fn retire(tx: &Connection, ids: &str, bind: i64) -> Result<()> {
    let ids = tx.prepare_cached(ids)?.query_map([bind], |row| row.get(0))?.collect::<Result<Vec<[u8; 16]>, _>>()?;
    take_out(tx, &ids)
}

/// Takes broadcasts out of view.
pub(super) fn take_out(tx: &Connection, ids: &[[u8; 16]]) -> Result<()> {
    for id in ids {
        tx.prepare_cached("INSERT INTO purge (broadcast) VALUES (?)")?.execute([id])?;
        tx.prepare_cached("DELETE FROM broadcast WHERE id = ?")?.execute([id])?;
    }
    Ok(())
}

/// Removes rows of retired broadcasts, as many as a slice may.
fn purge(tx: &Connection) -> Result<()> {
    let ids = tx
        .prepare_cached("SELECT broadcast FROM purge LIMIT ?")?
        .query_map([SLICE], |row| row.get(0))?
        .collect::<Result<Vec<[u8; 16]>, _>>()?;
    let mut left = usize::from(SLICE_SETS);
    for id in ids {
        left -= tx
            .prepare_cached(
                "DELETE FROM outcome_chunk WHERE id IN (SELECT id FROM outcome_chunk WHERE broadcast = ? LIMIT ?)",
            )?
            .execute(params![id, i64::try_from(left).unwrap_or(0)])?;
        if left == 0 {
            return Ok(());
        }
        for table in ["shard", "reason", "broadcast_request", "purge"] {
            tx.prepare_cached(&format!("DELETE FROM {table} WHERE broadcast = ?"))?.execute([id])?;
        }
    }
    Ok(())
}
