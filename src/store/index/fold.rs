//! Which set rows a fold writes, and what it writes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::delta::{Change, Delta, Overlay};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::ChunkNo;
use crate::store::{Result, StoreError};

/// The sets that deltas change, by tag and chunk.
pub(in crate::store) struct ChangedSets {
    deltas: Vec<Arc<Delta>>,
    /// (delta, place of the tag in it): the last tag first, and of one tag the newest delta first.
    tags: Vec<(u32, u32)>,
    /// Changes of a tag that the last slice had no room for.
    left: VecDeque<ChangedSet>,
}

/// One set with the changes that are to be folded into it.
pub(in crate::store) struct ChangedSet {
    pub(in crate::store) tag: Arc<str>,
    pub(in crate::store) chunk: ChunkNo,
    change: Change,
}

impl ChangedSets {
    #[expect(clippy::cast_possible_truncation, reason = "places within less than 4 GiB of deltas")]
    pub(in crate::store) fn new(deltas: Vec<Arc<Delta>>) -> Self {
        let mut tags: Vec<(u32, u32)> = deltas
            .iter()
            .enumerate()
            .flat_map(|(at, delta)| (0..delta.tag_count()).map(move |tag| (at as u32, tag as u32)))
            .collect();
        let text = |&(delta, tag): &(u32, u32)| deltas[delta as usize].tag(tag as usize);
        tags.sort_unstable_by(|a, b| (text(b), b.0).cmp(&(text(a), a.0)));
        Self { deltas, tags, left: VecDeque::new() }
    }

    /// The next changed sets, `most` of them or fewer; none at the end.
    pub(in crate::store) fn next_slice(&mut self, most: usize) -> Vec<ChangedSet> {
        while self.left.len() < most
            && let Some((delta, tag)) = self.tags.pop()
        {
            // Only the deltas that name the tag: looking for it in all of them would cost more than all the rest.
            let mut overlay = Overlay::default();
            overlay.push(&self.deltas[delta as usize], tag as usize);
            let tag: Arc<str> = self.deltas[delta as usize].tag(tag as usize).into();
            while let Some((delta, place)) =
                self.tags.pop_if(|(delta, place)| self.deltas[*delta as usize].tag(*place as usize) == &*tag)
            {
                overlay.push(&self.deltas[delta as usize], place as usize);
            }
            let changes = overlay.into_changes();
            self.left.extend(changes.map(|(chunk, change)| ChangedSet { tag: tag.clone(), chunk, change }));
        }
        self.left.drain(..most.min(self.left.len())).collect()
    }
}

/// A set row as it is to be.
pub(in crate::store) struct SetRow {
    pub(in crate::store) tag: Arc<str>,
    pub(in crate::store) chunk: ChunkNo,
    pub(in crate::store) cardinality: u32,
    pub(in crate::store) seqs: Vec<u8>,
}

impl ChangedSet {
    /// The row as it is to be, from what it is now: `None` when there is none.
    pub(in crate::store) fn folded(self, present: Option<&[u8]>) -> Result<SetRow> {
        let Self { tag, chunk, change } = self;
        let mut set = present
            .map_or_else(|| Ok(ChunkSet::new()), ChunkSet::decode)
            .map_err(|error| StoreError::Corrupt(format!("set of tag {tag:?}, chunk {chunk}: {error}")))?;
        change.apply(&mut set);
        Ok(SetRow { tag, chunk, cardinality: set.len(), seqs: set.encode() })
    }
}
