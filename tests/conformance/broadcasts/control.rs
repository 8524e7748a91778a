//! Wishes, lists, and the end of what is kept.

use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::broadcast::{BroadcastState, Wish};
use fanfare::model::id::{BroadcastId, HubId, HubName};
use fanfare::model::outcome::Outcome;
use fanfare::model::shard::LeaseError;
use fanfare::model::target::AudienceKind;
use fanfare::store::{Checkpoint, ControlError, Handover, OutcomeQuery, Retention};

use super::{HOUR, Life, MANY, all_delivered, device, id_of, put, request};
use crate::{Bench, START, benches, wait};

#[test]
fn a_paused_broadcast_is_not_worked_on_until_it_is_resumed_or_over() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        for audience in ["few", "all"] {
            let id = life.planned(request(audience));
            let shards = life.shards(id);
            let held = life.lease(shards[0]).unwrap();
            let paused = wait(life.store.wish(life.hub, id, Wish::Pause)).unwrap();
            assert_eq!(paused.state(bench.clock().now()), BroadcastState::Paused);
            assert_eq!(life.ready(id), []);
            assert_eq!(life.lease(shards[1]).unwrap_err(), LeaseError::Paused);
            // Its holder learns of it and hands the shard back.
            let then = Handover::GiveBack { due: bench.clock().now() };
            let reply = life.record(shards[0], held.epoch, Checkpoint { then, ..Checkpoint::default() }).unwrap();
            assert_eq!(reply.standing.wish, Wish::Pause);
            assert_eq!(life.lease(shards[0]).unwrap_err(), LeaseError::Paused);
            life.assert_conserved(id);
            wait(life.store.wish(life.hub, id, Wish::Run)).unwrap();
            assert_eq!(life.shards(id).len(), 2);
            wait(life.store.wish(life.hub, id, Wish::Pause)).unwrap();
            assert_eq!(life.ready(id), []);
            bench.clock().advance(HOUR);
            assert_eq!(life.shards(id).len(), 2, "its life is over: it is to be closed");
            life.run(id, |_| (Outcome::Expired, None));
            assert_eq!(life.broadcast(id).state(bench.clock().now()), BroadcastState::Expired);
            life.assert_conserved(id);
        }
    }
}

#[test]
fn a_cancel_is_final_and_nothing_is_waited_for() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        for audience in ["few", "all"] {
            let id = life.planned(request(audience));
            let shard = life.shards(id)[0];
            let work = life.lease(shard).unwrap();
            let then = Handover::GiveBack { due: bench.clock().now().plus(HOUR / 2) };
            life.record(shard, work.epoch, Checkpoint { then, ..Checkpoint::default() }).unwrap();
            assert_eq!(life.shards(id).len(), 1);
            let cancelled = wait(life.store.wish(life.hub, id, Wish::Cancel)).unwrap();
            assert_eq!(cancelled.state(bench.clock().now()), BroadcastState::Cancelled);
            assert!(wait(life.store.wish(life.hub, id, Wish::Cancel)).is_ok(), "the same again");
            for late in [Wish::Run, Wish::Pause] {
                assert!(matches!(wait(life.store.wish(life.hub, id, late)), Err(ControlError::Over)));
            }
            assert_eq!(life.shards(id).len(), 2);
            life.run(id, |_| (Outcome::Cancelled, None));
            let counters = life.broadcast(id).counters();
            assert_eq!((counters.cancelled, counters.pending), (counters.targeted, 0));
            assert!(matches!(wait(life.store.wish(life.hub, id, Wish::Cancel)), Err(ControlError::Over)));
            assert!(matches!(wait(life.store.set_rate(life.hub, id, 1)), Err(ControlError::Over)));
        }
    }
}

#[test]
fn control_is_of_the_hub_that_owns_it() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(30);
        let id = life.planned(request("few"));
        let (other, unknown) = (HubId(life.hub.0 + 1), BroadcastId::new(5));
        for (hub, id) in [(other, id), (life.hub, unknown)] {
            assert!(matches!(wait(life.store.wish(hub, id, Wish::Pause)), Err(ControlError::NotFound)));
            assert!(matches!(wait(life.store.set_rate(hub, id, 2)), Err(ControlError::NotFound)));
            assert!(wait(life.store.broadcast(hub, id)).unwrap().is_none());
            assert!(wait(life.store.outcomes(hub, id, OutcomeQuery::default())).unwrap().is_none());
        }
        assert_eq!(wait(life.store.set_rate(life.hub, id, 250)).unwrap().request.rate_per_second, 250);
        let standing = wait(life.store.standings(&[id, unknown])).unwrap();
        assert_eq!(standing.len(), 1);
        assert_eq!((standing[&id].rate_per_second, standing[&id].wish), (250, Wish::Run));
        assert_eq!((standing[&id].expires, standing[&id].read_at), (START.plus(HOUR), START));
    }
}

