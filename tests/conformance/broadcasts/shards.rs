//! Leases and checkpoints: what is written, and what must not be.

use std::time::Duration;

use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, Epoch, InstallationId, Seq, ShardNo, ShardRef};
use fanfare::model::outcome::{Counters, Outcome, Place};
use fanfare::model::shard::LeaseError;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::Reason;
use fanfare::store::sqlite::Mode;
use fanfare::store::{
    Checkpoint, Destination, Evidence, Handover, Judgement, Move, OutcomeQuery, ShardWork, StoreError,
};

use super::{HOUR, LENGTH, Life, MANY, all_delivered, dead, device, id_of, put, request};
use crate::{Bench, START, SqliteBench, benches, wait};

/// Runs a test on every engine for an inline plan and for one in shards.
fn on_both_forms(test: impl Fn(&mut dyn Bench, &str)) {
    for audience in ["few", "all"] {
        for mut bench in benches() {
            Life::on(bench.store()).register(MANY);
            test(&mut *bench, audience);
        }
    }
}

fn step(work: &ShardWork, count: u32, to: Destination) -> Move {
    let chunk = &work.chunks[0];
    Move { chunk: chunk.chunk, from: Place::Pending, to, set: chunk.pending.clone().take_first(count) }
}

fn delivered() -> Destination {
    Destination::Done { outcome: Outcome::Delivered, reason: None }
}

#[test]
fn a_lost_lease_writes_nothing() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let first = life.lease(shard).unwrap();
        assert_eq!(life.lease(shard).unwrap_err(), LeaseError::Held { until: START.plus(LENGTH) });
        assert!(!life.shards(id).contains(&shard));
        bench.clock().advance(LENGTH);
        let second = life.lease(shard).unwrap();
        assert!(second.epoch > first.epoch);
        assert_eq!((second.strikes, &second.chunks), (1, &first.chunks));
        let late = || Checkpoint { moves: vec![step(&first, 3, delivered())], retries: 5, ..Checkpoint::default() };
        let fenced = Err(LeaseError::Fenced { asked: first.epoch });
        assert_eq!(life.record(shard, first.epoch, late()), fenced);
        let early = Epoch(second.epoch.0 + 1);
        assert_eq!(life.record(shard, early, late()), Err(LeaseError::Fenced { asked: early }));
        let unknown = ShardRef { shard: ShardNo(77), ..shard };
        assert_eq!(life.record(unknown, first.epoch, late()), fenced);
        assert_eq!(life.lease(unknown).unwrap_err(), LeaseError::Closed);
        assert_eq!(life.broadcast(id).counters().pending, life.broadcast(id).counters().targeted);
        life.assert_conserved(id);
        let reply = life.record(shard, second.epoch, late()).unwrap();
        assert_eq!((reply.counters.delivered, reply.counters.retries), (3, 5));
        assert_eq!(reply.standing.rate_per_second, 7);
        life.assert_conserved(id);
    });
}

/// The embedded store has one process: those who held leases died with the one before.
fn on_both_forms_embedded(test: impl Fn(&mut SqliteBench, &str)) {
    for audience in ["few", "all"] {
        for mode in [Mode::Inline, Mode::Threads { readers: 2 }] {
            let mut bench = SqliteBench::new(mode);
            Life::on(bench.store()).register(MANY);
            test(&mut bench, audience);
        }
    }
}

#[test]
fn a_restart_of_the_embedded_store_voids_leases_and_keeps_what_was_recorded() {
    on_both_forms_embedded(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let before = life.lease(shard).unwrap();
        let moves = vec![step(&before, 3, delivered())];
        life.record(shard, before.epoch, Checkpoint { moves, ..Checkpoint::default() }).unwrap();
        bench.crash();
        let life = Life::on(bench.store());
        life.assert_conserved(id);
        let late = Checkpoint { moves: vec![step(&before, 1, delivered())], ..Checkpoint::default() };
        assert_eq!(life.record(shard, before.epoch, late), Err(LeaseError::Fenced { asked: before.epoch }));
        let after = life.lease(shard).unwrap();
        assert!(after.epoch > before.epoch);
        if audience == "few" {
            assert_eq!((after.strikes, &after.chunks), (1, &before.chunks), "an inline plan is sent again");
        } else {
            assert_eq!((after.strikes, after.chunks[0].pending.len()), (0, before.chunks[0].pending.len() - 3));
        }
        life.run(id, |_| (Outcome::Delivered, None));
        let checkpoint = Checkpoint { moves: all_delivered(&after), then: Handover::Close, ..Checkpoint::default() };
        assert!(life.record(shard, after.epoch, checkpoint).unwrap().finished);
        life.assert_conserved(id);
    });
}

