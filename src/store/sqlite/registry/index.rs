//! The index of one hub as one transaction sees it: set rows, and over them the deltas that are not folded yet.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, MAIN_DB, OptionalExtension, params};

use super::super::{Result, StoreError};
use super::Shared;
use super::rows::{self, seqs_of_user, unsigned};
use crate::model::audience::ChunkList;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, CommitNo, HubId, Seq};
use crate::model::target::index_tag;
use crate::model::time::Timestamp;
use crate::store::index::{Delta, IndexView, LiveTags, Overlay, Touch, Touches, newest};
use crate::store::registration::{DedupeKey, key, keys_of, of_key};

/// The index of one hub as one transaction sees it.
pub(in crate::store::sqlite) struct Snapshot<'a> {
    pub(super) connection: &'a Connection,
    pub(super) registry: &'a Shared,
    pub(super) hub: HubId,
    pub(super) now: Timestamp,
    next_seq: Seq,
    commit_no: CommitNo,
    /// Oldest first.
    deltas: Vec<Arc<Delta>>,
    /// Newest first; read when first asked for.
    touches: OnceCell<Vec<Arc<Touches>>>,
}

impl<'a> Snapshot<'a> {
    /// Inside a read transaction, or the writer's: index changes that this transaction made are seen. `now` decides
    /// who has expired.
    pub(in crate::store::sqlite) fn open(
        registry: &'a Shared,
        connection: &'a Connection,
        hub: HubId,
        now: Timestamp,
    ) -> Result<Self> {
        if !connection.is_readonly(MAIN_DB)? {
            registry.gathering.lock().flush(connection, hub)?;
        }
        let (next_seq, commit_no) = connection
            .prepare_cached("SELECT next_seq, commit_no FROM hub WHERE id = ?1")?
            .query_row([hub.0], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
            .optional()?
            .unwrap_or_default();
        Ok(Self {
            connection,
            registry,
            hub,
            now,
            next_seq: Seq(next_seq),
            commit_no: CommitNo(commit_no),
            deltas: registry.deltas.rows(connection, hub)?.into_iter().map(|(_, delta)| delta).collect(),
            touches: OnceCell::new(),
        })
    }

    /// The newest touch of an installation that its row does not tell.
    pub(super) fn newest_touch(&self, installation: i64) -> Result<Option<Touch>> {
        Ok(newest(self.touches()?, installation))
    }

    fn touches(&self) -> Result<&[Arc<Touches>]> {
        if let Some(touches) = self.touches.get() {
            return Ok(touches);
        }
        let touches = self.registry.newest_touches(self.connection, self.hub)?;
        Ok(self.touches.get_or_init(|| touches))
    }

    /// Whether a target that looks expired was touched with a later expiry.
    fn is_touched_alive(&self, seq: Seq) -> Result<bool> {
        if self.touches()?.is_empty() {
            return Ok(false);
        }
        let installation = self
            .connection
            .prepare_cached("SELECT installation FROM target WHERE key = ?1")?
            .query_row([key(self.hub, seq)], |row| row.get(0))?;
        let touch = self.newest_touch(installation)?;
        Ok(touch.is_some_and(|touch| touch.expires.is_none_or(|expires| expires > self.now)))
    }

    /// The chunks in which a tag can have members.
    fn chunk_list(&self, tag: &str, overlay: &Overlay) -> Result<ChunkList> {
        let mut statement =
            self.connection.prepare_cached("SELECT chunk, cardinality FROM tag_chunk WHERE hub = ?1 AND tag = ?2")?;
        let rows: Vec<(u32, u32)> = statement
            .query_map(params![self.hub.0, tag], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(rows.into_iter().chain(overlay.adds()).collect())
    }
}

impl IndexView for Snapshot<'_> {
    fn live_tags(&self) -> &LiveTags {
        &self.registry.live_tags
    }

    fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn commit_no(&self) -> CommitNo {
        self.commit_no
    }

    fn overlay(&self, tag: &str) -> Overlay {
        Overlay::of(&self.deltas, tag)
    }

    fn chunk_lists(&self, tags: &[(&str, &Overlay)]) -> Result<Vec<ChunkList>> {
        tags.iter().map(|(tag, overlay)| self.chunk_list(tag, overlay)).collect()
    }

    fn sets(&self, tag: &str, overlay: &Overlay, first: u32, last: u32) -> Result<BTreeMap<u32, ChunkSet>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT chunk, seqs FROM tag_chunk WHERE hub = ?1 AND tag = ?2 AND chunk BETWEEN ?3 AND ?4",
        )?;
        let mut rows = statement.query(params![self.hub.0, tag, first, last])?;
        let mut sets = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let chunk = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
            sets.insert(chunk, ChunkSet::decode(bytes).map_err(|error| corrupt(tag, chunk, &error))?);
        }
        for (chunk, change) in overlay.within(first, last) {
            change.apply(sets.entry(chunk).or_default());
        }
        Ok(sets)
    }

    fn seqs_of_users(&self, users: &[&str]) -> Result<Vec<Vec<Seq>>> {
        users.iter().map(|user| seqs_of_user(self.connection, self.hub, user)).collect()
    }

    fn seqs_of_installations(&self, ids: &[&str]) -> Result<Vec<Vec<Seq>>> {
        let seqs = |id: &&str| {
            let row = rows::find(self.connection, self.hub, id)?;
            Ok(row.map(|row| row.seqs.into_iter().flatten().collect()).unwrap_or_default())
        };
        ids.iter().map(seqs).collect()
    }

    fn due(&self) -> Result<BTreeMap<u32, ChunkSet>> {
        let (from, below) = keys_of(self.hub);
        let mut statement = self.connection.prepare_cached(
            // Left to itself SQLite walks all of the hub's rows.
            "SELECT key FROM target INDEXED BY target_expires WHERE expires <= ?1 AND expires IS NOT NULL \
             AND gone_why IS NULL AND key >= ?2 AND key < ?3",
        )?;
        let mut rows = statement.query(params![self.now.millis(), from, below])?;
        let mut due: BTreeMap<u32, ChunkSet> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let seq = of_key(row.get(0)?).1;
            if !self.is_touched_alive(seq)? {
                due.entry(seq.chunk().0).or_default().insert(seq.offset());
            }
        }
        Ok(due)
    }

    fn shared(&self, chunk: ChunkNo) -> Result<ChunkSet> {
        let mut set = self
            .connection
            .prepare_cached("SELECT seqs FROM tag_chunk WHERE hub = ?1 AND tag = ?2 AND chunk = ?3")?
            .query_row(params![self.hub.0, index_tag::SHARED, chunk.0], |row| {
                Ok(ChunkSet::decode(row.get_ref(0)?.as_blob()?))
            })
            .optional()?
            .transpose()
            .map_err(|error| corrupt(index_tag::SHARED, chunk.0, &error))?
            .unwrap_or_default();
        self.overlay(index_tag::SHARED).apply(chunk, &mut set);
        Ok(set)
    }

    fn dedupe_keys(&self, seqs: &[Seq]) -> Result<Vec<(Seq, DedupeKey)>> {
        let key = |&seq| Ok(rows::dedupe_key(self.connection, self.hub, seq)?.map(|key| (seq, key)));
        seqs.iter().filter_map(|seq| key(seq).transpose()).collect()
    }

    fn twins(&self, dedupe: &DedupeKey, below: Seq) -> Result<Vec<Seq>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM target WHERE channel_hash = ?1 AND gone_why IS NULL AND key >= ?2 AND key < ?3 ORDER BY key",
        )?;
        let hash = dedupe.channel_hash(self.hub).cast_signed();
        let mut rows = statement.query(params![hash, key(self.hub, Seq(0)), key(self.hub, below)])?;
        let mut twins = Vec::new();
        while let Some(row) = rows.next()? {
            let (_, twin) = of_key(row.get(0)?);
            if rows::dedupe_key(self.connection, self.hub, twin)?.as_ref() == Some(dedupe) {
                twins.push(twin);
            }
        }
        Ok(twins)
    }
}

pub(super) fn corrupt(tag: &str, chunk: u32, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("set of tag {tag:?}, chunk {chunk}: {error}"))
}
