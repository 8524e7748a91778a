//! Where the targets of one shard stand: its sets, chunk by chunk, and the counters that go with them.
//!
//! Both forms of plan use it. That of an ordinary shard is opened on its rows, reads the few sets that a checkpoint
//! touches and writes back what changed; that of an inline plan is whole and lives in memory until the plan is over.
//! Every change keeps conservation: a target leaves one set and enters exactly one other.

use std::collections::BTreeMap;

use super::reasons::Reasons;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::outcome::{Counters, Outcome, Place};
use crate::model::time::Timestamp;
use crate::store::{Checkpoint, ChunkWork, Destination, Judgement, Result, StoreError};

/// One set of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Cell {
    pub(in crate::store) set: ChunkSet,
    /// Of a staged set: what speaks against each member.
    pub(in crate::store) evidence: BTreeMap<u16, Evidenced>,
    /// When it was last written.
    pub(in crate::store) at: Timestamp,
    /// Where it is stored, if it is: the number of its row where the engine numbers them, else any.
    pub(in crate::store) row: Option<i64>,
    /// Whether the stored row no longer says the same.
    pub(in crate::store) changed: bool,
}

/// Evidence with its reason's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Evidenced {
    pub(in crate::store) since: Timestamp,
    pub(in crate::store) timed: bool,
    pub(in crate::store) reason: u8,
}

/// Where a ledger finds the sets that it does not hold yet.
pub(in crate::store) trait Source {
    fn load(&self, chunk: ChunkNo, place: Place) -> Result<Option<Cell>>;
    /// The chunks of the shard that have a staged set.
    fn staged(&self) -> Result<Vec<ChunkNo>>;
}

/// Nowhere: the ledger is whole.
pub(in crate::store) struct Whole;

impl Source for Whole {
    fn load(&self, _: ChunkNo, _: Place) -> Result<Option<Cell>> {
        Ok(None)
    }

    fn staged(&self) -> Result<Vec<ChunkNo>> {
        Ok(Vec::new())
    }
}

/// The unfinished sets of a shard, as its holder gets them.
#[derive(Debug, Default)]
pub(in crate::store) struct Unfinished {
    chunks: BTreeMap<ChunkNo, ChunkWork>,
}

impl Unfinished {
    /// Adds one set.
    pub(in crate::store) fn add(&mut self, chunk: ChunkNo, place: Place, set: ChunkSet) {
        let work = self.chunks.entry(chunk).or_insert_with(|| ChunkWork { chunk, ..ChunkWork::default() });
        match place {
            Place::Pending => work.pending = set,
            Place::Retry { attempt, due } => drop(work.retries.insert((attempt, due), set)),
            Place::Staged => work.staged = set,
            Place::Done { .. } => {}
        }
    }

    /// Chunk by chunk, ascending.
    pub(in crate::store) fn into_chunks(self) -> Vec<ChunkWork> {
        self.chunks.into_values().collect()
    }
}

/// A staged removal whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Judged {
    pub(in crate::store) seq: Seq,
    pub(in crate::store) since: Timestamp,
    pub(in crate::store) reason: u8,
    /// Whether it may be removed at all, or stays without being asked.
    pub(in crate::store) may_drop: bool,
}

/// The sets of one shard as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Ledger {
    cells: BTreeMap<(ChunkNo, Place), Cell>,
    pub(in crate::store) counters: Counters,
}

impl Ledger {
    /// No set read yet.
    pub(in crate::store) fn with_counters(counters: Counters) -> Self {
        Self { cells: BTreeMap::new(), counters }
    }

    /// The sets that hold anything, by chunk and place.
    pub(in crate::store) fn cells(&self) -> impl Iterator<Item = ((ChunkNo, Place), &Cell)> {
        self.cells.iter().filter(|(_, cell)| !cell.set.is_empty()).map(|(key, cell)| (*key, cell))
    }

    /// The sets to write back, emptied ones too.
    pub(in crate::store) fn changed(&self) -> impl Iterator<Item = ((ChunkNo, Place), &Cell)> {
        self.cells.iter().filter(|(_, cell)| cell.changed).map(|(key, cell)| (*key, cell))
    }

    /// All that is unfinished, chunk by chunk.
    pub(in crate::store) fn unfinished(&self) -> Vec<ChunkWork> {
        let mut work = Unfinished::default();
        for ((chunk, place), cell) in self.cells() {
            if place.is_pending() {
                work.add(chunk, place, cell.set.clone());
            }
        }
        work.into_chunks()
    }

    /// Puts a set in as it is, without counting it.
    pub(in crate::store) fn put(&mut self, chunk: ChunkNo, place: Place, cell: Cell) {
        self.cells.insert((chunk, place), cell);
    }

