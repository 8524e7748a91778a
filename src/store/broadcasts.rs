//! What goes in and out of a broadcast's life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::audience::Audience;
use crate::model::broadcast::{BroadcastRequest, Lane, Wish};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, InstallationId, Seq, ShardRef};
use crate::model::outcome::{Counters, Outcome, Place};
use crate::model::platform::Platform;
use crate::model::registration::{Registrant, RegistrationId};
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;

/// A broadcast to accept.
#[derive(Clone, Debug)]
pub struct NewBroadcast {
    pub hub: HubId,
    pub request: BroadcastRequest,
    /// The request's audience, parsed.
    pub audience: Audience,
    /// Key and hash of the request; kept for 24 h.
    pub idempotency: Option<(String, [u8; 32])>,
    /// Goes to so many of the audience at most, picked at random, and is planned at once.
    pub sample: Option<usize>,
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub id: BroadcastId,
    /// The key had been used for the same request: this is the broadcast of that time.
    pub replayed: bool,
    /// What may be queued now or, with its due time, later. Nothing for a replay.
    pub work: Vec<ReadyWork>,
}

/// A piece of work that somebody could take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyWork {
    pub work: Work,
    pub hub: HubId,
    pub lane: Lane,
    pub weight: u32,
    pub due: Timestamp,
}

/// A pointer to a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Plan this broadcast.
    Plan(BroadcastId),
    /// Run this shard, which is for that platform.
    Run(ShardRef, Platform),
}

impl Work {
    /// The broadcast that it belongs to.
    pub const fn broadcast(&self) -> BroadcastId {
        match self {
            Self::Plan(id) => *id,
            Self::Run(shard, _) => shard.broadcast,
        }
    }
}

/// What one step of planning made.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PlanStep {
    /// `planned_at` is set; there is no next step.
    pub done: bool,
    /// Targets that this step added.
    pub targeted: u64,
    /// Skipped in the plan because a lower seq serves the same handle, by platform.
    pub duplicates: BTreeMap<Platform, u64>,
}

/// What is to become of a lease when its shard turns out to be suspected of killing its workers
/// ([`narrowing`](crate::model::narrowing)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspected {
    /// Refused with [`LeaseError::Suspected`](crate::model::shard::LeaseError::Suspected), and nothing is changed.
    Leave,
    /// Taken: the caller sends for no other suspected shard meanwhile.
    Take,
}

/// What a worker gets with a lease.
#[derive(Clone, Debug)]
pub struct ShardWork {
    pub epoch: Epoch,
    pub hub: HubId,
    pub platform: Platform,
    pub request: Arc<BroadcastRequest>,
    pub standing: Standing,
    /// Rows whose user changed with a later commit than this are not the plan's any more; set only when the audience
    /// names a user.
    pub user_bound: Option<u64>,
    /// Every chunk with something unfinished that this lease is for, ascending: of the whole shard, or of a part.
    pub chunks: Vec<ChunkWork>,
    /// Leases that ran out without progress, in a row.
    pub strikes: u32,
    /// Only a part of the shard is given, because a target of it may be what kills its workers
    /// ([`narrowing`](crate::model::narrowing)): when that is done the shard is given back, not closed.
    pub narrowed: bool,
    /// The target that did, found alone. It must be rejected and not sent; `chunks` hold nothing else.
    pub poison: Option<(Seq, Place)>,
}

/// The unfinished targets of one chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkWork {
    pub chunk: ChunkNo,
    pub pending: ChunkSet,
    /// Waiting repeats by attempt and due time.
    pub retries: BTreeMap<(u8, Timestamp), ChunkSet>,
    /// Removals not yet judged.
    pub staged: ChunkSet,
}

/// What its owner wants of a broadcast, and until when it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub wish: Wish,
    pub rate_per_second: u32,
    pub expires: Timestamp,
    /// The time by the store's clock when this was read.
    pub read_at: Timestamp,
}