#[test]
fn broadcasts_are_listed_newest_first() {
    for bench in benches() {
        let life = Life::on(bench.store());
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(life.accept(request("nobody")).id);
            bench.clock().advance(Duration::from_secs(1));
        }
        ids.reverse();
        let list = |before, limit| -> Vec<BroadcastId> {
            wait(life.store.broadcasts(life.hub, before, limit)).unwrap().into_iter().map(|one| one.id).collect()
        };
        assert_eq!(list(None, 9), ids);
        assert_eq!(list(None, 2), ids[..2]);
        assert_eq!(list(Some(ids[1]), 2), ids[2..4]);
    }
}

#[test]
fn ready_work_is_windowed_and_given_in_due_order() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let large = life.planned(request("all"));
        let small = life.planned(request("few"));
        let ready = wait(life.store.ready(None, Duration::ZERO, 1)).unwrap();
        let mut of: Vec<_> = ready.iter().map(|work| work.work.broadcast()).collect();
        of.sort_unstable();
        let mut both = [large, small];
        both.sort_unstable();
        assert_eq!(of, both);
        assert!(ready.iter().all(|work| work.due <= START && work.hub == life.hub));
        let first = life.shards(large)[0];
        let work = life.lease(first).unwrap();
        let due = START.plus(Duration::from_secs(90));
        let then = Handover::GiveBack { due };
        life.record(first, work.epoch, Checkpoint { then, ..Checkpoint::default() }).unwrap();
        let ready = wait(life.store.ready(Some(large), Duration::from_secs(90), 9)).unwrap();
        assert_eq!(ready.iter().map(|work| work.due).collect::<Vec<_>>(), [START, due]);
        assert_eq!(life.ready(large).len(), 1);
    }
}

#[test]
fn what_is_over_goes_after_its_time() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let large = life.planned(request("all"));
        let small = life.planned(request("few"));
        let open = life.planned(request("few"));
        life.run(large, |_| (Outcome::Delivered, None));
        life.run(small, |_| (Outcome::Delivered, None));
        let kept = |id| wait(life.store.broadcast(life.hub, id)).unwrap().is_some();
        let sweep = || while wait(life.store.sweep()).unwrap() {};
        sweep();
        assert!(kept(large) && kept(small));
        bench.clock().advance(Duration::from_secs(86_400));
        sweep();
        assert!(kept(large) && !kept(small));
        bench.clock().advance(Duration::from_secs(29 * 86_400));
        sweep();
        assert!(!kept(large) && kept(open), "what is not over stays");
        assert_eq!(life.shards(open).len(), 2);
    }
}

#[test]
fn the_oldest_go_when_all_that_are_kept_take_too_much() {
    for mut bench in benches() {
        let (large, small, last, open) = {
            let life = Life::on(bench.store());
            life.register(MANY);
            let run = |audience| {
                let id = life.planned(request(audience));
                life.run(id, |_| (Outcome::Delivered, None));
                bench.clock().advance(Duration::from_secs(1));
                id
            };
            (run("all"), run("few"), run("few"), life.planned(request("all")))
        };
        let kept = |bench: &dyn Bench| {
            while wait(bench.store().sweep()).unwrap() {}
            let life = Life::on(bench.store());
            [large, small, last, open].map(|id| wait(life.store.broadcast(life.hub, id)).unwrap().is_some())
        };
        let most = |bytes| Retention { most: Some(bytes), ..Retention::default() };
        bench.reopen_with(most(1 << 30));
        assert_eq!(kept(&*bench), [true; 4], "there is room");
        bench.reopen_with(most(2_500));
        assert_eq!(kept(&*bench), [false, true, true, true], "the large one is the oldest, and enough");
        // What ends later counts, too, from the next look on.
        let run_again = || {
            let life = Life::on(bench.store());
            (0..8).for_each(|_| life.run(life.planned(request("few")), |_| (Outcome::Delivered, None)));
        };
        run_again();
        assert_eq!(kept(&*bench), [false, true, true, true], "it is not looked at all the time");
        bench.clock().advance(Duration::from_secs(60));
        assert_eq!(kept(&*bench), [false, false, false, true]);
        bench.reopen_with(most(0));
        assert_eq!(kept(&*bench), [false, false, false, true], "what is not over stays");
    }
}

