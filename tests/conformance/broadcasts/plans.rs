//! Acceptance and planning, in both forms.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare::model::broadcast::{BroadcastRequest, BroadcastState, Content, Payloads, Wish};
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, HubId, Seq};
use fanfare::model::outcome::Outcome;
use fanfare::model::platform::Platform;
use fanfare::model::shard::LeaseError;
use fanfare::model::verdict::Reason;
use fanfare::store::{AcceptError, OutcomeQuery, ShardWork, Store, Work};
use serde_json::json;

use super::{HOUR, LENGTH, Life, MANY, device, id_of, new, put, request};
use crate::{START, benches, wait};

#[test]
fn a_small_audience_is_planned_with_its_acceptance() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(30);
        let accepted = life.accept(request("few"));
        let works: Vec<_> =
            accepted.work.iter().map(|ready| (ready.work, ready.lane, ready.weight, ready.due)).collect();
        assert_eq!(accepted.work, life.ready(accepted.id));
        assert!(
            works.iter().all(|(work, _, weight, due)| matches!(work, Work::Run(..)) && *weight == 3 && *due == START)
        );
        let broadcast = life.broadcast(accepted.id);
        assert_eq!(broadcast.times.planned, Some(START));
        assert_eq!((broadcast.times.started, broadcast.state(START)), (None, BroadcastState::Queued));
        assert_eq!(broadcast.request, request("few"));
        let targeted: BTreeMap<_, _> =
            broadcast.platforms.iter().map(|(on, counters)| (*on, counters.targeted)).collect();
        assert_eq!(targeted, BTreeMap::from([(Platform::Apns, 2), (Platform::Fcm, 1)]));
        life.assert_conserved(accepted.id);
    }
}

#[test]
fn nobody_to_send_to_is_over_at_once() {
    for bench in benches() {
        let life = Life::on(bench.store());
        let accepted = life.accept(request("nobody"));
        assert_eq!(accepted.work, []);
        let broadcast = life.broadcast(accepted.id);
        assert_eq!((broadcast.times.finished, broadcast.state(START)), (Some(START), BroadcastState::Completed));
        assert_eq!(life.outcomes(accepted.id, OutcomeQuery::default()), []);
    }
}

#[test]
fn both_forms_of_plan_end_with_the_same_outcomes() {
    let answer = |seq: Seq| match seq.0 % 5 {
        0 => (Outcome::Rejected, Some(Reason::known("BadTopic"))),
        1 => (Outcome::Skipped, Some(Reason::known("gone"))),
        _ => (Outcome::Delivered, None),
    };
    for mut bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let large = life.planned(request("all"));
        let small = life.planned(request("few"));
        life.run(large, answer);
        life.run(small, answer);
        let hub = life.hub;
        bench.reopen();
        let life = Life { store: bench.store(), hub };
        for (id, targeted) in [(large, u64::from(MANY)), (small, u64::from(MANY / 10))] {
            let broadcast = life.broadcast(id);
            assert_eq!((broadcast.counters().targeted, broadcast.counters().pending), (targeted, 0));
            assert_eq!(broadcast.state(START), BroadcastState::Completed);
            assert_eq!(broadcast.times.started, Some(START));
            life.assert_conserved(id);
        }
        let few = life.outcomes(small, OutcomeQuery::default());
        let all = life.outcomes(large, OutcomeQuery::default());
        let among: Vec<_> = all.into_iter().filter(|item| few.iter().any(|one| one.seq == item.seq)).collect();
        assert_eq!(few, among);
        assert_eq!(few[1].installation().cloned(), Some(id_of(10)));
        assert_eq!((few[0].outcome, few[0].reason.as_deref()), (Some(Outcome::Rejected), Some("BadTopic")));
    }
}

