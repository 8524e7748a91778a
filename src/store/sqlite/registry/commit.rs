//! What one commit changes in one hub, gathered over all tasks of the writer's group and written at its end: one index
//! delta, one row of touches, one update of the hub's counters, whatever the number of registrations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Result, StoreError};
use super::Shared;
use super::delta::{Changes, Delta};
use super::rows::unsigned;
use super::touch::{self, Touch, Touches};
use crate::model::id::{CommitNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::{TargetClass, index_tag};

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

/// One hub's part of the running transaction.
pub(super) struct HubCommit {
    pub(super) hub: HubId,
    /// Of this commit; drawn by whoever writes something, so that idle commits take none.
    number: CommitNo,
    used: bool,
    next_seq: u64,
    next_no: u64,
    changes: Changes,
    touches: BTreeMap<i64, Touch>,
    /// Touches of earlier commits, newest first; read when first asked for.
    earlier: Option<Vec<Arc<Touches>>>,
    live_tags: Arc<LiveTags>,
}

impl Gathering {
    /// The hub's part, begun when this is the first of the transaction. `NoHub` when there is no such hub.
    pub(super) fn hub(&mut self, tx: &Connection, hub: HubId, live_tags: &Arc<LiveTags>) -> Result<&mut HubCommit> {
        match self.hubs.entry(hub) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                Ok(entry.insert(HubCommit::begin(tx, hub, live_tags.clone())?))
            }
        }
    }

    /// Writes what one hub has gathered; what comes after it in this transaction takes the next number.
    pub(super) fn flush(&mut self, tx: &Connection, hub: HubId) -> Result<()> {
        if let Some(commit) = self.hubs.remove(&hub) {
            self.written.extend(commit.write(tx)?);
        }
        Ok(())
    }

    /// Writes what every hub has gathered.
    pub(super) fn flush_all(&mut self, tx: &Connection) -> Result<()> {
        for (_, commit) in self.hubs.drain() {
            self.written.extend(commit.write(tx)?);
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

impl HubCommit {
    fn begin(tx: &Connection, hub: HubId, live_tags: Arc<LiveTags>) -> Result<Self> {
        let (next_seq, next_no, last) = tx
            .prepare_cached("SELECT next_seq, next_no, commit_no FROM hub WHERE id = ?1")?
            .query_row([hub.0], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?)))
            .optional()?
            .ok_or(StoreError::NoHub)?;
        Ok(Self {
            hub,
            number: CommitNo(last + 1),
            used: false,
            next_seq,
            next_no,
            changes: Changes::default(),
            touches: BTreeMap::new(),
            earlier: None,
            live_tags,
        })
    }

    /// This commit's number, which is thereby used up.
    pub(super) fn number(&mut self) -> CommitNo {
        self.used = true;
        self.number
    }

    /// The seq of a new target.
    pub(super) fn next_seq(&mut self) -> Result<Seq> {
        let seq = Seq(self.next_seq);
        if seq.0 >= Seq::END {
            return Err(StoreError::Full("the hub has used up its seqs".to_owned()));
        }
        self.next_seq += 1;
        self.used = true;
        Ok(seq)
    }

    /// The row key of a new installation.
    pub(super) fn next_installation(&mut self) -> Result<i64> {
        let no = Seq(self.next_no);
        if no.0 >= Seq::END {
            return Err(StoreError::Full("the hub has used up its arrival numbers".to_owned()));
        }
        self.next_no += 1;
        self.used = true;
        Ok(super::rows::key(self.hub, no))
    }

    /// The target carries `tag` from now on.
    pub(super) fn add(&mut self, tag: &str, seq: Seq) {
        self.changes.push(tag, seq, true);
    }

    /// The target carries `tag` no longer.
    pub(super) fn remove(&mut self, tag: &str, seq: Seq) {
        self.changes.push(tag, seq, false);
    }

    /// Whether the target is live.
    pub(super) fn set_live(&mut self, class: TargetClass, platform: Platform, seq: Seq, live: bool) {
        self.changes.push(self.live_tags.get(class, platform), seq, live);
    }

    /// The times of an installation are these from now on.
    pub(super) fn touch(&mut self, no: i64, touch: Touch) {
        self.touches.insert(no, touch);
    }

    /// The installation is gone.
    pub(super) fn forget_touch(&mut self, no: i64) {
        self.touches.remove(&no);
    }

    /// The newest touch of an installation that its row does not tell.
    pub(super) fn newest_touch(&mut self, tx: &Connection, registry: &Shared, no: i64) -> Result<Option<Touch>> {
        if let Some(touch) = self.touches.get(&no) {
            return Ok(Some(*touch));
        }
        let earlier = match &mut self.earlier {
            Some(earlier) => earlier,
            unread => unread.insert(registry.newest_touches(tx, self.hub)?),
        };
        Ok(touch::newest(earlier, no))
    }

    fn write(self, tx: &Connection) -> Result<Option<Written>> {
        if !self.used && self.changes.is_empty() && self.touches.is_empty() {
            return Ok(None);
        }
        let (hub, number) = (self.hub, self.number);
        let mut written = Written { hub, number, delta: None, touches: None };
        if !self.changes.is_empty() {
            let bytes = self.changes.encode();
            tx.prepare_cached("INSERT INTO index_delta (hub, number, changes) VALUES (?1, ?2, ?3)")?
                .execute(params![hub.0, number.0.cast_signed(), bytes])?;
            written.delta = Some(Delta::decode(bytes)?);
        }
        if !self.touches.is_empty() {
            let (touches, bytes) = Touches::encode(self.touches);
            tx.prepare_cached("INSERT INTO touch (hub, number, touches) VALUES (?1, ?2, ?3)")?.execute(params![
                hub.0,
                number.0.cast_signed(),
                bytes
            ])?;
            written.touches = Some(touches);
        }
        tx.prepare_cached("UPDATE hub SET next_seq = ?2, next_no = ?3, commit_no = ?4 WHERE id = ?1")?
            .execute(params![hub.0, self.next_seq.cast_signed(), self.next_no.cast_signed(), number.0.cast_signed()])?;
        Ok(Some(written))
    }
}

/// The texts of the index's live tags, made once.
pub(super) struct LiveTags(Vec<String>);

impl Default for LiveTags {
    fn default() -> Self {
        let platforms = |class| Platform::ALL.map(|platform| index_tag::live(class, platform));
        Self(TargetClass::ALL.into_iter().flat_map(platforms).collect())
    }
}

impl LiveTags {
    pub(super) fn get(&self, class: TargetClass, platform: Platform) -> &str {
        let at = usize::from(class.code()) * Platform::ALL.len() + usize::from(platform.code());
        self.0.get(at).map_or("", String::as_str)
    }
}
