//! Small broadcasts: their plan, its progress and its pseudo-shards' leases live in the broadcast's own row, so that any
//! node can go on from there. Every lease and checkpoint of one is a locked read, change and write of that row.
//!
//! What is not final after the first pass becomes ordinary shards: when targets are given back unfinished, and when a
//! share is taken again after a lease of it ran out with nothing recorded.

use std::time::Duration;

use deadpool_postgres::Transaction;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::execute;
use super::checkpoint::judge;
use super::rows::{insert_shards, save_broadcast, save_inline, shared_request, shares, uuid};
use super::{leases, reasons, sets};
use crate::model::id::{Epoch, ShardRef};
use crate::model::shard::LeaseError;
use crate::model::time::{Moment, Timestamp};
use crate::store::life::codec;
use crate::store::life::inline::{Recorded, Shares};
use crate::store::life::lease::take;
use crate::store::life::ledger::Whole;
use crate::store::life::records::BroadcastRow;
use crate::store::{Checkpoint, CheckpointReply, ShardWork, Suspected};

/// Leases a platform's share. The row is locked.
pub(super) async fn lease(
    tx: &Transaction<'_>,
    mut row: BroadcastRow,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
    now: Timestamp,
) -> Done<Result<ShardWork, LeaseError>> {
    let mut all = shares(tx, &row).await?;
    let Some((platform, share)) = all.share_mut(at) else { return Ok(Err(LeaseError::Closed)) };
    let taken = match take(&mut share.lease, None, &row, length, suspects, Moment::of_one_clock(now)) {
        Ok(taken) => taken,
        Err(refused) => return Ok(Err(refused)),
    };
    let work = ShardWork {
        epoch: taken.epoch,
        hub: row.hub,
        platform,
        request: shared_request(tx, row.id).await?,
        standing: row.standing(now),
        user_bound: row.user_bound,
        chunks: share.ledger.unfinished(),
        strikes: share.lease.strikes,
        // After its first strike it is no inline plan any more.
        narrowed: false,
        poison: None,
    };
    row.times.started.get_or_insert(now);
    if taken.struck {
        spill(tx, &mut row, &all).await?;
    } else {
        let sql = "UPDATE broadcast SET inline_leases = $2, started = $3 WHERE id = $1";
        let started = row.times.started.map(Timestamp::millis);
        execute(tx, sql, &[&uuid(row.id), &leases::encode(&all), &started]).await?;
    }
    Ok(Ok(work))
}

/// Records under the lease of a platform's share. The row is locked.
pub(super) async fn checkpoint(
    parts: &Parts,
    tx: &Transaction<'_>,
    mut row: BroadcastRow,
    at: ShardRef,
    epoch: Epoch,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Done<Result<super::checkpoint::Recorded, LeaseError>> {
    let before = shares(tx, &row).await?;
    let recorded = match before.record(at, epoch, checkpoint, Moment::of_one_clock(now))? {
        Ok(recorded) => recorded,
        Err(refused) => return Ok(Err(refused)),
    };
    let Recorded { mut after, judged, ends, leaves_some, .. } = recorded;
    let Some((_, share)) = after.share_mut(at) else { return Ok(Err(LeaseError::Fenced { asked: epoch })) };
    let dropped = judge(parts, tx, row.hub, &Whole, &mut share.ledger, &judged, now).await?;
    let (counters, lease) = (share.ledger.counters, share.lease);
    let mut finished = false;
    if leaves_some {
        spill(tx, &mut row, &after).await?;
    } else {
        if ends {
            finished = after.end(&mut row, now);
        } else {
            row.sums = after.sums();
        }
        save(tx, &row, &after).await?;
    }
    let kept = judged.len() as u64 - dropped;
    Ok(Ok((CheckpointReply { standing: row.standing(now), dropped, kept, finished, counters }, lease)))
}

/// Writes what a checkpoint changes, in one version of the row.
async fn save(tx: &Transaction<'_>, row: &BroadcastRow, shares: &Shares) -> Done<()> {
    let sql = "UPDATE broadcast SET finished = $2, open_shards = $3, counters = $4, inline = $5, inline_leases = $6 \
               WHERE id = $1";
    // One that is over needs no leases any more.
    let held = row.times.finished.is_none().then(|| leases::encode(shares));
    let finished = row.times.finished.map(Timestamp::millis);
    let (open, sums) = (row.open_shards.cast_signed(), codec::encode_sums(&row.sums));
    execute(tx, sql, &[&uuid(row.id), &finished, &open, &sums, &shares.encode(), &held]).await?;
    Ok(())
}

/// Turns the shares into ordinary rows.
async fn spill(tx: &Transaction<'_>, row: &mut BroadcastRow, shares: &Shares) -> Done<()> {
    let made = shares.spill(row);
    let shards: Vec<_> = made.iter().map(|(shard, _)| shard.clone()).collect();
    insert_shards(tx, &shards).await?;
    sets::save(tx, row.id, made.iter().map(|(shard, ledger)| (shard.platform, ledger))).await?;
    reasons::save(tx, row.id, &shares.reasons).await?;
    save_inline(tx, row.id, None, None).await?;
    save_broadcast(tx, row).await
}
