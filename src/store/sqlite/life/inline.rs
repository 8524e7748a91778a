//! Small broadcasts that are running: one insert when they were planned, one write when they end, and in between they
//! live here, in memory.
//!
//! An inline plan has one pseudo-shard for each platform, numbered by the platform's code; leases and progress are in
//! the [`Run`]. Two things are written:
//!
//! - **The end.** When the last platform closes: all sets, counters and `finished`, in one row.
//! - **A spill.** What must outlast the process before the end (targets given back unfinished, removals judged while
//!   another platform is still at it) turns the whole broadcast into ordinary rows, under the same shard numbers, with
//!   epochs, leases and progress as they stand, and the checkpoint is then an ordinary one. Holders notice nothing.
//!
//! A crash between the two loses the progress: the plan is then spilled as it was written, and sent again with the same
//! message ids (design.md section 4).
//!
//! A run is reached through its [`Slot`], which stays locked during a write, so that what was decided in memory and
//! what is committed cannot part. A caller that gives up in the middle of a write leaves the run in doubt; the next one
//! settles it by a look at the row.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::super::Parts;
use super::super::engine::Precedence;
use super::checkpoint::{judge, weight, write};
use super::rows::{fetch_broadcast, hub_exists, inline_plan, save_broadcast, save_inline, shared_request};
use super::spill::spill;
use crate::model::broadcast::BroadcastRequest;
use crate::model::id::{BroadcastId, Epoch, ShardRef};
use crate::model::shard::LeaseError;
use crate::model::time::Timestamp;
use crate::store::life::inline::{Recorded, Shares};
use crate::store::life::lease::{portion, take};
use crate::store::life::ledger::Whole;
use crate::store::life::records::BroadcastRow;
use crate::store::{Checkpoint, CheckpointReply, Result, ShardWork, StoreError, Suspected};

/// The runs of this process, by broadcast. A run comes with its first lease and goes with its last write, so that this
/// grows only with what is in flight.
#[derive(Default)]
pub(in super::super) struct Shared {
    slots: Mutex<HashMap<BroadcastId, Arc<AsyncMutex<Slot>>>>,
}

/// A run's place.
pub(super) enum Slot {
    /// Somebody is about to read it from the store.
    Unread,
    Running(Box<Run>),
    /// It ended or was spilled, or never was inline: the rows tell.
    Over,
}

/// An inline plan at work.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: BroadcastId,
    pub(super) request: Arc<BroadcastRequest>,
    pub(super) started: Option<Timestamp>,
    pub(super) shares: Shares,
    /// A write of the end or of a spill was given up by its caller; whether it was committed is not known.
    in_doubt: bool,
}

/// A run, locked.
pub(super) struct Locked {
    slot: OwnedMutexGuard<Slot>,
}

impl Run {
    /// An inline plan as it was written, unheld; its epochs go on from `epoch`.
    pub(super) fn planned(connection: &Connection, row: &BroadcastRow, epoch: Epoch) -> Result<Self> {
        let plan = inline_plan(connection, row.id)?
            .ok_or_else(|| StoreError::Corrupt(format!("the inline plan of {} is missing", row.id)))?;
        Ok(Self {
            id: row.id,
            request: shared_request(connection, row.id)?,
            started: row.times.started,
            shares: Shares::planned(&plan, row.times.due, epoch)?,
            in_doubt: false,
        })
    }
}

impl Locked {
    fn run(&mut self) -> Result<&mut Run> {
        match &mut *self.slot {
            Slot::Running(run) => Ok(run),
            _ => Err(StoreError::Engine("an inline run was left unread".to_owned())),
        }
    }

    /// The run has gone to the rows.
    fn end(mut self, parts: &Parts, id: BroadcastId) {
        *self.slot = Slot::Over;
        parts.life.slots.lock().remove(&id);
    }
}