#[test]
fn a_restart_of_the_embedded_store_voids_the_lease_of_a_plan() {
    let mut bench = SqliteBench::new(Mode::Inline);
    let life = Life::on(bench.store());
    life.register(MANY);
    let id = life.accept(request("all")).id;
    let first = wait(bench.store().lease_plan(id, LENGTH)).unwrap().unwrap();
    bench.crash();
    assert_eq!(wait(bench.store().plan_step(id, first, LENGTH)).unwrap(), Err(LeaseError::Fenced { asked: first }));
    assert!(wait(bench.store().lease_plan(id, LENGTH)).unwrap().unwrap() > first);
}

#[test]
fn a_lease_whose_holder_died_runs_out_and_the_next_one_goes_on() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let before = life.lease(shard).unwrap();
        let moves = vec![step(&before, 3, delivered())];
        life.record(shard, before.epoch, Checkpoint { moves, ..Checkpoint::default() }).unwrap();
        bench.crash();
        bench.clock().advance(LENGTH);
        let life = Life::on(bench.store());
        let late = Checkpoint { moves: vec![step(&before, 1, delivered())], ..Checkpoint::default() };
        assert_eq!(life.record(shard, before.epoch, late), Err(LeaseError::Fenced { asked: before.epoch }));
        let after = life.lease(shard).unwrap();
        assert!(after.epoch > before.epoch);
        let left = [&before, &after].map(|work| work.chunks[0].pending.len());
        // The embedded store keeps the progress of an inline plan in memory.
        assert!(left[1] == left[0] - 3 || (audience == "few" && left[1] == left[0]), "{left:?}");
        let checkpoint = Checkpoint { moves: all_delivered(&after), then: Handover::Close, ..Checkpoint::default() };
        life.record(shard, after.epoch, checkpoint).unwrap();
        life.run(id, |_| (Outcome::Delivered, None));
        let broadcast = life.broadcast(id);
        assert!(broadcast.times.finished.is_some());
        assert_eq!(broadcast.counters().delivered, broadcast.counters().targeted);
        life.assert_conserved(id);
    });
}

#[test]
fn a_shard_with_pending_targets_is_not_closed_and_nothing_of_that_checkpoint_stands() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        let pending = u64::from(work.chunks[0].pending.len()) - 2;
        let refused =
            Checkpoint { moves: vec![step(&work, 2, delivered())], then: Handover::Close, ..Checkpoint::default() };
        assert_eq!(life.record(shard, work.epoch, refused), Err(LeaseError::StillPending { pending }));
        assert_eq!(life.broadcast(id).counters().delivered, 0);
        let due = START.plus(HOUR);
        let mut moves = all_delivered(&work);
        let all = moves[0].set.clone();
        moves[0].to = Destination::Retry { attempt: 2, due };
        let waiting = Checkpoint { moves, then: Handover::Close, ..Checkpoint::default() };
        let pending = u64::from(all.len());
        assert_eq!(
            life.record(shard, work.epoch, waiting),
            Err(LeaseError::StillPending { pending }),
            "a retry is pending"
        );
        life.assert_conserved(id);
    });
}

