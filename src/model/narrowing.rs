//! Finding the target that kills its worker (design.md section 7).
//!
//! A shard whose lease runs out twice in a row with nothing recorded is suspected: one of its targets may be what killed
//! the processes that held it. From then on each lease may send a part of it only, and what becomes of that lease says
//! where the killer is:
//!
//! ```text
//!                                        ┌───────── finished: the suspect range begins behind it ─────────┐
//!   open ──struck twice──▶ suspect: all targets; may be sent: the first half ──▶ ───────────────────────┤
//!    ▲                                   └─ struck: it is the suspect range; its first half may be sent ──┘
//!    │                                                                        │ it was one target: poison
//!    └──────── nothing is left in the suspect range ◀─────────────────────────┘
//! ```
//!
//! A target alone is believed to be the killer only when it was struck three times in a row: it may share a process
//! with the real one in a shard that is not suspected yet, but not for long.
//!
//! The suspect range is cut at a chunk while it has targets in several, then at a seq: so a killer among n targets is
//! alone after about log₂ n deaths. A shard that is innocent, and was only held by a process that another one killed,
//! finishes half after half and is open again.
//!
//! All of it is decided when a lease is taken. A process takes one such lease at a time, so that suspects do not strike
//! each other. Whoever holds it sends what it is given and gives the shard back.

use super::chunk_set::ChunkSet;
use super::id::{ChunkNo, Seq};

/// Strikes in a row that make a shard suspected: one may be an accident of the machine.
pub const SUSPECTED: u32 = 2;

/// Strikes in a row that make a target alone the killer.
pub const PROVEN: u32 = 3;

/// What of a suspected shard may be sent. `first <= to <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The first of the suspect range and of what may be sent.
    pub first: Seq,
    /// The last that may be sent.
    pub to: Seq,
    /// The last of the suspect range.
    pub last: Seq,
}

/// What a lease may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Open,
    /// Only from `first` to `to`; the shard is given back after it, not closed.
    Narrowed(Narrowed),
    /// Nothing: this target was sent alone and killed its worker. It is rejected, and the shard given back.
    Poison(Narrowed, Seq),
}

impl Scope {
    /// What is stored of it.
    pub const fn narrowed(self) -> Option<Narrowed> {
        match self {
            Self::Open => None,
            Self::Narrowed(narrowed) | Self::Poison(narrowed, _) => Some(narrowed),
        }
    }
}

/// Whether a lease needs [`scope`] at all: most never do. `struck`: the lease before it ran out without progress, and
/// `strikes` counts it.
pub const fn concerns(before: Option<Narrowed>, struck: bool, strikes: u32) -> bool {
    before.is_some() || (struck && strikes >= SUSPECTED)
}

/// What the next lease may send, after `before`. `sendable` are the shard's targets that could be sent now, by chunk,
/// ascending. `strikes` count from when the range became what it is.
pub fn scope(before: Option<Narrowed>, struck: bool, strikes: u32, sendable: &[(ChunkNo, ChunkSet)]) -> Scope {
    let (first, last) = match before {
        None if struck && strikes >= SUSPECTED => (Seq(0), Seq(Seq::END - 1)),
        None => return Scope::Open,
        Some(before) if struck => {
            let killed = Suspects::within(sendable, before.first, before.to);
            return match killed.only() {
                Some(seq) if strikes >= PROVEN => Scope::Poison(before, seq),
                Some(_) => Scope::Narrowed(before),
                None => killed.halved(),
            };
        }
        Some(before) if Suspects::within(sendable, before.first, before.to).is_empty() => {
            (Seq(before.to.0 + 1), before.last)
        }
        Some(before) => return Scope::Narrowed(before),
    };
    Suspects::within(sendable, first, last).halved()
}

/// The targets of a range of seqs.
struct Suspects {
    /// None of them empty.
    chunks: Vec<(ChunkNo, ChunkSet)>,
}

impl Suspects {
    fn within(sendable: &[(ChunkNo, ChunkSet)], first: Seq, last: Seq) -> Self {
        let part = |(chunk, set): &(ChunkNo, ChunkSet)| (*chunk, within(set, *chunk, first, last));
        let chunks = sendable.iter().map(part).filter(|(_, set)| !set.is_empty()).collect();
        Self { chunks }
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The target, when there is one alone.
    fn only(&self) -> Option<Seq> {
        match &self.chunks[..] {
            [(chunk, set)] if set.len() == 1 => set.first().map(|offset| Seq::at(*chunk, offset)),
            _ => None,
        }
    }

    /// The range around them, of which the first half may be sent.
    fn halved(&self) -> Scope {
        let first_of = |(chunk, set): &(ChunkNo, ChunkSet)| set.first().map(|offset| Seq::at(*chunk, offset));
        let last_of = |(chunk, set): &(ChunkNo, ChunkSet)| set.last().map(|offset| Seq::at(*chunk, offset));
        let (Some(first), Some(last)) = (self.chunks.first().and_then(first_of), self.chunks.last().and_then(last_of))
        else {
            return Scope::Open;
        };
        let to = match &self.chunks[..] {
            [(chunk, set)] => {
                let half = (set.len() / 2).max(1);
                set.select(half - 1).map(|offset| Seq::at(*chunk, offset))
            }
            several => {
                let all: u64 = several.iter().map(|(_, set)| u64::from(set.len())).sum();
                let mut before = 0;
                let ends = several[..several.len() - 1].iter().map(|part| {
                    before += u64::from(part.1.len());
                    // Twice the distance from the middle.
                    ((2 * before).abs_diff(all), part)
                });
                ends.min_by_key(|(distance, _)| *distance).and_then(|(_, part)| last_of(part))
            }
        };
        Scope::Narrowed(Narrowed { first, to: to.unwrap_or(last), last })
    }
}

/// The members of a chunk's set from `first` to `last`.
pub fn within(set: &ChunkSet, chunk: ChunkNo, first: Seq, last: Seq) -> ChunkSet {
    if first > last || chunk < first.chunk() || chunk > last.chunk() {
        return ChunkSet::new();
    }
    let from = if chunk == first.chunk() { first.offset() } else { 0 };
    let to = if chunk == last.chunk() { last.offset() } else { CHUNK_END };
    if from == 0 && to == CHUNK_END {
        return set.clone();
    }
    set.and(&ChunkSet::from_range(from..=to))
}

/// The last offset of a chunk.
const CHUNK_END: u16 = (1 << super::id::CHUNK_BITS) - 1;

#[cfg(test)]
mod tests;
