//! The rules of a broadcast's life, one by one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare::fanout::Settings;
use fanfare::model::broadcast::{BroadcastState, Wish};
use fanfare::model::outcome::Outcome;
use fanfare::model::platform::Platform;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::{ThrottleScope, Verdict};
use fanfare::store::{Change, ControlError};

use crate::gate::Gate;
use crate::gateway::{Act, Service};
use crate::world::{World, installation, request};

fn world(service: Arc<Service>) -> World {
    World::new(service, Settings { checkpoint_every: 256, ..Settings::default() })
}

fn quick() -> Arc<Service> {
    Service::accepting(Duration::from_millis(20))
}

fn answering(verdict: Verdict, reason: &'static str) -> Arc<Service> {
    Service::new(Duration::from_millis(20), Arc::new(move |_, _| Act::Answer(verdict.clone(), reason)))
}

#[test]
fn a_tagged_broadcast_reaches_those_it_is_for_and_nobody_else() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        process.register(0, 5_000).await;
        let id = process.send(request("even && all")).await;
        let broadcast = process.finished(id).await;
        assert_eq!(broadcast.counters().delivered, 2_500);
        assert_eq!(broadcast.state(process.clock.now()), BroadcastState::Completed);
    });
    assert!(world.service.by_device().iter().all(|(device, got)| device % 2 == 0 && got.accepted == 1));
}

#[test]
fn an_empty_audience_is_over_at_once() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        process.register(0, 10).await;
        let id = process.send(request("nobody")).await;
        let broadcast = process.broadcast(id).await;
        assert_eq!(broadcast.state(process.clock.now()), BroadcastState::Completed);
        assert_eq!(broadcast.counters().targeted, 0);
    });
}

#[test]
fn in_flight_targets_never_exceed_the_credit() {
    let world = world(Service::accepting(Duration::from_secs(2)));
    world.live(Gate::open(), async |process| {
        process.register(0, 6_000).await;
        let id = process.send(request("all")).await;
        process.finished(id).await;
        let most = process.gateway.in_flight.lock().1;
        assert!(most <= 256, "{most} with one shard and a credit of 256");
        assert!(most > 128, "{most}: the credit is there to be used");
    });
}

#[test]
fn pause_stops_sending_within_a_second_and_resume_goes_on() {
    let world = world(Service::accepting(Duration::from_millis(100)));
    world.live(Gate::open(), async |process| {
        process.register(0, 6_000).await;
        let id = process.send(request("all")).await;
        process.until(id, |broadcast| broadcast.counters().delivered > 500).await;
        process.fanout.wish(process.hub, id, Wish::Pause).await.unwrap();
        assert_eq!(process.broadcast(id).await.state(process.clock.now()), BroadcastState::Paused);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = world.service.requests();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(world.service.requests(), sent, "nothing goes out while paused");
        process.fanout.wish(process.hub, id, Wish::Run).await.unwrap();
        assert_eq!(process.finished(id).await.counters().delivered, 6_000);
    });
    assert_eq!(world.service.accepted(), 6_000);
}

#[test]
fn cancel_closes_what_is_left_and_is_final() {
    let world = world(Service::accepting(Duration::from_millis(100)));
    world.live(Gate::open(), async |process| {
        process.register(0, 6_000).await;
        let id = process.send(request("all")).await;
        process.until(id, |broadcast| broadcast.counters().delivered > 500).await;
        process.fanout.wish(process.hub, id, Wish::Cancel).await.unwrap();
        let begun = process.clock.now();
        let counters = process.finished(id).await.counters();
        assert!(process.clock.now().since(begun) < Duration::from_secs(2));
        assert_eq!(counters.delivered + counters.cancelled, 6_000);
        assert!(counters.cancelled > 1_000, "{counters:?}");
        assert_eq!(world.service.accepted(), counters.delivered);
        let refused = process.fanout.wish(process.hub, id, Wish::Run).await;
        assert!(matches!(refused, Err(ControlError::Over)), "{refused:?}");
    });
}

#[test]
fn a_cancelled_schedule_sends_nothing() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        process.register(0, 10).await;
        let at = process.clock.now().plus(Duration::from_secs(3_600));
        let id =
            process.send(fanfare::model::broadcast::BroadcastRequest { schedule_at: Some(at), ..request("all") }).await;
        assert_eq!(process.broadcast(id).await.state(process.clock.now()), BroadcastState::Scheduled);
        process.fanout.wish(process.hub, id, Wish::Cancel).await.unwrap();
        assert_eq!(process.finished(id).await.state(process.clock.now()), BroadcastState::Cancelled);
    });
    assert_eq!(world.service.requests(), 0);
}

