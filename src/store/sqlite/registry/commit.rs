//! What one commit changes in one hub, gathered over all tasks of the writer's group and written at its end: one index
//! delta, one row of touches, one update of the hub's counters, whatever the number of registrations.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Result, StoreError};
use super::Shared;
use super::rows::unsigned;
use crate::model::id::{CommitNo, HubId};
use crate::store::index::{Delta, LiveTags, Touches};
use crate::store::registration::{Gathered, HubCommit};

/// What the running transaction has gathered.
#[derive(Default)]
pub(super) struct Gathering {
    hubs: HashMap<HubId, HubCommit>,
    /// Rows that are written; they join those that wait to be folded once the commit stands.
    written: Vec<Written>,
}

struct Written {
    hub: HubId,
    number: CommitNo,
    delta: Option<Delta>,
    touches: Option<Touches>,
}

impl Gathering {
    /// The hub's part, begun when this is the first of the transaction. `NoHub` when there is no such hub.
    pub(super) fn hub(&mut self, tx: &Connection, hub: HubId, live_tags: &Arc<LiveTags>) -> Result<&mut HubCommit> {
        match self.hubs.entry(hub) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => Ok(entry.insert(begin(tx, hub, live_tags.clone())?)),
        }
    }

    /// Writes what one hub has gathered; what comes after it in this transaction takes the next number.
    pub(super) fn flush(&mut self, tx: &Connection, hub: HubId) -> Result<()> {
        if let Some(commit) = self.hubs.remove(&hub) {
            self.written.extend(write(tx, commit)?);
        }
        Ok(())
    }

    /// Writes what every hub has gathered.
    pub(super) fn flush_all(&mut self, tx: &Connection) -> Result<()> {
        for (_, commit) in self.hubs.drain() {
            self.written.extend(write(tx, commit)?);
        }
        Ok(())
    }

    /// Drops a hub's part: the hub is being deleted.
    pub(super) fn forget(&mut self, hub: HubId) {
        self.hubs.remove(&hub);
        self.written.retain(|written| written.hub != hub);
    }

    /// The transaction is over.
    pub(super) fn end(&mut self, committed: bool, registry: &Shared) {
        self.hubs.clear();
        for written in self.written.drain(..).filter(|_| committed) {
            if let Some(delta) = written.delta {
                registry.deltas.insert(written.hub, written.number, delta);
            }
            if let Some(touches) = written.touches {
                registry.touches.insert(written.hub, written.number, touches);
            }
        }
    }
}

fn begin(tx: &Connection, hub: HubId, live_tags: Arc<LiveTags>) -> Result<HubCommit> {
    let (next_seq, next_no, last) = tx
        .prepare_cached("SELECT next_seq, next_no, commit_no FROM hub WHERE id = ?1")?
        .query_row([hub.0], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?)))
        .optional()?
        .ok_or(StoreError::NoHub)?;
    Ok(HubCommit::begin(hub, next_seq, next_no, CommitNo(last), live_tags))
}

fn write(tx: &Connection, commit: HubCommit) -> Result<Option<Written>> {
    let Some(gathered) = commit.gathered() else { return Ok(None) };
    let Gathered { hub, number, next_seq, next_no, changes, touches } = gathered;
    let mut written = Written { hub, number, delta: None, touches: None };
    if let Some(bytes) = changes {
        tx.prepare_cached("INSERT INTO index_delta (hub, number, changes) VALUES (?1, ?2, ?3)")?.execute(params![
            hub.0,
            number.0.cast_signed(),
            bytes
        ])?;
        written.delta = Some(Delta::decode(bytes)?);
    }
    if let Some((touches, bytes)) = touches {
        tx.prepare_cached("INSERT INTO touch (hub, number, touches) VALUES (?1, ?2, ?3)")?.execute(params![
            hub.0,
            number.0.cast_signed(),
            bytes
        ])?;
        written.touches = Some(touches);
    }
    tx.prepare_cached("UPDATE hub SET next_seq = ?2, next_no = ?3, commit_no = ?4 WHERE id = ?1")?.execute(params![
        hub.0,
        next_seq.cast_signed(),
        next_no.cast_signed(),
        number.0.cast_signed()
    ])?;
    Ok(Some(written))
}
