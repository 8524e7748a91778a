//! Many browsers at once: connections, VAPID tokens, stops and ends.

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use fanfare::gateway::{Gateway, Unsent};
use fanfare::model::verdict::Verdict;
use loadtest::gateways::script::{Act, When};
use loadtest::gateways::{Script, Simulated, WebPushConfig};
use loadtest::http2::ErrorCode;

use crate::bench::{Bench, leading_to, prefix, token};

#[tokio::test]
async fn every_browser_gets_one_message_over_one_connection_with_one_token() {
    let bench = Bench::new(WebPushConfig { keep_requests: true, ..WebPushConfig::default() }).await;
    bench.send(0..300).await.told().await.assert_all(&Verdict::Delivered);
    let receipts = bench.sim.receipts();
    assert_eq!((receipts.accepted(), receipts.repeated(), receipts.len()), (300, vec![], 300));
    assert_eq!((bench.sim.vapid_tokens(), bench.sim.counts().connections_ever), (1, 1), "HTTP/2 carries them all");
    let request = receipts.full(0).unwrap();
    assert_eq!(request.body, b"Hello");
    let field = |name: &str| request.header(name).map(str::to_owned);
    assert_eq!(field("content-encoding").as_deref(), Some("aes128gcm"));
    assert_eq!(field("content-type").as_deref(), Some("application/octet-stream"));
    assert_eq!(field("urgency").as_deref(), Some("high"));
    let ttl: u32 = field("ttl").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&ttl));
    assert_eq!(field("topic").unwrap().len(), 22);
    assert!(request.header("x-wns-cache-policy").is_none());
}

#[tokio::test]
async fn a_service_of_http1_is_reached_as_well() {
    let bench = Bench::new(WebPushConfig { http1: true, ..WebPushConfig::default() }).await;
    bench.send(0..200).await.told().await.assert_all(&Verdict::Delivered);
    assert_eq!(bench.sim.receipts().accepted(), 200);
    let connections = bench.sim.counts().connections_ever;
    assert!((1..=40).contains(&connections), "{connections}");
}

#[tokio::test]
async fn each_origin_has_one_token_of_its_own() {
    let bench = Bench::scripted(Script::new()).await;
    let other = bench.another(WebPushConfig::default()).await;
    let port = bench.sim.address().port();
    let by_address = |seq| leading_to(&bench.sim, seq, &format!("https://127.0.0.1:{port}/wp/{}", token(seq)));
    let all = (0..300).map(|seq| match seq % 3 {
        0 => (seq, bench.sim.subscription(&token(seq))),
        1 => (seq, by_address(seq)),
        _ => (seq, other.subscription(&token(seq))),
    });
    bench.send_to(all.collect()).await.told().await.assert_all(&Verdict::Delivered);
    let origins = [format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}")];
    assert_eq!(origins.map(|origin| bench.sim.vapid_tokens_of(&origin)), [1, 1]);
    assert_eq!((bench.sim.vapid_tokens(), other.vapid_tokens()), (2, 1));
    bench.send(300..310).await.told().await.assert_all(&Verdict::Delivered);
    assert_eq!(bench.sim.vapid_tokens(), 2, "it is used again");
}

#[tokio::test]
async fn the_meter_counts_what_is_open() {
    let stalled = Script::new().rule(When { up_to: Some(17), ..When::default() }, Act::Stall { accepted: false });
    let mut bench = Bench::new(WebPushConfig { http1: true, ..WebPushConfig::default() }).await;
    let meter = bench.metered();
    bench.send(90..91).await.told().await.assert_all(&Verdict::Delivered);
    bench.sim.set_script(stalled);
    let sent = bench.send(0..16).await;
    bench.sim.receipts().wait_for(17).await;
    assert_eq!((meter.streams(), meter.connections()), (16, 16));
    bench.gateway.close(Duration::ZERO).await;
    sent.told().await;
    bench.reopen(&bench.settings());
    let gone = bench.sim.wait_until(|counts| counts.connections_open == 0);
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert_eq!((meter.connections(), meter.streams()), (0, 0));
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_not_sent_again_by_itself() {
    let reset = |code| Act::Reset { code, accepted: true };
    let script =
        Script::new().token(&prefix(1), reset(ErrorCode::INTERNAL_ERROR)).token(&prefix(2), reset(ErrorCode::CANCEL));
    let bench = Bench::scripted(script).await;
    let told = bench.send(0..5).await.told().await;
    for seq in [1, 2] {
        assert_eq!(told.verdict(seq), (Verdict::ConnAmbiguous, "connection lost"));
        assert_eq!(bench.sim.receipts().of(&token(seq)).len(), 1);
    }
    assert_eq!(told.count(&Verdict::Delivered), 3);
}

#[tokio::test]
async fn a_raised_flag_and_a_passed_deadline_bring_back_what_is_unsent() {
    let bench = Bench::scripted(Script::new().latency(100)).await;
    let sent = bench.send(0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    sent.stop.raise();
    let told = sent.told().await;
    let delivered = told.count(&Verdict::Delivered);
    assert!(delivered < 300, "{delivered}");
    assert_eq!(told.unsent(Unsent::Stopped) + delivered, 1_000);
    let late = vec![(7, bench.sim.subscription(&token(7)))];
    let told = bench.send_by("late", late, SystemClock.boot()).await.told().await;
    assert_eq!(told.unsent(Unsent::Deadline), 1);
    assert_eq!(bench.sim.receipts().accepted(), delivered as u64);
}

#[tokio::test]
async fn closing_waits_for_answers_and_then_gives_up_on_them() {
    let stalled = When { token_prefix: Some(prefix(1)), ..When::default() };
    let bench = Bench::scripted(Script::new()).await;
    bench.send(9..10).await.told().await.assert_all(&Verdict::Delivered);
    bench.sim.set_script(Script::new().rule(stalled, Act::Stall { accepted: false }));
    let sent = bench.send(0..3).await;
    bench.sim.receipts().wait_for(4).await;
    bench.gateway.close(Duration::from_millis(200)).await;
    let told = sent.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 2);
    assert_eq!(told.verdict(1), (Verdict::ConnAmbiguous, "connection abandoned"));
    assert_eq!(bench.send(5..7).await.told().await.unsent(Unsent::Closed), 2);
}
