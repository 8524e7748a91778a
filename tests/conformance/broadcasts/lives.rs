//! Random lives: steps of planners, workers and owners in any order, time that passes, crashes in between. After every
//! step all targets are accounted for, and what was recorded is where it was put.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::model::broadcast::Wish;
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{BroadcastId, Epoch, Seq, ShardRef};
use fanfare::model::outcome::{Outcome, Place};
use fanfare::model::shard::LeaseError;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::Reason;
use fanfare::store::sqlite::Mode;
use fanfare::store::{Checkpoint, ChunkWork, Destination, Evidence, Handover, Judgement, Move, OutcomeQuery, Work};
use proptest::prelude::*;

use super::{LENGTH, Life, MANY, request};
use crate::{Bench, SqliteBench, wait};

#[derive(Clone, Debug)]
enum Step {
    Plan,
    Lease(usize),
    /// Some targets of a held shard move, `dice` says which and where to; then the shard is kept.
    Record(usize, u64),
    /// The same, and the shard is given back, due after so many seconds.
    GiveBack(usize, u64, u64),
    /// Everything left ends, and the shard is closed.
    Close(usize),
    /// A checkpoint under the epoch of a lease that is gone.
    Late,
    Wish(Wish),
    Wait(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Plan),
        6 => (0usize..4).prop_map(Step::Lease),
        8 => (0usize..4, any::<u64>()).prop_map(|(at, dice)| Step::Record(at, dice)),
        4 => (0usize..4, any::<u64>(), 0u64..60).prop_map(|(at, dice, due)| Step::GiveBack(at, dice, due)),
        3 => (0usize..4).prop_map(Step::Close),
        2 => Just(Step::Late),
        1 => prop_oneof![3 => Just(Wish::Pause), 6 => Just(Wish::Run), 1 => Just(Wish::Cancel)].prop_map(Step::Wish),
        4 => (0u64..25).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

/// A shard as its last holder left it.
#[derive(Clone, Debug, Default)]
struct Shard {
    chunks: Vec<ChunkWork>,
    done: BTreeMap<Seq, (Outcome, Option<String>)>,
}

struct Model {
    bench: SqliteBench,
    id: BroadcastId,
    shards: BTreeMap<ShardRef, Shard>,
    held: BTreeMap<ShardRef, Epoch>,
    lost: Vec<(ShardRef, Epoch)>,
    /// As planned: where an inline plan begins again after a crash.
    planned: BTreeMap<ShardRef, Shard>,
    /// Still in memory alone.
    inline: bool,
    /// Whether outcomes are listed after each step or only at the end, because there are many.
    checks_each_step: bool,
}

impl Model {
    fn life(&self) -> Life<'_> {
        Life::on(self.bench.store())
    }

    fn take(&mut self, step: Step) {
        let now = self.bench.clock().now();
        match step {
            Step::Plan => self.plan(),
            Step::Lease(at) => self.lease(at),
            Step::Record(at, dice) => self.record(at, dice, Handover::Keep { length: LENGTH }),
            Step::GiveBack(at, dice, due) => {
                let due = now.plus(Duration::from_secs(due));
                self.record(at, dice, Handover::GiveBack { due });
            }
            Step::Close(at) => self.close(at),
            Step::Late => self.late(),
            Step::Wish(wish) => drop(wait(self.life().store.wish(self.life().hub, self.id, wish))),
            Step::Wait(seconds) => self.bench.clock().advance(Duration::from_secs(seconds)),
            Step::Crash => {
                self.bench.crash();
                self.lost.extend(std::mem::take(&mut self.held));
                if self.inline {
                    self.shards.clone_from(&self.planned);
                    self.inline = false;
                }
            }
        }
        let counters = self.life().broadcast(self.id).counters();
        assert_eq!(counters.difference(), 0, "{counters:?}");
        assert!(wait(self.life().store.conservation()).unwrap().values().all(|difference| *difference == 0));
        if self.checks_each_step {
            self.check();
        }
    }

    fn plan(&mut self) {
        let store = self.bench.store();
        let Ok(epoch) = wait(store.lease_plan(self.id, LENGTH)).unwrap() else { return };
        wait(store.plan_step(self.id, epoch, LENGTH)).unwrap().unwrap();
    }

    fn lease(&mut self, at: usize) {
        let ready: Vec<_> = self.life().shards(self.id);
        let Some(shard) = ready.get(at % ready.len().max(1)).copied() else { return };
        let work = self.life().lease(shard).unwrap();
        if let Some(epoch) = self.held.insert(shard, work.epoch) {
            self.lost.push((shard, epoch));
        }
        if let Some(known) = self.shards.get(&shard) {
            let left: Vec<_> = known.chunks.iter().filter(|chunk| unfinished(chunk) > 0).cloned().collect();
            if work.narrowed {
                // A part of it, because those who held it died.
                let part_of = |part: &ChunkWork| left.iter().any(|all| is_part(part, all));
                assert!(work.chunks.iter().all(part_of), "{shard}: {:?} of {left:?}", work.chunks);
                assert!(work.poison.is_none() || work.chunks.iter().map(unfinished).sum::<u64>() == 1);
            } else {
                assert_eq!(work.chunks, left, "{shard} is handed on as it was left");
            }
        } else {
            let fresh = Shard { chunks: work.chunks, done: BTreeMap::new() };
            self.planned.insert(shard, fresh.clone());
            self.shards.insert(shard, fresh);
        }
    }

