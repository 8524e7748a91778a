//! What one commit changes in one hub: its index changes and touches, and the numbers that it draws.

use std::collections::BTreeMap;
use std::ops::Range;
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
    beside: Beside,
    next_no: u64,
    changes: Changes,
    touches: BTreeMap<i64, Touch>,
    /// Touches of earlier commits, newest first; read when first asked for.
    earlier: Option<Vec<Arc<Touches>>>,
    live_tags: Arc<LiveTags>,
}

/// Targets beside the native ones that a commit numbers in the order of their arrival, before it keeps them apart.
const FEW: u64 = 16;
/// The longest run of seqs that is set aside for them. It is a hole when the commit does not fill it.
const LONGEST_RUN: u64 = 512;

/// Where targets beside the native ones get their seqs: those of many installations in one commit have runs of their own,
/// as long as what they have had so far. A broadcast to either then reads rows that lie together and steps over none of
/// the other; one by one in turn, a page of either would be spread over twice as much of the file.
#[derive(Debug, Default)]
struct Beside {
    taken: u64,
    run: Range<u64>,
}

impl Beside {
    /// The next of the run, a new one being set aside at `next_seq` when there is need; `None` while there are few.
    fn next(&mut self, next_seq: &mut u64) -> Option<u64> {
        self.taken += 1;
        if self.taken > FEW && self.run.is_empty() {
            self.run = *next_seq..(*next_seq + (self.taken - 1).min(LONGEST_RUN)).min(Seq::END);
            *next_seq = self.run.end;
        }
        self.run.next()
    }

    /// Where the next commit goes on: what is left of the last run is no hole when nothing came after it.
    fn given_back(&self, next_seq: u64) -> u64 {
        if self.run.end == next_seq { self.run.start } else { next_seq }
    }
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
            beside: Beside::default(),
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

    /// The seq of a new target. None is lower than those of earlier commits, and those of a class come in order: what a
    /// plan leaves out by its bound came after it, and of targets with one key the lowest is the eldest.
    pub(super) fn next_seq(&mut self, class: TargetClass) -> Result<Seq> {
        let seq = match class {
            TargetClass::Native => None,
            TargetClass::Template | TargetClass::Tile | TargetClass::TileTemplate => {
                self.beside.next(&mut self.next_seq)
            }
        };
        let seq = Seq(seq.unwrap_or(self.next_seq));
        if seq.0 >= Seq::END {
            return Err(StoreError::Full("the hub has used up its seqs".to_owned()));
        }
        self.next_seq = self.next_seq.max(seq.0 + 1);
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
            next_seq: self.beside.given_back(self.next_seq),
            next_no: self.next_no,
            changes: (!self.changes.is_empty()).then(|| self.changes.encode()),
            touches: (!self.touches.is_empty()).then(|| Touches::encode(self.touches)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begin(next_seq: u64) -> HubCommit {
        HubCommit::begin(HubId(1), next_seq, 0, CommitNo(0), Arc::default())
    }

    fn end(commit: HubCommit) -> u64 {
        commit.gathered().map_or(0, |gathered| gathered.next_seq)
    }

    #[test]
    fn few_targets_are_numbered_as_they_come() {
        let mut commit = begin(100);
        for seq in 0..2 * FEW {
            let class = if seq % 2 == 0 { TargetClass::Native } else { TargetClass::Template };
            assert_eq!(commit.next_seq(class).unwrap(), Seq(100 + seq));
        }
        assert_eq!(end(commit), 100 + 2 * FEW);
    }

    #[test]
    fn many_installations_with_a_template_lie_in_runs() {
        let mut commit = begin(0);
        let mut templates: Vec<u64> = Vec::new();
        for _ in 0..2_048 {
            commit.next_seq(TargetClass::Native).unwrap();
            templates.push(commit.next_seq(TargetClass::Template).unwrap().0);
        }
        let stretches = 1 + templates.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(stretches < 30, "{stretches}");
        assert!(end(commit) <= 2 * 2_048 + LONGEST_RUN);
    }

    #[test]
    fn templates_alone_leave_no_hole() {
        let mut commit = begin(7);
        for seq in 7..1_000 {
            assert_eq!(commit.next_seq(TargetClass::Template).unwrap(), Seq(seq));
        }
        assert_eq!(end(commit), 1_000);
    }

    #[test]
    fn the_last_seqs_are_used_up_before_it_is_said() {
        let mut commit = begin(Seq::END - 40);
        for _ in 0..40 {
            commit.next_seq(TargetClass::Tile).unwrap();
        }
        assert!(matches!(commit.next_seq(TargetClass::Tile), Err(StoreError::Full(_))));
        assert!(matches!(commit.next_seq(TargetClass::Native), Err(StoreError::Full(_))));
    }

    proptest! {
        #[test]
        fn seqs_are_fresh_and_those_of_a_class_in_order(begun in 0_u64..1_000, beside in proptest::collection::vec(any::<bool>(), 1..3_000)) {
            let mut commit = begin(begun);
            let mut seqs = [Vec::new(), Vec::new()];
            for &beside in &beside {
                let class = if beside { TargetClass::Template } else { TargetClass::Native };
                seqs[usize::from(beside)].push(commit.next_seq(class).unwrap().0);
            }
            let next = end(commit);
            prop_assert!(seqs.iter().all(|seqs| seqs.is_sorted()));
            let mut all = seqs.concat();
            all.sort_unstable();
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "each once");
            prop_assert!(all.first().is_some_and(|first| *first >= begun));
            prop_assert!(all.last().is_some_and(|last| *last < next));
            let taken = seqs[1].len() as u64;
            prop_assert!(next - begun - all.len() as u64 <= taken.min(LONGEST_RUN), "holes");
        }
    }
}