#[test]
fn a_schedule_is_planned_when_due_even_across_a_restart() {
    let world = world(quick());
    let (id, at) = world.live(Gate::open(), async |process| {
        process.register(0, 10).await;
        let at = process.clock.now().plus(Duration::from_secs(3_600));
        let id =
            process.send(fanfare::model::broadcast::BroadcastRequest { schedule_at: Some(at), ..request("all") }).await;
        process.register(10, 20).await;
        (id, at)
    });
    world.live(Gate::open(), async |process| {
        let broadcast = process.finished(id).await;
        assert_eq!(broadcast.counters().delivered, 20, "who registered before it was due is in");
        assert!(broadcast.times.finished.unwrap() >= at);
        assert!(broadcast.times.finished.unwrap().since(at) < Duration::from_secs(3));
    });
}

#[test]
fn life_ends_at_the_ttl() {
    let world = world(answering(Verdict::Retry { after: None }, "ServiceUnavailable"));
    world.live(Gate::open(), async |process| {
        process.register(0, 2_100).await;
        let id = process.send(fanfare::model::broadcast::BroadcastRequest { ttl_seconds: 120, ..request("all") }).await;
        let broadcast = process.finished(id).await;
        assert_eq!(broadcast.counters().expired, 2_100);
        assert_eq!(broadcast.state(process.clock.now()), BroadcastState::Expired);
        let late = broadcast.times.finished.unwrap().since(broadcast.times.expires);
        assert!(late < Duration::from_secs(5), "{late:?}");
    });
}

#[test]
fn retries_wait_and_end_with_gave_up() {
    let world = world(answering(Verdict::Retry { after: None }, "InternalServerError"));
    world.live(Gate::open(), async |process| {
        process.register(0, 50).await;
        let id = process.send(request("all")).await;
        let counters = process.finished(id).await.counters();
        assert_eq!((counters.rejected, counters.retries), (50, 350), "8 attempts, 7 of them repeats");
        assert!(process.outcomes(id).await.iter().all(|item| item.reason.as_deref() == Some("gave_up")));
    });
    assert_eq!(world.service.requests(), 400);
}

#[test]
fn a_rate_is_kept_and_changes_at_once() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        process.register(0, 5_000).await;
        let paced = fanfare::model::broadcast::BroadcastRequest { rate_per_second: 100, ..request("all") };
        let id = process.send(paced).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let sent = world.service.requests();
        assert!((900..=1_100).contains(&sent), "{sent} in ten seconds at 100/s");
        process.fanout.set_rate(process.hub, id, 1_000).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let more = world.service.requests() - sent;
        assert!((1_600..=2_300).contains(&more), "{more} in two seconds at 1,000/s");
        process.fanout.set_rate(process.hub, id, 0).await.unwrap();
        process.finished(id).await;
    });
}

#[test]
fn a_paced_broadcast_holds_no_slot_while_it_waits() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        process.register(0, 5_000).await;
        let paced = fanfare::model::broadcast::BroadcastRequest { rate_per_second: 1, ..request("all") };
        process.send(paced).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let id = process.send(request("odd && all")).await;
        let begun = process.clock.now();
        process.finished(id).await;
        assert!(process.clock.now().since(begun) < Duration::from_secs(5));
    });
}

#[test]
fn bad_credentials_pause_the_sender_and_drop_nobody() {
    let world = world(answering(Verdict::Credentials, "InvalidProviderToken"));
    world.live(Gate::open(), async |process| {
        process.register(0, 3_000).await;
        let id = process.send(request("all")).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let blocked = process.fanout.blocked_senders(process.hub);
        assert_eq!(blocked[&Platform::Apns].reason.as_str(), "InvalidProviderToken");
        assert_eq!(process.broadcast(id).await.counters().pending, 3_000);
        *world.service.script.lock() = Arc::new(|_, _| Act::Accept);
        assert!(process.fanout.resume_sender(process.hub, Platform::Apns).await.unwrap());
        assert_eq!(process.finished(id).await.counters().delivered, 3_000);
    });
}

#[test]
fn a_paused_sender_resumes_by_itself_when_a_probe_works() {
    let world = world(answering(Verdict::Credentials, "ExpiredProviderToken"));
    world.live(Gate::open(), async |process| {
        process.register(0, 10).await;
        let id = process.send(request("all")).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        *world.service.script.lock() = Arc::new(|_, _| Act::Accept);
        assert_eq!(process.finished(id).await.counters().delivered, 10);
        let took =
            process.broadcast(id).await.times.finished.unwrap().since(process.broadcast(id).await.times.accepted);
        assert!(took > Duration::from_secs(29) && took < Duration::from_secs(40), "{took:?}");
    });
}

