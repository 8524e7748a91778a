//! The next stretch of a plan, evaluated on a reader's snapshot: nothing is written here, so the writer never waits
//! for an evaluation. Accept and the planner use the same code.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::super::registry::{self, Snapshot};
use super::duplicates::Duplicates;
use super::ledger::Ledger;
use super::reasons::Reasons;
use crate::model::audience::Audience;
use crate::model::broadcast::Content;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, HubId, Seq};
use crate::model::outcome::reason;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::IndexView;

/// An audience with at most that many targets is planned inline.
pub(super) const INLINE_TARGETS: u64 = 2_048;
/// A stretch covers at most that many chunks …
const STRETCH_CHUNKS: usize = 64;
/// … and ends early after that many targets, so that its commit stays short.
const STRETCH_TARGETS: u64 = 262_144;

/// Where a plan goes on, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) hub: HubId,
    pub(super) audience: &'a Audience,
    pub(super) content: &'a Content,
    /// Its broadcast, when earlier stretches of it were written.
    pub(super) broadcast: Option<BroadcastId>,
    pub(super) chunk: ChunkNo,
    /// Noted by the first stretch.
    pub(super) bound: Option<Seq>,
}

/// A stretch, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Whole chunks of each platform, ascending.
    pub(super) platforms: BTreeMap<Platform, Vec<Planned>>,
    pub(super) bound: Seq,
    /// Noted when the audience names a user.
    pub(super) user_bound: Option<u64>,
    /// Where the next stretch begins; `None` after the last.
    pub(super) next: Option<ChunkNo>,
    /// The whole audience is small enough for an inline plan, and all of it is here.
    pub(super) small: bool,
}

/// The targets of one chunk and platform.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) chunk: ChunkNo,
    pub(super) pending: ChunkSet,
    pub(super) duplicates: ChunkSet,
}

impl Draft {
    /// Evaluates the next stretch. With `small_only`, one of an audience that is not small is left empty and has its
    /// `next` where it began.
    pub(super) fn evaluate(
        registry: &registry::Shared,
        connection: &Connection,
        from: From<'_>,
        small_only: bool,
        now: Timestamp,
    ) -> Result<Self> {
        let snapshot = Snapshot::open(registry, connection, from.hub, now)?;
        let platforms = from.content.platforms();
        let mut evaluation = snapshot.evaluate(from.audience, from.content.kind(), platforms.as_deref())?;
        let bound = from.bound.unwrap_or_else(|| snapshot.next_seq());
        let mut draft = Self {
            platforms: BTreeMap::new(),
            bound,
            user_bound: from.audience.names_user().then(|| snapshot.commit_no().0),
            next: None,
            small: from.chunk == ChunkNo(0) && evaluation.upper_bound() <= INLINE_TARGETS,
        };
        if small_only && !draft.small {
            draft.next = Some(from.chunk);
            return Ok(draft);
        }
        let chunks: Vec<ChunkNo> = evaluation.chunks().to_vec();
        let chunks = chunks.into_iter().filter(|chunk| *chunk >= from.chunk && chunk.first_seq() < bound);
        let mut duplicates = Duplicates::new(connection, from.hub, from.broadcast, from.chunk);
        let mut targets = 0;
        for (taken, chunk) in chunks.enumerate() {
            // A small audience may lie in any number of chunks: one is as cheap as its few targets.
            if !draft.small && (taken == STRETCH_CHUNKS || targets >= STRETCH_TARGETS) {
                draft.next = Some(chunk);
                break;
            }
            let mut marked = None;
            for (platform, mut pending) in evaluation.chunk(chunk)? {
                if chunk == bound.chunk() {
                    pending.intersect_with(&ChunkSet::from_range(0..=bound.offset() - 1));
                }
                if pending.is_empty() {
                    continue;
                }
                targets += u64::from(pending.len());
                let marked = match &marked {
                    Some(marked) => marked,
                    None => marked.insert(snapshot.shared(chunk)?),
                };
                let duplicates = duplicates.split(platform, chunk, &mut pending, marked)?;
                draft.platforms.entry(platform).or_default().push(Planned { chunk, pending, duplicates });
            }
        }
        Ok(draft)
    }

    /// How many targets it has.
    pub(super) fn targeted(&self) -> u64 {
        self.platforms.values().flatten().map(Planned::targeted).sum()
    }

    /// How many duplicates were found, by platform.
    pub(super) fn duplicates(&self) -> BTreeMap<Platform, u64> {
        let sums = self.platforms.iter().map(|(platform, chunks)| {
            (*platform, chunks.iter().map(|planned| u64::from(planned.duplicates.len())).sum::<u64>())
        });
        sums.filter(|(_, duplicates)| *duplicates > 0).collect()
    }

    /// How many rows it makes, roughly.
    pub(super) fn weight(&self) -> usize {
        self.platforms.values().map(Vec::len).sum()
    }
}

impl Planned {
    pub(super) fn targeted(&self) -> u64 {
        u64::from(self.pending.len()) + u64::from(self.duplicates.len())
    }
}

/// The ledger of chunks of one platform as they are planned.
pub(super) fn ledger_of(chunks: &[Planned], reasons: &mut Reasons, now: Timestamp) -> Ledger {
    let mut ledger = Ledger::default();
    for planned in chunks {
        let reason = if planned.duplicates.is_empty() { 0 } else { reasons.number(Some(&reason::DUPLICATE_HANDLE)) };
        ledger.plan(planned.chunk, planned.pending.clone(), planned.duplicates.clone(), reason, now);
    }
    ledger
}
