//! Folding: what deltas and touches say moves into the rows that they are about, and they go.
//!
//! A hub has one folder at a time over all nodes, by a lock that ends with its transaction. Each transaction folds a
//! bounded number of the oldest rows, writes the set rows and deletes exactly the rows that it folded, all or nothing.
//! Touches are folded in the hub's turn, with what the newest touch says that is there *then*: a PUT that came in
//! between is never undone.

use std::sync::Arc;

use deadpool_postgres::Transaction;

use super::super::error::Done;
use super::super::pool::{Durability, Pool, begin, commit, execute, query, retrying};
use super::super::time::Time;
use super::base::Needs;
use super::hub::lock_sets;
use super::transaction;
use super::unfolded::{self, Known, Unfolded};
use super::working_set::WorkingSet;
use super::{Shared, StoreError};
use crate::model::id::{CommitNo, HubId};
use crate::store::Result;
use crate::store::index::{ChangedSets, Delta, SetRow, Touches, newest};
use crate::store::registration::{HubCommit, Rows, write_times};

/// Deltas or rows of touches in one transaction, and their bytes.
const ROWS: usize = 64;
const BYTES: usize = 1 << 20;
/// Set rows in one statement.
const SETS: usize = 1_024;

/// Folds every hub that nobody else is folding. Answers whether so much came in meanwhile that it is worth going on at
/// once.
pub(super) async fn fold(pool: &Pool, time: &Time, registry: &Shared) -> Done<bool> {
    let mut more = false;
    for hub in hubs(pool).await? {
        relieve(pool, time, registry, hub).await?;
        more |= unfolded::load(&pool.get().await?, hub).await? >= 0.25;
    }
    Ok(more)
}

async fn hubs(pool: &Pool) -> Done<Vec<HubId>> {
    retrying(|| async {
        let client = pool.get().await?;
        let sql = "SELECT hub FROM index_delta UNION SELECT hub FROM touch ORDER BY 1";
        let rows = query(&client, sql, &[]).await?;
        rows.iter().map(|row| Ok(HubId(row.try_get::<_, i32>(0)?.cast_unsigned()))).collect()
    })
    .await
}

/// Folds what waits in a hub now.
pub(super) async fn relieve(pool: &Pool, time: &Time, registry: &Shared, hub: HubId) -> Done<()> {
    while retrying(|| fold_deltas(pool, registry, hub)).await? {}
    while retrying(|| fold_touches(pool, time, registry, hub)).await? {}
    Ok(())
}

/// The oldest rows, as many as one transaction takes, and whether there are more.
async fn oldest<T: Unfolded>(
    known: &Known<T>,
    tx: &Transaction<'_>,
    hub: HubId,
) -> Done<(Vec<CommitNo>, Vec<Arc<T>>, bool)> {
    let mut rows = known.rows(tx, hub).await?;
    let all = rows.len();
    let mut bytes = 0;
    let fits = rows.iter().take(ROWS).take_while(|(_, row)| {
        let begins = bytes < BYTES;
        bytes += row.size();
        begins
    });
    let taken = fits.count();
    rows.truncate(taken);
    let (numbers, rows) = rows.into_iter().unzip();
    Ok((numbers, rows, taken < all))
}

/// One transaction of it. Answers whether another is needed.
async fn fold_deltas(pool: &Pool, registry: &Shared, hub: HubId) -> Done<bool> {
    let mut client = pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    if !lock_sets(&tx, hub).await? {
        return Ok(false);
    }
    let (numbers, deltas, more) = oldest(&registry.deltas, &tx, hub).await?;
    if numbers.is_empty() {
        return Ok(false);
    }
    let mut sets = ChangedSets::new(deltas);
    loop {
        let slice = sets.next_slice(SETS);
        if slice.is_empty() {
            break;
        }
        let tags: Vec<&str> = slice.iter().map(|change| &*change.tag).collect();
        let chunks: Vec<i32> = slice.iter().map(|change| change.chunk.0.cast_signed()).collect();
        let sql = "SELECT wanted.place, t.seqs FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY \
                   AS wanted (tag, chunk, place) JOIN tag_chunk AS t \
                   ON t.hub = $1 AND t.tag = wanted.tag AND t.chunk = wanted.chunk";
        let found = query(&tx, sql, &[&hub.0.cast_signed(), &tags, &chunks]).await?;
        let mut present: Vec<Option<&[u8]>> = vec![None; slice.len()];
        for row in &found {
            let place: i64 = row.try_get(0)?;
            let at = usize::try_from(place - 1).ok().and_then(|at| present.get_mut(at));
            *at.ok_or_else(|| StoreError::Engine("a place beyond the array".to_owned()))? = Some(row.try_get(1)?);
        }
        let rows: Result<Vec<SetRow>> =
            slice.into_iter().zip(present).map(|(change, present)| change.folded(present)).collect();
        write_sets(&tx, hub, &rows?).await?;
    }
    delete::<Delta>(&tx, hub, &numbers).await?;
    commit(tx).await?;
    registry.deltas.remove(hub, &numbers);
    Ok(more)
}