#[test]
fn project_throttling_waits_and_costs_no_attempt() {
    let rest = Some(Duration::from_secs(30));
    let slow = Verdict::Throttle { scope: ThrottleScope::Project, after: rest };
    let service = Service::new(
        Duration::from_millis(20),
        Arc::new(move |_, nth| if nth == 1 { Act::Answer(slow.clone(), "QUOTA_EXCEEDED") } else { Act::Accept }),
    );
    let world = world(service);
    world.live(Gate::open(), async |process| {
        process.register(0, 200).await;
        let id = process.send(request("all")).await;
        let broadcast = process.finished(id).await;
        assert_eq!((broadcast.counters().delivered, broadcast.counters().retries), (200, 0));
        assert!(broadcast.times.finished.unwrap().since(broadcast.times.accepted) >= Duration::from_secs(30));
    });
}

#[test]
fn an_unreachable_service_costs_delay_only() {
    let service = Service::new(Duration::from_millis(20), Arc::new(|_, _| Act::Unreachable));
    let world = world(service);
    world.live(Gate::open(), async |process| {
        process.register(0, 3_000).await;
        let id = process.send(request("all")).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(process.broadcast(id).await.counters().pending, 3_000);
        *world.service.script.lock() = Arc::new(|_, _| Act::Accept);
        let counters = process.finished(id).await.counters();
        assert_eq!((counters.delivered, counters.retries), (3_000, 0));
    });
    assert_eq!(world.service.accepted(), 3_000);
}

#[test]
fn five_equal_faults_condemn_the_rest_but_unknown_reasons_do_not() {
    let world_of = |for_all| world(answering(Verdict::FixRequest { for_all }, "BadPriority"));
    let requests = |world: World| {
        world.live(Gate::open(), async |process| {
            process.register(0, 6_000).await;
            let id = process.send(request("all")).await;
            let broadcast = process.finished(id).await;
            assert_eq!(broadcast.counters().rejected, 6_000);
            assert!(process.outcomes(id).await.iter().all(|item| item.reason.as_deref() == Some("BadPriority")));
        });
        world.service.requests()
    };
    assert!(requests(world_of(true)) <= 256);
    assert_eq!(requests(world_of(false)), 6_000);
}

#[test]
fn dead_addresses_leave_on_evidence_and_fresher_ones_stay() {
    let at = Timestamp::from_millis;
    let dead = move |since| Verdict::DropToken { since: Some(since) };
    let service = Service::new(
        Duration::from_millis(20),
        Arc::new(move |device, _| match device % 3 {
            0 => Act::Answer(dead(at(i64::MAX)), "Unregistered"),
            1 => Act::Answer(dead(at(1_000)), "Unregistered"),
            _ => Act::Accept,
        }),
    );
    let world = world(service);
    world.live(Gate::open(), async |process| {
        process.register(0, 300).await;
        let id = process.send(request("all")).await;
        let counters = process.finished(id).await.counters();
        assert_eq!((counters.delivered, counters.dropped, counters.rejected), (100, 100, 100));
        let dropped = installation(0, &[]).id;
        let stored = process.store.installation(process.hub, &dropped).await.unwrap().unwrap();
        assert!(stored.channel_expired, "the document stays and says so");
        let again = process.send(request("all")).await;
        assert_eq!(process.finished(again).await.counters().targeted, 200);
    });
}

#[test]
fn untimed_removals_need_a_delivery_and_a_breaker_that_did_not_trip() {
    let untimed = || Act::Answer(Verdict::DropToken { since: None }, "Unregistered");
    let only_dead = world(Service::new(Duration::from_millis(20), Arc::new(move |_, _| untimed())));
    only_dead.live(Gate::open(), async |process| {
        process.register(0, 150).await;
        let id = process.send(request("all")).await;
        assert_eq!(process.finished(id).await.counters().rejected, 150, "nothing was delivered: nobody is removed");
    });
    let mixed = world(Service::new(
        Duration::from_millis(20),
        Arc::new(move |device, _| if device % 10 == 0 { untimed() } else { Act::Accept }),
    ));
    mixed.live(Gate::open(), async |process| {
        process.register(0, 1_000).await;
        let id = process.send(request("all")).await;
        let counters = process.finished(id).await.counters();
        assert_eq!((counters.delivered, counters.dropped), (900, 100));
    });
}

#[test]
fn mass_invalidation_trips_the_breaker_and_removes_nobody() {
    let service = Service::new(
        Duration::from_millis(20),
        Arc::new(|device, _| match device % 400 {
            0 => Act::Accept,
            _ => Act::Answer(Verdict::DropToken { since: None }, "Unregistered"),
        }),
    );
    let world = world(service);
    world.live(Gate::open(), async |process| {
        process.register(0, 4_000).await;
        let id = process.send(request("all")).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(process.fanout.blocked_senders(process.hub)[&Platform::Apns].reason.as_str(), "mass_invalidation");
        process.fanout.wish(process.hub, id, Wish::Cancel).await.unwrap();
        let counters = process.finished(id).await.counters();
        assert_eq!(counters.dropped, 0, "{counters:?}");
        assert!(counters.rejected >= 200 && counters.rejected < 1_000, "{counters:?}");
    });
}

