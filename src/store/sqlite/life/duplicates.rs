//! One delivery per handle: of the targets in a plan that share a dedupe key the lowest seq stays pending, the others
//! are skipped at once (design.md section 4).
//!
//! Only targets marked in the index as sharing their key are looked at. Within one stretch of planning the first that
//! has a key is remembered; whether one of an earlier stretch has it, the index on channels and the sets written by
//! then tell.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::super::registry::{self, DedupeKey};
use super::sets;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::store::Result;

/// Finds the duplicates of one stretch of planning. Chunks must come in ascending order.
pub(super) struct Duplicates<'a> {
    connection: &'a Connection,
    hub: HubId,
    /// The broadcast, when earlier stretches of it were written.
    broadcast: Option<BroadcastId>,
    /// Where this stretch begins.
    first: ChunkNo,
    seen: HashSet<(Platform, DedupeKey)>,
    /// All targets of the plan in chunks of earlier stretches.
    earlier: HashMap<(Platform, ChunkNo), ChunkSet>,
}

impl<'a> Duplicates<'a> {
    pub(super) fn new(connection: &'a Connection, hub: HubId, broadcast: Option<BroadcastId>, first: ChunkNo) -> Self {
        Self { connection, hub, broadcast, first, seen: HashSet::new(), earlier: HashMap::new() }
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
        for offset in &targets.and(marked) {
            let seq = Seq::at(chunk, offset);
            let Some(key) = registry::dedupe_key(self.connection, self.hub, seq)? else { continue };
            if self.seen.contains(&(platform, key.clone())) || self.planned_earlier(platform, seq, &key)? {
                duplicates.insert(offset);
            }
            self.seen.insert((platform, key));
        }
        targets.subtract(&duplicates);
        Ok(duplicates)
    }

    /// Whether an earlier stretch planned a target with that key.
    fn planned_earlier(&mut self, platform: Platform, seq: Seq, key: &DedupeKey) -> Result<bool> {
        let Some(broadcast) = self.broadcast.filter(|_| self.first > ChunkNo(0)) else { return Ok(false) };
        let hash: Option<i64> = self
            .connection
            .prepare_cached("SELECT channel_hash FROM target WHERE key = ?")?
            .query_row([registry::key(self.hub, seq)], |row| row.get(0))
            .optional()?;
        let mut twins = self.connection.prepare_cached(
            "SELECT key FROM target WHERE channel_hash = ? AND gone_why IS NULL AND key >= ? AND key < ? ORDER BY key",
        )?;
        let (from, below) = (registry::key(self.hub, Seq(0)), registry::key(self.hub, self.first.first_seq()));
        let mut twins = twins.query(params![hash, from, below])?;
        while let Some(row) = twins.next()? {
            let (_, twin) = registry::of_key(row.get(0)?);
            if self.is_planned(broadcast, platform, twin)?
                && registry::dedupe_key(self.connection, self.hub, twin)?.as_ref() == Some(key)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_planned(&mut self, broadcast: BroadcastId, platform: Platform, seq: Seq) -> Result<bool> {
        use std::collections::hash_map::Entry;
        let planned = match self.earlier.entry((platform, seq.chunk())) {
            Entry::Occupied(planned) => planned.into_mut(),
            Entry::Vacant(planned) => {
                let mut all = ChunkSet::new();
                sets::of_chunk(self.connection, broadcast, platform, seq.chunk(), |_, cell| {
                    all.union_with(&cell.set);
                    Ok(())
                })?;
                planned.insert(all)
            }
        };
        Ok(planned.contains(seq.offset()))
    }
}
