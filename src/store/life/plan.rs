//! An audience written down: the next stretch of a plan as it was evaluated, and what it does to the broadcast's row,
//! its shards and their sets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::codec;
use super::ledger::Ledger;
use super::reasons::Reasons;
use super::records::{BroadcastRow, ShardRow, inline_shard};
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::broadcast::BroadcastRequest;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Epoch, Seq, ShardNo, ShardRef};
use crate::model::outcome::reason;
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseError, LeaseState};
use crate::model::time::{Moment, Timestamp};
use crate::store::{PlanStep, ReadyWork, Result, StoreError, Work};

/// How long an idempotency key is kept.
pub(in crate::store) const KEY_LIFE: Duration = Duration::from_secs(86_400);

/// An audience with at most that many targets is planned inline.
pub(in crate::store) const INLINE_TARGETS: u64 = 2_048;

/// A shard is cut when it has that many targets.
const SHARD_TARGETS: u64 = 32_768;

/// A stretch, ready to be written.
#[derive(Clone, Debug)]
pub(in crate::store) struct Draft {
    /// Whole chunks of each platform, ascending.
    pub(in crate::store) platforms: BTreeMap<Platform, Vec<Planned>>,
    pub(in crate::store) bound: Seq,
    /// Noted when the audience names a user.
    pub(in crate::store) user_bound: Option<u64>,
    /// Where the next stretch begins; `None` after the last.
    pub(in crate::store) next: Option<ChunkNo>,
    /// The whole audience is small enough for an inline plan, and all of it is here.
    pub(in crate::store) small: bool,
}

/// The targets of one chunk and platform.
#[derive(Clone, Debug)]
pub(in crate::store) struct Planned {
    pub(in crate::store) chunk: ChunkNo,
    pub(in crate::store) pending: ChunkSet,
    pub(in crate::store) duplicates: ChunkSet,
}

impl Planned {
    fn targeted(&self) -> u64 {
        u64::from(self.pending.len()) + u64::from(self.duplicates.len())
    }
}

impl Draft {
    /// How many targets it has.
    fn targeted(&self) -> u64 {
        self.platforms.values().flatten().map(Planned::targeted).sum()
    }

    /// How many duplicates were found, by platform.
    pub(in crate::store) fn duplicates(&self) -> BTreeMap<Platform, u64> {
        let sums = self.platforms.iter().map(|(platform, chunks)| {
            (*platform, chunks.iter().map(|planned| u64::from(planned.duplicates.len())).sum::<u64>())
        });
        sums.filter(|(_, duplicates)| *duplicates > 0).collect()
    }

    /// How many rows it makes, roughly.
    pub(in crate::store) fn weight(&self) -> usize {
        self.platforms.values().map(Vec::len).sum()
    }
}

/// The ledger of chunks of one platform as they are planned.
fn ledger_of(chunks: &[Planned], reasons: &mut Reasons, now: Timestamp) -> Ledger {
    let mut ledger = Ledger::default();
    for planned in chunks {
        let reason = if planned.duplicates.is_empty() { 0 } else { reasons.number(Some(&reason::DUPLICATE_HANDLE)) };
        ledger.plan(planned.chunk, planned.pending.clone(), planned.duplicates.clone(), reason, now);
    }
    ledger
}

/// Plans a small audience in the broadcast's own row; answers the plan as it is stored. One with nobody in it is over at
/// once.
pub(in crate::store) fn plan_inline(row: &mut BroadcastRow, draft: &Draft, now: Timestamp) -> Vec<u8> {
    let mut reasons = Reasons::default();
    let ledgers: Vec<_> =
        draft.platforms.iter().map(|(platform, chunks)| (*platform, ledger_of(chunks, &mut reasons, now))).collect();
    row.sums = ledgers.iter().map(|(platform, ledger)| (*platform, ledger.counters)).collect();
    // The lowest seq of a handle stays pending, so every platform here has something to send.
    row.open_shards = u32::try_from(ledgers.len()).unwrap_or(u32::MAX);
    row.plan_bound = Some(draft.bound);
    row.user_bound = draft.user_bound;
    row.inline = true;
    row.end_planning(now);
    codec::encode_inline(&reasons, ledgers.iter().map(|(platform, ledger)| (*platform, ledger)))
}

