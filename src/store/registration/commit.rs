//! What one commit changes in one hub: its index changes and touches, and the numbers that it draws.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::row;
use super::rows::Rows;
use crate::model::id::{CommitNo, HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::store::index::{Changes, LiveTags, Touch, Touches, newest};
use crate::store::{Result, StoreError};

/// One hub's part of the running transaction.
pub(in crate::store) struct HubCommit {
    pub(in crate::store) hub: HubId,
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

/// What a commit has to write: the hub's counters as they are to be, a delta and a row of touches.
pub(in crate::store) struct Gathered {
    pub(in crate::store) hub: HubId,
    pub(in crate::store) number: CommitNo,
    pub(in crate::store) next_seq: u64,
    pub(in crate::store) next_no: u64,
    /// The delta's bytes.
    pub(in crate::store) changes: Option<Vec<u8>>,
    /// The touches and their bytes.
    pub(in crate::store) touches: Option<(Touches, Vec<u8>)>,
}

impl HubCommit {
    /// Begins where the hub's counters stand: `last` is the number of its last commit.
    pub(in crate::store) fn begin(
        hub: HubId,
        next_seq: u64,
        next_no: u64,
        last: CommitNo,
        live_tags: Arc<LiveTags>,
    ) -> Self {
        Self {
            hub,
            number: CommitNo(last.0 + 1),
            used: false,
            next_seq,
            next_no,
            changes: Changes::default(),
            touches: BTreeMap::new(),
            earlier: None,
            live_tags,
        }
    }

    /// This commit's number, which is thereby used up.
    pub(in crate::store) fn number(&mut self) -> CommitNo {
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
        Ok(row::key(self.hub, no))
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
    pub(in crate::store) fn newest_touch(&mut self, rows: &mut impl Rows, no: i64) -> Result<Option<Touch>> {
        if let Some(touch) = self.touches.get(&no) {
            return Ok(Some(*touch));
        }
        let earlier = match &mut self.earlier {
            Some(earlier) => earlier,
            unread => unread.insert(rows.earlier_touches(self.hub)?),
        };
        Ok(newest(earlier, no))
    }

    /// What there is to write; `None` when nothing was done.
    pub(in crate::store) fn gathered(self) -> Option<Gathered> {
        if !self.used && self.changes.is_empty() && self.touches.is_empty() {
            return None;
        }
        Some(Gathered {
            hub: self.hub,
            number: self.number,
            next_seq: self.next_seq,
            next_no: self.next_no,
            changes: (!self.changes.is_empty()).then(|| self.changes.encode()),
            touches: (!self.touches.is_empty()).then(|| Touches::encode(self.touches)),
        })
    }
}
