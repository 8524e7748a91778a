//! A set of seqs within one chunk: the unit of the index, of work and of outcomes.
//!
//! A chunk is 16,384 neighbouring seqs; a member is known by its *offset*, the low [`CHUNK_BITS`] bits of its seq.
//! A set is held in one of three forms, and so it is stored:
//!
//! | form | holds | bytes | good at |
//! |---|---|---|---|
//! | list | ascending `u16` offsets | 2 a member | few members |
//! | bits | 256 words of 64 bits | 2,048 | anything dense |
//! | runs | ascending (first, last) pairs that neither overlap nor touch | 4 a run | neighbours: whole chunks, what is left of them |
//!
//! The form is not part of the value: equal members are equal sets. In memory a form is left only when another is
//! plainly better (no list above 1,024 members, no more than 512 runs, no bits for a handful), because switching
//! costs more than it saves; [`ChunkSet::optimize`] and [`ChunkSet::encode`] look for the smallest.
//!
//! `algebra` combines two sets, `codec` is the stored format, `words` and `run` are the two representations that
//! need arithmetic of their own.
mod algebra;
mod codec;
mod iter;
mod run;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::ops::RangeInclusive;

pub use codec::ChunkSetError;
pub use iter::{Iter, Ranges};
use run::Run;
use words::Words;

/// How many low bits of a seq are its offset in the chunk; the bits above are the chunk's number.
pub const CHUNK_BITS: u32 = 14;
/// How many seqs a chunk holds. Offsets are below it.
pub const CHUNK_SIZE: u32 = 1 << CHUNK_BITS;

/// The highest offset.
const LAST: u16 = u16::MAX >> (16 - CHUNK_BITS);
/// A longer list takes more bytes than bits do.
const LIST_MAX: usize = 1_024;
/// More runs take more bytes than bits do.
const RUNS_MAX: usize = 512;
/// Bits with at most this many members become a list after they lost some: every later step is then cheaper.
const BITS_MIN: u32 = 128;

/// A set of offsets below [`CHUNK_SIZE`].
#[derive(Clone)]
pub struct ChunkSet {
    /// Cardinality, kept because every counter of the service asks for it.
    len: u32,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// Strictly ascending.
    List(Vec<u16>),
    /// Offset `o` is bit `o % 64` of word `o / 64`.
    Bits(Box<Words>),
    /// Strictly ascending, at least one absent offset between two of them.
    Runs(Vec<Run>),
}

