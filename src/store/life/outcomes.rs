//! A page of what became of targets, gathered set by set.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::reasons::Reasons;
use crate::model::channel::Channel;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::outcome::{Outcome, Place};
use crate::model::platform::Platform;
use crate::model::registration::{Registrant, RegistrationId};
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use crate::store::{OutcomeItem, OutcomeQuery, Tally};

/// Adds a set to a tally.
pub(in crate::store) fn count(tally: &mut Tally, reasons: &Reasons, platform: Platform, place: Place, set: &ChunkSet) {
    if let Place::Done { outcome, reason } = place
        && !set.is_empty()
    {
        let key = (platform, outcome, reasons.text(reason).map(str::to_owned));
        *tally.entry(key).or_default() += u64::from(set.len());
    }
}

/// The tally of an inline plan's sets.
pub(in crate::store) fn count_inline(reasons: &Reasons, ledgers: &BTreeMap<Platform, Ledger>) -> Tally {
    let mut tally = Tally::new();
    for (platform, ledger) in ledgers {
        for ((_, place), cell) in ledger.cells() {
            count(&mut tally, reasons, *platform, place, &cell.set);
        }
    }
    tally
}

/// One target found in a set.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Found {
    pub(in crate::store) seq: Seq,
    pub(in crate::store) platform: Platform,
    pub(in crate::store) place: Place,
    pub(in crate::store) at: Timestamp,
}

impl Found {
    /// The item, with what its target's row tells.
    pub(in crate::store) fn item(
        self,
        reasons: &Reasons,
        target: TargetKind,
        registrant: Option<Registrant>,
    ) -> OutcomeItem {
        let (outcome, reason) = match self.place {
            Place::Done { outcome, reason } => (Some(outcome), reasons.text(reason).map(str::to_owned)),
            _ => (None, None),
        };
        let Self { seq, platform, at, .. } = self;
        OutcomeItem { seq, registrant, handle: None, target, platform, outcome, reason, at }
    }

    /// The item of a bare handle.
    pub(in crate::store) fn direct(self, reasons: &Reasons, handles: &[Channel]) -> OutcomeItem {
        let at = usize::try_from(self.seq.0).unwrap_or(usize::MAX);
        let handle = handles.get(at).map(Channel::text);
        OutcomeItem { handle, ..self.item(reasons, TargetKind::Native, None) }
    }
}

/// What an id that outcomes are asked for may be the key of: an installation, or a registration.
pub(in crate::store) fn keys_of_id(id: &str) -> Vec<String> {
    let registration = RegistrationId::parse(id).ok().map(|id| id.key());
    std::iter::once(id.to_owned()).chain(registration).collect()
}

/// Gathers one page. Chunks are added in ascending order, each whole: its sets, then [`Gather::end_chunk`].
#[derive(Debug)]
pub(in crate::store) struct Gather {
    /// `Some(None)` is pending.
    outcome: Option<Option<Outcome>>,
    from: Seq,
    limit: usize,
    /// One more than the limit tells where the next page begins.
    found: Vec<Found>,
    sorted: usize,
}

impl Gather {
    /// The page that a query asks for.
    pub(in crate::store) fn new(query: &OutcomeQuery) -> Self {
        let from = query.from.unwrap_or_default();
        Self { outcome: query.outcome, from, limit: query.limit.max(1), found: Vec::new(), sorted: 0 }
    }

    /// The first chunk to add.
    pub(in crate::store) fn first_chunk(&self) -> ChunkNo {
        self.from.chunk()
    }

    /// Whether more chunks would change nothing.
    pub(in crate::store) fn is_full(&self) -> bool {
        self.found.len() > self.limit
    }

    fn wants(&self, place: Place) -> bool {
        match (self.outcome, place) {
            (None, _) => true,
            (Some(None), place) => place.is_pending(),
            (Some(Some(outcome)), place) => matches!(place, Place::Done { outcome: found, .. } if found == outcome),
        }
    }

    /// Adds a set of a chunk.
    pub(in crate::store) fn add(
        &mut self,
        chunk: ChunkNo,
        platform: Platform,
        place: Place,
        set: &ChunkSet,
        at: Timestamp,
    ) {
        if !self.wants(place) {
            return;
        }
        let first = if chunk == self.from.chunk() { self.from.offset() } else { 0 };
        let missing = (self.limit + 1).saturating_sub(self.sorted);
        // Sets are disjoint, so the lowest of all are among the lowest of each.
        let offsets = set.iter().skip_while(|offset| *offset < first).take(missing);
        self.found.extend(offsets.map(|offset| Found { seq: Seq::at(chunk, offset), platform, place, at }));
    }

    /// Adds one target, if it stands in this set. For pages of chosen targets.
    pub(in crate::store) fn add_one(
        &mut self,
        seq: Seq,
        platform: Platform,
        place: Place,
        set: &ChunkSet,
        at: Timestamp,
    ) {
        if seq >= self.from && self.wants(place) && set.contains(seq.offset()) {
            self.found.push(Found { seq, platform, place, at });
        }
    }

    /// All sets of a chunk were added.
    pub(in crate::store) fn end_chunk(&mut self) {
        if let Some(added) = self.found.get_mut(self.sorted..) {
            added.sort_unstable_by_key(|found| found.seq);
        }
        self.found.truncate(self.limit + 1);
        self.sorted = self.found.len();
    }

    /// What was found, and where the next page begins.
    pub(in crate::store) fn page(mut self) -> (Vec<Found>, Option<Seq>) {
        self.end_chunk();
        let next = self.found.get(self.limit).map(|found| found.seq);
        self.found.truncate(self.limit);
        (self.found, next)
    }
}

/// Gathers a page of all targets from an inline plan's sets.
pub(in crate::store) fn all_of_inline(gather: &mut Gather, ledgers: &BTreeMap<Platform, Ledger>) {
    let mut next = Some(gather.first_chunk());
    while let Some(chunk) = next.and_then(|from| next_chunk(ledgers, from)) {
        add_inline_chunk(ledgers, chunk, |platform, place, set, at| gather.add(chunk, platform, place, set, at));
        gather.end_chunk();
        if gather.is_full() {
            return;
        }
        next = chunk.0.checked_add(1).map(ChunkNo);
    }
}

/// Gathers a page of chosen targets, ascending, from an inline plan's sets.
pub(in crate::store) fn some_of_inline(gather: &mut Gather, ledgers: &BTreeMap<Platform, Ledger>, seqs: &[Seq]) {
    for seq in seqs {
        add_inline_chunk(ledgers, seq.chunk(), |platform, place, set, at| {
            gather.add_one(*seq, platform, place, set, at);
        });
    }
}

/// The next chunk from `chunk` on that any platform has targets in.
fn next_chunk(ledgers: &BTreeMap<Platform, Ledger>, chunk: ChunkNo) -> Option<ChunkNo> {
    let chunks = ledgers.values().flat_map(|ledger| ledger.cells().map(|((chunk, _), _)| chunk));
    chunks.filter(|found| *found >= chunk).min()
}

fn add_inline_chunk(
    ledgers: &BTreeMap<Platform, Ledger>,
    chunk: ChunkNo,
    mut each: impl FnMut(Platform, Place, &ChunkSet, Timestamp),
) {
    for (platform, ledger) in ledgers {
        for ((_, place), cell) in ledger.cells().filter(|((found, _), _)| *found == chunk) {
            each(*platform, place, &cell.set, cell.at);
        }
    }
}
