//! The next stretch of a plan, evaluated on a reader's snapshot: nothing is written here, so the writer never waits
//! for an evaluation. Accept and the planner use the same code.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::super::registry::{self, Snapshot};
use super::duplicates::Duplicates;
use crate::model::audience::Audience;
use crate::model::broadcast::Content;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, HubId, Seq};
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::life::plan::{Draft, INLINE_TARGETS, Planned};

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

/// Evaluates the next stretch. With `small_only`, one of an audience that is not small is left empty and has its
/// `next` where it began.
pub(super) fn evaluate(
    registry: &registry::Shared,
    connection: &Connection,
    from: From<'_>,
    small_only: bool,
    now: Timestamp,
) -> Result<Draft> {
    let snapshot = Snapshot::open(registry, connection, from.hub, now)?;
    let platforms = from.content.platforms();
    let mut evaluation = snapshot.evaluate(from.audience, from.content.kind(), platforms.as_deref())?;
    let bound = from.bound.unwrap_or_else(|| snapshot.next_seq());
    let mut draft = Draft {
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