impl ChunkSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { len: 0, form: Form::List(Vec::new()) }
    }

    /// Every offset of the chunk.
    #[must_use]
    pub fn full() -> Self {
        Self::from_range(0..=LAST)
    }

    /// Every offset of the range; what lies beyond the chunk is left out.
    #[must_use]
    pub fn from_range(range: RangeInclusive<u16>) -> Self {
        let run = Run { first: *range.start(), last: (*range.end()).min(LAST) };
        if run.first > run.last { Self::new() } else { Self { len: run.len(), form: Form::Runs(vec![run]) } }
    }

    /// Takes strictly ascending offsets as they are.
    ///
    /// # Errors
    /// [`ChunkSetError::NotAscending`] or [`ChunkSetError::OutOfRange`].
    pub fn from_sorted(offsets: Vec<u16>) -> Result<Self, ChunkSetError> {
        if let Some(pair) = offsets.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(ChunkSetError::NotAscending { previous: pair[0], offset: pair[1] });
        }
        match offsets.last() {
            Some(&last) if last > LAST => Err(ChunkSetError::OutOfRange(last)),
            _ => Ok(Self::of_list(offsets)),
        }
    }

    /// Cardinality, 0 to [`CHUNK_SIZE`].
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `offset` is a member; an offset beyond the chunk never is.
    #[must_use]
    pub fn contains(&self, offset: u16) -> bool {
        match &self.form {
            Form::List(list) => list.binary_search(&offset).is_ok(),
            Form::Bits(words) => words::contains(words, offset),
            Form::Runs(runs) => run::position(runs, offset).is_ok(),
        }
    }

    /// Adds `offset`; true if it was absent. An offset beyond the chunk is not added: callers take offsets from
    /// seqs, so that can only be a mistake, and debug builds stop there.
    pub fn insert(&mut self, offset: u16) -> bool {
        debug_assert!(offset <= LAST, "offset {offset} is beyond the chunk");
        if offset > LAST {
            return false;
        }
        let added = match &mut self.form {
            Form::List(list) => match list.last() {
                Some(&last) if last >= offset => {
                    list.binary_search(&offset).map_err(|at| list.insert(at, offset)).is_err()
                }
                _ => {
                    list.push(offset);
                    true
                }
            },
            Form::Bits(words) => words::insert(words, offset),
            Form::Runs(runs) => run::insert(runs, offset),
        };
        self.len += u32::from(added);
        self.leave_large_forms();
        added
    }

    /// Takes `offset` out; true if it was present.
    pub fn remove(&mut self, offset: u16) -> bool {
        let removed = match &mut self.form {
            Form::List(list) => list.binary_search(&offset).map(|at| list.remove(at)).is_ok(),
            Form::Bits(words) => words::remove(words, offset),
            Form::Runs(runs) => run::remove(runs, offset),
        };
        self.len -= u32::from(removed);
        self.leave_large_forms();
        removed
    }

    /// Many changes at once, in any order, then [`optimize`](Self::optimize): all `adds`, then all `removes`, so an
    /// offset in both ends absent. Offsets beyond the chunk are left out as by [`insert`](Self::insert).
    pub fn apply(&mut self, adds: impl IntoIterator<Item = u16>, removes: impl IntoIterator<Item = u16>) {
        let mut words = std::mem::take(self).into_words();
        for offset in adds {
            debug_assert!(offset <= LAST, "offset {offset} is beyond the chunk");
            words::insert(&mut words, offset);
        }
        for offset in removes {
            words::remove(&mut words, offset);
        }
        *self = Self { len: words::count(&words), form: Form::Bits(words) };
        self.optimize();
    }

    /// The lowest member.
    #[must_use]
    pub fn first(&self) -> Option<u16> {
        match &self.form {
            Form::List(list) => list.first().copied(),
            Form::Bits(words) => words::next_member(words, 0),
            Form::Runs(runs) => runs.first().map(|run| run.first),
        }
    }

    /// The highest member.
    #[must_use]
    pub fn last(&self) -> Option<u16> {
        match &self.form {
            Form::List(list) => list.last().copied(),
            Form::Bits(words) => words::last_member(words),
            Form::Runs(runs) => runs.last().map(|run| run.last),
        }
    }

    /// How many members are below `offset`.
    #[must_use]
    pub fn rank(&self, offset: u16) -> u32 {
        if offset > LAST {
            return self.len;
        }
        match &self.form {
            Form::List(list) => iter::small(list.partition_point(|&member| member < offset)),
            Form::Bits(words) => words::rank(words, offset),
            Form::Runs(runs) => runs
                .iter()
                .take_while(|run| run.first < offset)
                .map(|run| Run { first: run.first, last: run.last.min(offset - 1) }.len())
                .sum(),
        }
    }

    /// The member with exactly `rank` members below it.
    #[must_use]
    pub fn select(&self, rank: u32) -> Option<u16> {
        if rank >= self.len {
            return None;
        }
        match &self.form {
            Form::List(list) => list.get(rank as usize).copied(),
            Form::Bits(words) => words::select(words, rank),
            Form::Runs(runs) => {
                let mut left = rank;
                for run in runs {
                    if left < run.len() {
                        return Some(run.first + iter::offset(left));
                    }
                    left -= run.len();
                }
                None
            }
        }
    }

    /// Splits off the `n` lowest members: they are returned, the others stay.
    pub fn take_first(&mut self, n: u32) -> Self {
        match self.select(n) {
            None => std::mem::take(self),
            Some(0) => Self::new(),
            Some(rest) => {
                let below = Self::from_range(0..=rest - 1);
                let taken = self.and(&below);
                self.subtract(&below);
                taken
            }
        }
    }

    /// The members, ascending.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self)
    }

    /// The members as ranges that neither overlap nor touch, ascending.
    #[must_use]
    pub fn ranges(&self) -> Ranges<'_> {
        Ranges::new(self)
    }

    fn of_list(list: Vec<u16>) -> Self {
        let mut set = Self { len: iter::small(list.len()), form: Form::List(list) };
        set.leave_large_forms();
        set
    }

    fn of_runs(runs: Vec<Run>) -> Self {
        let mut set = Self { len: runs.iter().map(Run::len).sum(), form: Form::Runs(runs) };
        set.leave_large_forms();
        set
    }

    /// Bits that just lost members.
    fn of_fewer_bits(words: Box<Words>, len: u32) -> Self {
        let mut set = Self { len, form: Form::Bits(words) };
        set.leave_sparse_bits();
        set
    }

    fn leave_large_forms(&mut self) {
        let too_large = match &self.form {
            Form::List(list) => list.len() > LIST_MAX,
            Form::Runs(runs) => runs.len() > RUNS_MAX,
            Form::Bits(_) => false,
        };
        if too_large {
            self.make_bits();
        }
    }

    fn leave_sparse_bits(&mut self) {
        if self.len <= BITS_MIN && matches!(self.form, Form::Bits(_)) {
            self.form = Form::List(self.iter().collect());
        }
    }

    fn make_bits(&mut self) {
        let len = self.len;
        *self = Self { len, form: Form::Bits(std::mem::take(self).into_words()) };
    }

    fn into_words(self) -> Box<Words> {
        match self.form {
            Form::Bits(words) => words,
            other => {
                let mut words = words::empty();
                other.paint(&mut words);
                words
            }
        }
    }
}

impl Form {
    /// Sets the bits of all members.
    fn paint(&self, words: &mut Words) {
        match self {
            Self::List(list) => list.iter().for_each(|&offset| {
                words::insert(words, offset);
            }),
            Self::Runs(runs) => runs.iter().for_each(|&run| words::insert_run(words, run)),
            Self::Bits(other) => words.iter_mut().zip(other.iter()).for_each(|(word, other)| *word |= other),
        }
    }
}

impl Default for ChunkSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for ChunkSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && match (&self.form, &other.form) {
                (Form::List(a), Form::List(b)) => a == b,
                (Form::Bits(a), Form::Bits(b)) => a == b,
                (Form::Runs(a), Form::Runs(b)) => a == b,
                _ => self.iter().eq(other),
            }
    }
}

impl Eq for ChunkSet {}

/// In any order, with repeats.
impl FromIterator<u16> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = u16>>(offsets: I) -> Self {
        let mut set = Self::new();
        set.extend(offsets);
        set
    }
}

impl Extend<u16> for ChunkSet {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, offsets: I) {
        for offset in offsets {
            self.insert(offset);
        }
    }
}

impl<'a> IntoIterator for &'a ChunkSet {
    type Item = u16;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// As ranges: `{3..=3, 10..=4000}`.
impl fmt::Debug for ChunkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ranges()).finish()
    }
}