#[test]
fn who_left_since_the_plan_is_skipped() {
    let world = world(Service::accepting(Duration::from_millis(500)));
    world.live(Gate::open(), async |process| {
        process.register(0, 5_000).await;
        let id = process.send(request("all")).await;
        process.until(id, |broadcast| broadcast.counters().delivered > 0).await;
        let leave = (4_000..5_000).map(|device| Change::Delete(installation(device, &[]).id)).collect();
        process.store.apply(process.hub, leave).await.unwrap();
        let counters = process.finished(id).await.counters();
        assert_eq!((counters.delivered, counters.skipped), (4_000, 1_000));
        let gone = process.outcomes(id).await.into_iter().filter(|item| item.outcome == Some(Outcome::Skipped));
        assert!(gone.into_iter().all(|item| item.reason.as_deref() == Some("gone")));
    });
}

#[test]
fn a_platform_without_credentials_is_rejected_as_such() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        let document =
            serde_json::json!({"installationId": "w", "platform": "adm", "pushChannel": "token"}).to_string();
        let limits = fanfare::model::installation::InstallationLimits::default();
        let put = fanfare::model::installation::Installation::parse(document.as_bytes(), None, &limits).unwrap();
        process.store.apply(process.hub, vec![Change::Put(Box::new(put))]).await.unwrap();
        process.register(0, 5).await;
        let content = fanfare::model::broadcast::Content::Notification {
            notification: fanfare::model::broadcast::Notification::default(),
            payloads: Default::default(),
        };
        let id = process.send(fanfare::model::broadcast::BroadcastRequest { content, ..request("") }).await;
        let broadcast = process.finished(id).await;
        assert_eq!(broadcast.platforms[&Platform::Adm].rejected, 1);
        assert_eq!(broadcast.platforms[&Platform::Apns].delivered, 5);
        let outcomes = process.outcomes(id).await;
        assert_eq!(outcomes[0].reason.as_deref(), Some("no_gateway"));
    });
}

#[test]
fn a_frozen_worker_records_nothing_and_starts_nothing_once_its_lease_is_over() {
    let world = World::new(
        Service::accepting(Duration::from_millis(50)),
        Settings { checkpoint_every: 256, lease: Duration::from_secs(5), ..Settings::default() },
    );
    let gate = Gate::open();
    world.live(gate.clone(), async |first| {
        first.register(0, 8_000).await;
        let id = first.send(request("all")).await;
        first.until(id, |broadcast| broadcast.counters().delivered > 1_000).await;
        gate.freeze(true);
        // What it had handed over before may still be written until its lease ends, nothing after.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let written = first.gateway.in_flight.lock().0;
        assert_eq!(written, 0, "nothing is under way after the lease");
        let before = world.service.requests();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.service.requests(), before);
        gate.freeze(false);
        let counters = first.finished(id).await.counters();
        assert_eq!(counters.delivered, 8_000);
        assert!(world.service.accepted() - 8_000 <= 256, "at most the credit is repeated");
        assert!(first.gate.fenced.load(Ordering::SeqCst) <= 1);
    });
}

#[test]
fn two_nodes_share_the_shards_and_repeat_nothing() {
    let settings = Settings { shards_in_flight: 1, ..Settings::default() };
    let world = World::new(Service::accepting(Duration::from_millis(200)), settings);
    world.live(Gate::open(), async |first| {
        first.register(0, 70_000).await;
        let second = world.second(first.store.clone(), first.clock.clone(), Gate::open()).await;
        let id = first.send(request("all")).await;
        let counters = second.finished(id).await.counters();
        assert_eq!(counters.delivered, 70_000);
        assert!(second.gateway.in_flight.lock().1 > 0, "the second node took its share");
    });
    assert_eq!(world.service.accepted(), 70_000);
}

#[test]
fn a_graceful_stop_hands_back_at_once_and_repeats_nothing() {
    let world = world(Service::accepting(Duration::from_millis(100)));
    let id = world.live(Gate::open(), async |process| {
        process.register(0, 6_000).await;
        let id = process.send(request("all")).await;
        process.until(id, |broadcast| broadcast.counters().delivered > 500).await;
        assert!(process.fanout.stop(Duration::from_secs(5)).await);
        id
    });
    world.live(Gate::open(), async |process| {
        assert_eq!(process.finished(id).await.counters().delivered, 6_000);
    });
    assert_eq!(world.service.accepted(), 6_000);
}
