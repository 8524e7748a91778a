//! Members one by one and as ranges; the one place where offsets are narrowed.
use std::iter::FusedIterator;
use std::ops::RangeInclusive;
use std::slice;

use super::run::Run;
use super::words::{self, Words};
use super::{ChunkSet, Form};

/// A number below the chunk's size as an offset.
#[expect(clippy::cast_possible_truncation, reason = "callers count within a chunk: below 16,384")]
pub(super) fn offset(n: u32) -> u16 {
    n as u16
}

/// A count or index within one chunk, at most its size.
#[expect(clippy::cast_possible_truncation, reason = "at most 16,384 of anything fit a chunk")]
pub(super) fn small(n: usize) -> u32 {
    n as u32
}

/// The members of a set, ascending. See [`ChunkSet::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    left: u32,
    state: State<'a>,
}

#[derive(Clone, Debug)]
enum State<'a> {
    List(slice::Iter<'a, u16>),
    /// The bits of word `index` that are still to come.
    Bits {
        words: &'a Words,
        index: usize,
        word: u64,
    },
    /// The next offset of the open run and its last; the open run is used up when `next > last`.
    Runs {
        runs: slice::Iter<'a, Run>,
        next: u32,
        last: u32,
    },
}

impl<'a> Iter<'a> {
    pub(super) fn new(set: &'a ChunkSet) -> Self {
        let state = match &set.form {
            Form::List(list) => State::List(list.iter()),
            Form::Bits(words) => State::Bits { words, index: 0, word: words[0] },
            Form::Runs(runs) => State::Runs { runs: runs.iter(), next: 1, last: 0 },
        };
        Self { left: set.len, state }
    }
}

impl Iterator for Iter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let member = match &mut self.state {
            State::List(list) => list.next().copied()?,
            State::Bits { words, index, word } => {
                while *word == 0 {
                    *index += 1;
                    *word = *words.get(*index)?;
                }
                let bit = word.trailing_zeros();
                *word &= *word - 1;
                offset(small(*index) * 64 + bit)
            }
            State::Runs { runs, next, last } => {
                if *next > *last {
                    let run = runs.next()?;
                    (*next, *last) = (u32::from(run.first), u32::from(run.last));
                }
                *next += 1;
                offset(*next - 1)
            }
        };
        self.left -= 1;
        Some(member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// The members of a set as separate ranges, ascending. See [`ChunkSet::ranges`].
#[derive(Clone, Debug)]
pub struct Ranges<'a>(Runs<'a>);

impl<'a> Ranges<'a> {
    pub(super) fn new(set: &'a ChunkSet) -> Self {
        Self(Runs::new(set))
    }
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u16>;

    fn next(&mut self) -> Option<RangeInclusive<u16>> {
        self.0.next().map(|run| run.first..=run.last)
    }
}

/// The same as runs, for any form.
#[derive(Clone, Debug)]
pub(super) enum Runs<'a> {
    List(&'a [u16]),
    Bits { words: &'a Words, from: u32 },
    Kept(slice::Iter<'a, Run>),
}

impl<'a> Runs<'a> {
    pub(super) fn new(set: &'a ChunkSet) -> Self {
        match &set.form {
            Form::List(list) => Self::List(list),
            Form::Bits(words) => Self::Bits { words, from: 0 },
            Form::Runs(runs) => Self::Kept(runs.iter()),
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        match self {
            Self::List(rest) => {
                let first = *rest.first()?;
                let joined = 1 + rest.windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count();
                *rest = &rest[joined..];
                Some(Run { first, last: first + offset(small(joined) - 1) })
            }
            Self::Bits { words, from } => {
                let first = words::next_member(words, *from)?;
                let after = words::next_absent(words, u32::from(first)).map_or(super::CHUNK_SIZE, u32::from);
                *from = after;
                Some(Run { first, last: offset(after - 1) })
            }
            Self::Kept(runs) => runs.next().copied(),
        }
    }
}
