//! What a worker knows of the shard it holds: which targets wait, which are with the gateway, and what came of those
//! that were answered and not yet recorded.
//!
//! ```text
//!   waiting ──pick──▶ handed ──settle──▶ unrecorded ──take/recorded──▶ (store)
//!      ▲                │ put_back                       │ a retry waits again, once recorded
//!      └────────────────┴───────────────────────────────┘
//! ```
//!
//! Every target of the shard's unfinished sets is in exactly one of the three, or staged. The sum `handed +
//! unrecorded` is the credit in use: the most that a crash can repeat.

use std::collections::BTreeMap;

use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::outcome::Place;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{ChunkWork, Destination, Evidence, Move};

/// The targets of one shard.
#[derive(Debug, Default)]
pub struct Ledger {
    chunks: BTreeMap<ChunkNo, Chunk>,
    moves: BTreeMap<(ChunkNo, Place, Destination), ChunkSet>,
    evidence: Vec<Evidence>,
    retries: u64,
    handed: u64,
    unrecorded: u64,
    /// Removals that wait for their judgement in the store.
    staged: u64,
}

#[derive(Debug, Default)]
struct Chunk {
    /// By place: pending, and each retry row.
    waiting: BTreeMap<Place, ChunkSet>,
    /// With the gateway, by the place they came from.
    handed: BTreeMap<Place, ChunkSet>,
}

/// Targets picked for sending: all of one chunk and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    pub chunk: ChunkNo,
    pub place: Place,
    pub set: ChunkSet,
}

/// What a checkpoint takes out of the ledger.
#[derive(Debug, Default)]
pub struct Unrecorded {
    pub moves: Vec<Move>,
    pub evidence: Vec<Evidence>,
    pub retries: u64,
    targets: u64,
}

impl Ledger {
    /// The ledger of a shard just leased.
    pub fn new(chunks: Vec<ChunkWork>) -> Self {
        let mut ledger = Self::default();
        for work in chunks {
            let chunk = ledger.chunks.entry(work.chunk).or_default();
            if !work.pending.is_empty() {
                chunk.waiting.insert(Place::Pending, work.pending);
            }
            for ((attempt, due), set) in work.retries {
                chunk.waiting.insert(Place::Retry { attempt, due }, set);
            }
            ledger.staged += u64::from(work.staged.len());
        }
        ledger
    }

    /// Picks up to `most` targets that may be sent now: due retries before fresh targets, chunks in order.
    pub fn pick(&mut self, now: Timestamp, most: usize) -> Option<Pick> {
        let is_due = |place: &Place| matches!(place, Place::Retry { due, .. } if *due <= now);
        let due = self.chunks.iter().find_map(|(no, chunk)| Some((*no, *chunk.waiting.keys().find(|p| is_due(p))?)));
        let fresh = || {
            let mut chunks = self.chunks.iter();
            chunks.find_map(|(no, chunk)| chunk.waiting.contains_key(&Place::Pending).then_some((*no, Place::Pending)))
        };
        let (no, place) = due.or_else(fresh)?;
        let chunk = self.chunks.get_mut(&no)?;
        let waiting = chunk.waiting.get_mut(&place)?;
        let set = waiting.take_first(u32::try_from(most).unwrap_or(u32::MAX));
        if waiting.is_empty() {
            chunk.waiting.remove(&place);
        }
        self.handed += u64::from(set.len());
        chunk.handed.entry(place).or_default().union_with(&set);
        Some(Pick { chunk: no, place, set })
    }

    /// What was picked, and of what waits beside it the next, up to `most` in all.
    pub fn following(&self, pick: &Pick, most: usize) -> ChunkSet {
        let mut all = pick.set.clone();
        let waiting = self.chunks.get(&pick.chunk).and_then(|chunk| chunk.waiting.get(&pick.place));
        let more = u32::try_from(most).unwrap_or(u32::MAX).saturating_sub(all.len());
        if let Some(waiting) = waiting.filter(|_| more > 0) {
            all.union_with(&waiting.clone().take_first(more));
        }
        all
    }

