//! Plans of bare handles, samples of an audience, and tallies: in the broadcast's own row and as ordinary rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare::model::broadcast::{BroadcastRequest, Content, Raw};
use fanfare::model::channel::Channel;
use fanfare::model::id::{BroadcastId, HubId, Seq};
use fanfare::model::outcome::{Outcome, Place};
use fanfare::model::platform::Platform;
use fanfare::model::verdict::Reason;
use fanfare::store::{Checkpoint, Handover, NewBroadcast, OutcomeQuery, Tally};

use super::{HOUR, LENGTH, Life, MANY, device, id_of, new, put, request, settle};
use crate::{START, benches, wait};

/// To handles `aa00`, `aa01` … and the first of them once more.
fn direct(handles: u8) -> BroadcastRequest {
    let handle = |n: u8| Channel::handle(Platform::Apns, format!("aa{n:02x}").into()).unwrap();
    let handles: Arc<[Channel]> = (0..handles).chain([0]).map(handle).collect();
    let raw = Raw {
        platform: Platform::Apns,
        body: "{}".to_owned(),
        headers: BTreeMap::from([("apns-priority".to_owned(), "5".to_owned())]),
        format: "apple".to_owned(),
        handles: Some(handles),
    };
    BroadcastRequest { content: Content::Raw(raw), ..request("") }
}

fn answer(seq: Seq) -> (Outcome, Option<Reason>) {
    match seq.0 {
        1 => (Outcome::Rejected, Some(Reason::known("BadDeviceToken"))),
        _ => (Outcome::Delivered, None),
    }
}

fn tally(life: &Life<'_>, id: BroadcastId) -> Tally {
    wait(life.store.tally(life.hub, id)).unwrap().unwrap()
}

fn expected(handles: u64) -> Tally {
    let reason = |text: &str| Some(text.to_owned());
    Tally::from([
        ((Platform::Apns, Outcome::Delivered, None), handles - 1),
        ((Platform::Apns, Outcome::Rejected, reason("BadDeviceToken")), 1),
        ((Platform::Apns, Outcome::Skipped, reason("duplicate_handle")), 1),
    ])
}

#[test]
fn bare_handles_are_a_plan_of_their_own() {
    for mut bench in benches() {
        let life = Life::on(bench.store());
        // Whose targets have the same seqs, and the same handle.
        life.apply((0..3).map(|n| put(device(n))).collect());
        let id = life.accept(direct(5)).id;
        assert_eq!(life.broadcast(id).times.planned, Some(START));
        assert_eq!(life.broadcast(id).request, direct(5));
        let shard = life.shards(id)[0];
        let work = life.lease(shard).unwrap();
        assert_eq!(work.request.content, direct(5).content);
        assert_eq!((work.chunks[0].pending.len(), work.user_bound), (5, None));
        // What is given back becomes ordinary rows, and the handles go along.
        let some = Checkpoint {
            moves: settle(work.chunks[0].chunk, Place::Pending, &[0, 1].into_iter().collect(), answer),
            then: Handover::GiveBack { due: START },
            ..Checkpoint::default()
        };
        life.record(shard, work.epoch, some).unwrap();
        bench.reopen();
        let life = Life::on(bench.store());
        life.assert_conserved(id);
        life.run(id, answer);
        life.assert_conserved(id);
        assert_eq!(tally(&life, id), expected(5));
        let items = life.outcomes(id, OutcomeQuery::default());
        let handles: Vec<_> = items.iter().map(|item| item.handle.clone().unwrap()).collect();
        assert_eq!(handles, ["aa00", "aa01", "aa02", "aa03", "aa04", "aa00"]);
        assert!(items.iter().all(|item| item.registrant.is_none()));
        let of_installation = OutcomeQuery { installation: Some(id_of(0)), ..OutcomeQuery::default() };
        assert_eq!(life.outcomes(id, of_installation), []);
    }
}

#[test]
fn a_small_plan_of_handles_is_tallied_before_and_after_its_end() {
    for bench in benches() {
        let life = Life::on(bench.store());
        let id = life.accept(direct(3)).id;
        let skipped = ((Platform::Apns, Outcome::Skipped, Some("duplicate_handle".to_owned())), 1);
        assert_eq!(tally(&life, id), Tally::from([skipped]));
        life.run(id, answer);
        assert_eq!(tally(&life, id), expected(3));
        assert!(life.broadcast(id).times.finished.is_some());
        life.assert_conserved(id);
        let nobody = wait(life.store.tally(HubId(99), id)).unwrap();
        assert_eq!(nobody, None, "another hub's");
    }
}

#[test]
fn a_scheduled_plan_of_handles_is_made_when_it_is_due() {
    for bench in benches() {
        let life = Life::on(bench.store());
        let later = BroadcastRequest { schedule_at: Some(START.plus(HOUR)), ..direct(4) };
        let id = life.accept(later).id;
        assert!(life.broadcast(id).times.planned.is_none());
        bench.clock().advance(HOUR);
        let epoch = wait(life.store.lease_plan(id, LENGTH)).unwrap().unwrap();
        let step = wait(life.store.plan_step(id, epoch, LENGTH)).unwrap().unwrap();
        assert_eq!((step.done, step.targeted), (true, 5));
        life.run(id, answer);
        assert_eq!(tally(&life, id), expected(4));
    }
}

#[test]
fn a_sample_is_planned_at_once_however_large_the_audience() {
    for bench in benches() {
        let life = Life::on(bench.store());
        life.register(MANY);
        let sample = |audience: &str, sample| {
            let new = NewBroadcast { sample: Some(sample), ..new(life.hub, request(audience), None) };
            let id = wait(life.store.accept(new)).unwrap().id;
            assert!(life.broadcast(id).times.planned.is_some());
            life.run(id, |_| (Outcome::Delivered, None));
            life.assert_conserved(id);
            life.broadcast(id).counters().delivered
        };
        assert_eq!((sample("all", 10), sample("all", 2_000), sample("few && !all", 10)), (10, 2_000, 0));
        let large = life.planned(request("all"));
        life.run(large, |_| (Outcome::Delivered, None));
        assert_eq!(tally(&life, large).values().sum::<u64>(), u64::from(MANY));
    }
}
