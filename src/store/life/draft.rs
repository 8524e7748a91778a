//! The next stretch of a plan, evaluated on a snapshot of the index: nothing is written here, so no writer waits for an
//! evaluation. Accept and the planner use the same code.

use std::collections::{BTreeMap, HashSet};

use super::duplicates::Duplicates;
use super::plan::{Draft, INLINE_TARGETS, Planned};
use crate::model::audience::Audience;
use crate::model::broadcast::Content;
use crate::model::channel::Channel;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::platform::Platform;
use crate::store::index::IndexView;
use crate::store::{NewBroadcast, Result};

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
    /// So many at most, picked at random: all of them are in the first stretch.
    pub(in crate::store) sample: Option<usize>,
}

impl<'a> From<'a> {
    /// The beginning of a plan.
    pub(in crate::store) const fn start(audience: &'a Audience, content: &'a Content) -> Self {
        Self { audience, content, chunk: ChunkNo(0), bound: None, sample: None }
    }

    /// The beginning of what a broadcast to be accepted asks for.
    pub(in crate::store) const fn first(new: &'a NewBroadcast) -> Self {
        Self { sample: new.sample, ..Self::start(&new.audience, &new.request.content) }
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
    if let (Some(handles), Some(platforms)) = (from.content.handles(), &platforms) {
        return Ok(direct(platforms, handles));
    }
    let mut evaluation = view.evaluate(from.audience, from.content.kind(), platforms.as_deref())?;
    let bound = from.bound.unwrap_or_else(|| view.next_seq());
    let mut draft = Draft {
        platforms: BTreeMap::new(),
        bound,
        user_bound: from.audience.names_user().then(|| view.commit_no().0),
        next: None,
        small: from.sample.is_some() || from.chunk == ChunkNo(0) && evaluation.upper_bound() <= INLINE_TARGETS,
    };
    if small_only && !draft.small {
        draft.next = Some(from.chunk);
        return Ok(draft);
    }
    let mut chunks: Vec<ChunkNo> = evaluation.chunks().to_vec();
    if from.sample.is_some() && !chunks.is_empty() {
        let begin = fastrand::usize(..chunks.len());
        chunks.rotate_left(begin);
    }
    let mut missing = from.sample.unwrap_or(usize::MAX);
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
            let mut duplicates = duplicates.split(platform, chunk, &mut pending, marked)?;
            if from.sample.is_some() {
                pending = picked(&pending, missing);
                missing -= pending.len() as usize;
                duplicates = ChunkSet::new();
                if pending.is_empty() {
                    continue;
                }
            }
            draft.platforms.entry(platform).or_default().push(Planned { chunk, pending, duplicates });
        }
    }
    // A sample was taken in another order.
    draft.platforms.values_mut().for_each(|chunks| chunks.sort_by_key(|planned| planned.chunk));
    Ok(draft)
}

/// So many members of a set, or all of a smaller one.
fn picked(set: &ChunkSet, most: usize) -> ChunkSet {
    if set.len() as usize <= most {
        return set.clone();
    }
    let mut picked = fastrand::choose_multiple(set.iter(), most);
    picked.sort_unstable();
    picked.into_iter().collect()
}

/// Bare handles, of which the index knows nothing: a handle's seq is its place in the list, and one that repeats an
/// earlier one is skipped.
fn direct(platforms: &[Platform], handles: &[Channel]) -> Draft {
    let mut seen = HashSet::with_capacity(handles.len());
    let (mut pending, mut duplicates) = (ChunkSet::new(), ChunkSet::new());
    for (offset, handle) in (0..u16::MAX).zip(handles) {
        let set = if seen.insert(handle.bytes()) { &mut pending } else { &mut duplicates };
        set.insert(offset);
    }
    let planned = || vec![Planned { chunk: ChunkNo(0), pending: pending.clone(), duplicates: duplicates.clone() }];
    let platforms = platforms.iter().filter(|_| !handles.is_empty()).map(|platform| (*platform, planned())).collect();
    Draft { platforms, bound: Seq::default(), user_bound: None, next: None, small: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_that_repeats_is_skipped() {
        let handle = |text: &str| Channel::handle(Platform::Apns, text.into()).unwrap();
        let draft = direct(&[Platform::Apns], &[handle("aa"), handle("bb"), handle("AA")]);
        let planned = &draft.platforms[&Platform::Apns][0];
        let members = |set: &ChunkSet| set.iter().collect::<Vec<u16>>();
        assert_eq!((members(&planned.pending), members(&planned.duplicates)), (vec![0, 1], vec![2]));
        assert!(draft.small && draft.next.is_none());
        assert!(direct(&[Platform::Apns], &[]).platforms.is_empty());
    }

    #[test]
    fn a_sample_is_of_the_set() {
        let set = ChunkSet::from_range(5..=500);
        let sample = picked(&set, 10);
        assert_eq!(sample.len(), 10);
        assert!(sample.is_subset(&set));
        assert_eq!(picked(&set, 1_000), set);
    }
}
