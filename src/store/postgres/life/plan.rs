//! Planning: a leased job that streams. Each step evaluates a stretch of chunks on a snapshot and commits its sets, its
//! shards and the chunk reached together, under the lock of the broadcast's row and the epoch of the lease.

use std::time::Duration;

use tokio::runtime::Handle;

use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, retrying};
use super::super::{Parts, StoreError, registry};
use super::rows::{fetch_broadcast, hub_exists, insert_shards, lock_broadcast, request, save_broadcast, save_inline};
use super::{reasons, sets};
use crate::model::id::{BroadcastId, Epoch};
use crate::model::shard::LeaseError;
use crate::model::time::{Moment, Timestamp};
use crate::store::life::draft::{self, From};
use crate::store::life::plan::{Draft, Step, Stepped, apply, stored_audience};
use crate::store::life::reasons::Reasons;
use crate::store::life::records::BroadcastRow;
use crate::store::{NewBroadcast, PlanStep};

/// The whole audience of a broadcast to be accepted, if it is small.
pub(super) async fn small(parts: &Parts, new: &NewBroadcast, now: Timestamp) -> Done<Draft> {
    let (hub, new) = (new.hub, new.clone());
    registry::on_view(parts, hub, now, move |view| draft::small(view, From::first(&new))).await
}

pub(in super::super) async fn lease_plan(
    parts: &Parts,
    id: BroadcastId,
    length: Duration,
) -> Done<Result<Epoch, LeaseError>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        let Some(mut row) = lock_broadcast(&tx, id).await? else { return Ok(Err(LeaseError::Closed)) };
        if row.times.planned.is_some() || !hub_exists(&tx, row.hub).await? {
            return Ok(Err(LeaseError::Closed));
        }
        let now = parts.time.now(&tx).await?;
        let closing = row.closing(now).is_some();
        let epoch = match row.plan.take(Moment::of_one_clock(now), length, closing) {
            Ok(epoch) => epoch,
            Err(refused) => return Ok(Err(refused)),
        };
        save_broadcast(&tx, &row).await?;
        commit(tx).await?;
        Ok(Ok(epoch))
    })
    .await
}

pub(in super::super) async fn plan_step(
    parts: &Parts,
    id: BroadcastId,
    epoch: Epoch,
    length: Duration,
) -> Done<Result<PlanStep, LeaseError>> {
    loop {
        let step = match next(parts, id, epoch).await? {
            Ok(step) => step,
            Err(refused) => return Ok(Err(refused)),
        };
        match retrying(|| write(parts, id, epoch, length, &step)).await? {
            Stepped::Made { step, .. } => return Ok(Ok(step)),
            Stepped::Refused(refused) => return Ok(Err(refused)),
            Stepped::Stale => {}
        }
    }
}

/// What the planner has to write next.
async fn next(parts: &Parts, id: BroadcastId, epoch: Epoch) -> Done<Result<Step, LeaseError>> {
    let begun = retrying(|| async {
        let client = parts.pool.get().await?;
        let Some(row) = fetch_broadcast(&client, id).await? else {
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        let now = parts.time.now(&client).await?;
        if let Err(refused) = row.plan.check(epoch, now) {
            return Ok(Err(refused));
        }
        Ok(Ok((request(&client, id).await?, row, now)))
    });
    let (request, row, now) = match begun.await? {
        Ok(begun) => begun,
        Err(refused) => return Ok(Err(refused)),
    };
    if row.closing(now).is_some() {
        return Ok(Ok(Step::End));
    }
    let audience = match stored_audience(&request) {
        Ok(audience) => audience,
        Err(why) => return Ok(Ok(Step::Fail(why))),
    };
    let BroadcastRow { hub, plan_chunk: chunk, plan_bound: bound, .. } = row;
    // Evaluation waits for the database on a thread that may wait, and so do its look-ups of what was planned before.
    let (pool, runtime) = (parts.pool.clone(), Handle::current());
    let evaluate = move |view: &registry::View| {
        let from = From { chunk, bound, ..From::start(&audience, &request.content) };
        let planned = |platform, chunk| {
            let read = async { sets::planned(&pool.get().await?, id, platform, chunk).await };
            runtime.block_on(read).map_err(StoreError::from)
        };
        draft::stretch(view, from, &planned)
    };
    let draft = registry::on_view(parts, hub, now, evaluate).await?;
    Ok(Ok(Step::Stretch(chunk, Box::new(draft))))
}

/// Writes a step, if its planner still holds the lease.
pub(super) async fn write(
    parts: &Parts,
    id: BroadcastId,
    epoch: Epoch,
    length: Duration,
    step: &Step,
) -> Done<Stepped> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    let Some(mut row) = lock_broadcast(&tx, id).await? else {
        return Ok(Stepped::Refused(LeaseError::Fenced { asked: epoch }));
    };
    let now = parts.time.now(&tx).await?;
    let mut texts = if step.gives_reasons() { reasons::load(&tx, id).await? } else { Reasons::default() };
    let stepped = apply(&mut row, &mut texts, step, epoch, length, Moment::of_one_clock(now))?;
    if let Stepped::Made { inline, shards, .. } = &stepped {
        if !shards.is_empty() {
            let rows: Vec<_> = shards.iter().map(|(shard, _)| shard.clone()).collect();
            insert_shards(&tx, &rows).await?;
            sets::save(&tx, id, shards.iter().map(|(shard, ledger)| (shard.platform, ledger))).await?;
        }
        reasons::save(&tx, id, &texts).await?;
        if inline.is_some() {
            save_inline(&tx, id, inline.as_deref(), None).await?;
        }
        save_broadcast(&tx, &row).await?;
        commit(tx).await?;
    }
    Ok(stepped)
}