/// What a worker records.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    pub moves: Vec<Move>,
    /// Removals to stage: targets that leave `from` and wait for judgement.
    pub evidence: Vec<Evidence>,
    /// Judge what is staged, before this with the rest of this checkpoint applied.
    pub judge: Option<Judgement>,
    /// Repeated attempts since the last checkpoint.
    pub retries: u64,
    pub then: Handover,
}

/// Targets of one chunk that leave one place for another. All of `set` must be in `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub chunk: ChunkNo,
    pub from: Place,
    pub to: Destination,
    pub set: ChunkSet,
}

/// Where targets go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// They wait for this attempt, not before `due`.
    Retry { attempt: u8, due: Timestamp },
    /// They are finished.
    Done { outcome: Outcome, reason: Option<Reason> },
}

/// A service said that a target's address is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub seq: Seq,
    pub from: Place,
    /// Dead since: the service's own time, or when our request was written.
    pub since: Timestamp,
    /// Whether `since` is the service's own, which needs no breaker (design.md 3.8).
    pub timed: bool,
    pub reason: Reason,
}

/// How to judge staged removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Only those with the service's own time; the others go on waiting.
    TimedOnly,
    /// All; those without a time may be removed.
    All,
    /// All; those without a time stay, rejected and under review, because the breaker tripped or nothing was delivered.
    KeepUntimed,
}

/// What becomes of the shard after a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The worker goes on; the lease runs that long from now.
    Keep { length: Duration },
    /// Somebody may take it from `due` on.
    GiveBack { due: Timestamp },
    /// Nothing is pending: the shard is over. Refused as `StillPending` otherwise.
    Close,
}

impl Default for Handover {
    fn default() -> Self {
        Self::Keep { length: Duration::from_secs(30) }
    }
}

/// What a checkpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReply {
    pub standing: Standing,
    /// How judged removals ended.
    pub dropped: u64,
    /// Judged removals whose target stays: rejected.
    pub kept: u64,
    /// The broadcast is over with this checkpoint.
    pub finished: bool,
    /// The shard's counters after it.
    pub counters: Counters,
}

/// Which outcomes to list.
#[derive(Clone, Debug, Default)]
pub struct OutcomeQuery {
    /// Only this outcome; `Some(None)` is pending.
    pub outcome: Option<Option<Outcome>>,
    /// Only this installation's targets.
    pub installation: Option<InstallationId>,
    /// Opaque place to go on from.
    pub from: Option<Seq>,
    pub limit: usize,
}

/// How many targets of a broadcast ended how, by platform, outcome and reason; those that are unfinished are left out.
pub type Tally = BTreeMap<(Platform, Outcome, Option<String>), u64>;

/// A page of outcomes, in seq order.
#[derive(Clone, Debug, Default)]
pub struct OutcomePage {
    pub items: Vec<OutcomeItem>,
    pub next: Option<Seq>,
}

/// What became of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeItem {
    pub seq: Seq,
    /// `None` when even its tombstone is gone, and for a bare handle.
    pub registrant: Option<Registrant>,
    /// The handle as its sender wrote it, when it was sent to without a registration.
    pub handle: Option<String>,
    pub target: TargetKind,
    pub platform: Platform,
    /// `None`: pending.
    pub outcome: Option<Outcome>,
    pub reason: Option<String>,
    /// When that set was last written.
    pub at: Timestamp,
}

impl OutcomeItem {
    /// Its installation, when it is one's.
    pub fn installation(&self) -> Option<&InstallationId> {
        match &self.registrant {
            Some(Registrant::Installation(id)) => Some(id),
            _ => None,
        }
    }

    /// The registration that it is: an installation's target is one, too.
    pub fn registration(&self) -> Option<RegistrationId> {
        self.registrant.as_ref().map(|registrant| match registrant {
            Registrant::Registration(id) => id.clone(),
            Registrant::Installation(_) => RegistrationId::of_target(self.seq),
        })
    }
}