#[test]
fn who_left_is_named_as_long_as_a_broadcast_is_kept() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let id = life.planned(request("all"));
        life.run(id, |_| (Outcome::Delivered, None));
        (0..MANY).filter(|n| n % 2 == 0).for_each(|n| life.delete(n));
        let sweep = || while wait(life.store.sweep()).unwrap() {};
        let named = || {
            let items = life.outcomes(id, OutcomeQuery::default());
            items.iter().filter_map(|item| item.installation().cloned()).collect::<std::collections::BTreeSet<_>>()
        };
        sweep();
        assert_eq!(named().len(), MANY as usize);
        // Others come and go in the meantime; what they leave behind does not shorten what is kept.
        bench.clock().advance(Duration::from_secs(29 * 86_400));
        life.apply(vec![put(device(MANY))]);
        life.delete(MANY);
        sweep();
        assert_eq!(named(), (0..MANY).map(id_of).collect());
        bench.clock().advance(Duration::from_secs(2 * 86_400));
        sweep();
        assert!(wait(life.store.broadcast(life.hub, id)).unwrap().is_none());
        assert_eq!(
            wait(life.store.count(life.hub, &everyone(), AudienceKind::Native)).unwrap().values().sum::<u64>(),
            u64::from(MANY / 2)
        );
    }
}

#[test]
fn a_large_deleted_hub_goes_in_slices_and_takes_nobody_along() {
    for bench in benches() {
        let (life, other) = (Life::on(bench.store()), HubName::parse("other").unwrap());
        let other = Life { hub: wait(bench.store().put_hub(&other, Vec::new())).unwrap().id, ..life };
        for each in [life, other] {
            each.register(4 * MANY);
            each.planned(request("all"));
        }
        let count = |life: &Life<'_>| {
            wait(life.store.count(life.hub, &everyone(), AudienceKind::Native))
                .map(|counts| counts.values().sum::<u64>())
        };
        assert!(wait(life.store.delete_hub(&HubName::parse("demo").unwrap())).unwrap());
        let slices = std::iter::from_fn(|| wait(life.store.sweep()).unwrap().then_some(())).count();
        assert!(slices > 0, "more than one slice is left of a hub of this size");
        let again = Life::on(bench.store());
        assert_ne!(again.hub, life.hub);
        assert_eq!(count(&again).unwrap(), 0);
        assert_eq!(count(&other).unwrap(), u64::from(4 * MANY));
        assert_eq!(wait(other.store.ready(None, HOUR, 9)).unwrap().len(), 2, "a shard for each platform");
        assert_eq!(wait(other.store.conservation()).unwrap().values().sum::<u64>(), 0);
    }
}

fn everyone() -> Audience {
    Audience::parse("", &AudienceLimits::default()).unwrap()
}

#[test]
fn a_deleted_hub_sends_nothing_more() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let ids = ["few", "all"].map(|audience| life.planned(request(audience)));
        let held: Vec<_> = ids
            .iter()
            .map(|id| {
                let shard = life.shards(*id)[0];
                (shard, life.lease(shard).unwrap())
            })
            .collect();
        assert!(wait(life.store.delete_hub(&HubName::parse("demo").unwrap())).unwrap());
        assert_eq!(wait(life.store.ready(None, HOUR, 9)).unwrap(), []);
        while wait(life.store.sweep()).unwrap() {}
        for (id, (shard, work)) in ids.iter().zip(held) {
            assert!(wait(life.store.broadcast(life.hub, *id)).unwrap().is_none());
            assert_eq!(life.lease(shard).unwrap_err(), LeaseError::Closed);
            let late = Checkpoint { moves: all_delivered(&work), then: Handover::Close, ..Checkpoint::default() };
            assert_eq!(life.record(shard, work.epoch, late), Err(LeaseError::Fenced { asked: work.epoch }));
        }
        assert!(wait(life.store.conservation()).unwrap().is_empty());
    }
}
