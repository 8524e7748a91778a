//! The bound on what all finished broadcasts take together (`retention.max_gigabytes`). Each is measured once, after its
//! end; now and then one of the nodes adds all up, and when they are too large it removes the oldest before their time.

use deadpool_postgres::Transaction;
use parking_lot::Mutex;
use uuid::Uuid;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, execute, query, query_one, retrying};
use super::retention::remove;
use crate::model::time::Timestamp;
use crate::store::retention::{LOOK_EVERY, ROW_BYTES, oldest};

/// Broadcasts that one slice measures, and removes at most …
const SLICE: i64 = 256;
/// … or fewer that take so much: rows of sets are a page or two each.
const SLICE_BYTES: u64 = 4 << 20;
/// Slices of one look: then the next may be another node's.
const SLICES: u32 = 64;
/// The lock of the node that looks.
const LOCK: i64 = 0x66616e_626f756e;

/// When this process looks next.
#[derive(Debug)]
pub(super) struct Bound(Mutex<Timestamp>);

impl Default for Bound {
    fn default() -> Self {
        Self(Mutex::new(Timestamp::from_millis(i64::MIN)))
    }
}

/// Answers whether more is waiting.
pub(super) async fn sweep(parts: &Parts, now: Timestamp) -> Done<bool> {
    let Some(most) = parts.retention.most else { return Ok(false) };
    let unmeasured = "SELECT 1 FROM broadcast WHERE finished IS NOT NULL AND bytes IS NULL LIMIT 1";
    if !query(&parts.pool.get().await?, unmeasured, &[]).await?.is_empty() {
        measure(parts).await?;
        return Ok(true);
    }
    if now < *parts.life.bound.0.lock() {
        return Ok(false);
    }
    let more = look(parts, most).await?;
    if !more {
        *parts.life.bound.0.lock() = now.plus(LOOK_EVERY);
    }
    Ok(more)
}

async fn measure(parts: &Parts) -> Done<()> {
    let sql = "WITH taken AS (SELECT id, inline FROM broadcast WHERE finished IS NOT NULL AND bytes IS NULL \
                              LIMIT $2 FOR UPDATE SKIP LOCKED) \
               UPDATE broadcast SET bytes = $1::int8 + coalesce(octet_length(taken.inline), 0) \
                   + coalesce((SELECT octet_length(request) FROM broadcast_request WHERE broadcast = taken.id), 0) \
                   + (SELECT count(*) FROM shard WHERE broadcast = taken.id) * $1::int8 \
                   + (SELECT coalesce(sum(octet_length(seqs) + $1::int8), 0)::int8 FROM outcome_chunk \
                      WHERE broadcast = taken.id) \
               FROM taken WHERE broadcast.id = taken.id";
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        execute(&tx, sql, &[&i64::from(ROW_BYTES), &SLICE]).await?;
        commit(tx).await
    })
    .await
}

/// Adds all up and removes what is too much, slice by slice. Another node that does so keeps this one from it.
async fn look(parts: &Parts, most: u64) -> Done<bool> {
    let mut looking = parts.pool.get().await?;
    let looking = begin(&mut looking, Durability::Relaxed).await?;
    if !query_one(&looking, "SELECT pg_try_advisory_xact_lock($1)", &[&LOCK]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let sum = "SELECT coalesce(sum(bytes), 0)::int8 FROM broadcast WHERE finished IS NOT NULL";
    let kept = query_one(&looking, sum, &[]).await?.try_get::<_, i64>(0)?.unsigned_abs();
    let mut over = kept.saturating_sub(most);
    if over > 0 {
        tracing::info!(kept, most, "broadcasts take more than retention.max_gigabytes: the oldest go");
    }
    for _ in 0..SLICES {
        if over == 0 {
            break;
        }
        let freed = retrying(|| async {
            let mut client = parts.pool.get().await?;
            let tx = begin(&mut client, Durability::Relaxed).await?;
            let freed = retire(&tx, over).await?;
            commit(tx).await?;
            Ok(freed)
        })
        .await?;
        // Nothing is there any more: others went by their time in the meantime.
        over = if freed == 0 { 0 } else { over.saturating_sub(freed) };
    }
    commit(looking).await?;
    Ok(over > 0)
}

/// Removes the oldest, as many as must go and a slice may; answers what they took.
async fn retire(tx: &Transaction<'_>, over: u64) -> Done<u64> {
    let sql = "SELECT id, coalesce(bytes, 0) FROM broadcast WHERE finished IS NOT NULL ORDER BY finished LIMIT $1 \
               FOR UPDATE SKIP LOCKED";
    let kept = query(tx, sql, &[&SLICE]).await?;
    let kept = kept.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs())));
    let kept = kept.collect::<Done<Vec<(Uuid, u64)>>>()?;
    let (ids, freed) = oldest(kept, over.min(SLICE_BYTES));
    remove(tx, &ids).await?;
    Ok(freed)
}
