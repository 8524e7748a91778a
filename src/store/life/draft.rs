//! The next stretch of a plan, evaluated on a snapshot of the index: nothing is written here, so no writer waits for an
//! evaluation. Accept and the planner use the same code.

use std::collections::BTreeMap;

use super::duplicates::Duplicates;
use super::plan::{Draft, INLINE_TARGETS, Planned};
use crate::model::audience::Audience;
use crate::model::broadcast::Content;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::platform::Platform;
use crate::store::Result;
use crate::store::index::IndexView;

/// A stretch covers at most that many chunks …
const STRETCH_CHUNKS: usize = 64;
/// … and ends early after that many targets, so that its commit stays short.
const STRETCH_TARGETS: u64 = 262_144;

/// Where a plan goes on, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct From<'a> {
    pub(in crate::store) audience: &'a Audience,
    pub(in crate::store) content: &'a Content,
    pub(in crate::store) chunk: ChunkNo,
    /// Noted by the first stretch.
    pub(in crate::store) bound: Option<Seq>,
}

impl<'a> From<'a> {
    /// The beginning of a plan.
    pub(in crate::store) const fn start(audience: &'a Audience, content: &'a Content) -> Self {
        Self { audience, content, chunk: ChunkNo(0), bound: None }
    }
}

/// Evaluates a whole audience that is small. One that is not is left empty and has its `next` where it began.
pub(in crate::store) fn small(view: &impl IndexView, from: From<'_>) -> Result<Draft> {
    evaluate(view, from, &|_, _| Ok(ChunkSet::new()), true)
}

/// Evaluates the next stretch. `planned` answers all targets that earlier stretches planned in a chunk.
pub(in crate::store) fn stretch(
    view: &impl IndexView,
    from: From<'_>,
    planned: &impl Fn(Platform, ChunkNo) -> Result<ChunkSet>,
) -> Result<Draft> {
    evaluate(view, from, planned, false)
}

fn evaluate(
    view: &impl IndexView,
    from: From<'_>,
    planned: &impl Fn(Platform, ChunkNo) -> Result<ChunkSet>,
    small_only: bool,
) -> Result<Draft> {
    let platforms = from.content.platforms();
    let mut evaluation = view.evaluate(from.audience, from.content.kind(), platforms.as_deref())?;
    let bound = from.bound.unwrap_or_else(|| view.next_seq());
    let mut draft = Draft {
        platforms: BTreeMap::new(),
        bound,
        user_bound: from.audience.names_user().then(|| view.commit_no().0),
        next: None,
        small: from.chunk == ChunkNo(0) && evaluation.upper_bound() <= INLINE_TARGETS,
    };
    if small_only && !draft.small {
        draft.next = Some(from.chunk);
        return Ok(draft);
    }
    let chunks: Vec<ChunkNo> = evaluation.chunks().to_vec();
    let chunks = chunks.into_iter().filter(|chunk| *chunk >= from.chunk && chunk.first_seq() < bound);
    let mut duplicates = Duplicates::new(view, planned, from.chunk);
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
                None => marked.insert(view.shared(chunk)?),
            };
            let duplicates = duplicates.split(platform, chunk, &mut pending, marked)?;
            draft.platforms.entry(platform).or_default().push(Planned { chunk, pending, duplicates });
        }
    }
    Ok(draft)
}
