//! The index changes of one commit.
//!
//! Bytes, all numbers as [`varint`]s: a version byte, then a group for each tag, in ascending order of the tags:
//! the tag's length and text, the length of its changes, and those: one number each, ascending by seq and each seq
//! once, `(seq - previous seq) << 1 | added`. Of several changes of one bit in a commit only the last is kept.
//!
//! A delta stays in these bytes: a reader finds a tag by binary search and decodes that tag's changes alone. A map of
//! decoded sets would be built for every commit and mostly never asked, and half of its tags are unique to a user.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::varint;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::store::{Result, StoreError};

const VERSION: u8 = 1;

/// What one commit does to the index, while it is gathered.
///
/// All changes lie in one list and each knows the one before it of its tag: half of the tags are unique to a user, and
/// a list of its own for each of them would be an allocation a registration.
#[derive(Default)]
pub(in crate::store) struct Changes {
    /// The place of each tag's last change.
    last: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    all: Vec<Linked>,
}

struct Linked {
    /// `seq << 1 | added`.
    change: u64,
    /// The place of the change before it of the same tag, or [`FIRST`].
    previous: u32,
}

const FIRST: u32 = u32::MAX;

impl Changes {
    /// The target carries `tag` from now on, or no longer.
    pub(in crate::store) fn push(&mut self, tag: &str, seq: Seq, added: bool) {
        // A commit of four billion changes would not fit the memory long before.
        let place = u32::try_from(self.all.len()).unwrap_or(FIRST);
        let previous = match self.last.get_mut(tag) {
            Some(last) => std::mem::replace(last, place),
            None => {
                self.last.insert(tag.into(), place);
                FIRST
            }
        };
        self.all.push(Linked { change: seq.0 << 1 | u64::from(added), previous });
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The changes of a tag, the newest first.
    fn back_from(&self, last: u32) -> impl Iterator<Item = u64> {
        let mut next = last;
        std::iter::from_fn(move || {
            let linked = self.all.get(next as usize)?;
            next = linked.previous;
            Some(linked.change)
        })
    }

    /// The bytes.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut groups: Vec<(&str, u32)> = self.last.iter().map(|(tag, &last)| (&**tag, last)).collect();
        groups.sort_unstable();
        let mut out = Vec::with_capacity(1 + groups.len() * 16 + self.all.len() * 2);
        let (mut changes, mut body) = (Vec::new(), Vec::new());
        out.push(VERSION);
        for (tag, last) in groups {
            changes.clear();
            changes.extend(self.back_from(last));
            // Stable, so that the newest change of a seq stays the first of its run.
            changes.sort_by_key(|change| change >> 1);
            changes.dedup_by_key(|change| *change >> 1);
            body.clear();
            let mut previous = 0;
            for &change in &changes {
                let seq = change >> 1;
                varint::put(&mut body, (seq - previous) << 1 | (change & 1));
                previous = seq;
            }
            varint::put(&mut out, tag.len() as u64);
            out.extend_from_slice(tag.as_bytes());
            varint::put(&mut out, body.len() as u64);
            out.extend_from_slice(&body);
        }
        out
    }
}

/// The index changes of one commit, to be read.
#[derive(Debug)]
pub(in crate::store) struct Delta {
    bytes: Box<[u8]>,
    groups: Box<[Group]>,
}

/// Where a tag and its changes lie.
#[derive(Clone, Copy, Debug)]
struct Group {
    tag: u32,
    tag_end: u32,
    changes: u32,
    end: u32,
}

impl Delta {
    /// Reads what [`Changes::encode`] wrote, checking all of it.
    pub(in crate::store) fn decode(bytes: Vec<u8>) -> Result<Self> {
        let groups = groups(&bytes).ok_or_else(|| StoreError::Corrupt("an index delta".to_owned()))?;
        Ok(Self { bytes: bytes.into_boxed_slice(), groups: groups.into_boxed_slice() })
    }

    /// How many bytes it takes.
    pub(in crate::store) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many tags it changes.
    pub(in crate::store) fn tag_count(&self) -> usize {
        self.groups.len()
    }

    /// The tag at a place below [`Delta::tag_count`]; tags ascend by their bytes.
    pub(in crate::store) fn tag(&self, at: usize) -> &str {
        self.groups.get(at).map_or("", |group| self.text(*group))
    }

    fn text(&self, group: Group) -> &str {
        // Checked by `decode`.
        std::str::from_utf8(&self.bytes[group.tag as usize..group.tag_end as usize]).unwrap_or_default()
    }

    /// The place of a tag, if it is changed at all.
    fn place(&self, tag: &str) -> Option<usize> {
        let tag = tag.as_bytes();
        self.groups.binary_search_by(|group| self.bytes[group.tag as usize..group.tag_end as usize].cmp(tag)).ok()
    }

    /// The changes of the membership of the tag at a place, ascending by seq; true: it came, false: it left.
    fn changes(&self, place: usize) -> impl Iterator<Item = (Seq, bool)> {
        let group = self.groups.get(place);
        let mut rest = group.map_or(&[][..], |group| &self.bytes[group.changes as usize..group.end as usize]);
        let mut seq = 0;
        std::iter::from_fn(move || {
            let change = varint::take(&mut rest)?;
            seq += change >> 1;
            Some((Seq(seq), change & 1 == 1))
        })
    }
}