    /// Where a target with the gateway came from; `None` when it is not with the gateway.
    pub fn handed_from(&self, seq: Seq) -> Option<Place> {
        let chunk = self.chunks.get(&seq.chunk())?;
        chunk.handed.iter().find(|(_, set)| set.contains(seq.offset())).map(|(place, _)| *place)
    }

    /// Takes a target back from the gateway; answers where it came from.
    fn take_handed(&mut self, seq: Seq) -> Option<Place> {
        let place = self.handed_from(seq)?;
        let chunk = self.chunks.get_mut(&seq.chunk())?;
        let handed = chunk.handed.get_mut(&place)?;
        handed.remove(seq.offset());
        if handed.is_empty() {
            chunk.handed.remove(&place);
        }
        self.handed -= 1;
        Some(place)
    }

    /// A target was not sent after all: it waits where it was.
    pub fn put_back(&mut self, seq: Seq) {
        if let Some(place) = self.take_handed(seq) {
            let chunk = self.chunks.entry(seq.chunk()).or_default();
            chunk.waiting.entry(place).or_default().insert(seq.offset());
        }
    }

    /// The word for a target that the gateway answered.
    pub fn settle(&mut self, seq: Seq, to: Destination) {
        let Some(place) = self.take_handed(seq) else { return };
        self.count_retry(place);
        self.moves.entry((seq.chunk(), place, to)).or_default().insert(seq.offset());
        self.unrecorded += 1;
    }

    /// A service said that a target's address is dead: to be staged, and judged by the store.
    pub fn stage(&mut self, seq: Seq, since: Timestamp, timed: bool, reason: Reason) {
        let Some(from) = self.take_handed(seq) else { return };
        self.count_retry(from);
        self.evidence.push(Evidence { seq, from, since, timed, reason });
        self.unrecorded += 1;
    }

    /// The same word for many targets of a chunk: a few set operations instead of one look-up a target. `sent`: they
    /// were handed over, so that repeats count; else their rows said that they left.
    pub fn settle_set(&mut self, chunk: ChunkNo, set: &ChunkSet, to: &Destination, sent: bool) {
        for (place, hit) in self.take_handed_set(chunk, set) {
            if sent && matches!(place, Place::Retry { attempt, .. } if attempt > 1) {
                self.retries += u64::from(hit.len());
            }
            self.unrecorded += u64::from(hit.len());
            self.moves.entry((chunk, place, to.clone())).or_default().union_with(&hit);
        }
    }

    /// Targets of a chunk were not sent after all: they wait where they were.
    pub fn put_back_set(&mut self, chunk: ChunkNo, set: &ChunkSet) {
        for (place, hit) in self.take_handed_set(chunk, set) {
            self.chunks.entry(chunk).or_default().waiting.entry(place).or_default().union_with(&hit);
        }
    }

    /// Takes targets back from the gateway, by where they came from.
    fn take_handed_set(&mut self, chunk: ChunkNo, set: &ChunkSet) -> Vec<(Place, ChunkSet)> {
        let Some(chunk) = self.chunks.get_mut(&chunk) else { return Vec::new() };
        let mut taken = Vec::with_capacity(1);
        chunk.handed.retain(|place, handed| {
            let hit = handed.and(set);
            if !hit.is_empty() {
                handed.subtract(&hit);
                taken.push((*place, hit));
            }
            !handed.is_empty()
        });
        self.handed -= taken.iter().map(|(_, hit)| u64::from(hit.len())).sum::<u64>();
        taken
    }

    fn count_retry(&mut self, from: Place) {
        if matches!(from, Place::Retry { attempt, .. } if attempt > 1) {
            self.retries += 1;
        }
    }

    /// Ends everything that waits, as cancel, expiry and condemnation do. What is with the gateway is not touched.
    pub fn end_waiting(&mut self, to: &Destination) {
        for (no, chunk) in &mut self.chunks {
            for (place, set) in std::mem::take(&mut chunk.waiting) {
                self.unrecorded += u64::from(set.len());
                self.moves.entry((*no, place, to.clone())).or_default().union_with(&set);
            }
        }
    }

