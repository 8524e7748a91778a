//! One delivery per handle: of the targets in a plan that share a dedupe key the lowest seq stays pending, the others
//! are skipped at once (design.md section 4).
//!
//! Only targets marked in the index as sharing their key are looked at. Within one stretch of planning the first that
//! has a key is remembered; whether one of an earlier stretch has it, the index on channels and the sets written by
//! then tell.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::platform::Platform;
use crate::store::Result;
use crate::store::index::IndexView;
use crate::store::registration::DedupeKey;

/// Finds the duplicates of one stretch of planning. Chunks must come in ascending order.
pub(super) struct Duplicates<'a, V, E> {
    view: &'a V,
    /// All targets that earlier stretches planned in a chunk, in whatever place they are now.
    planned: &'a E,
    /// Where this stretch begins.
    first: ChunkNo,
    seen: HashSet<(Platform, DedupeKey)>,
    earlier: HashMap<(Platform, ChunkNo), ChunkSet>,
}

impl<'a, V, E> Duplicates<'a, V, E>
where
    V: IndexView,
    E: Fn(Platform, ChunkNo) -> Result<ChunkSet>,
{
    pub(super) fn new(view: &'a V, planned: &'a E, first: ChunkNo) -> Self {
        Self { view, planned, first, seen: HashSet::new(), earlier: HashMap::new() }
    }

    /// Takes the duplicates out of `targets`; `marked` are those of the chunk that share their key with any other.
    pub(super) fn split(
        &mut self,
        platform: Platform,
        chunk: ChunkNo,
        targets: &mut ChunkSet,
        marked: &ChunkSet,
    ) -> Result<ChunkSet> {
        let mut duplicates = ChunkSet::new();
        let looked_at: Vec<Seq> = targets.and(marked).iter().map(|offset| Seq::at(chunk, offset)).collect();
        if looked_at.is_empty() {
            return Ok(duplicates);
        }
        for (seq, key) in self.view.dedupe_keys(&looked_at)? {
            if self.seen.contains(&(platform, key.clone())) || self.is_planned_earlier(platform, &key)? {
                duplicates.insert(seq.offset());
            }
            self.seen.insert((platform, key));
        }
        targets.subtract(&duplicates);
        Ok(duplicates)
    }

    /// Whether an earlier stretch planned a target with that key.
    fn is_planned_earlier(&mut self, platform: Platform, key: &DedupeKey) -> Result<bool> {
        if self.first == ChunkNo(0) {
            return Ok(false);
        }
        for twin in self.view.twins(key, self.first.first_seq())? {
            let planned = match self.earlier.entry((platform, twin.chunk())) {
                Entry::Occupied(planned) => planned.into_mut(),
                Entry::Vacant(unread) => unread.insert((self.planned)(platform, twin.chunk())?),
            };
            if planned.contains(twin.offset()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
