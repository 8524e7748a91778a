//! The bound on what all finished broadcasts take together (`retention.max_gigabytes`). Each is measured once, after its
//! end; now and then all are added up, and when they are too large the oldest are retired before their time.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, params};

use super::super::Parts;
use super::super::engine::Precedence;
use super::retention::{SLICE, take_out};
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::retention::{LOOK_EVERY, ROW_BYTES, oldest};

/// Broadcasts that one slice measures: the sets of a large one are thousands.
const MEASURED: i64 = 32;

/// How far this process is.
#[derive(Debug)]
pub(in super::super) struct Bound(Mutex<Standing>);

#[derive(Clone, Copy, Debug)]
struct Standing {
    /// When all are added up next.
    next_look: Timestamp,
    /// What is still to be freed, bytes.
    over: u64,
}

impl Default for Bound {
    fn default() -> Self {
        Self(Mutex::new(Standing { next_look: Timestamp::from_millis(i64::MIN), over: 0 }))
    }
}

/// One slice. Answers whether more is waiting.
pub(super) async fn sweep(parts: &Arc<Parts>) -> Result<bool> {
    let Some(most) = parts.retention.most else { return Ok(false) };
    let unmeasured = "SELECT 1 FROM broadcast WHERE finished IS NOT NULL AND bytes IS NULL";
    if parts.engine.read(move |connection| Ok(connection.prepare_cached(unmeasured)?.exists([])?)).await? {
        parts.engine.write(Precedence::Sweep, usize::try_from(MEASURED).unwrap_or(1), measure).await?;
        return Ok(true);
    }
    let mut standing = *parts.bound.0.lock();
    let now = parts.clock.moment().lease;
    if standing.over == 0 {
        if now < standing.next_look {
            return Ok(false);
        }
        let sum = "SELECT coalesce(sum(bytes), 0) FROM broadcast WHERE finished IS NOT NULL";
        let read = move |connection: &Connection| {
            Ok(connection.prepare_cached(sum)?.query_row([], |row| row.get::<_, i64>(0))?)
        };
        let kept = parts.engine.read(read).await?.unsigned_abs();
        standing = Standing { next_look: now.plus(LOOK_EVERY), over: kept.saturating_sub(most) };
        if standing.over > 0 {
            tracing::info!(kept, most, "broadcasts take more than retention.max_gigabytes: the oldest go");
        }
    }
    let over = standing.over;
    if over > 0 {
        let freed = parts
            .engine
            .write(Precedence::Sweep, usize::try_from(SLICE).unwrap_or(1), move |tx| retire(tx, over))
            .await?;
        // Others went by their time in the meantime.
        standing.over = if freed == 0 { 0 } else { over.saturating_sub(freed) };
    }
    *parts.bound.0.lock() = standing;
    Ok(standing.over > 0)
}

fn measure(tx: &Connection) -> Result<()> {
    let sql = "UPDATE broadcast SET bytes = ?1 + coalesce(length(inline), 0) \
                   + coalesce((SELECT length(request) FROM broadcast_request WHERE broadcast = id), 0) \
                   + (SELECT count(*) FROM shard WHERE broadcast = id) * ?1 \
                   + (SELECT coalesce(sum(length(seqs) + ?1), 0) FROM outcome_chunk WHERE broadcast = broadcast.id) \
               WHERE id IN (SELECT id FROM broadcast WHERE finished IS NOT NULL AND bytes IS NULL LIMIT ?2)";
    tx.prepare_cached(sql)?.execute(params![ROW_BYTES, MEASURED])?;
    Ok(())
}

/// Retires the oldest, as many as must go and a slice may; answers what they take.
fn retire(tx: &Connection, over: u64) -> Result<u64> {
    // Each form has its own index by the end.
    let sql = "SELECT id, bytes FROM ( \
                   SELECT * FROM (SELECT id, bytes, finished FROM broadcast \
                                  WHERE finished IS NOT NULL AND inline IS NOT NULL ORDER BY finished LIMIT ?1) \
                   UNION ALL \
                   SELECT * FROM (SELECT id, bytes, finished FROM broadcast \
                                  WHERE finished IS NOT NULL AND inline IS NULL ORDER BY finished LIMIT ?1)) \
               ORDER BY finished LIMIT ?1";
    let mut kept = tx.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0).unsigned_abs()));
    let kept = kept.query_map([SLICE], read)?.collect::<std::result::Result<Vec<([u8; 16], u64)>, _>>()?;
    let (ids, freed) = oldest(kept, over);
    take_out(tx, &ids)?;
    Ok(freed)
}
