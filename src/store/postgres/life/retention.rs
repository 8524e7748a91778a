//! The end of what is kept: a broadcast past its time goes with all of its rows, and a day's partitions once none of its
//! broadcasts is left. What a deleted hub had goes with the hub (`registry`).

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, execute, query, retrying};
use super::bound;

/// Broadcasts that one slice takes out: many that were planned inline, whose rows are few …
const SMALL: i64 = 256;
/// … or one with set rows, which may be thousands.
const LARGE: i64 = 1;

/// One slice. Answers whether more is waiting. Several nodes may sweep at once: none waits for another's rows.
pub(in super::super) async fn sweep(parts: &Parts) -> Done<bool> {
    let now = parts.time.now(&parts.pool.get().await?).await?;
    let before =
        |keep: std::time::Duration| now.millis().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let small = retire(parts, "inline IS NOT NULL", before(parts.retention.small), SMALL).await?;
    let large = retire(parts, "inline IS NULL", before(parts.retention.large), LARGE).await?;
    let bounded = bound::sweep(parts, now).await?;
    let dropped = parts.life.partitions.drop_one(parts, now).await?;
    Ok(small || large || bounded || dropped)
}

/// Removes broadcasts that ended before then; answers whether as many as a slice may have been there.
async fn retire(parts: &Parts, form: &str, before: i64, limit: i64) -> Done<bool> {
    let due = format!("SELECT id FROM broadcast WHERE finished <= $1 AND {form} ORDER BY finished LIMIT $2");
    // Almost always there is nothing to do, and that is found out without a transaction.
    if query(&parts.pool.get().await?, &due, &[&before, &1_i64]).await?.is_empty() {
        return Ok(false);
    }
    let taken = format!("{due} FOR UPDATE SKIP LOCKED");
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        let ids = query(&tx, &taken, &[&before, &limit]).await?;
        let ids = ids.iter().map(|row| Ok(row.try_get(0)?)).collect::<Done<Vec<Uuid>>>()?;
        remove(&tx, &ids).await?;
        commit(tx).await?;
        Ok(i64::try_from(ids.len()).is_ok_and(|removed| removed == limit))
    })
    .await
}

/// Removes broadcasts with all of their rows.
pub(super) async fn remove(tx: &Transaction<'_>, ids: &[Uuid]) -> Done<()> {
    for table in ["outcome_chunk", "shard", "reason", "broadcast_request"] {
        execute(tx, &format!("DELETE FROM {table} WHERE broadcast = ANY ($1)"), &[&ids]).await?;
    }
    execute(tx, "DELETE FROM broadcast WHERE id = ANY ($1)", &[&ids]).await?;
    Ok(())
}