/// Locks the run of a broadcast; `None` when it has none, so that its rows tell.
pub(super) async fn enter(parts: &Arc<Parts>, id: BroadcastId) -> Result<Option<Locked>> {
    let slot = parts.life.slots.lock().get(&id).cloned();
    let Some(slot) = slot else { return Ok(None) };
    let mut locked = Locked { slot: slot.lock_owned().await };
    let Slot::Running(run) = &mut *locked.slot else { return Ok(None) };
    if run.in_doubt {
        // In the writer, and so after the write in question.
        let open = move |tx: &Connection| Ok(fetch_broadcast(tx, id)?.is_some_and(|row| row.is_running_inline()));
        if !parts.engine.write(Precedence::Checkpoint, 1, open).await? {
            locked.end(parts, id);
            return Ok(None);
        }
        run.in_doubt = false;
    }
    Ok(Some(locked))
}

/// How a broadcast's shards are to be leased.
pub(super) enum Entered {
    Inline(Locked),
    Ordinary,
}

/// Locks the run of a broadcast, reading it from the store when this is its first lease.
pub(super) async fn enter_to_lease(parts: &Arc<Parts>, id: BroadcastId) -> Result<Entered> {
    if let Some(run) = enter(parts, id).await? {
        return Ok(Entered::Inline(run));
    }
    // The slot is taken before the row is read: a run that ends meanwhile cannot come back as it was.
    let unread = || Arc::new(AsyncMutex::new(Slot::Unread));
    let slot = parts.life.slots.lock().entry(id).or_insert_with(unread).clone();
    let mut locked = Locked { slot: slot.lock_owned().await };
    match &*locked.slot {
        Slot::Running(_) => return Ok(Entered::Inline(locked)),
        Slot::Over => return Ok(Entered::Ordinary),
        Slot::Unread => {}
    }
    let read = move |connection: &Connection| match fetch_broadcast(connection, id)? {
        Some(row) if row.is_running_inline() => Run::planned(connection, &row, generation_epoch(connection)?).map(Some),
        _ => Ok(None),
    };
    match parts.engine.read(read).await {
        Ok(Some(run)) => {
            *locked.slot = Slot::Running(Box::new(run));
            Ok(Entered::Inline(locked))
        }
        Ok(None) => {
            locked.end(parts, id);
            Ok(Entered::Ordinary)
        }
        Err(error) => {
            locked.end(parts, id);
            Err(error)
        }
    }
}

/// The first epoch of this opening of the file: above every epoch that an earlier process gave out in memory.
pub(super) fn generation_epoch(connection: &Connection) -> Result<Epoch> {
    let mut query = connection.prepare_cached("SELECT value FROM meta WHERE key = 'generation'")?;
    let generation: i64 = query.query_row([], |row| row.get(0))?;
    Ok(Epoch(generation.unsigned_abs() << 32))
}

/// What readers want to know of the runs at work. Asked before they read the rows, so that the rows are never the older
/// view.
pub(super) async fn of_runs<T>(
    parts: &Arc<Parts>,
    only: Option<BroadcastId>,
    ask: impl Fn(&Run) -> T,
) -> BTreeMap<BroadcastId, T> {
    let slots: Vec<_> = {
        let slots = parts.life.slots.lock();
        match only {
            Some(id) => slots.get(&id).cloned().into_iter().collect(),
            None => slots.values().cloned().collect(),
        }
    };
    let mut answers = BTreeMap::new();
    for slot in slots {
        if let Slot::Running(run) = &*slot.lock().await {
            answers.insert(run.id, ask(run));
        }
    }
    answers
}

