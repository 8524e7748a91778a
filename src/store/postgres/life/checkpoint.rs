//! Recording under a lease: nothing is written under an epoch that is no longer valid, and a checkpoint is written
//! whole or not at all.
//!
//! The shard's row is locked first, and the broadcast's row after it, only when it changes: by the close of a shard, and
//! by a reason that is new. So checkpoints of a broadcast's shards do not wait for each other, and of those that close
//! the last shards at once exactly one finds that nothing is left.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use parking_lot::Mutex;

use super::super::Parts;
use super::super::error::{Done, FaultKind};
use super::super::pool::{Durability, begin, commit, relax, retrying};
use super::super::registry;
use super::rows::{
    fetch_broadcast, lock_broadcast, lock_shard, lock_with_broadcast, save_broadcast, save_shard, shares,
};
use super::sets::Loaded;
use super::{inline, reasons, sets};
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, ShardRef};
use crate::model::outcome::{Outcome, Place};
use crate::model::shard::{Lease, LeaseError};
use crate::model::time::{Moment, Timestamp};
use crate::store::life::lease::{gives_reasons, hand_over};
use crate::store::life::ledger::{Judged, Ledger, Source};
use crate::store::life::reasons::Reasons;
use crate::store::life::records::{BroadcastRow, ShardRow, inline_platform};
use crate::store::registration::Removal;
use crate::store::{Checkpoint, CheckpointReply, Destination, Handover};

/// Looks after a commit whose answer was lost.
const LOOKS: u32 = 3;

pub(in super::super) async fn checkpoint(
    parts: &Parts,
    shard: ShardRef,
    epoch: Epoch,
    checkpoint: Checkpoint,
) -> Done<Result<CheckpointReply, LeaseError>> {
    let checkpoint = &checkpoint;
    let doubted = Mutex::new(None);
    let mut looks = 0;
    loop {
        let answer = retrying(|| attempt(parts, shard, epoch, checkpoint, &doubted)).await;
        let Err(fault) = answer else { return answer };
        let wrote = doubted.lock().take();
        let (FaultKind::InDoubt, Some(wrote), true) = (fault.kind, wrote, looks < LOOKS) else { return Err(fault) };
        // Recorded twice it would be refused as corruption; not at all, its targets would be sent again.
        looks += 1;
        if retrying(|| stands(parts, shard, &wrote)).await? {
            return Ok(Ok(wrote.reply));
        }
    }
}

/// What a checkpoint left in the store, whose commit may have been lost.
struct Wrote {
    lease: Lease,
    reply: CheckpointReply,
}

/// Whether it is there. Behind the locks, so that a commit that is still under way is waited for.
async fn stands(parts: &Parts, at: ShardRef, wrote: &Wrote) -> Done<bool> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    let mut found = lock_shard(&tx, at).await?.map(|shard| (shard.lease, shard.counters));
    if found.is_none() {
        let Some(row) = lock_broadcast(&tx, at.broadcast).await?.filter(|row| row.inline) else { return Ok(false) };
        let mut shares = shares(&tx, &row).await?;
        // One that is over has no leases any more; nobody but this checkpoint's holder could end it.
        let over = row.times.finished.is_some();
        found = shares
            .share_mut(at)
            .map(|(_, share)| (if over { wrote.lease } else { share.lease }, share.ledger.counters));
    }
    Ok(found == Some((wrote.lease, wrote.reply.counters)))
}

async fn attempt(
    parts: &Parts,
    at: ShardRef,
    epoch: Epoch,
    checkpoint: &Checkpoint,
    doubted: &Mutex<Option<Wrote>>,
) -> Done<Result<CheckpointReply, LeaseError>> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Synced).await?;
    let fenced = Ok(Err(LeaseError::Fenced { asked: epoch }));
    // One that was planned inline under this number may be an ordinary shard by now.
    let inline = match inline_platform(at.shard) {
        Some(_) => fetch_broadcast(&tx, at.broadcast).await?.is_some_and(|row| row.is_running_inline()),
        None => false,
    };
    // Behind the lock it is looked at again: another node may have ended or spilled it meanwhile.
    let inline = match inline {
        true => lock_broadcast(&tx, at.broadcast).await?.filter(BroadcastRow::is_running_inline),
        false => None,
    };
    let recorded = if let Some(row) = inline {
        let ((), now) = tokio::try_join!(relax(&tx), parts.time.now(&tx))?;
        inline::checkpoint(parts, &tx, row, at, epoch, checkpoint, now).await?
    } else {
        let Some((shard, row, now)) = lock_with_broadcast(&tx, at, &parts.time).await? else { return fenced };
        write(parts, &tx, Held { shard, row, now }, epoch, checkpoint).await?
    };
    let (reply, lease) = match recorded {
        Ok(recorded) => recorded,
        Err(refused) => return Ok(Err(refused)),
    };
    *doubted.lock() = Some(Wrote { lease, reply: reply.clone() });
    commit(tx).await?;
    Ok(Ok(reply))
}

/// A checkpoint's answer, and the lease that it leaves.
pub(super) type Recorded = (CheckpointReply, Lease);

/// A shard's row, locked, and its broadcast's.
struct Held {
    shard: ShardRow,
    row: BroadcastRow,
    now: Timestamp,
}