#[test]
fn a_key_gives_one_broadcast_for_a_day() {
    for mut bench in benches() {
        let life = Life::on(bench.store());
        let hub = life.hub;
        let accept = |store: &dyn Store, hash: u8| {
            wait(store.accept(new(hub, request("a"), Some(("key".to_owned(), [hash; 32])))))
        };
        let first = accept(bench.store(), 1).unwrap();
        assert!(!first.replayed);
        bench.reopen();
        let second = accept(bench.store(), 1).unwrap();
        assert_eq!((second.id, second.replayed, second.work), (first.id, true, Vec::new()));
        assert!(matches!(accept(bench.store(), 2), Err(AcceptError::KeyReused(id)) if id == first.id));
        assert_eq!(wait(bench.store().broadcasts(hub, None, 10)).unwrap().len(), 1);
        bench.clock().advance(Duration::from_secs(86_400));
        let later = accept(bench.store(), 2).unwrap();
        assert!(!later.replayed && later.id > first.id);
        let other_hub = new(HubId(99), request("a"), None);
        assert!(matches!(wait(bench.store().accept(other_hub)), Err(AcceptError::NoHub)));
    }
}

#[test]
fn a_schedule_is_planned_when_due_for_those_who_are_there_then() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(1);
        let due = START.plus(HOUR);
        let accepted = life.accept(BroadcastRequest { schedule_at: Some(due), ..request("all") });
        assert_eq!(accepted.work[0].due, due);
        assert_eq!(accepted.work[0].work, Work::Plan(accepted.id));
        assert_eq!(life.broadcast(accepted.id).state(START), BroadcastState::Scheduled);
        assert_eq!(life.ready(accepted.id), []);
        assert_eq!(wait(bench.store().ready(None, HOUR, 9)).unwrap(), accepted.work);
        let early = wait(bench.store().lease_plan(accepted.id, LENGTH)).unwrap();
        assert_eq!(early, Err(LeaseError::NotDue { due }));
        life.register(20);
        bench.clock().advance(HOUR);
        assert_eq!(life.ready(accepted.id), accepted.work);
        let epoch = wait(bench.store().lease_plan(accepted.id, LENGTH)).unwrap().unwrap();
        assert_eq!(life.ready(accepted.id), [], "somebody plans it");
        let step = wait(bench.store().plan_step(accepted.id, epoch, LENGTH)).unwrap().unwrap();
        assert!(step.done && step.targeted == 20);
        assert!(matches!(wait(bench.store().plan_step(accepted.id, epoch, LENGTH)).unwrap(), Err(LeaseError::Closed)));
        let broadcast = life.broadcast(accepted.id);
        assert_eq!(broadcast.times.expires, due.plus(HOUR));
        life.run(accepted.id, |_| (Outcome::Delivered, None));
        assert_eq!(life.broadcast(accepted.id).counters().delivered, 20);
    }
}

#[test]
fn only_the_holder_plans() {
    for mut bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let id = life.accept(request("all")).id;
        let first = wait(bench.store().lease_plan(id, LENGTH)).unwrap().unwrap();
        let held = wait(bench.store().lease_plan(id, LENGTH)).unwrap();
        assert_eq!(held, Err(LeaseError::Held { until: START.plus(LENGTH) }));
        bench.crash();
        // Where other nodes live a lease outlives its holder, until it runs out.
        bench.clock().advance(LENGTH);
        let life = Life::on(bench.store());
        let fenced = wait(bench.store().plan_step(id, first, LENGTH)).unwrap();
        assert_eq!(fenced, Err(LeaseError::Fenced { asked: first }));
        assert_eq!(life.broadcast(id).counters().targeted, 0);
        let second = wait(bench.store().lease_plan(id, LENGTH)).unwrap().unwrap();
        assert!(second > first);
        let step = wait(bench.store().plan_step(id, second, LENGTH)).unwrap().unwrap();
        assert_eq!((step.done, step.targeted), (true, u64::from(MANY)));
        life.assert_conserved(id);
    }
}

#[test]
fn a_cancel_or_the_end_of_life_ends_planning_where_it_is() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let later = BroadcastRequest { schedule_at: Some(START.plus(HOUR)), ..request("all") };
        let cancelled = life.accept(later).id;
        wait(bench.store().wish(life.hub, cancelled, Wish::Cancel)).unwrap();
        assert_eq!(life.ready(cancelled).len(), 1, "there is nothing to wait for");
        let expired = life.accept(request("all")).id;
        let plan = |id| {
            let epoch = wait(bench.store().lease_plan(id, LENGTH)).unwrap().unwrap();
            wait(bench.store().plan_step(id, epoch, LENGTH)).unwrap().unwrap()
        };
        assert!(plan(cancelled).done);
        bench.clock().advance(HOUR);
        assert!(plan(expired).done);
        for id in [cancelled, expired] {
            let broadcast = life.broadcast(id);
            assert!(broadcast.times.finished.is_some() && broadcast.counters().targeted == 0);
        }
    }
}

