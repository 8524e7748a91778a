//! Recording under a lease: nothing is written under an epoch that is no longer valid, and a checkpoint is written
//! whole or not at all.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::super::registry::{self, Removal};
use super::inline;
use super::rows::{fetch_broadcast, fetch_shard, save_broadcast, save_shard};
use super::sets::{Table, load_reasons, save_reasons};
use crate::model::id::{Epoch, HubId, ShardRef};
use crate::model::shard::LeaseError;
use crate::model::time::{Moment, Timestamp};
use crate::store::life::lease::{gives_reasons, hand_over};
use crate::store::life::ledger::{Judged, Ledger, Source};
use crate::store::life::reasons::Reasons;
use crate::store::{Checkpoint, CheckpointReply, Handover, Result};

pub(in super::super) async fn checkpoint(
    parts: &Arc<Parts>,
    shard: ShardRef,
    epoch: Epoch,
    checkpoint: Checkpoint,
) -> Result<Result<CheckpointReply, LeaseError>> {
    let checkpoint = Arc::new(checkpoint);
    if let Some(run) = inline::enter(parts, shard.broadcast).await? {
        return inline::checkpoint(parts, run, shard, epoch, checkpoint).await;
    }
    let (clock, registry) = (parts.clock.clone(), parts.registry.clone());
    let weight = weight(&checkpoint);
    let write = move |tx: &Connection| write(tx, &registry, shard, epoch, &checkpoint, clock.moment());
    parts.engine.write(Precedence::Checkpoint, weight, write).await
}

/// What it takes of the writer's group: two sets a move, and a removal is a registration backwards.
pub(super) fn weight(checkpoint: &Checkpoint) -> usize {
    1 + 2 * checkpoint.moves.len() + 4 * checkpoint.evidence.len()
}

/// Writes a checkpoint of an ordinary shard.
pub(super) fn write(
    tx: &Connection,
    registry: &registry::Shared,
    at: ShardRef,
    epoch: Epoch,
    checkpoint: &Checkpoint,
    now: Moment,
) -> Result<Result<CheckpointReply, LeaseError>> {
    let (Some(mut shard), Some(mut broadcast)) = (fetch_shard(tx, at)?, fetch_broadcast(tx, at.broadcast)?) else {
        return Ok(Err(LeaseError::Fenced { asked: epoch }));
    };
    if let Err(refused) = shard.lease.check(epoch, now.lease) {
        return Ok(Err(refused));
    }
    let table = Table { connection: tx, shard: &shard };
    let mut reasons = if gives_reasons(checkpoint) { load_reasons(tx, at.broadcast)? } else { Reasons::default() };
    let mut ledger = Ledger::with_counters(shard.counters);
    ledger.record(&table, &mut reasons, checkpoint, now.wall)?;
    let judged = checkpoint.judge.map_or(Ok(Vec::new()), |judgement| ledger.judged(&table, judgement))?;

    let mut lease = shard.lease;
    let pending = ledger.counters.pending - judged.len() as u64;
    if let Err(refused) = hand_over(&mut lease, epoch, checkpoint, pending, now) {
        return Ok(Err(refused));
    }
    // From here on it is written.
    let now = now.wall;
    let dropped = judge(tx, registry, broadcast.hub, &table, &mut ledger, &judged, now)?;
    table.save(&ledger)?;
    save_reasons(tx, at.broadcast, &reasons)?;
    let counters = ledger.counters;
    (shard.lease, shard.counters) = (lease, counters);
    save_shard(tx, &shard)?;
    let mut finished = false;
    if checkpoint.then == Handover::Close {
        finished = broadcast.close_shard(&shard, now)?;
        save_broadcast(tx, &broadcast)?;
    }
    let kept = judged.len() as u64 - dropped;
    Ok(Ok(CheckpointReply { standing: broadcast.standing(now), dropped, kept, finished, counters }))
}

/// Judges removals inside the writer's transaction. Answers how many targets were removed.
pub(super) fn judge(
    tx: &Connection,
    registry: &registry::Shared,
    hub: HubId,
    source: &impl Source,
    ledger: &mut Ledger,
    judged: &[Judged],
    now: Timestamp,
) -> Result<u64> {
    let mut dropped = 0;
    for it in judged {
        let removed = it.may_drop && registry::drop_dead(tx, registry, hub, it.seq, it.since, now)? == Removal::Dropped;
        ledger.conclude(source, it, removed, now)?;
        dropped += u64::from(removed);
    }
    Ok(dropped)
}