/// Writes a checkpoint of an ordinary shard.
async fn write(
    parts: &Parts,
    tx: &Transaction<'_>,
    held: Held,
    epoch: Epoch,
    checkpoint: &Checkpoint,
) -> Done<Result<Recorded, LeaseError>> {
    let Held { mut shard, mut row, now } = held;
    let at = shard.at;
    if let Err(refused) = shard.lease.check(epoch, now) {
        return Ok(Err(refused));
    }

    let mut texts =
        if gives_reasons(checkpoint) { numbered(tx, at.broadcast, checkpoint).await? } else { Reasons::default() };
    let mut ledger = Ledger::with_counters(shard.counters);
    let mut loaded = Loaded::new(&shard);
    loaded.fetch(tx, &mut ledger, touched(checkpoint, &mut texts)).await?;
    if checkpoint.judge.is_some() {
        loaded.fetch_staged(tx, &mut ledger).await?;
    }
    ledger.record(&loaded, &mut texts, checkpoint, now)?;
    let judged = checkpoint.judge.map_or(Ok(Vec::new()), |judgement| ledger.judged(&loaded, judgement))?;

    let mut lease = shard.lease;
    let pending = ledger.counters.pending - judged.len() as u64;
    if let Err(refused) = hand_over(&mut lease, epoch, checkpoint, pending, Moment::of_one_clock(now)) {
        return Ok(Err(refused));
    }
    // From here on it is written.
    loaded.fetch(tx, &mut ledger, judged.iter().flat_map(ends_of)).await?;
    let dropped = judge(parts, tx, row.hub, &loaded, &mut ledger, &judged, now).await?;
    let counters = ledger.counters;
    (shard.lease, shard.counters) = (lease, counters);
    tokio::try_join!(
        sets::save(tx, at.broadcast, [(shard.platform, &ledger)]),
        reasons::save(tx, at.broadcast, &texts),
        save_shard(tx, &shard)
    )?;
    let mut finished = false;
    if checkpoint.then == Handover::Close {
        let Some(locked) = lock_broadcast(tx, at.broadcast).await? else {
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        row = locked;
        finished = row.close_shard(&shard, now)?;
        save_broadcast(tx, &row).await?;
    }
    let kept = judged.len() as u64 - dropped;
    Ok(Ok((CheckpointReply { standing: row.standing(now), dropped, kept, finished, counters }, lease)))
}

/// The broadcast's reasons with those of a checkpoint in them. New ones are numbered under the lock of its row.
async fn numbered(tx: &Transaction<'_>, id: BroadcastId, checkpoint: &Checkpoint) -> Done<Reasons> {
    let mut texts = reasons::load(tx, id).await?;
    number(checkpoint, &mut texts);
    if texts.unsaved().next().is_some() {
        lock_broadcast(tx, id).await?;
        texts = reasons::load(tx, id).await?;
        number(checkpoint, &mut texts);
    }
    Ok(texts)
}

fn number(checkpoint: &Checkpoint, texts: &mut Reasons) {
    for step in &checkpoint.moves {
        if let Destination::Done { reason, .. } = &step.to {
            texts.number(reason.as_ref());
        }
    }
    for evidence in &checkpoint.evidence {
        texts.number(Some(&evidence.reason));
    }
}

/// The sets that a checkpoint's moves and evidence touch.
fn touched(checkpoint: &Checkpoint, texts: &mut Reasons) -> BTreeSet<(ChunkNo, Place)> {
    let mut places = BTreeSet::new();
    for step in &checkpoint.moves {
        let to = match &step.to {
            Destination::Retry { attempt, due } => Place::Retry { attempt: *attempt, due: *due },
            Destination::Done { outcome, reason } => {
                Place::Done { outcome: *outcome, reason: texts.number(reason.as_ref()) }
            }
        };
        places.extend([(step.chunk, step.from), (step.chunk, to)]);
    }
    for evidence in &checkpoint.evidence {
        let chunk = evidence.seq.chunk();
        places.extend([(chunk, evidence.from), (chunk, Place::Staged)]);
    }
    places
}

/// Where a judged removal can end.
fn ends_of(judged: &Judged) -> [(ChunkNo, Place); 2] {
    let chunk = judged.seq.chunk();
    [Outcome::Dropped, Outcome::Rejected].map(|outcome| (chunk, Place::Done { outcome, reason: judged.reason }))
}

/// Judges removals inside the transaction. Answers how many targets were removed.
pub(super) async fn judge(
    parts: &Parts,
    tx: &Transaction<'_>,
    hub: HubId,
    source: &impl Source,
    ledger: &mut Ledger,
    judged: &[Judged],
    now: Timestamp,
) -> Done<u64> {
    let asked: Vec<_> = judged.iter().filter(|it| it.may_drop).map(|it| (it.seq, it.since)).collect();
    let mut answers = match asked.is_empty() {
        true => Vec::new(),
        false => registry::drop_dead(parts, tx, hub, &asked, now).await?,
    }
    .into_iter();
    let mut dropped = 0;
    for it in judged {
        let removed = it.may_drop && answers.next() == Some(Removal::Dropped);
        ledger.conclude(source, it, removed, now)?;
        dropped += u64::from(removed);
    }
    Ok(dropped)
}