    /// Takes all that is to be recorded. They stay in the credit until [`Ledger::recorded`].
    pub fn take_unrecorded(&mut self) -> Unrecorded {
        let moves = std::mem::take(&mut self.moves);
        let moves: Vec<_> = moves.into_iter().map(|((chunk, from, to), set)| Move { chunk, from, to, set }).collect();
        let evidence = std::mem::take(&mut self.evidence);
        let targets = moves.iter().map(|m| u64::from(m.set.len())).sum::<u64>() + evidence.len() as u64;
        Unrecorded { moves, evidence, retries: std::mem::take(&mut self.retries), targets }
    }

    /// What was taken is in the store. Targets that wait for a repeat can be picked again from now on.
    pub fn recorded(&mut self, taken: Unrecorded) {
        self.unrecorded -= taken.targets;
        self.staged += taken.evidence.len() as u64;
        for Move { chunk, to, set, .. } in taken.moves {
            if let Destination::Retry { attempt, due } = to {
                let chunk = self.chunks.entry(chunk).or_default();
                chunk.waiting.entry(Place::Retry { attempt, due }).or_default().union_with(&set);
            }
        }
    }

    /// The store judged that many staged removals.
    pub fn judged(&mut self, removals: u64) {
        self.staged -= removals.min(self.staged);
    }

    /// Targets whose outcome is not recorded although the gateway may have sent to them.
    pub fn credit_used(&self) -> u64 {
        self.handed + self.unrecorded
    }

    /// Targets with the gateway.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Targets answered and not recorded.
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// Whether removals wait for a judgement.
    pub fn has_staged(&self) -> bool {
        self.staged > 0 || !self.evidence.is_empty()
    }

    /// Whether nothing waits to be sent, now or later.
    pub fn nothing_waits(&self) -> bool {
        self.chunks.values().all(|chunk| chunk.waiting.is_empty())
            && !self.moves.keys().any(|(_, _, to)| matches!(to, Destination::Retry { .. }))
    }

    /// Whether something could be picked at `now`.
    pub fn can_pick(&self, now: Timestamp) -> bool {
        let mut places = self.chunks.values().flat_map(|chunk| chunk.waiting.keys());
        places.any(|place| !matches!(place, Place::Retry { due, .. } if *due > now))
    }

    /// When the next repeat is due, of those that wait and those about to be recorded.
    pub fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.chunks.values().flat_map(|chunk| chunk.waiting.keys()).filter_map(|place| match place {
            Place::Retry { due, .. } => Some(*due),
            _ => None,
        });
        let moved = self.moves.keys().filter_map(|(_, _, to)| match to {
            Destination::Retry { due, .. } => Some(*due),
            Destination::Done { .. } => None,
        });
        waiting.chain(moved).min()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use super::*;
    use crate::model::outcome::Outcome;
    use proptest::prelude::*;

    const DELIVERED: Destination = Destination::Done { outcome: Outcome::Delivered, reason: None };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn chunk(no: u32, pending: std::ops::Range<u16>) -> ChunkWork {
        ChunkWork { chunk: ChunkNo(no), pending: pending.collect(), ..ChunkWork::default() }
    }

    #[test]
    fn due_retries_go_before_fresh_targets_and_future_ones_wait() {
        let mut work = chunk(0, 0..10);
        work.retries.insert((2, at(100)), (20..25).collect());
        let mut ledger = Ledger::new(vec![work]);
        assert_eq!(ledger.pick(at(0), 4).unwrap().place, Place::Pending);
        assert_eq!(ledger.pick(at(100), 4).unwrap().place, Place::Retry { attempt: 2, due: at(100) });
        assert_eq!(ledger.next_due(), Some(at(100)));
        assert!(ledger.pick(at(0), 100).is_some());
        assert!(!ledger.can_pick(at(99)) && ledger.can_pick(at(100)));
    }

