//! The chunk set against crate `roaring`, in every pair of forms.
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::codec::Kind;
use super::*;

const KINDS: [Kind; 3] = [Kind::List, Kind::Bits, Kind::Runs];

/// Sparse, dense, in runs, near the edges, and mixtures: a few ranges and a few single members.
fn sets() -> impl Strategy<Value = ChunkSet> {
    let single = prop_oneof![4 => 0..=LAST, 1 => 0..4u16, 1 => LAST - 3..=LAST];
    let range =
        (0..=LAST, prop_oneof![0..8u16, 0..3_000u16]).prop_map(|(first, more)| first..=(first + more).min(LAST));
    let sparse = btree_set(single, 0..60).prop_map(|offsets| offsets.into_iter().collect());
    let ranges = vec(range, 0..12).prop_map(|ranges| ranges.into_iter().flatten().collect());
    let dense =
        (any::<u64>(), 1..16u32).prop_map(|(seed, share)| (0..=LAST).filter(|&o| mix(seed, o) % 16 < share).collect());
    prop_oneof![4 => sparse, 4 => ranges, 4 => dense, 1 => Just(ChunkSet::full()), 1 => Just(ChunkSet::new())]
}

/// A cheap, even spread of 16 bits: `proptest` generating 16,384 booleans would take the test's time.
fn mix(seed: u64, offset: u16) -> u32 {
    let mixed = (seed ^ u64::from(offset).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    u32::from(mixed.to_le_bytes()[5])
}

fn oracle(set: &ChunkSet) -> RoaringBitmap {
    set.iter().map(u32::from).collect()
}

fn in_form(set: &ChunkSet, kind: Kind) -> ChunkSet {
    let mut set = set.clone();
    set.change_form(kind);
    set
}

/// What every set must keep, whatever made it.
fn check(set: &ChunkSet, expected: &RoaringBitmap) {
    assert_eq!(u64::from(set.len()), expected.len());
    assert!(set.iter().map(u32::from).eq(expected.iter()));
    assert_eq!(set.iter().len(), set.len() as usize);
    assert_eq!(set.is_empty(), expected.is_empty());
    assert_eq!(set.first().map(u32::from), expected.min());
    assert_eq!(set.last().map(u32::from), expected.max());
    match &set.form {
        Form::List(list) => assert!(list.windows(2).all(|pair| pair[0] < pair[1])),
        Form::Bits(words) => assert_eq!(words::count(words), set.len),
        Form::Runs(runs) => {
            assert!(runs.iter().all(|run| run.first <= run.last));
            assert!(runs.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pairs_agree_with_the_oracle_in_every_form(a in sets(), b in sets()) {
        let (ra, rb) = (oracle(&a), oracle(&b));
        for (ka, kb) in KINDS.into_iter().flat_map(|ka| KINDS.map(|kb| (ka, kb))) {
            let (a, b) = (in_form(&a, ka), in_form(&b, kb));
            check(&a.and(&b), &(&ra & &rb));
            check(&a.or(&b), &(&ra | &rb));
            check(&a.and_not(&b), &(&ra - &rb));
            let (mut and, mut or, mut not) = (a.clone(), a.clone(), a.clone());
            and.intersect_with(&b);
            or.union_with(&b);
            not.subtract(&b);
            check(&and, &(&ra & &rb));
            check(&or, &(&ra | &rb));
            check(&not, &(&ra - &rb));
            prop_assert_eq!(u64::from(a.and_len(&b)), ra.intersection_len(&rb));
            prop_assert_eq!(a.is_subset(&b), ra.is_subset(&rb));
            prop_assert!(and.is_subset(&a) && and.is_subset(&b));
            prop_assert_eq!(a == b, ra == rb);
        }
    }

    #[test]
    fn single_members_agree_with_the_oracle(set in sets(), steps in vec((0..=LAST, any::<bool>()), 0..200)) {
        for kind in KINDS {
            let (mut set, mut expected) = (in_form(&set, kind), oracle(&set));
            for &(offset, add) in &steps {
                // Neighbours of members are where runs join and split.
                for offset in [offset, set.select(u32::from(offset) % 977).map_or(0, |member| (member + 1).min(LAST))] {
                    prop_assert_eq!(set.contains(offset), expected.contains(offset.into()));
                    let (changed, owed) = if add {
                        (set.insert(offset), expected.insert(offset.into()))
                    } else {
                        (set.remove(offset), expected.remove(offset.into()))
                    };
                    prop_assert_eq!(changed, owed);
                }
            }
            check(&set, &expected);
        }
    }

    #[test]
    fn ranks_and_ranges_agree_with_the_oracle(set in sets(), at in 0..=LAST, n in 0..CHUNK_SIZE + 2) {
        let expected = oracle(&set);
        for kind in KINDS {
            let mut set = in_form(&set, kind);
            prop_assert_eq!(u64::from(set.rank(at)), expected.rank(at.into()) - u64::from(expected.contains(at.into())));
            prop_assert_eq!(set.select(n).map(u32::from), expected.select(n));
            let ranges: Vec<_> = set.ranges().collect();
            prop_assert!(ranges.windows(2).all(|pair| *pair[0].end() + 1 < *pair[1].start()));
            prop_assert!(ranges.into_iter().flatten().eq(set.iter()));
            let taken = set.take_first(n);
            check(&taken, &expected.iter().take(n as usize).collect());
            check(&set, &expected.iter().skip(n as usize).collect());
        }
    }

    #[test]
    fn encoding_is_the_smallest_of_the_three_and_comes_back(set in sets()) {
        let smallest = 1 + [set.len() as usize * 2, 2_048, set.ranges().count() * 4].into_iter().min().unwrap();
        let bytes = set.encode();
        prop_assert_eq!(bytes.len(), smallest);
        let back = ChunkSet::decode(&bytes).unwrap();
        check(&back, &oracle(&set));
        for kind in KINDS {
            let mut set = in_form(&set, kind);
            prop_assert_eq!(&set.encode(), &bytes);
            prop_assert_eq!(&set, &back);
            set.optimize();
            check(&set, &oracle(&back));
        }
    }

    #[test]
    fn decoding_any_bytes_gives_a_sound_set_or_an_error(form in 0x10..0x15u8, content in vec(0..=96u8, 0..40)) {
        if let Ok(set) = ChunkSet::decode(&[&[form][..], &content].concat()) {
            check(&set, &oracle(&set));
        }
    }

    #[test]
    fn apply_adds_then_removes(set in sets(), adds in vec(0..=LAST, 0..80), removes in vec(0..=LAST, 0..80)) {
        let mut expected = oracle(&set);
        expected.extend(adds.iter().copied().map(u32::from));
        removes.iter().for_each(|&offset| { expected.remove(offset.into()); });
        let mut set = set;
        set.apply(adds, removes);
        check(&set, &expected);
    }
}

#[test]
fn the_stored_format_does_not_change() {
    assert_eq!(ChunkSet::new().encode(), [0x11]);
    assert_eq!(ChunkSet::from_iter([1, 0x0203]).encode(), [0x11, 1, 0, 3, 2]);
    assert_eq!(ChunkSet::full().encode(), [0x13, 0, 0, 0xff, 0x3f]);
    let even = ChunkSet::from_iter((0..=LAST).step_by(2)).encode();
    assert_eq!((even.len(), even[0]), (2_049, 0x12));
    assert!(even[1..].iter().all(|&byte| byte == 0b0101_0101));
    let mut last = vec![0x12];
    last.resize(2_049, 0);
    last[2_048] = 0x80;
    assert_eq!(ChunkSet::decode(&last).unwrap(), ChunkSet::from_iter([LAST]));
}

#[test]
fn malformed_bytes_are_named() {
    use ChunkSetError::*;
    let cases: [(&[u8], ChunkSetError); 11] = [
        (&[], Empty),
        (&[0x21], UnknownForm(0x21)),
        (&[0x11, 1], WrongLength { form: "list of offsets", bytes: 1 }),
        (&[0x12, 1], WrongLength { form: "bitset", bytes: 1 }),
        (&[0x13, 1, 0], WrongLength { form: "list of runs", bytes: 2 }),
        (&[0x11, 0, 0x40], OutOfRange(16_384)),
        (&[0x13, 0, 0, 0, 0x40], OutOfRange(16_384)),
        (&[0x11, 2, 0, 2, 0], NotAscending { previous: 2, offset: 2 }),
        (&[0x13, 3, 0, 2, 0], ReversedRun { first: 3, last: 2 }),
        (&[0x13, 3, 0, 4, 0, 5, 0, 6, 0], TouchingRuns { last: 4, first: 5 }),
        (&[0x13, 3, 0, 4, 0, 1, 0, 1, 0], TouchingRuns { last: 4, first: 1 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(ChunkSet::decode(bytes), Err(error), "{bytes:?}");
    }
    let long = [&[0x11][..], &[0; 32_770]].concat();
    assert_eq!(ChunkSet::decode(&long), Err(WrongLength { form: "list of offsets", bytes: 32_770 }));
}

#[test]
fn constructors_keep_to_the_chunk() {
    assert_eq!(ChunkSet::full().len(), CHUNK_SIZE);
    assert_eq!(ChunkSet::from_range(16_000..=u16::MAX).len(), 384);
    assert!(ChunkSet::from_range(RangeInclusive::new(5, 4)).is_empty());
    assert!(ChunkSet::from_range(LAST + 1..=u16::MAX).is_empty());
    assert_eq!(ChunkSet::from_sorted(vec![1, LAST + 1]), Err(ChunkSetError::OutOfRange(LAST + 1)));
    assert_eq!(ChunkSet::from_sorted(vec![4, 3]), Err(ChunkSetError::NotAscending { previous: 4, offset: 3 }));
    assert_eq!(ChunkSet::from_sorted((0..=LAST).collect()).unwrap(), ChunkSet::full());
    assert!(!ChunkSet::full().contains(u16::MAX));
    assert!(!ChunkSet::full().remove(u16::MAX));
    assert_eq!(format!("{:?}", ChunkSet::from_iter([1, 2, 9])), "{1..=2, 9..=9}");
}
