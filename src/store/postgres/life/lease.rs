//! Taking a shard: the row is locked, so of two nodes that come at once one finds it held.

use std::time::Duration;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, execute, retrying};
use super::rows::{fetch_broadcast, hub_exists, lock_broadcast, lock_shard, save_shard, shared_request, uuid};
use super::{inline, sets};
use crate::model::id::ShardRef;
use crate::model::shard::LeaseError;
use crate::model::time::Moment;
use crate::store::life::lease::{Portion, portion, take};
use crate::store::{ShardWork, Suspected};

pub(in super::super) async fn lease(
    parts: &Parts,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
) -> Done<Result<ShardWork, LeaseError>> {
    retrying(|| attempt(parts, at, length, suspects)).await
}

async fn attempt(
    parts: &Parts,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
) -> Done<Result<ShardWork, LeaseError>> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    let Some(row) = fetch_broadcast(&tx, at.broadcast).await? else { return Ok(Err(LeaseError::Closed)) };
    if !hub_exists(&tx, row.hub).await? {
        return Ok(Err(LeaseError::Closed));
    }
    if row.is_running_inline() {
        let Some(row) = lock_broadcast(&tx, at.broadcast).await? else { return Ok(Err(LeaseError::Closed)) };
        // Another node may have ended or spilled it meanwhile.
        if row.is_running_inline() {
            let now = parts.time.now(&tx).await?;
            let leased = inline::lease(&tx, row, at, length, suspects, now).await?;
            if leased.is_ok() {
                commit(tx).await?;
            }
            return Ok(leased);
        }
    }
    let Some(mut shard) = lock_shard(&tx, at).await? else { return Ok(Err(LeaseError::Closed)) };
    // Read behind the lock: what its owner wants now.
    let Some(row) = fetch_broadcast(&tx, at.broadcast).await? else { return Ok(Err(LeaseError::Closed)) };
    let now = parts.time.now(&tx).await?;
    let taken = match take(&mut shard.lease, shard.narrowed, &row, length, suspects, Moment::of_one_clock(now)) {
        Ok(taken) => taken,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut chunks = sets::unfinished(&tx, &shard).await?;
    let mut poison = None;
    if taken.suspected {
        let cut = portion(&taken, &mut shard.lease, shard.narrowed, chunks, now);
        Portion { chunks, narrowed: shard.narrowed, poison } = cut;
    }
    save_shard(&tx, &shard).await?;
    if row.times.started.is_none() {
        let sql = "UPDATE broadcast SET started = $2 WHERE id = $1 AND started IS NULL";
        execute(&tx, sql, &[&uuid(row.id), &now.millis()]).await?;
    }
    let work = ShardWork {
        epoch: taken.epoch,
        hub: row.hub,
        platform: shard.platform,
        request: shared_request(&tx, at.broadcast).await?,
        standing: row.standing(now),
        user_bound: row.user_bound,
        chunks,
        strikes: shard.lease.strikes,
        narrowed: shard.narrowed.is_some(),
        poison,
    };
    commit(tx).await?;
    Ok(Ok(work))
}