fn groups(bytes: &[u8]) -> Option<Vec<Group>> {
    let place = |rest: &[u8]| u32::try_from(bytes.len() - rest.len()).ok();
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut groups: Vec<Group> = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(varint::take(&mut rest)?).ok()?;
        let tag = place(rest)?;
        let (text, after) = rest.split_at_checked(length)?;
        rest = after;
        std::str::from_utf8(text).ok()?;
        let tag_end = place(rest)?;
        let length = usize::try_from(varint::take(&mut rest)?).ok()?;
        let changes = place(rest)?;
        let (mut body, after) = rest.split_at_checked(length)?;
        rest = after;
        let mut seq = 0_u64;
        while !body.is_empty() {
            seq = seq.checked_add(varint::take(&mut body)? >> 1)?;
        }
        if seq >= Seq::END {
            return None;
        }
        if let Some(before) = groups.last()
            && bytes[before.tag as usize..before.tag_end as usize] >= *text
        {
            return None;
        }
        groups.push(Group { tag, tag_end, changes, end: place(rest)? });
    }
    Some(groups)
}

/// What unfolded deltas do to the sets of one tag.
#[derive(Debug, Default)]
pub(in crate::store) struct Overlay(BTreeMap<u32, Change>);

/// Changes of one set: no offset is in both.
#[derive(Debug, Default)]
pub(in crate::store) struct Change {
    adds: ChunkSet,
    removes: ChunkSet,
}

impl Overlay {
    /// The last word of `deltas`, oldest first, on each bit of the tag's sets.
    pub(in crate::store) fn of(deltas: &[Arc<Delta>], tag: &str) -> Self {
        let mut overlay = Self::default();
        for delta in deltas {
            if let Some(place) = delta.place(tag) {
                overlay.push(delta, place);
            }
        }
        overlay
    }

    /// Lays what `delta` says of the tag at that place over the rest.
    pub(in crate::store) fn push(&mut self, delta: &Delta, place: usize) {
        let mut changes = delta.changes(place).peekable();
        while let Some((first, _)) = changes.peek() {
            let chunk = first.chunk();
            let change = self.0.entry(chunk.0).or_default();
            while let Some((seq, added)) = changes.next_if(|(seq, _)| seq.chunk() == chunk) {
                let (to, from) = if added {
                    (&mut change.adds, &mut change.removes)
                } else {
                    (&mut change.removes, &mut change.adds)
                };
                to.insert(seq.offset());
                from.remove(seq.offset());
            }
        }
    }

    /// What it does to the chunks from `first` to `last`.
    pub(in crate::store) fn within(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, &Change)> {
        self.0.range(first..=last).map(|(&chunk, change)| (chunk, change))
    }

    /// Brings the set of a chunk up to date.
    pub(in crate::store) fn apply(&self, chunk: ChunkNo, set: &mut ChunkSet) {
        if let Some(change) = self.0.get(&chunk.0) {
            change.apply(set);
        }
    }

    /// (chunk, how many it adds), ascending by chunk.
    pub(in crate::store) fn adds(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().map(|(&chunk, change)| (chunk, change.adds.len()))
    }

    /// The changed chunks, ascending.
    pub(in crate::store) fn into_changes(self) -> impl Iterator<Item = (ChunkNo, Change)> {
        self.0.into_iter().map(|(chunk, change)| (ChunkNo(chunk), change))
    }
}

impl Change {
    /// Brings a set up to date.
    pub(in crate::store) fn apply(&self, set: &mut ChunkSet) {
        set.subtract(&self.removes);
        set.union_with(&self.adds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(changes: &[(&str, u64, bool)]) -> Delta {
        let mut gathered = Changes::default();
        for (tag, seq, added) in changes {
            gathered.push(tag, Seq(*seq), *added);
        }
        Delta::decode(gathered.encode()).unwrap()
    }

    #[test]
    fn the_last_change_of_a_bit_counts() {
        let delta = delta(&[("b", 9, true), ("a", 70_000, true), ("b", 3, true), ("b", 9, false), ("a", 1, false)]);
        let of = |tag| delta.place(tag).map(|place| delta.changes(place).collect::<Vec<_>>()).unwrap_or_default();
        assert_eq!(of("a"), [(Seq(1), false), (Seq(70_000), true)]);
        assert_eq!(of("b"), [(Seq(3), true), (Seq(9), false)]);
        assert_eq!(of("c"), []);
        assert_eq!((delta.tag_count(), delta.tag(1)), (2, "b"));
    }

    #[test]
    fn later_deltas_overrule_earlier_ones() {
        let deltas = [
            Arc::new(delta(&[("a", 1, true), ("a", 2, true), ("a", 20_000, false)])),
            Arc::new(delta(&[("a", 1, false), ("a", 20_000, true), ("b", 5, true)])),
        ];
        let overlay = Overlay::of(&deltas, "a");
        let mut set = ChunkSet::from_range(0..=1);
        overlay.apply(ChunkNo(0), &mut set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(overlay.adds().collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        // A set with the first delta folded into it comes to the same: folding may stop half-way.
        let mut folded = ChunkSet::from_range(0..=2);
        overlay.apply(ChunkNo(0), &mut folded);
        assert_eq!(folded, set);
    }

    #[test]
    fn broken_bytes_are_refused() {
        let whole = delta(&[("abc", 5, true), ("abd", 6, true)]).bytes.into_vec();
        for cut in 0..whole.len() {
            let broken = whole[..cut].to_vec();
            // A cut between two groups is a whole delta of fewer tags; length is SQLite's to keep.
            assert!(Delta::decode(broken).is_err() || cut == 1 || cut == 7, "{cut}");
        }
        assert!(Delta::decode(vec![VERSION, 1, b'b', 0, 1, b'a', 0]).is_err(), "tags out of order");
        assert!(Delta::decode(vec![VERSION, 1, 0xff, 0]).is_err(), "no text");
    }
}
