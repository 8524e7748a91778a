//! Stream limits, windows and lanes.

use std::time::Duration;

use fanfare::gateway::pool::Tuning;
use fanfare::model::broadcast::Lane;
use fanfare::model::verdict::Verdict;
use loadtest::gateways::script::{Act, ConnectionAct};
use loadtest::gateways::{ApnsConfig, Script, Simulated};

use crate::bench::{Bench, far, prefix, prepared, quick, token};

/// T1.
#[tokio::test]
async fn one_request_goes_first_and_then_the_window_opens() {
    let script = Script::new().latency(200);
    let bench = Bench::new(ApnsConfig { script, ..ApnsConfig::default() }, 1).await;
    bench.send(Lane::Bulk, 0..3_000).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..3_000);
    let counts = bench.sim.counts();
    assert_eq!(counts.refused_streams, 0);
    assert!(counts.max_open_streams > 100, "{counts:?}");
}

/// T2.
#[tokio::test]
async fn a_limit_that_falls_to_one_and_rises_again_is_followed() {
    let bad = |n: u64| n % 97 == 5;
    let script = (0..2_000)
        .filter(|n| bad(*n))
        .fold(Script::new().latency(1), |script, seq| script.token(&prefix(seq), Act::refuse(400, "BadDeviceToken")));
    let script = Script { cut_streams_on_error: true, ..script };
    let bench = Bench::new(ApnsConfig { script, ..ApnsConfig::default() }, 2).await;
    let told = bench.send(Lane::Bulk, 0..2_000).await.told().await;
    let refused = told.count(&Verdict::EnvMismatch);
    assert_eq!(refused as u64, (0..2_000).filter(|n| bad(*n)).count() as u64);
    assert_eq!(told.count(&Verdict::Delivered), 2_000 - refused);
    assert_eq!(bench.sim.receipts().repeated(), vec![]);
    bench.assert_no_violation();
}

#[tokio::test]
async fn a_small_limit_is_never_exceeded() {
    let script = Script::new().latency(2).event(50, ConnectionAct::LimitStreams(7));
    let bench = Bench::new(ApnsConfig { streams: 20, script, ..ApnsConfig::default() }, 3).await;
    bench.send(Lane::Bulk, 0..1_000).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..1_000);
    assert!(bench.sim.counts().max_open_streams <= 20);
}

/// T15.
#[tokio::test]
async fn a_shut_window_stalls_the_sender_and_times_nothing_out() {
    let tuning = Tuning { soft_timeout: Duration::from_millis(200), hard_timeout: Duration::from_secs(5), ..quick() };
    let script = Script::new().event_times(1, 5, ConnectionAct::HoldWindows { for_ms: Some(1_000) });
    let bench = Bench::tuned(ApnsConfig { script, ..ApnsConfig::default() }, 1, tuning).await;
    let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(3_000));
    let request = prepared(&bench.gateway, Lane::Bulk, &payload);
    let told = bench.send_request(request.into(), 0..300, far()).await.told().await;
    told.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..300);
    assert_eq!(bench.sim.counts().connections_ever, 1);
}

/// A window that never opens again costs the connection, not the targets.
#[tokio::test]
async fn a_window_that_stays_shut_moves_its_targets_to_another_connection() {
    let tuning = Tuning { hard_timeout: Duration::from_millis(500), ..quick() };
    let script = Script::new().event_times(1, 5, ConnectionAct::HoldWindows { for_ms: None });
    let bench = Bench::tuned(ApnsConfig { script, ..ApnsConfig::default() }, 1, tuning).await;
    let payload = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(3_000));
    let request = prepared(&bench.gateway, Lane::Bulk, &payload);
    let told = bench.send_request(request.into(), 0..300, far()).await.told().await;
    told.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..300);
    assert_eq!(bench.sim.counts().connections_ever, 2);
}

#[tokio::test]
async fn transactional_overtakes_bulk_and_finds_a_free_stream() {
    let script = Script::new().latency(50);
    let bench = Bench::new(ApnsConfig { streams: 20, script, ..ApnsConfig::default() }, 1).await;
    let bulk = bench.send(Lane::Bulk, 0..400).await;
    bench.sim.receipts().wait_for(40).await;
    let urgent = bench.send(Lane::Transactional, 1_000..1_005).await;
    urgent.told().await.assert_all(&Verdict::Delivered);
    let last = (1_000..1_005).flat_map(|seq| bench.sim.receipts().of(&token(seq))).map(|receipt| receipt.order).max();
    assert!(last < Some(300), "{last:?}");
    bulk.told().await.assert_all(&Verdict::Delivered);
}