/// Leases a platform's share. Nothing is written.
pub(super) async fn lease(
    parts: &Arc<Parts>,
    mut locked: Locked,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
) -> Result<Result<ShardWork, LeaseError>> {
    let read = move |connection: &Connection| {
        let row = fetch_broadcast(connection, at.broadcast)?;
        row.map(|row| Ok((hub_exists(connection, row.hub)?, row))).transpose()
    };
    let row = match parts.engine.read(read).await? {
        Some((true, row)) => row,
        Some((false, _)) | None => {
            locked.end(parts, at.broadcast);
            return Ok(Err(LeaseError::Closed));
        }
    };
    let run = locked.run()?;
    let now = parts.clock.moment();
    let request = run.request.clone();
    let Some((platform, share)) = run.shares.share_mut(at) else { return Ok(Err(LeaseError::Closed)) };
    let taken = match take(&mut share.lease, share.narrowed, &row, length, suspects, now) {
        Ok(taken) => taken,
        Err(refused) => return Ok(Err(refused)),
    };
    let now = now.wall;
    let portion = portion(&taken, &mut share.lease, share.narrowed, share.ledger.unfinished(), now);
    share.narrowed = portion.narrowed;
    let work = ShardWork {
        epoch: taken.epoch,
        hub: row.hub,
        platform,
        request,
        standing: row.standing(now),
        user_bound: row.user_bound,
        chunks: portion.chunks,
        strikes: share.lease.strikes,
        narrowed: portion.narrowed.is_some(),
        poison: portion.poison,
    };
    run.started.get_or_insert(now);
    Ok(Ok(work))
}

/// Records under the lease of a platform's share: in memory, or by one of the two writes.
pub(super) async fn checkpoint(
    parts: &Arc<Parts>,
    mut locked: Locked,
    at: ShardRef,
    epoch: Epoch,
    checkpoint: Arc<Checkpoint>,
) -> Result<Result<CheckpointReply, LeaseError>> {
    let now = parts.clock.moment();
    let run = locked.run()?;
    let recorded = match run.shares.record(at, epoch, &checkpoint, now)? {
        Ok(recorded) => recorded,
        Err(refused) => return Ok(Err(refused)),
    };
    let Recorded { after, judged, counters, ends, leaves_some, .. } = recorded;
    let must_last = !judged.is_empty() || leaves_some;

    if !ends && !must_last {
        let read = move |connection: &Connection| fetch_broadcast(connection, at.broadcast);
        let Some(row) = parts.engine.read(read).await? else {
            locked.end(parts, at.broadcast);
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        run.shares = after;
        let standing = row.standing(parts.clock.now());
        return Ok(Ok(CheckpointReply { standing, dropped: 0, kept: 0, finished: false, counters }));
    }

    run.in_doubt = true;
    let (clock, registry) = (parts.clock.clone(), parts.registry.clone());
    let weight = weight(&checkpoint);
    let before = run.clone();
    let commit = move |tx: &Connection| {
        let now = clock.moment();
        let Some(mut row) = fetch_broadcast(tx, at.broadcast)?.filter(BroadcastRow::is_running_inline) else {
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        if !ends {
            spill(tx, &mut row, &before)?;
            return write(tx, &registry, at, epoch, &checkpoint, now);
        }
        let now = now.wall;
        let mut after = after.clone();
        let Some((_, share)) = after.share_mut(at) else {
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        let dropped = judge(tx, &registry, row.hub, &Whole, &mut share.ledger, &judged, now)?;
        let counters = share.ledger.counters;
        row.times.started = before.started;
        let finished = after.end(&mut row, now);
        save_broadcast(tx, &row)?;
        save_inline(tx, row.id, Some(&after.encode()))?;
        let kept = judged.len() as u64 - dropped;
        Ok(Ok(CheckpointReply { standing: row.standing(now), dropped, kept, finished, counters }))
    };
    let reply = parts.engine.write(Precedence::Checkpoint, weight, commit).await;
    match &reply {
        // Whatever it answers, it says so of rows: the run is spilled, at its end, or its broadcast is gone.
        Ok(_) => locked.end(parts, at.broadcast),
        Err(_) => locked.run()?.in_doubt = false,
    }
    reply
}
