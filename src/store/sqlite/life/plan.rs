//! Planning: a leased job that streams. Each step evaluates a stretch of chunks on a reader and commits its sets, its
//! shards and the chunk reached together, under the lease's epoch.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::super::registry::Snapshot;
use super::rows::{fetch_broadcast, hub_exists, insert_shard, request, save_broadcast, save_inline};
use super::sets::{Table, load_reasons, planned, save_reasons};
use crate::model::id::{BroadcastId, Epoch};
use crate::model::shard::LeaseError;
use crate::model::time::Moment;
use crate::store::life::draft::{self, From};
use crate::store::life::plan::{Step, Stepped, apply, stored_audience};
use crate::store::life::reasons::Reasons;
use crate::store::{PlanStep, Result};

pub(in super::super) async fn lease_plan(
    parts: &Arc<Parts>,
    id: BroadcastId,
    length: Duration,
) -> Result<Result<Epoch, LeaseError>> {
    let clock = parts.clock.clone();
    let take = move |tx: &Connection| {
        let now = clock.moment();
        let Some(mut row) = fetch_broadcast(tx, id)? else { return Ok(Err(LeaseError::Closed)) };
        if row.times.planned.is_some() || !hub_exists(tx, row.hub)? {
            return Ok(Err(LeaseError::Closed));
        }
        let closing = row.closing(now.wall).is_some();
        let taken = row.plan.take(now, length, closing);
        if taken.is_ok() {
            save_broadcast(tx, &row)?;
        }
        Ok(taken)
    };
    parts.engine.write(Precedence::Checkpoint, 1, take).await
}

pub(in super::super) async fn plan_step(
    parts: &Arc<Parts>,
    id: BroadcastId,
    epoch: Epoch,
    length: Duration,
) -> Result<Result<PlanStep, LeaseError>> {
    loop {
        let (clock, registry) = (parts.clock.clone(), parts.registry.clone());
        let evaluate = move |connection: &Connection| {
            let Moment { wall: now, lease } = clock.moment();
            let Some(row) = fetch_broadcast(connection, id)? else {
                return Ok(Err(LeaseError::Fenced { asked: epoch }));
            };
            if let Err(refused) = row.plan.check(epoch, lease) {
                return Ok(Err(refused));
            }
            if row.closing(now).is_some() {
                return Ok(Ok(Step::End));
            }
            let request = request(connection, id)?;
            let audience = match stored_audience(&request) {
                Ok(audience) => audience,
                Err(why) => return Ok(Ok(Step::Fail(why))),
            };
            let (chunk, bound) = (row.plan_chunk, row.plan_bound);
            let from = From { chunk, bound, ..From::start(&audience, &request.content) };
            let view = Snapshot::open(&registry, connection, row.hub, now)?;
            let draft = draft::stretch(&view, from, &|platform, chunk| planned(connection, id, platform, chunk))?;
            Ok(Ok(Step::Stretch(row.plan_chunk, Box::new(draft))))
        };
        let step = match parts.engine.read(evaluate).await? {
            Ok(step) => step,
            Err(refused) => return Ok(Err(refused)),
        };
        let weight = step.weight();
        let clock = parts.clock.clone();
        let write = move |tx: &Connection| write(tx, id, epoch, length, &step, clock.moment());
        match parts.engine.write(Precedence::Checkpoint, weight, write).await? {
            Stepped::Made { step, .. } => return Ok(Ok(step)),
            Stepped::Refused(refused) => return Ok(Err(refused)),
            Stepped::Stale => {}
        }
    }
}

fn write(
    tx: &Connection,
    id: BroadcastId,
    epoch: Epoch,
    length: Duration,
    step: &Step,
    now: Moment,
) -> Result<Stepped> {
    let Some(mut row) = fetch_broadcast(tx, id)? else {
        return Ok(Stepped::Refused(LeaseError::Fenced { asked: epoch }));
    };
    let mut reasons = if step.gives_reasons() { load_reasons(tx, id)? } else { Reasons::default() };
    let stepped = apply(&mut row, &mut reasons, step, epoch, length, now)?;
    if let Stepped::Made { inline, shards, .. } = &stepped {
        for (shard, ledger) in shards {
            insert_shard(tx, shard)?;
            Table { connection: tx, shard }.save(ledger)?;
        }
        save_reasons(tx, id, &reasons)?;
        if inline.is_some() {
            save_inline(tx, id, inline.as_deref())?;
        }
        save_broadcast(tx, &row)?;
    }
    Ok(stepped)
}