    fn pick(&self, at: usize) -> Option<(ShardRef, Epoch)> {
        self.held.iter().nth(at % self.held.len().max(1)).map(|(shard, epoch)| (*shard, *epoch))
    }

    fn record(&mut self, at: usize, dice: u64, then: Handover) {
        let Some((shard, epoch)) = self.pick(at) else { return };
        let mut after = self.shards[&shard].clone();
        let mut rng = fastrand::Rng::with_seed(dice);
        let mut checkpoint = Checkpoint { retries: rng.u64(..3), then, ..Checkpoint::default() };
        let now = self.bench.clock().now();
        for chunk in &mut after.chunks {
            while rng.u8(..3) > 0 {
                let from = match chunk.retries.keys().next() {
                    Some((attempt, due)) if rng.bool() => Place::Retry { attempt: *attempt, due: *due },
                    _ => Place::Pending,
                };
                let source = match from {
                    Place::Retry { attempt, due } => chunk.retries.get_mut(&(attempt, due)).unwrap(),
                    _ => &mut chunk.pending,
                };
                let set: ChunkSet = source.iter().filter(|_| rng.u8(..4) == 0).collect();
                source.subtract(&set);
                chunk.retries.retain(|_, set| !set.is_empty());
                match rng.u8(..8) {
                    0 => {
                        let (attempt, due) = (rng.u8(2..4), now.plus(Duration::from_secs(rng.u64(..40))));
                        chunk.retries.entry((attempt, due)).or_default().union_with(&set);
                        chunk.retries.retain(|_, set| !set.is_empty());
                        let to = Destination::Retry { attempt, due };
                        checkpoint.moves.push(Move { chunk: chunk.chunk, from, to, set });
                    }
                    1 => {
                        let few: ChunkSet = set.iter().take(3).collect();
                        let mut rest = set.clone();
                        rest.subtract(&few);
                        // The rest stays where it was.
                        match from {
                            Place::Retry { attempt, due } => {
                                chunk.retries.entry((attempt, due)).or_default().union_with(&rest);
                                chunk.retries.retain(|_, set| !set.is_empty());
                            }
                            _ => chunk.pending.union_with(&rest),
                        }
                        chunk.staged.union_with(&few);
                        for offset in &few {
                            let seq = Seq::at(chunk.chunk, offset);
                            let (timed, since) = (rng.bool(), Timestamp::from_millis(1));
                            let reason = Reason::known("Unregistered");
                            checkpoint.evidence.push(Evidence { seq, from, since, timed, reason });
                        }
                        // Moves come before evidence: nothing else may leave from here in this checkpoint.
                        break;
                    }
                    other => {
                        let outcome = Outcome::ALL[usize::from(other % 6)];
                        let reason = rng.bool().then(|| Reason::foreign(&format!("r{}", rng.u8(..5))));
                        for offset in &set {
                            let text = reason.as_ref().map(|reason| reason.as_str().to_owned());
                            after.done.insert(Seq::at(chunk.chunk, offset), (outcome, text));
                        }
                        let to = Destination::Done { outcome, reason };
                        checkpoint.moves.push(Move { chunk: chunk.chunk, from, to, set });
                    }
                }
            }
        }
        let staged = after.chunks.iter().any(|chunk| !chunk.staged.is_empty());
        if rng.u8(..4) == 0 {
            checkpoint.judge = Some(Judgement::KeepUntimed);
            reject_staged(&mut after);
        }
        let judged = staged && checkpoint.judge.is_some();
        let pending: u64 = after.chunks.iter().map(unfinished).sum();
        match wait(self.bench.store().checkpoint(shard, epoch, checkpoint)).unwrap() {
            Ok(reply) => {
                assert_eq!(reply.counters.pending, pending);
                self.shards.insert(shard, after);
                if let Handover::GiveBack { .. } = then {
                    self.held.remove(&shard);
                    self.lost.push((shard, epoch));
                }
                self.inline &= !judged && (pending == 0 || matches!(then, Handover::Keep { .. }));
            }
            Err(LeaseError::Fenced { .. }) => {
                self.held.remove(&shard);
            }
            Err(other) => unreachable!("{other}"),
        }
    }