#[test]
fn targets_that_are_not_there_are_corruption_and_change_nothing() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        let good = step(&work, 1, delivered());
        let bad = [
            Move { set: ChunkSet::full(), ..good.clone() },
            Move { from: Place::Staged, ..good.clone() },
            Move { from: Place::Done { outcome: Outcome::Delivered, reason: 0 }, ..good.clone() },
            Move { chunk: ChunkNo(5), ..good.clone() },
        ];
        for bad in bad {
            let checkpoint = Checkpoint { moves: vec![good.clone(), bad], ..Checkpoint::default() };
            let answer = wait(life.store.checkpoint(shard, work.epoch, checkpoint));
            assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
            assert_eq!(life.broadcast(id).counters().delivered, 0);
        }
        life.record(shard, work.epoch, Checkpoint { moves: vec![good], ..Checkpoint::default() }).unwrap();
        life.assert_conserved(id);
    });
}

#[test]
fn what_waits_is_found_again_when_due() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        let due = START.plus(Duration::from_secs(60));
        let mut moves = all_delivered(&work);
        let waits = moves[0].set.take_first(5);
        moves.push(Move { to: Destination::Retry { attempt: 2, due }, set: waits.clone(), ..moves[0].clone() });
        let checkpoint = Checkpoint { moves, retries: 0, then: Handover::GiveBack { due }, ..Checkpoint::default() };
        let reply = life.record(shard, work.epoch, checkpoint).unwrap();
        assert_eq!(reply.counters.pending, 5);
        assert_eq!(life.lease(shard).unwrap_err(), LeaseError::NotDue { due });
        assert!(!life.shards(id).contains(&shard));
        life.assert_conserved(id);
        bench.crash();
        let life = Life::on(bench.store());
        bench.clock().advance(Duration::from_secs(60));
        assert!(life.shards(id).contains(&shard));
        let again = life.lease(shard).unwrap();
        assert_eq!(again.strikes, 0, "given back is no strike");
        assert_eq!(again.chunks.len(), 1);
        assert!(again.chunks[0].pending.is_empty());
        assert_eq!(again.chunks[0].retries.iter().collect::<Vec<_>>(), [(&(2, due), &waits)]);
        let from = Place::Retry { attempt: 2, due };
        let moves =
            super::settle(again.chunks[0].chunk, from, &waits, |_| (Outcome::Rejected, Some(Reason::known("gave_up"))));
        let checkpoint = Checkpoint { moves, retries: 5, then: Handover::Close, ..Checkpoint::default() };
        life.record(shard, again.epoch, checkpoint).unwrap();
        life.run(id, |_| (Outcome::Delivered, None));
        let counters = life.broadcast(id).counters();
        assert_eq!((counters.rejected, counters.retries, counters.pending), (5, 5, 0));
        assert!(life.broadcast(id).times.finished.is_some());
        life.assert_conserved(id);
    });
}

#[test]
fn the_first_lease_starts_it_and_the_last_close_ends_it() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shards = life.shards(id);
        assert_eq!(shards.len(), 2, "one for each platform");
        bench.clock().advance(Duration::from_secs(1));
        let works: Vec<_> = shards.iter().map(|shard| life.lease(*shard).unwrap()).collect();
        bench.clock().advance(Duration::from_secs(1));
        for (at, (shard, work)) in shards.iter().zip(&works).enumerate() {
            let checkpoint = Checkpoint { moves: all_delivered(work), then: Handover::Close, ..Checkpoint::default() };
            let reply = life.record(*shard, work.epoch, checkpoint.clone()).unwrap();
            assert_eq!(reply.finished, at == 1);
            let after = life.record(*shard, work.epoch, checkpoint);
            assert!(matches!(after, Err(LeaseError::Closed | LeaseError::Fenced { .. })), "{after:?}");
            assert_eq!(life.lease(*shard).unwrap_err(), LeaseError::Closed);
            life.assert_conserved(id);
        }
        let times = life.broadcast(id).times;
        assert_eq!(times.started, Some(START.plus(Duration::from_secs(1))));
        assert_eq!(times.finished, Some(START.plus(Duration::from_secs(2))));
        assert_eq!(life.ready(id), []);
        assert!(wait(life.store.standings(&[id])).unwrap().is_empty());
    });
}

