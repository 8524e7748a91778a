//! Folding: what deltas and touches say moves into the rows that they are about, and they go.
//!
//! The folder is alone (a lock) and the only one that writes set rows. It takes every delta that is there when it
//! begins, works out the new set rows on a reader, slice by slice, and hands the slices to the writer, so that nobody
//! waits long. A set row into which deltas are folded and over which a reader lays the same deltas again comes to the
//! same, since the last change of a bit decides; so slices need no mark of how far they came, and a crash between two
//! of them costs a repeat. Last, exactly the deltas that were folded are deleted, by number.
//!
//! A touch is folded in the writer, which writes what the newest touch says that is there *then*: a PUT that came in
//! between is never undone.

#[cfg(test)]
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::engine::Precedence;
use super::super::{Parts, Result};
use super::rows::{self, TxRows};
use super::unfolded::Unfolded;
use crate::model::id::{CommitNo, HubId};
use crate::store::index::{ChangedSet, ChangedSets, Delta, SetRow, Touches, newest};
use crate::store::registration::write_times;

/// Set rows in one task of the writer: some milliseconds.
const SETS: usize = 512;
/// Installations in one task of the writer.
const TOUCHED: usize = 256;

/// Above either, a registration folds before it is answered: reading lays every delta over the sets.
const MOST_ROWS: usize = 512;
const MOST_BYTES: usize = 4 << 20;

/// Folds every hub. Answers whether so much came in meanwhile that it is worth going on at once.
pub(super) async fn fold(parts: &Parts) -> Result<bool> {
    let folding = parts.registry.folding.lock().await;
    let mut hubs = parts.registry.deltas.hubs();
    hubs.extend(parts.registry.touches.hubs());
    hubs.sort_unstable();
    hubs.dedup();
    for hub in &hubs {
        fold_hub(parts, *hub).await?;
    }
    drop(folding);
    Ok(hubs.into_iter().any(|hub| load(parts, hub) >= 0.25))
}

/// Folds a hub when too much waits there.
pub(super) async fn relieve(parts: &Parts, hub: HubId) -> Result<()> {
    if load(parts, hub) < 1.0 {
        return Ok(());
    }
    let _folding = parts.registry.folding.lock().await;
    // Whoever held the lock may have done it.
    if load(parts, hub) < 1.0 { Ok(()) } else { fold_hub(parts, hub).await }
}

/// How near a hub is to the bound, 1 at it.
#[expect(clippy::cast_precision_loss, reason = "a measure, not a count")]
fn load(parts: &Parts, hub: HubId) -> f64 {
    let of = |(rows, bytes): (usize, usize)| (rows as f64 / MOST_ROWS as f64).max(bytes as f64 / MOST_BYTES as f64);
    of(parts.registry.deltas.amount(hub)).max(of(parts.registry.touches.amount(hub)))
}

async fn fold_hub(parts: &Parts, hub: HubId) -> Result<()> {
    let registry = parts.registry.clone();
    let deltas = parts.engine.read(move |connection| registry.deltas.rows(connection, hub)).await?;
    if !deltas.is_empty() {
        let (numbers, deltas): (Vec<_>, Vec<_>) = deltas.into_iter().unzip();
        let mut sets = ChangedSets::new(deltas);
        loop {
            let slice = sets.next_slice(SETS);
            if slice.is_empty() {
                break;
            }
            let weight = slice.len();
            let rows = parts.engine.read(move |connection| folded(connection, hub, slice)).await?;
            parts.engine.write(Precedence::Fold, weight, move |tx| write_sets(tx, hub, &rows)).await?;
        }
        delete::<Delta>(parts, hub, numbers.clone()).await?;
        parts.registry.deltas.remove(hub, &numbers);
    }
    let registry = parts.registry.clone();
    let touches = parts.engine.read(move |connection| registry.touches.rows(connection, hub)).await?;
    if !touches.is_empty() {
        let (numbers, touches): (Vec<_>, Vec<_>) = touches.into_iter().unzip();
        let mut touched: Vec<i64> = touches.iter().flat_map(|touches| touches.installations()).collect();
        touched.sort_unstable();
        touched.dedup();
        for slice in touched.chunks(TOUCHED) {
            fold_touches(parts, hub, slice.to_vec()).await?;
        }
        delete::<Touches>(parts, hub, numbers.clone()).await?;
        parts.registry.touches.remove(hub, &numbers);
    }
    Ok(())
}

/// Works out set rows from what is there and the changes.
fn folded(connection: &Connection, hub: HubId, changes: Vec<ChangedSet>) -> Result<Vec<SetRow>> {
    let mut statement =
        connection.prepare_cached("SELECT seqs FROM tag_chunk WHERE hub = ?1 AND tag = ?2 AND chunk = ?3")?;
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        let mut found = statement.query(params![hub.0, change.tag, change.chunk.0])?;
        let row = match found.next()? {
            Some(row) => change.folded(Some(row.get_ref(0)?.as_blob().unwrap_or_default()))?,
            None => change.folded(None)?,
        };
        rows.push(row);
    }
    Ok(rows)
}

fn write_sets(tx: &Connection, hub: HubId, rows: &[SetRow]) -> Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO tag_chunk (hub, tag, chunk, cardinality, seqs) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET cardinality = excluded.cardinality, seqs = excluded.seqs",
    )?;
    let mut delete = tx.prepare_cached("DELETE FROM tag_chunk WHERE hub = ?1 AND tag = ?2 AND chunk = ?3")?;
    for row in rows {
        if row.cardinality == 0 {
            delete.execute(params![hub.0, row.tag, row.chunk.0])?;
        } else {
            put.execute(params![hub.0, row.tag, row.chunk.0, row.cardinality, row.seqs])?;
        }
    }
    Ok(())
}

async fn fold_touches(parts: &Parts, hub: HubId, installations: Vec<i64>) -> Result<()> {
    let registry = parts.registry.clone();
    let write = move |tx: &Connection| {
        let touches = registry.newest_touches(tx, hub)?;
        for &no in &installations {
            if let Some(touch) = newest(&touches, no)
                && let Some(row) = rows::get(tx, no)?
            {
                write_times(&mut TxRows { tx, registry: &registry }, &row, hub, touch)?;
            }
        }
        Ok(())
    };
    parts.engine.write(Precedence::Fold, TOUCHED, write).await
}

async fn delete<T: Unfolded>(parts: &Parts, hub: HubId, numbers: Vec<CommitNo>) -> Result<()> {
    let delete = move |tx: &Connection| {
        let mut statement = tx.prepare_cached(T::DELETE)?;
        for number in &numbers {
            statement.execute(params![hub.0, number.0.cast_signed()])?;
        }
        Ok(())
    };
    parts.engine.write(Precedence::Fold, 1, delete).await
}

/// Folds some of the changed sets and deletes nothing, like a fold that a crash ends.
#[cfg(test)]
pub(super) fn fold_some(tx: &Connection, hub: HubId, deltas: Vec<Arc<Delta>>, sets: usize) -> Result<()> {
    let mut slice = ChangedSets::new(deltas).next_slice(SETS);
    slice.truncate(sets);
    write_sets(tx, hub, &folded(tx, hub, slice)?)
}
