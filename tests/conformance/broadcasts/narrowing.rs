//! A shard that kills its workers is narrowed until the target that does it is alone; one that was only beside it opens
//! by itself.

use std::collections::BTreeSet;

use fanfare::clock::Clock;
use fanfare::model::id::{Seq, ShardRef};
use fanfare::model::outcome::{Outcome, reason};
use fanfare::model::shard::LeaseError;
use fanfare::store::{Checkpoint, Destination, Handover, OutcomeQuery, ShardWork, Suspected};

use super::{LENGTH, Life, MANY, all_delivered, request, wait};
use crate::{Bench, benches};

fn seqs(work: &ShardWork) -> BTreeSet<Seq> {
    let of_chunk = |chunk: &fanfare::store::ChunkWork| {
        let no = chunk.chunk;
        chunk.pending.iter().map(move |offset| Seq::at(no, offset)).collect::<Vec<_>>()
    };
    work.chunks.iter().flat_map(of_chunk).collect()
}

/// Leases the shard until it is closed. Whoever sends to a killer dies without a word; the others record all of theirs.
/// Answers how many died, and who was called poison.
fn hold_until_closed(bench: &dyn Bench, life: &Life<'_>, shard: ShardRef, killers: &[Seq]) -> (u32, Vec<Seq>) {
    let (mut deaths, mut poison) = (0, Vec::new());
    for _ in 0..200 {
        let work = life.lease(shard).unwrap();
        let mut moves = all_delivered(&work);
        if let Some((seq, place)) = work.poison {
            assert_eq!(seqs(&work), BTreeSet::from([seq]), "nothing else is given with it");
            assert!(work.narrowed && moves[0].from == place);
            moves[0].to = Destination::Done { outcome: Outcome::Rejected, reason: Some(reason::POISON) };
            poison.push(seq);
        } else if seqs(&work).iter().any(|seq| killers.contains(seq)) {
            deaths += 1;
            bench.clock().advance(LENGTH);
            continue;
        }
        let then = match work.narrowed {
            true => Handover::GiveBack { due: bench.clock().now() },
            false => Handover::Close,
        };
        life.record(shard, work.epoch, Checkpoint { moves, then, ..Checkpoint::default() }).unwrap();
        if then == Handover::Close {
            return (deaths, poison);
        }
    }
    unreachable!("it must come to an end");
}

#[test]
fn exactly_the_targets_that_kill_are_poison() {
    for audience in ["few", "all"] {
        for bench in benches() {
            let life = Life::on(bench.store());
            life.register(MANY);
            let id = life.planned(request(audience));
            let shards = life.shards(id);
            let targets: Vec<Seq> = {
                let held = life.lease(shards[0]).unwrap();
                let then = Handover::GiveBack { due: bench.clock().now() };
                life.record(shards[0], held.epoch, Checkpoint { then, ..Checkpoint::default() }).unwrap();
                seqs(&held).into_iter().collect()
            };
            let killers = [targets[1], targets[targets.len() * 2 / 3]];
            let (deaths, poison) = hold_until_closed(&*bench, &life, shards[0], &killers);
            assert_eq!(poison, killers);
            assert!(deaths <= 2 * 16, "{deaths}");
            life.run(id, |_| (Outcome::Delivered, None));
            let counters = life.broadcast(id).counters();
            assert_eq!((counters.rejected, counters.delivered), (2, counters.targeted - 2));
            let outcome = Some(Some(Outcome::Rejected));
            let rejected = life.outcomes(id, OutcomeQuery { outcome, ..OutcomeQuery::default() });
            assert!(rejected.iter().all(|item| item.reason.as_deref() == Some("poison")));
            life.assert_conserved(id);
        }
    }
}

#[test]
fn a_shard_beside_a_killer_opens_by_itself() {
    for audience in ["few", "all"] {
        for bench in benches() {
            let life = Life::on(bench.store());
            life.register(MANY);
            let id = life.planned(request(audience));
            let shard = life.shards(id)[0];
            let whole = seqs(&life.lease(shard).unwrap());
            bench.clock().advance(LENGTH);
            assert!(!life.lease(shard).unwrap().narrowed, "once may be an accident");
            bench.clock().advance(LENGTH);
            let half = life.lease(shard).unwrap();
            assert!(half.narrowed && half.poison.is_none() && half.strikes == 0, "a step begins a new row");
            let half_of = seqs(&half);
            assert!(half_of.len() == whole.len() / 2 && half_of.is_subset(&whole));
            let moves = all_delivered(&half);
            let then = Handover::GiveBack { due: bench.clock().now() };
            life.record(shard, half.epoch, Checkpoint { moves, then, ..Checkpoint::default() }).unwrap();
            assert_eq!(hold_until_closed(&*bench, &life, shard, &[]), (0, Vec::new()));
            life.run(id, |_| (Outcome::Delivered, None));
            let counters = life.broadcast(id).counters();
            assert_eq!(counters.delivered, counters.targeted);
            life.assert_conserved(id);
        }
    }
}

#[test]
fn a_suspect_that_is_left_is_struck_by_nobody() {
    for audience in ["few", "all"] {
        for bench in benches() {
            let life = Life::on(bench.store());
            life.register(MANY);
            let id = life.planned(request(audience));
            let shard = life.shards(id)[0];
            for _ in 0..2 {
                life.lease(shard).unwrap();
                bench.clock().advance(LENGTH);
            }
            for _ in 0..5 {
                let left = wait(life.store.lease(shard, LENGTH, Suspected::Leave)).unwrap();
                assert_eq!(left.unwrap_err(), LeaseError::Suspected);
                assert!(life.shards(id).contains(&shard), "somebody else may take it");
                bench.clock().advance(LENGTH);
            }
            let half = life.lease(shard).unwrap();
            assert!(half.narrowed && half.poison.is_none());
            bench.clock().advance(super::HOUR);
            let closing = wait(life.store.lease(shard, LENGTH, Suspected::Leave)).unwrap().unwrap();
            assert!(!closing.narrowed, "nothing is sent, so it is nobody's risk");
            life.assert_conserved(id);
        }
    }
}

#[test]
fn a_broadcast_that_is_to_be_closed_is_closed_whole() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let id = life.planned(request("all"));
        let shard = life.shards(id)[0];
        let whole = seqs(&life.lease(shard).unwrap());
        for _ in 0..2 {
            bench.clock().advance(LENGTH);
            life.lease(shard).unwrap();
        }
        bench.clock().advance(super::HOUR);
        let closing = life.lease(shard).unwrap();
        assert!(!closing.narrowed && seqs(&closing) == whole, "nothing is sent, so nobody can die of it");
        life.assert_conserved(id);
    }
}
