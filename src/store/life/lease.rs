//! Who may hold a shard, what of it a holder gets, and what a checkpoint does to its lease.

use std::time::Duration;

use super::records::BroadcastRow;
use crate::model::broadcast::Wish;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Epoch, Seq};
use crate::model::narrowing::{self, Narrowed, Scope};
use crate::model::outcome::Place;
use crate::model::shard::{Lease, LeaseError, LeaseState};
use crate::model::time::{Moment, Timestamp};
use crate::store::{Checkpoint, ChunkWork, Destination, Handover, Suspected};

/// A lease just taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Taken {
    pub(in crate::store) epoch: Epoch,
    /// The lease before it ran out with nothing recorded.
    pub(in crate::store) struck: bool,
    /// The broadcast is to be closed: nothing is sent any more.
    pub(in crate::store) closing: bool,
    /// [`portion`] has to be asked before the lease is committed. Any other shard is handed out whole.
    pub(in crate::store) suspected: bool,
}

/// Takes a lease as the broadcast stands: a paused one is not worked on, unless to close it. `narrowed` is what stands
/// beside the lease. A suspected shard that is left is not touched: nobody is struck for a lease that was never used.
pub(in crate::store) fn take(
    lease: &mut Lease,
    narrowed: Option<Narrowed>,
    row: &BroadcastRow,
    length: Duration,
    suspects: Suspected,
    now: Moment,
) -> Result<Taken, LeaseError> {
    let closing = row.closing(now.wall).is_some();
    if row.wish == Wish::Pause && !closing && lease.state != LeaseState::Closed {
        return Err(LeaseError::Paused);
    }
    let mut after = *lease;
    let epoch = after.take(now, length, closing)?;
    let struck = after.strikes > lease.strikes;
    let suspected = narrowing::concerns(narrowed, struck, after.strikes);
    if suspected && !closing && suspects == Suspected::Leave {
        return Err(LeaseError::Suspected);
    }
    *lease = after;
    Ok(Taken { epoch, struck, closing, suspected })
}

/// What of a shard its holder gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Portion {
    pub(in crate::store) chunks: Vec<ChunkWork>,
    /// To be stored with the shard.
    pub(in crate::store) narrowed: Option<Narrowed>,
    pub(in crate::store) poison: Option<(Seq, Place)>,
}

/// Cuts out what a holder may send of a suspected shard ([`narrowing`]), of all that is unfinished. With every step the
/// row of strikes begins anew.
pub(in crate::store) fn portion(
    taken: &Taken,
    lease: &mut Lease,
    before: Option<Narrowed>,
    chunks: Vec<ChunkWork>,
    now: Timestamp,
) -> Portion {
    if taken.closing {
        return Portion { chunks, narrowed: None, poison: None };
    }
    let sendable: Vec<(ChunkNo, ChunkSet)> = chunks.iter().map(|work| (work.chunk, sendable(work, now))).collect();
    let scope = narrowing::scope(before, taken.struck, lease.strikes, &sendable);
    let narrowed = scope.narrowed();
    if narrowed != before {
        lease.strikes = 0;
    }
    match scope {
        Scope::Open => Portion { chunks, narrowed, poison: None },
        Scope::Narrowed(Narrowed { first, to, .. }) => {
            let chunks = chunks.into_iter().filter_map(|work| cut(work, first, to)).collect();
            Portion { chunks, narrowed, poison: None }
        }
        Scope::Poison(_, seq) => {
            let chunks: Vec<_> = chunks.into_iter().filter_map(|work| cut(work, seq, seq)).collect();
            let place = chunks.iter().find_map(|work| place_of(work, seq));
            Portion { chunks, narrowed, poison: place.map(|place| (seq, place)) }
        }
    }
}

/// What could be sent now.
fn sendable(work: &ChunkWork, now: Timestamp) -> ChunkSet {
    let mut set = work.pending.clone();
    work.retries.iter().filter(|((_, due), _)| *due <= now).for_each(|(_, repeats)| set.union_with(repeats));
    set
}

/// The part of a chunk's work from `first` to `last`; `None` when there is none.
fn cut(work: ChunkWork, first: Seq, last: Seq) -> Option<ChunkWork> {
    let chunk = work.chunk;
    let within = |set: &ChunkSet| narrowing::within(set, chunk, first, last);
    let retries = work.retries.iter().map(|(key, set)| (*key, within(set))).filter(|(_, set)| !set.is_empty());
    let work =
        ChunkWork { chunk, pending: within(&work.pending), retries: retries.collect(), staged: within(&work.staged) };
    let any = !work.pending.is_empty() || !work.retries.is_empty() || !work.staged.is_empty();
    any.then_some(work)
}

fn place_of(work: &ChunkWork, seq: Seq) -> Option<Place> {
    let holds = |set: &ChunkSet| work.chunk == seq.chunk() && set.contains(seq.offset());
    if holds(&work.pending) {
        return Some(Place::Pending);
    }
    let retry = work.retries.iter().find(|(_, set)| holds(set));
    retry.map(|((attempt, due), _)| Place::Retry { attempt: *attempt, due: *due })
}

/// Whether a checkpoint names any reason.
pub(in crate::store) fn gives_reasons(checkpoint: &Checkpoint) -> bool {
    let named = |to: &Destination| matches!(to, Destination::Done { reason: Some(_), .. });
    !checkpoint.evidence.is_empty() || checkpoint.moves.iter().any(|step| named(&step.to))
}

/// Renews, gives back or closes, after a checkpoint that leaves `pending` targets.
pub(in crate::store) fn hand_over(
    lease: &mut Lease,
    epoch: Epoch,
    checkpoint: &Checkpoint,
    pending: u64,
    now: Moment,
) -> Result<(), LeaseError> {
    let now = now.lease;
    let progressed = !checkpoint.moves.is_empty() || !checkpoint.evidence.is_empty() || checkpoint.judge.is_some();
    match checkpoint.then {
        Handover::Keep { length } => lease.renew(epoch, now, length, progressed),
        Handover::GiveBack { due } => {
            // Progress under the lease ends the row of strikes, however the lease ends.
            lease.renew(epoch, now, Duration::from_millis(1), progressed)?;
            lease.give_back(epoch, now, due)
        }
        Handover::Close => lease.close(epoch, now, pending),
    }
}