    fn close(&mut self, at: usize) {
        let Some((shard, epoch)) = self.pick(at) else { return };
        let mut after = self.shards[&shard].clone();
        let judge = after.chunks.iter().any(|chunk| !chunk.staged.is_empty()).then_some(Judgement::All);
        reject_staged(&mut after);
        let mut moves = Vec::new();
        for chunk in &mut after.chunks {
            let retries = std::mem::take(&mut chunk.retries).into_iter();
            let retries = retries.map(|((attempt, due), set)| (Place::Retry { attempt, due }, set));
            for (from, set) in retries.chain([(Place::Pending, std::mem::take(&mut chunk.pending))]) {
                let to = Destination::Done { outcome: Outcome::Expired, reason: None };
                let ended = set.iter().map(|offset| (Seq::at(chunk.chunk, offset), (Outcome::Expired, None)));
                after.done.extend(ended);
                moves.push(Move { chunk: chunk.chunk, from, to, set });
            }
        }
        let checkpoint = Checkpoint { moves, judge, then: Handover::Close, ..Checkpoint::default() };
        match wait(self.bench.store().checkpoint(shard, epoch, checkpoint)).unwrap() {
            Ok(reply) => {
                assert_eq!(reply.counters.pending, 0);
                self.shards.insert(shard, after);
                self.inline &= judge.is_none() && !reply.finished;
            }
            Err(LeaseError::Fenced { .. }) => {}
            Err(other) => unreachable!("{other}"),
        }
        self.held.remove(&shard);
        self.lost.push((shard, epoch));
    }

    fn late(&self) {
        for (shard, epoch) in &self.lost {
            let moves = self.shards[shard].chunks.iter().map(|chunk| Move {
                chunk: chunk.chunk,
                from: Place::Pending,
                to: Destination::Done { outcome: Outcome::Delivered, reason: None },
                set: chunk.pending.clone(),
            });
            let checkpoint = Checkpoint { moves: moves.collect(), ..Checkpoint::default() };
            let answer = wait(self.bench.store().checkpoint(*shard, *epoch, checkpoint)).unwrap();
            assert!(matches!(answer, Err(LeaseError::Fenced { .. } | LeaseError::Closed)), "{answer:?}");
        }
    }

    /// Every target stands where it was last put.
    fn check(&self) {
        self.life().assert_conserved(self.id);
        let mut done: BTreeMap<Seq, (Outcome, Option<String>)> = BTreeMap::new();
        for shard in self.shards.values() {
            done.extend(shard.done.clone());
        }
        for item in self.life().outcomes(self.id, OutcomeQuery::default()) {
            let found = item.outcome.map(|outcome| (outcome, item.reason));
            assert_eq!(found.as_ref(), done.get(&item.seq), "{}", item.seq);
        }
    }

    /// Brings it to its end.
    fn end(mut self) {
        self.check();
        self.bench.clock().advance(Duration::from_secs(3_600));
        for _ in 0..20 {
            self.plan();
            self.lease(0);
            self.close(0);
        }
        self.check();
        let broadcast = self.life().broadcast(self.id);
        assert!(broadcast.times.finished.is_some(), "{broadcast:?}");
        assert_eq!(broadcast.counters().pending, 0);
        assert_eq!(self.life().ready(self.id), []);
        let before = self.life().outcomes(self.id, OutcomeQuery::default());
        self.bench.crash();
        assert_eq!(self.life().outcomes(self.id, OutcomeQuery::default()), before);
    }
}

fn is_part(part: &ChunkWork, all: &ChunkWork) -> bool {
    part.chunk == all.chunk
        && part.pending.is_subset(&all.pending)
        && part.staged.is_subset(&all.staged)
        && part.retries.iter().all(|(key, set)| all.retries.get(key).is_some_and(|all| set.is_subset(all)))
}

fn unfinished(chunk: &ChunkWork) -> u64 {
    let retries: u32 = chunk.retries.values().map(ChunkSet::len).sum();
    u64::from(chunk.pending.len() + retries + chunk.staged.len())
}

/// None of them is removed here: the evidence is older than the registration.
fn reject_staged(shard: &mut Shard) {
    for chunk in &mut shard.chunks {
        for offset in &std::mem::take(&mut chunk.staged) {
            let why = (Outcome::Rejected, Some("Unregistered".to_owned()));
            shard.done.insert(Seq::at(chunk.chunk, offset), why);
        }
    }
}

fn live(audience: &str, steps: Vec<Step>) {
    let bench = SqliteBench::new(Mode::Inline);
    let life = Life::on(bench.store());
    life.register(if audience == "few" { 60 } else { MANY });
    let accepted = life.accept(request(audience));
    let inline = matches!(accepted.work[0].work, Work::Run(..));
    let mut model = Model {
        bench,
        id: accepted.id,
        shards: BTreeMap::new(),
        held: BTreeMap::new(),
        lost: Vec::new(),
        planned: BTreeMap::new(),
        inline,
        checks_each_step: audience == "few",
    };
    for step in steps {
        model.take(step);
    }
    model.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_lost_in_shards(steps in proptest::collection::vec(step(), 1..30)) {
        live("all", steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_lost_in_an_inline_plan(steps in proptest::collection::vec(step(), 1..40)) {
        live("few", steps);
    }
}