#[test]
fn payloads_name_their_platforms() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let content = Content::Payloads(Payloads::from([("fcm".to_owned(), "{}".to_owned())]));
        for audience in ["all", "few"] {
            let content = content.clone();
            let id = life.planned(BroadcastRequest { content, ..request(audience) });
            assert!(life.broadcast(id).platforms.keys().eq([&Platform::Fcm]));
        }
    }
}

#[test]
fn of_those_with_one_handle_the_first_gets_it() {
    let shared = |n: u32, handle: u32, tags: &[&str]| {
        let mut value = device(n);
        value["platform"] = json!("apns");
        value["pushChannel"] = json!(format!("{handle:064x}"));
        value["tags"] = json!(tags);
        put(value)
    };
    for bench in benches() {
        let life = Life::on(bench.store());
        life.apply(vec![
            shared(0, 7, &["a"]),
            shared(1, 7, &["a", "b"]),
            shared(2, 7, &["a", "b"]),
            shared(3, 8, &["a"]),
        ]);
        life.apply((100..100 + MANY).map(|n| shared(n, n, &["bulk"])).collect());
        for audience in ["a", "a || bulk"] {
            let id = life.planned(request(audience));
            let items = life.outcomes(id, OutcomeQuery::default());
            let skipped: Vec<_> = items.iter().filter(|item| item.outcome == Some(Outcome::Skipped)).collect();
            assert_eq!(skipped.iter().map(|item| item.seq.0).collect::<Vec<_>>(), [1, 2], "{audience}");
            assert!(skipped.iter().all(|item| item.reason.as_deref() == Some("duplicate_handle")));
            assert_eq!(life.broadcast(id).counters().skipped, 2);
            life.run(id, |_| (Outcome::Delivered, None));
            life.assert_conserved(id);
        }
        let id = life.planned(request("b"));
        let pending = life.outcomes(id, OutcomeQuery { outcome: Some(None), ..OutcomeQuery::default() });
        assert_eq!(pending.iter().map(|item| item.seq.0).collect::<Vec<_>>(), [1], "the first is not in this plan");
    }
}

#[test]
fn a_plan_that_names_a_user_says_until_which_commit() {
    for bench in benches() {
        let life = Life::on(bench.store());
        let of = |n: u32, user: &str| {
            let mut value = device(n);
            value["userId"] = json!(user);
            put(value)
        };
        life.apply(vec![of(0, "anna")]);
        life.apply((1..MANY).map(|n| of(n, "many")).collect());
        for (user, devices) in [("anna", 1), ("many", u64::from(MANY) - 1)] {
            let id = life.planned(request(&format!("$UserId:{{{user}}}")));
            assert_eq!(life.broadcast(id).counters().targeted, devices);
            let lease = |shard| -> ShardWork { life.lease(shard).unwrap() };
            let bound = life.shards(id).into_iter().map(lease).map(|work| work.user_bound.unwrap()).max().unwrap();
            let rows = wait(bench.store().read_rows(life.hub, ChunkNo(0), &ChunkSet::full(), Some(bound))).unwrap();
            assert!(!rows.is_empty() && rows.iter().all(|(row, _)| !row.user_changed));
        }
        let id = life.planned(request("all"));
        assert!(life.shards(id).into_iter().all(|shard| life.lease(shard).unwrap().user_bound.is_none()));
        let id = life.planned(request("few && !$UserId:{anna}"));
        let before = life.lease(life.shards(id)[0]).unwrap().user_bound.unwrap();
        life.apply(vec![of(10, "anna")]);
        let rows = wait(bench.store().read_rows(life.hub, ChunkNo(0), &ChunkSet::full(), Some(before))).unwrap();
        assert_eq!(rows.iter().filter(|(row, _)| row.user_changed).count(), 1);
    }
}