    #[test]
    fn what_follows_a_pick_waits_in_the_same_place() {
        let mut work = chunk(0, 0..10);
        work.retries.insert((2, at(100)), (20..25).collect());
        let mut ledger = Ledger::new(vec![work, chunk(1, 0..10)]);
        let pick = ledger.pick(at(0), 4).unwrap();
        assert_eq!(ledger.following(&pick, 7), (0..7).collect());
        assert_eq!(ledger.following(&pick, 100), (0..10).collect());
        assert_eq!(ledger.following(&pick, 2), pick.set);
        assert_eq!(ledger.handed(), 4, "they wait on");
    }

    #[test]
    fn a_repeat_waits_only_once_it_is_recorded() {
        let mut ledger = Ledger::new(vec![chunk(0, 0..1)]);
        ledger.pick(at(0), 1).unwrap();
        ledger.settle(Seq(0), Destination::Retry { attempt: 2, due: at(5) });
        assert!(!ledger.can_pick(at(5)) && !ledger.nothing_waits());
        let taken = ledger.take_unrecorded();
        ledger.recorded(taken);
        assert!(ledger.can_pick(at(5)));
        ledger.pick(at(5), 1).unwrap();
        ledger.settle(Seq(0), DELIVERED);
        assert_eq!(ledger.take_unrecorded().retries, 1);
    }

    proptest! {
        /// Whatever happens, every target is moved exactly once out of each place it was in, and the credit adds up.
        #[test]
        fn nothing_is_lost_or_counted_twice(steps in proptest::collection::vec((0u8..6, any::<u16>()), 0..300)) {
            let mut ledger = Ledger::new(vec![chunk(0, 0..40), chunk(3, 100..130)]);
            let mut home: Map<Seq, Place> = (0..40).map(|o| (Seq::at(ChunkNo(0), o), Place::Pending))
                .chain((100..130).map(|o| (Seq::at(ChunkNo(3), o), Place::Pending))).collect();
            let mut handed: Vec<Seq> = Vec::new();
            let mut now = 0;
            for (step, n) in steps {
                match step {
                    0 | 1 => if let Some(pick) = ledger.pick(at(now), usize::from(n % 7) + 1) {
                        for offset in pick.set.iter() {
                            let seq = Seq::at(pick.chunk, offset);
                            prop_assert_eq!(home.get(&seq), Some(&pick.place));
                            handed.push(seq);
                        }
                    },
                    2 | 3 if !handed.is_empty() => {
                        let seq = handed.swap_remove(usize::from(n) % handed.len());
                        let alone: ChunkSet = [seq.offset()].into_iter().collect();
                        match n % 6 {
                            0 => ledger.put_back(seq),
                            4 => ledger.put_back_set(seq.chunk(), &alone),
                            5 => ledger.settle_set(seq.chunk(), &alone, &DELIVERED, true),
                            1 => ledger.settle(seq, Destination::Retry { attempt: 2, due: at(now + 10) }),
                            2 => ledger.stage(seq, at(0), true, Reason::known("Unregistered")),
                            _ => ledger.settle(seq, DELIVERED),
                        }
                    }
                    4 => {
                        let taken = ledger.take_unrecorded();
                        for Move { chunk, from, to, set } in &taken.moves {
                            for offset in set.iter() {
                                let seq = Seq::at(*chunk, offset);
                                prop_assert_eq!(home.remove(&seq), Some(*from));
                                if let Destination::Retry { attempt, due } = to {
                                    home.insert(seq, Place::Retry { attempt: *attempt, due: *due });
                                }
                            }
                        }
                        for evidence in &taken.evidence {
                            prop_assert_eq!(home.remove(&evidence.seq), Some(evidence.from));
                        }
                        ledger.recorded(taken);
                        prop_assert_eq!(ledger.unrecorded(), 0);
                    }
                    _ => now += 7,
                }
                prop_assert_eq!(ledger.handed(), handed.len() as u64);
                prop_assert!(ledger.credit_used() >= ledger.handed());
            }
        }
    }
}