#[test]
fn removals_are_staged_and_judged_on_evidence() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        bench.clock().advance(HOUR);
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        let chunk = work.chunks[0].clone();
        let seqs: Vec<Seq> = chunk.pending.iter().map(|offset| Seq::at(chunk.chunk, offset)).collect();
        let gone = u32::try_from(seqs[2].0).unwrap();
        life.delete(gone);
        let later = START.plus(HOUR / 2);
        let evidence = vec![
            dead(seqs[0], later, true),
            dead(seqs[1], later, false),
            dead(seqs[2], later, true),
            // Confirmed after it was said to be dead.
            dead(seqs[3], Timestamp::from_millis(1), true),
            dead(seqs[4], later, false),
        ];
        let staged = Checkpoint { evidence: evidence.clone(), ..Checkpoint::default() };
        let reply = life.record(shard, work.epoch, staged).unwrap();
        assert_eq!((reply.counters.pending, reply.dropped, reply.kept), (reply.counters.targeted, 0, 0));
        life.assert_conserved(id);
        let twice = Checkpoint { evidence: vec![evidence[0].clone()], ..Checkpoint::default() };
        assert!(wait(life.store.checkpoint(shard, work.epoch, twice)).is_err(), "it is never answered twice");

        let judge = |judgement| Checkpoint { judge: Some(judgement), ..Checkpoint::default() };
        let reply = life.record(shard, work.epoch, judge(Judgement::TimedOnly)).unwrap();
        assert_eq!((reply.dropped, reply.kept), (1, 2));
        life.assert_conserved(id);
        let one = Checkpoint {
            evidence: vec![Evidence { seq: seqs[5], ..evidence[1].clone() }],
            ..judge(Judgement::KeepUntimed)
        };
        let reply = life.record(shard, work.epoch, one).unwrap();
        assert_eq!((reply.dropped, reply.kept), (0, 3));
        let one =
            Checkpoint { evidence: vec![Evidence { seq: seqs[6], ..evidence[1].clone() }], ..judge(Judgement::All) };
        let reply = life.record(shard, work.epoch, one).unwrap();
        assert_eq!((reply.dropped, reply.kept), (1, 0));
        assert_eq!((reply.counters.dropped, reply.counters.rejected), (2, 5));
        life.assert_conserved(id);

        let of = |at: usize| {
            let installation = Some(id_of(u32::try_from(seqs[at].0).unwrap()));
            let items = life.outcomes(id, OutcomeQuery { installation, ..OutcomeQuery::default() });
            assert_eq!(items.len(), 1);
            (items[0].outcome.unwrap(), items[0].reason.clone().unwrap())
        };
        let why = || "Unregistered".to_owned();
        assert_eq!(
            (of(0), of(1), of(2)),
            ((Outcome::Dropped, why()), (Outcome::Rejected, why()), (Outcome::Rejected, why()))
        );
        let stored =
            |at: usize| wait(life.store.installation(life.hub, &id_of(u32::try_from(seqs[at].0).unwrap()))).unwrap();
        assert!(stored(0).unwrap().channel_expired && stored(6).unwrap().channel_expired);
        assert!(!stored(1).unwrap().channel_expired && !stored(3).unwrap().channel_expired);
        assert!(stored(2).is_none());
    });
}

#[test]
fn a_small_send_to_a_dead_device_ends_with_its_only_checkpoint() {
    for mut bench in benches() {
        let life = Life::on(bench.store());
        life.register(1);
        bench.clock().advance(HOUR);
        let id = life.planned(request("few"));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        let checkpoint = Checkpoint {
            evidence: vec![dead(Seq(0), START.plus(HOUR), true)],
            judge: Some(Judgement::All),
            then: Handover::Close,
            ..Checkpoint::default()
        };
        let reply = life.record(shard, work.epoch, checkpoint).unwrap();
        assert_eq!((reply.dropped, reply.finished), (1, true));
        bench.crash();
        let life = Life::on(bench.store());
        assert!(wait(life.store.installation(life.hub, &id_of(0))).unwrap().unwrap().channel_expired);
        let items = life.outcomes(id, OutcomeQuery::default());
        assert_eq!((items[0].outcome, items[0].installation().cloned()), (Some(Outcome::Dropped), Some(id_of(0))));
        life.assert_conserved(id);
    }
}