async fn write_sets(tx: &Transaction<'_>, hub: HubId, rows: &[SetRow]) -> Done<()> {
    let id = hub.0.cast_signed();
    let (empty, full): (Vec<&SetRow>, Vec<&SetRow>) = rows.iter().partition(|row| row.cardinality == 0);
    let tags = |rows: &[&SetRow]| rows.iter().map(|row| row.tag.to_string()).collect::<Vec<_>>();
    let chunks = |rows: &[&SetRow]| rows.iter().map(|row| row.chunk.0.cast_signed()).collect::<Vec<_>>();
    let (empty_tags, empty_chunks, full_tags, full_chunks) = (tags(&empty), chunks(&empty), tags(&full), chunks(&full));
    let cardinalities: Vec<i32> = full.iter().map(|row| row.cardinality.cast_signed()).collect();
    let seqs: Vec<&[u8]> = full.iter().map(|row| &*row.seqs).collect();
    if !empty.is_empty() {
        let sql = "DELETE FROM tag_chunk AS t USING unnest($2::text[], $3::integer[]) AS n (tag, chunk) \
                   WHERE t.hub = $1 AND t.tag = n.tag AND t.chunk = n.chunk";
        execute(tx, sql, &[&id, &empty_tags, &empty_chunks]).await?;
    }
    if !full.is_empty() {
        let sql = "INSERT INTO tag_chunk (hub, tag, chunk, cardinality, seqs) \
                   SELECT $1, n.* FROM unnest($2::text[], $3::integer[], $4::integer[], $5::bytea[]) AS n \
                   ON CONFLICT (hub, tag, chunk) DO UPDATE \
                   SET cardinality = excluded.cardinality, seqs = excluded.seqs";
        execute(tx, sql, &[&id, &full_tags, &full_chunks, &cardinalities, &seqs]).await?;
    }
    Ok(())
}

/// One transaction of it. Answers whether another is needed.
async fn fold_touches(pool: &Pool, time: &Time, registry: &Shared, hub: HubId) -> Done<bool> {
    let mut client = pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    if !lock_sets(&tx, hub).await? {
        return Ok(false);
    }
    let turn = match transaction::turn(&tx, time, hub).await {
        Ok(turn) => turn,
        // It was deleted; its rows go with the rest.
        Err(fault) if matches!(fault.error, StoreError::NoHub) => return Ok(false),
        Err(fault) => return Err(fault),
    };
    let (numbers, rows, more) = oldest(&registry.touches, &tx, hub).await?;
    if numbers.is_empty() {
        return Ok(false);
    }
    let touched: Needs = Needs {
        installations: rows.iter().flat_map(|touches| touches.installations()).collect(),
        touches: true,
        ..Needs::default()
    };
    let nos: Vec<i64> = touched.installations.iter().copied().collect();
    let rules = |set: &mut WorkingSet<'_>, _: &mut HubCommit, _| -> Result<()> {
        let touches = set.earlier_touches(hub)?;
        for &no in &nos {
            if let Some(touch) = newest(&touches, no)
                && let Some(row) = set.installation(no)?
            {
                write_times(set, &row, hub, touch)?;
            }
        }
        Ok(())
    };
    transaction::run(&tx, registry, &turn, touched, rules).await?;
    delete::<Touches>(&tx, hub, &numbers).await?;
    commit(tx).await?;
    registry.touches.remove(hub, &numbers);
    Ok(more)
}

async fn delete<T: Unfolded>(tx: &Transaction<'_>, hub: HubId, numbers: &[CommitNo]) -> Done<()> {
    let numbers: Vec<i64> = numbers.iter().map(|number| number.0.cast_signed()).collect();
    execute(tx, T::DELETE, &[&hub.0.cast_signed(), &numbers]).await?;
    Ok(())
}