/// What may be queued of a broadcast just accepted.
pub(in crate::store) fn first_work(row: &BroadcastRow) -> Vec<ReadyWork> {
    if row.times.planned.is_none() {
        return vec![row.ready(Work::Plan(row.id), row.times.due)];
    }
    let platforms = row.sums.keys().filter(|_| row.times.finished.is_none());
    platforms.map(|platform| row.ready(Work::Run(inline_shard(row.id, *platform), *platform), row.times.due)).collect()
}

/// The audience of a stored request, or why no plan can ever be made. It was checked when it was accepted, perhaps
/// under other limits.
pub(in crate::store) fn stored_audience(request: &BroadcastRequest) -> Result<Audience, String> {
    let unlimited = AudienceLimits { terms: usize::MAX, ..AudienceLimits::default() };
    Audience::parse(&request.audience, &unlimited).map_err(|error| format!("the audience cannot be read: {error}"))
}

/// What there is to write in a step.
#[derive(Debug)]
pub(in crate::store) enum Step {
    /// The broadcast was cancelled or is over: planning ends where it is.
    End,
    /// No plan can ever be made.
    Fail(String),
    /// The stretch that begins at this chunk.
    Stretch(ChunkNo, Box<Draft>),
}

impl Step {
    /// How many rows it makes, roughly.
    pub(in crate::store) fn weight(&self) -> usize {
        if let Self::Stretch(_, draft) = self { draft.weight().max(1) } else { 1 }
    }

    /// Whether reasons will be numbered.
    pub(in crate::store) fn gives_reasons(&self) -> bool {
        matches!(self, Self::Stretch(_, draft) if !draft.duplicates().is_empty())
    }
}

/// What became of a step.
#[derive(Debug)]
pub(in crate::store) enum Stepped {
    Refused(LeaseError),
    /// A step of the same holder, given up by its caller, was committed in between: evaluate again.
    Stale,
    /// To be written with the row, all together.
    Made {
        step: PlanStep,
        inline: Option<Vec<u8>>,
        shards: Vec<(ShardRow, Ledger)>,
    },
}

/// Applies a step to the broadcast's row, under the epoch of its planner. `reasons` are those stored, and get new ones.
pub(in crate::store) fn apply(
    row: &mut BroadcastRow,
    reasons: &mut Reasons,
    step: &Step,
    epoch: Epoch,
    length: Duration,
    now: Moment,
) -> Result<Stepped> {
    if let Err(refused) = row.plan.renew(epoch, now.lease, length, true) {
        return Ok(Stepped::Refused(refused));
    }
    let now = now.wall;
    let mut made = PlanStep::default();
    let (mut inline, mut shards) = (None, Vec::new());
    match step {
        _ if row.closing(now).is_some() => row.end_planning(now),
        Step::End => row.end_planning(now),
        Step::Fail(why) => {
            row.failure = Some(why.clone());
            row.end_planning(now);
        }
        Step::Stretch(from, _) if *from != row.plan_chunk => return Ok(Stepped::Stale),
        Step::Stretch(_, draft) => {
            made.targeted = draft.targeted();
            made.duplicates = draft.duplicates();
            if draft.small {
                inline = Some(plan_inline(row, draft, now));
            } else {
                shards = stretch(row, draft, reasons, now)?;
            }
        }
    }
    made.done = row.times.planned.is_some();
    Ok(Stepped::Made { step: made, inline, shards })
}

fn stretch(
    row: &mut BroadcastRow,
    draft: &Draft,
    reasons: &mut Reasons,
    now: Timestamp,
) -> Result<Vec<(ShardRow, Ledger)>> {
    if row.plan_bound.is_none() {
        row.plan_bound = Some(draft.bound);
        row.user_bound = draft.user_bound;
    }
    let mut made = Vec::new();
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
            made.push(shard(row, *platform, chunks, reasons, now)?);
        }
    }
    match draft.next {
        Some(next) => row.plan_chunk = next,
        None => row.end_planning(now),
    }
    Ok(made)
}

fn shard(
    row: &mut BroadcastRow,
    platform: Platform,
    chunks: &[Planned],
    reasons: &mut Reasons,
    now: Timestamp,
) -> Result<(ShardRow, Ledger)> {
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
        narrowed: None,
    };
    row.next_shard += 1;
    if ledger.counters.pending > 0 {
        row.open_shards += 1;
    } else {
        // Nothing but duplicates: nobody has to take it.
        shard.lease.state = LeaseState::Closed;
        *row.sums.entry(platform).or_default() += ledger.counters;
    }
    Ok((shard, ledger))
}