#[test]
fn the_sixty_fifth_reason_is_other() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        life.run(id, |seq| (Outcome::Rejected, Some(Reason::foreign(&format!("why {}", seq.0 % 90)))));
        let mut texts: Vec<_> =
            life.outcomes(id, OutcomeQuery::default()).into_iter().filter_map(|item| item.reason).collect();
        texts.sort_unstable();
        texts.dedup();
        let distinct = if audience == "few" { 9 } else { 65 };
        assert_eq!(texts.len(), distinct);
        assert_eq!(texts[0] == "other", distinct == 65);
        life.assert_conserved(id);
    });
}

#[test]
fn outcomes_are_listed_in_seq_order_by_pages_and_filters() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shards = life.shards(id);
        let work = life.lease(shards[0]).unwrap();
        life.record(
            shards[0],
            work.epoch,
            Checkpoint { moves: vec![step(&work, 4, delivered())], ..Checkpoint::default() },
        )
        .unwrap();
        let all = life.outcomes(id, OutcomeQuery::default());
        assert!(all.is_sorted_by_key(|item| item.seq));
        assert_eq!(all.len() as u64, life.broadcast(id).counters().targeted);
        let list = |query: OutcomeQuery| wait(life.store.outcomes(life.hub, id, query)).unwrap().unwrap();
        let page = list(OutcomeQuery { limit: 3, ..OutcomeQuery::default() });
        assert_eq!((&page.items[..], page.next), (&all[..3], Some(all[3].seq)));
        let page = list(OutcomeQuery { limit: 3, from: page.next, ..OutcomeQuery::default() });
        assert_eq!(page.items, all[3..6]);
        let outcome = Some(Some(Outcome::Delivered));
        let page = list(OutcomeQuery { limit: 9, outcome, ..OutcomeQuery::default() });
        assert_eq!((page.items.len(), page.next), (4, None));
        let pending = life.outcomes(id, OutcomeQuery { outcome: Some(None), ..OutcomeQuery::default() });
        assert_eq!(pending.len() + 4, all.len());
        let installation = all[5].installation().cloned();
        let one = list(OutcomeQuery { limit: 9, installation, ..OutcomeQuery::default() });
        assert_eq!(one.items, all[5..6]);
        let nobody = Some(InstallationId::parse("nobody").unwrap());
        assert_eq!(list(OutcomeQuery { limit: 9, installation: nobody, ..OutcomeQuery::default() }).items, []);
    });
}

#[test]
fn an_installation_that_left_still_has_its_outcomes() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let mut value = device(10);
        value["platform"] = serde_json::json!("wns");
        let id = life.planned(request(audience));
        life.run(id, |_| (Outcome::Delivered, None));
        let installation = Some(id_of(10));
        let query = || OutcomeQuery { installation: installation.clone(), ..OutcomeQuery::default() };
        let before = life.outcomes(id, query());
        value["pushChannel"] = serde_json::json!("https://cloud.notify.windows.com/?token=1");
        life.apply(vec![put(value)]);
        assert_eq!(life.outcomes(id, query()), before, "on another platform it is another target");
        life.delete(10);
        assert_eq!(life.outcomes(id, query()), before);
    });
}

#[test]
fn a_lease_without_progress_is_a_strike_and_progress_forgives() {
    on_both_forms(|bench, audience| {
        let life = Life::on(bench.store());
        let id = life.planned(request(audience));
        let shard = life.shards(id)[0];
        assert_eq!(life.lease(shard).unwrap().strikes, 0);
        bench.clock().advance(LENGTH);
        let work = life.lease(shard).unwrap();
        assert_eq!(work.strikes, 1);
        let moves = vec![step(&work, 1, delivered())];
        let then = Handover::GiveBack { due: START };
        let reply = life.record(shard, work.epoch, Checkpoint { moves, then, ..Checkpoint::default() }).unwrap();
        assert_eq!(reply.counters, Counters { delivered: 1, ..reply.counters });
        assert_eq!(life.lease(shard).unwrap().strikes, 0);
    });
}
