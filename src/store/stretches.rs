//! How the rows of a set are found: stretches that are scanned, and rows by themselves.
//!
//! Seqs of one class lie in runs (`registration/commit.rs`), so a set is seldom dense over all of its span and seldom
//! sparse everywhere. A row between two members is stepped over as long as that costs less than looking for the next.

use std::ops::RangeInclusive;

use crate::model::chunk_set::ChunkSet;

/// Neighbouring members of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Stretch {
    /// From the first to the last of them.
    pub(in crate::store) span: RangeInclusive<u16>,
    /// Members in it.
    pub(in crate::store) len: u32,
    /// Bit n is set when a member's offset is n modulo 64: what lies between in a regular pattern, such as the native
    /// targets between templates that came one by one, is passed over by its key alone, without looking into a row.
    pub(in crate::store) places: u64,
}

/// The stretches of a set, ascending: members with no more than `gap` others between them share one.
pub(in crate::store) fn stretches(set: &ChunkSet, gap: u16) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for range in set.ranges() {
        let (first, last) = range.into_inner();
        let (len, places) = (u32::from(last - first) + 1, places(first, last));
        match stretches.last_mut().filter(|stretch| first - stretch.span.end() - 1 <= gap) {
            Some(stretch) => {
                stretch.span = *stretch.span.start()..=last;
                stretch.len += len;
                stretch.places |= places;
            }
            None => stretches.push(Stretch { span: first..=last, len, places }),
        }
    }
    stretches
}

fn places(first: u16, last: u16) -> u64 {
    match last - first {
        0..63 => (u64::MAX >> (63 - (last - first))).rotate_left(u32::from(first % 64)),
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(offsets: &[u16], gap: u16) -> Vec<Stretch> {
        stretches(&offsets.iter().copied().collect(), gap)
    }

    #[test]
    fn members_that_lie_close_share_a_stretch() {
        assert_eq!(of(&[], 8), []);
        let one = Stretch { span: 65..=65, len: 1, places: 2 };
        assert_eq!(of(&[65], 8), [one]);
        let (near, far) = (of(&[3, 12], 8), of(&[3, 12], 7));
        assert_eq!(near, [Stretch { span: 3..=12, len: 2, places: 1 << 3 | 1 << 12 }]);
        assert_eq!(far.iter().map(|stretch| stretch.len).collect::<Vec<_>>(), [1, 1]);
    }

    proptest! {
        #[test]
        fn every_member_is_in_one_and_every_place_is_noted(offsets in proptest::collection::btree_set(0_u16..16_384, 0..400), gap in 0_u16..200) {
            let set: ChunkSet = offsets.iter().copied().collect();
            let stretches = stretches(&set, gap);
            let mut members = offsets.iter().copied().peekable();
            for stretch in &stretches {
                let own: Vec<u16> = std::iter::from_fn(|| members.next_if(|offset| stretch.span.contains(offset))).collect();
                prop_assert_eq!((own.first(), own.last()), (Some(stretch.span.start()), Some(stretch.span.end())));
                prop_assert_eq!(own.len(), stretch.len as usize);
                prop_assert!(own.windows(2).all(|pair| pair[1] - pair[0] - 1 <= gap));
                prop_assert_eq!(stretch.places, own.iter().fold(0, |places, offset| places | 1_u64 << (offset % 64)));
            }
            prop_assert_eq!(members.next(), None);
            prop_assert!(stretches.windows(2).all(|pair| pair[1].span.start() - pair[0].span.end() - 1 > gap));
        }
    }
}