    /// Plans targets: `pending` are to be sent, `duplicates` skipped at once with that reason.
    pub(in crate::store) fn plan(
        &mut self,
        chunk: ChunkNo,
        pending: ChunkSet,
        duplicates: ChunkSet,
        reason: u8,
        now: Timestamp,
    ) {
        let skipped = u64::from(duplicates.len());
        self.counters.plan(u64::from(pending.len()) + skipped);
        self.counters.finish(Outcome::Skipped, skipped);
        for (place, set) in [(Place::Pending, pending), (Place::Done { outcome: Outcome::Skipped, reason }, duplicates)]
        {
            if !set.is_empty() {
                self.put(chunk, place, Cell { set, at: now, changed: true, ..Cell::default() });
            }
        }
    }

    /// Applies a checkpoint's moves and evidence. Targets that are not where it says are corruption: nobody but the
    /// holder of the lease moves them.
    pub(in crate::store) fn record(
        &mut self,
        source: &impl Source,
        reasons: &mut Reasons,
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<()> {
        for step in &checkpoint.moves {
            let to = match &step.to {
                Destination::Retry { attempt, due } => Place::Retry { attempt: *attempt, due: *due },
                Destination::Done { outcome, reason } => {
                    Place::Done { outcome: *outcome, reason: reasons.number(reason.as_ref()) }
                }
            };
            self.shift(source, step.chunk, step.from, to, &step.set, now)?;
        }
        for evidence in &checkpoint.evidence {
            let (chunk, offset) = (evidence.seq.chunk(), evidence.seq.offset());
            self.shift(source, chunk, evidence.from, Place::Staged, &ChunkSet::from_range(offset..=offset), now)?;
            let reason = reasons.number(Some(&evidence.reason));
            let noted = Evidenced { since: evidence.since, timed: evidence.timed, reason };
            self.cell(source, chunk, Place::Staged)?.evidence.insert(offset, noted);
        }
        self.counters.retries += checkpoint.retries;
        Ok(())
    }

    /// The staged removals that `judgement` is about, in seq order.
    pub(in crate::store) fn judged(&mut self, source: &impl Source, judgement: Judgement) -> Result<Vec<Judged>> {
        for chunk in source.staged()? {
            self.cell(source, chunk, Place::Staged)?;
        }
        let staged = self.cells.iter().filter(|((_, place), _)| *place == Place::Staged);
        Ok(staged
            .flat_map(|((chunk, _), cell)| cell.evidence.iter().map(move |(offset, it)| (Seq::at(*chunk, *offset), it)))
            .filter(|(_, it)| it.timed || judgement != Judgement::TimedOnly)
            .map(|(seq, it)| Judged {
                seq,
                since: it.since,
                reason: it.reason,
                may_drop: it.timed || judgement == Judgement::All,
            })
            .collect())
    }

    /// Ends a judged removal: dropped, or rejected because it stays.
    pub(in crate::store) fn conclude(
        &mut self,
        source: &impl Source,
        judged: &Judged,
        dropped: bool,
        now: Timestamp,
    ) -> Result<()> {
        let outcome = if dropped { Outcome::Dropped } else { Outcome::Rejected };
        let (chunk, offset) = (judged.seq.chunk(), judged.seq.offset());
        let to = Place::Done { outcome, reason: judged.reason };
        self.shift(source, chunk, Place::Staged, to, &ChunkSet::from_range(offset..=offset), now)
    }

    fn shift(
        &mut self,
        source: &impl Source,
        chunk: ChunkNo,
        from: Place,
        to: Place,
        set: &ChunkSet,
        now: Timestamp,
    ) -> Result<()> {
        let broken = |rule: &str| {
            Err(StoreError::Corrupt(format!("chunk {chunk}: {} targets from {from:?} to {to:?}: {rule}", set.len())))
        };
        if !from.is_pending() {
            return broken("a finished target stays where it is");
        }
        if from == Place::Staged && to.is_pending() {
            return broken("a staged removal is judged, never sent again");
        }
        if set.is_empty() {
            return Ok(());
        }
        let left = self.cell(source, chunk, from)?;
        if !set.is_subset(&left.set) {
            return broken("not all of them are there");
        }
        left.set.subtract(set);
        if from == Place::Staged {
            left.evidence.retain(|offset, _| !set.contains(*offset));
        }
        (left.at, left.changed) = (now, true);
        let entered = self.cell(source, chunk, to)?;
        let before = entered.set.len();
        entered.set.union_with(set);
        if entered.set.len() != before + set.len() {
            return broken("some of them stand there already");
        }
        (entered.at, entered.changed) = (now, true);
        if let Place::Done { outcome, .. } = to {
            self.counters.finish(outcome, u64::from(set.len()));
        }
        Ok(())
    }

    fn cell(&mut self, source: &impl Source, chunk: ChunkNo, place: Place) -> Result<&mut Cell> {
        use std::collections::btree_map::Entry;
        match self.cells.entry((chunk, place)) {
            Entry::Occupied(cell) => Ok(cell.into_mut()),
            Entry::Vacant(cell) => Ok(cell.insert(source.load(chunk, place)?.unwrap_or_default())),
        }
    }
}
