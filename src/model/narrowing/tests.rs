use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Targets = BTreeSet<Seq>;

fn by_chunk(targets: &Targets) -> Vec<(ChunkNo, ChunkSet)> {
    let mut chunks: Vec<(ChunkNo, ChunkSet)> = Vec::new();
    for seq in targets {
        match chunks.last_mut() {
            Some((chunk, set)) if *chunk == seq.chunk() => {
                set.insert(seq.offset());
            }
            _ => chunks.push((seq.chunk(), [seq.offset()].into_iter().collect())),
        }
    }
    chunks
}

/// A shard with its holders, one after the other.
struct Life {
    waiting: Targets,
    killers: Targets,
    poison: Targets,
    narrowed: Option<Narrowed>,
    strikes: u32,
    struck: bool,
    deaths: u32,
    leases: u32,
}

impl Life {
    fn new(waiting: Targets, killers: Targets) -> Self {
        let poison = Targets::new();
        Self { waiting, killers, poison, narrowed: None, strikes: 0, struck: false, deaths: 0, leases: 0 }
    }

    fn ran_out(&mut self, progressed: bool) {
        self.deaths += 1;
        self.struck = !progressed;
        self.strikes = if progressed { 0 } else { self.strikes + 1 };
    }

    /// One lease. `accident`: the process dies of something else before anything is recorded.
    fn lease(&mut self, credit: usize, accident: bool) {
        self.leases += 1;
        let sendable = by_chunk(&self.waiting);
        let scope = scope(self.narrowed, self.struck, self.strikes, &sendable);
        if self.narrowed != scope.narrowed() {
            (self.narrowed, self.strikes) = (scope.narrowed(), 0);
        }
        self.struck = false;
        if accident {
            return self.ran_out(false);
        }
        let mut progressed = false;
        let may: Vec<Seq> = match scope {
            Scope::Open => self.waiting.iter().copied().collect(),
            Scope::Narrowed(Narrowed { first, to, last }) => {
                assert!(first <= to && to <= last);
                self.waiting.range(first..=to).copied().collect()
            }
            Scope::Poison(_, seq) => {
                assert!(self.waiting.remove(&seq));
                self.poison.insert(seq);
                self.strikes = 0;
                return;
            }
        };
        for batch in may.chunks(credit) {
            if batch.iter().any(|seq| self.killers.contains(seq)) {
                return self.ran_out(progressed);
            }
            self.waiting.retain(|seq| !batch.contains(seq));
            (progressed, self.strikes) = (true, 0);
        }
    }
}

fn targets(longest: usize) -> impl Strategy<Value = Targets> {
    let seq = (0u64..4, 0u64..300).prop_map(|(chunk, offset)| Seq((chunk << 14) + offset));
    proptest::collection::btree_set(seq, 1..longest)
}

#[test]
fn most_leases_are_not_concerned() {
    assert!(!concerns(None, false, 0) && !concerns(None, true, 1) && !concerns(None, false, 5));
    assert!(concerns(None, true, 2) && concerns(Some(Narrowed { first: Seq(0), to: Seq(0), last: Seq(0) }), false, 0));
}

#[test]
fn chunks_are_halved_first_and_then_seqs() {
    let all: Targets = (0..10).chain(16_384..16_394).chain(32_768..32_772).map(Seq).collect();
    let sendable = by_chunk(&all);
    let expect = |first, to, last| Scope::Narrowed(Narrowed { first: Seq(first), to: Seq(to), last: Seq(last) });
    let one = scope(None, true, 2, &sendable);
    assert_eq!(one, expect(0, 9, 32_771));
    let two = scope(one.narrowed(), true, 3, &sendable);
    assert_eq!(two, expect(0, 4, 9));
    assert_eq!(scope(two.narrowed(), false, 3, &sendable), two, "given back: the same again");
    let rest: Targets = all.iter().copied().filter(|seq| seq.0 > 4).collect();
    let three = scope(two.narrowed(), false, 0, &by_chunk(&rest));
    assert_eq!(three, expect(5, 6, 9));
    let four = scope(three.narrowed(), true, 1, &by_chunk(&rest));
    assert_eq!(four, expect(5, 5, 6));
    assert_eq!(scope(four.narrowed(), true, 2, &by_chunk(&rest)), four, "it may have been another shard");
    assert_eq!(scope(four.narrowed(), true, 3, &by_chunk(&rest)), Scope::Poison(four.narrowed().unwrap(), Seq(5)));
}

#[test]
fn among_a_whole_shard_a_killer_is_alone_after_few_deaths() {
    for killer in [0, 1, 16_383, 16_384, 20_000, 32_767] {
        let mut life = Life::new((0..32_768).map(Seq).collect(), [Seq(killer)].into());
        while !life.waiting.is_empty() {
            life.lease(32_768, false);
        }
        assert_eq!(life.poison, life.killers);
        assert!(life.deaths <= 20 && life.leases <= 42, "{} deaths, {} leases", life.deaths, life.leases);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Exactly the killers are rejected, and everybody else is sent to.
    #[test]
    fn the_killers_alone_are_poison(all in targets(400), seed in any::<u64>(), killers in 0usize..4, credit in 1usize..80) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let list: Vec<Seq> = all.iter().copied().collect();
        let killers: Targets = (0..killers).map(|_| list[rng.usize(..list.len())]).collect();
        let mut life = Life::new(all.clone(), killers.clone());
        while !life.waiting.is_empty() {
            life.lease(credit, false);
            prop_assert!(life.deaths as usize * credit < 200 * credit + 2 * all.len(), "it must come to an end");
        }
        prop_assert_eq!(life.poison, killers);
    }

    /// As long as the shard with the killer is not suspected itself.
    #[test]
    fn one_target_is_not_taken_for_the_killer_at_once(shared in 0u32..5) {
        let mut life = Life::new([Seq(7)].into(), Targets::new());
        for _ in 0..shared {
            life.lease(1, true);
        }
        life.lease(1, false);
        prop_assert!(life.poison.is_empty() && life.waiting.is_empty());
    }

    /// A shard that shared two deaths with a killer of another shard sends to everybody and is open in the end.
    #[test]
    fn an_innocent_shard_opens_by_itself(all in targets(400), credit in 1usize..80) {
        let mut life = Life::new(all, Targets::new());
        life.lease(credit, true);
        life.lease(credit, true);
        while !life.waiting.is_empty() {
            life.lease(credit, false);
            prop_assert!(life.leases < 40);
        }
        life.lease(credit, false);
        prop_assert_eq!((life.poison.len(), life.narrowed), (0, None));
    }
}
