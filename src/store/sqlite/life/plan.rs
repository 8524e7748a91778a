//! Planning: a leased job that streams. Each step evaluates a stretch of chunks on a reader and commits its sets, its
//! shards and the chunk reached together, under the lease's epoch.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::accept::plan_inline;
use super::draft::{Draft, From, Planned, ledger_of};
use super::reasons::Reasons;
use super::rows::{BroadcastRow, ShardRow, hub_exists, request};
use super::sets::Table;
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::id::{BroadcastId, ChunkNo, Epoch, ShardNo, ShardRef};
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseError, LeaseState};
use crate::model::time::Timestamp;
use crate::store::{PlanStep, Result, StoreError};

/// A shard is cut when it has that many targets.
const SHARD_TARGETS: u64 = 32_768;

pub(in super::super) async fn lease_plan(
    parts: &Arc<Parts>,
    id: BroadcastId,
    length: Duration,
) -> Result<Result<Epoch, LeaseError>> {
    let clock = parts.clock.clone();
    let take = move |tx: &Connection| {
        let now = clock.now();
        let Some(mut row) = BroadcastRow::fetch(tx, id)? else { return Ok(Err(LeaseError::Closed)) };
        if row.times.planned.is_some() || !hub_exists(tx, row.hub)? {
            return Ok(Err(LeaseError::Closed));
        }
        let closing = row.closing(now).is_some();
        let taken = row.plan.take(now, length, closing);
        if taken.is_ok() {
            row.save(tx)?;
        }
        Ok(taken)
    };
    parts.engine.write(Precedence::Checkpoint, 1, take).await
}

/// What there is to write in a step.
enum Step {
    /// The broadcast was cancelled or is over: planning ends where it is.
    End,
    /// No plan can ever be made.
    Fail(String),
    /// The stretch that begins at this chunk.
    Stretch(ChunkNo, Box<Draft>),
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
            let now = clock.now();
            let Some(row) = BroadcastRow::fetch(connection, id)? else {
                return Ok(Err(LeaseError::Fenced { asked: epoch }));
            };
            if let Err(refused) = row.plan.check(epoch, now) {
                return Ok(Err(refused));
            }
            if row.closing(now).is_some() {
                return Ok(Ok(Step::End));
            }
            let request = request(connection, id)?;
            // It was checked when it was accepted, perhaps under other limits.
            let unlimited = AudienceLimits { terms: usize::MAX, ..AudienceLimits::default() };
            let audience = match Audience::parse(&request.audience, &unlimited) {
                Ok(audience) => audience,
                Err(error) => return Ok(Ok(Step::Fail(format!("the audience cannot be read: {error}")))),
            };
            let from = From {
                hub: row.hub,
                audience: &audience,
                content: &request.content,
                broadcast: Some(id),
                chunk: row.plan_chunk,
                bound: row.plan_bound,
            };
            let draft = Draft::evaluate(&registry, connection, from, false, now)?;
            Ok(Ok(Step::Stretch(row.plan_chunk, Box::new(draft))))
        };
        let step = match parts.engine.read(evaluate).await? {
            Ok(step) => step,
            Err(refused) => return Ok(Err(refused)),
        };
        let weight = if let Step::Stretch(_, draft) = &step { draft.weight().max(1) } else { 1 };
        let clock = parts.clock.clone();
        let write = move |tx: &Connection| write(tx, id, epoch, length, &step, clock.now());
        match parts.engine.write(Precedence::Checkpoint, weight, write).await? {
            Written::Step(step) => return Ok(Ok(step)),
            Written::Refused(refused) => return Ok(Err(refused)),
            // A step of the same holder, given up by its caller, was committed in between.
            Written::Stale => {}
        }
    }
}

enum Written {
    Step(PlanStep),
    Refused(LeaseError),
    Stale,
}

fn write(
    tx: &Connection,
    id: BroadcastId,
    epoch: Epoch,
    length: Duration,
    step: &Step,
    now: Timestamp,
) -> Result<Written> {
    let Some(mut row) = BroadcastRow::fetch(tx, id)? else {
        return Ok(Written::Refused(LeaseError::Fenced { asked: epoch }));
    };
    if let Err(refused) = row.plan.renew(epoch, now, length, true) {
        return Ok(Written::Refused(refused));
    }
    let mut made = PlanStep::default();
    match step {
        _ if row.closing(now).is_some() => row.end_planning(now),
        Step::End => row.end_planning(now),
        Step::Fail(why) => {
            row.failure = Some(why.clone());
            row.end_planning(now);
        }
        Step::Stretch(from, _) if *from != row.plan_chunk => return Ok(Written::Stale),
        Step::Stretch(_, draft) => {
            made.targeted = draft.targeted();
            made.duplicates = draft.duplicates();
            if draft.small {
                let inline = plan_inline(&mut row, draft, now);
                row.save_inline(tx, Some(&inline))?;
            } else {
                write_stretch(tx, &mut row, draft, now)?;
            }
        }
    }
    made.done = row.times.planned.is_some();
    row.save(tx)?;
    Ok(Written::Step(made))
}

fn write_stretch(tx: &Connection, row: &mut BroadcastRow, draft: &Draft, now: Timestamp) -> Result<()> {
    if row.plan_bound.is_none() {
        row.plan_bound = Some(draft.bound);
        row.user_bound = draft.user_bound;
    }
    let mut reasons = Reasons::load(tx, row.id)?;
    for (platform, chunks) in &draft.platforms {
        let mut targeted = 0;
        let shards = chunks.split_inclusive(|planned| {
            targeted += planned.targeted();
            let full = targeted >= SHARD_TARGETS;
            if full {
                targeted = 0;
            }
            full
        });
        for chunks in shards {
            write_shard(tx, row, *platform, chunks, &mut reasons, now)?;
        }
    }
    reasons.save(tx, row.id)?;
    match draft.next {
        Some(next) => row.plan_chunk = next,
        None => row.end_planning(now),
    }
    Ok(())
}

fn write_shard(
    tx: &Connection,
    row: &mut BroadcastRow,
    platform: Platform,
    chunks: &[Planned],
    reasons: &mut Reasons,
    now: Timestamp,
) -> Result<()> {
    let ledger = ledger_of(chunks, reasons, now);
    let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else {
        return Err(StoreError::Engine("a shard without chunks".to_owned()));
    };
    let mut shard = ShardRow {
        at: ShardRef { broadcast: row.id, shard: ShardNo(row.next_shard) },
        platform,
        first_chunk: first.chunk,
        last_chunk: last.chunk,
        lease: Lease::new(now),
        counters: ledger.counters,
    };
    row.next_shard += 1;
    if ledger.counters.pending > 0 {
        row.open_shards += 1;
    } else {
        // Nothing but duplicates: nobody has to take it.
        shard.lease.state = LeaseState::Closed;
        *row.sums.entry(platform).or_default() += ledger.counters;
    }
    shard.insert(tx)?;
    Table { connection: tx, shard: &shard }.save(&ledger)
}
