//! The bitset form: 256 words, offset `o` at bit `o % 64` of word `o / 64`.
//!
//! Loops over whole words stay free of branches so that the compiler makes vector code of them.
use super::iter::offset;
use super::run::Run;

pub(super) const WORDS: usize = 256;
pub(super) type Words = [u64; WORDS];

pub(super) fn empty() -> Box<Words> {
    Box::new([0; WORDS])
}

fn locate(offset: u16) -> (usize, u64) {
    (usize::from(offset >> 6), 1 << (offset & 63))
}

pub(super) fn contains(words: &Words, offset: u16) -> bool {
    let (index, bit) = locate(offset);
    words.get(index).is_some_and(|word| word & bit != 0)
}

/// True if the bit was clear. An offset beyond the chunk changes nothing.
pub(super) fn insert(words: &mut Words, offset: u16) -> bool {
    let (index, bit) = locate(offset);
    words.get_mut(index).is_some_and(|word| {
        let added = *word & bit == 0;
        *word |= bit;
        added
    })
}

/// True if the bit was set.
pub(super) fn remove(words: &mut Words, offset: u16) -> bool {
    let (index, bit) = locate(offset);
    words.get_mut(index).is_some_and(|word| {
        let removed = *word & bit != 0;
        *word &= !bit;
        removed
    })
}

pub(super) fn insert_run(words: &mut Words, run: Run) {
    for (index, mask) in masks(run) {
        words[index] |= mask;
    }
}

pub(super) fn remove_run(words: &mut Words, run: Run) {
    for (index, mask) in masks(run) {
        words[index] &= !mask;
    }
}

pub(super) fn count_run(words: &Words, run: Run) -> u32 {
    masks(run).map(|(index, mask)| (words[index] & mask).count_ones()).sum()
}

/// The words that a run touches, each with the run's bits in it.
fn masks(run: Run) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (usize::from(run.first >> 6), usize::from(run.last >> 6));
    (first..=last).map(move |index| {
        let head = if index == first { u64::MAX << (run.first & 63) } else { u64::MAX };
        let tail = if index == last { u64::MAX >> (63 - (run.last & 63)) } else { u64::MAX };
        (index, head & tail)
    })
}

pub(super) fn count(words: &Words) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// A new bitset from two, and its cardinality.
pub(super) fn combine(a: &Words, b: &Words, op: impl Fn(u64, u64) -> u64) -> (Box<Words>, u32) {
    let mut out = empty();
    let mut len = 0;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = op(*a, *b);
        len += out.count_ones();
    }
    (out, len)
}

/// Changes `a` in place and gives its new cardinality.
pub(super) fn combine_into(a: &mut Words, b: &Words, op: impl Fn(u64, u64) -> u64) -> u32 {
    let mut len = 0;
    for (a, b) in a.iter_mut().zip(b) {
        *a = op(*a, *b);
        len += a.count_ones();
    }
    len
}

pub(super) fn and_count(a: &Words, b: &Words) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
}

/// How many runs the members form.
pub(super) fn run_count(words: &Words) -> u32 {
    let mut before = 0;
    let mut runs = 0;
    for &word in words {
        runs += (word & !(word << 1 | before)).count_ones();
        before = word >> 63;
    }
    runs
}

/// The lowest member that is at least `from`.
pub(super) fn next_member(words: &Words, from: u32) -> Option<u16> {
    next(words, from, |word| word)
}

/// The lowest absent offset that is at least `from`.
pub(super) fn next_absent(words: &Words, from: u32) -> Option<u16> {
    next(words, from, |word| !word)
}

fn next(words: &Words, from: u32, view: impl Fn(u64) -> u64) -> Option<u16> {
    let start = (from >> 6) as usize;
    let mut mask = u64::MAX << (from & 63);
    for (index, &word) in words.iter().enumerate().skip(start) {
        let found = view(word) & mask;
        if found != 0 {
            return Some(offset(super::iter::small(index) * 64 + found.trailing_zeros()));
        }
        mask = u64::MAX;
    }
    None
}

pub(super) fn last_member(words: &Words) -> Option<u16> {
    let (index, word) = words.iter().enumerate().rfind(|(_, word)| **word != 0)?;
    Some(offset(super::iter::small(index) * 64 + 63 - word.leading_zeros()))
}

/// Members below `offset`, which lies in the chunk.
pub(super) fn rank(words: &Words, offset: u16) -> u32 {
    let (index, bit) = locate(offset);
    let whole: u32 = words[..index].iter().map(|word| word.count_ones()).sum();
    whole + (words[index] & (bit - 1)).count_ones()
}

pub(super) fn select(words: &Words, rank: u32) -> Option<u16> {
    let mut left = rank;
    for (index, &word) in words.iter().enumerate() {
        let here = word.count_ones();
        if left < here {
            let mut rest = word;
            for _ in 0..left {
                rest &= rest - 1;
            }
            return Some(offset(super::iter::small(index) * 64 + rest.trailing_zeros()));
        }
        left -= here;
    }
    None
}
