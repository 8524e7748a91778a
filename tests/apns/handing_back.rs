//! What a worker gets back unsent, and when.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::gateway::{Gateway, Unsent};
use fanfare::model::broadcast::Lane;
use fanfare::model::verdict::Verdict;
use loadtest::gateways::script::{Act, Refusal};
use loadtest::gateways::{ApnsConfig, Script, Simulated};

use crate::bench::{Bench, far};

/// A service that takes little at a time and is slow about it.
fn narrow() -> ApnsConfig {
    ApnsConfig { streams: 10, script: Script::new().latency(100), ..ApnsConfig::default() }
}

#[tokio::test]
async fn a_raised_flag_brings_back_what_is_unsent() {
    let bench = Bench::new(narrow(), 1).await;
    let sent = bench.send(Lane::Bulk, 0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    sent.stop.raise();
    let told = sent.told().await;
    let delivered = told.count(&Verdict::Delivered);
    assert_eq!(told.unsent(Unsent::Stopped) + delivered, 1_000);
    assert_eq!(bench.sim.receipts().accepted(), delivered as u64);
    assert!(delivered < 200, "{delivered}");
}

#[tokio::test]
async fn the_end_of_the_lease_brings_back_what_is_unsent() {
    let bench = Bench::new(narrow(), 1).await;
    let deadline = bench.clock.boot().plus(Duration::from_millis(500));
    let told = bench.send_request(bench.request(Lane::Bulk), 0..1_000, deadline).await.told().await;
    let delivered = told.count(&Verdict::Delivered);
    assert_eq!(told.unsent(Unsent::Deadline) + delivered, 1_000);
    assert_eq!(bench.sim.receipts().accepted(), delivered as u64);
}

/// The boot clock counts suspension: a worker that slept past its lease starts no send.
#[tokio::test]
async fn a_lease_that_ended_in_sleep_sends_nothing_more() {
    let bench = Bench::new(narrow(), 1).await;
    let sent = bench.send(Lane::Bulk, 0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    bench.clock.turn(Duration::from_hours(25));
    let told = sent.told().await;
    assert!(told.unsent(Unsent::Deadline) > 800, "{told:?}");
}

#[tokio::test]
async fn nobody_there_is_told_soon_and_a_return_is_noticed() {
    let script = Script { refuse_connections: Some(Refusal::Reset), ..Script::new() };
    let bench = Bench::new(ApnsConfig { script, ..ApnsConfig::default() }, 2).await;
    let told = bench.send(Lane::Bulk, 0..100).await.told().await;
    assert_eq!(told.unsent(Unsent::Unreachable), 100);
    bench.sim.set_script(Script::new());
    bench.send(Lane::Bulk, 100..200).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(100..200);
}

#[tokio::test]
async fn more_than_there_is_room_for_waits_for_room() {
    let script = Script::new().latency(1);
    let bench = Bench::new(ApnsConfig { script, ..ApnsConfig::default() }, 1).await;
    bench.send(Lane::Bulk, 0..10_000).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..10_000);
}

#[tokio::test]
async fn closing_waits_for_answers_and_hands_the_rest_back() {
    let bench = Bench::new(narrow(), 1).await;
    let sent = bench.send(Lane::Bulk, 0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    bench.gateway.close(Duration::from_secs(20)).await;
    let told = sent.told().await;
    assert_eq!(told.unsent(Unsent::Closed) + told.count(&Verdict::Delivered), 1_000);
    assert_eq!((bench.meter.connections(), bench.meter.streams()), (0, 0));
    let late = bench.send_request(bench.request(Lane::Bulk), 0..10, far()).await.told().await;
    assert_eq!(late.unsent(Unsent::Closed), 10);
}

#[tokio::test]
async fn closing_gives_up_what_is_not_answered_in_time() {
    let script = Script::new().always(Act::Stall { accepted: true });
    let bench = Bench::new(ApnsConfig { script, verify_credentials: false, ..ApnsConfig::default() }, 1).await;
    let sent = bench.send(Lane::Bulk, 0..10).await;
    bench.sim.receipts().wait_for(1).await;
    bench.gateway.close(Duration::from_millis(50)).await;
    let told = sent.told().await;
    assert_eq!(told.unsent(Unsent::Closed) + told.count(&Verdict::ConnAmbiguous), 10);
    assert!(told.count(&Verdict::ConnAmbiguous) > 0);
}

/// Threads that end, end with an answer for everyone.
#[tokio::test]
async fn threads_that_stop_leave_nobody_unanswered() {
    let bench = Bench::new(narrow(), 2).await;
    let sent = bench.send(Lane::Bulk, 0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    let Bench { gateway, shared, .. } = bench;
    drop(Arc::into_inner(gateway));
    drop(shared);
    let told = sent.told().await;
    assert_eq!(told.0.len(), 1_000);
}
