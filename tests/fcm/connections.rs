//! Connections that end, and what becomes of the targets on them.

use std::time::Duration;

use fanfare::gateway::{Gateway, Unsent};
use fanfare::model::verdict::Verdict;
use loadtest::gateways::script::{Act, ConnectionAct, GoAway, When};
use loadtest::gateways::{Script, Simulated};
use loadtest::http2::ErrorCode;

use crate::bench::{Bench, device, prefix};

#[tokio::test]
async fn a_goaway_loses_and_repeats_nobody() {
    let go_away = |notice_ms| ConnectionAct::GoAway(GoAway { lag: 20, notice_ms, ..GoAway::default() });
    let script = Script::new().latency(2).event_times(2, 50, go_away(None)).event_times(2, 150, go_away(Some(20)));
    let bench = Bench::scripted(script).await;
    let told = bench.send(0..4_000).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 4_000);
    bench.assert_each_got_one(0..4_000);
    assert!(bench.sim.counts().go_aways > 0);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_and_other_resets_are_ambiguous() {
    let reset = |code| Act::Reset { code, accepted: true };
    let once = When { token_prefix: Some(prefix(1)), ..When::default() };
    let script = Script::new()
        .rule_times(1, once, Act::Reset { code: ErrorCode::REFUSED_STREAM, accepted: false })
        .token(&prefix(2), reset(ErrorCode::CANCEL))
        .token(&prefix(3), reset(ErrorCode::INTERNAL_ERROR));
    let bench = Bench::scripted(script).await;
    let told = bench.send(0..50).await.told().await;
    assert_eq!(told.verdict(1).0, Verdict::Delivered);
    for seq in [2, 3] {
        assert_eq!(told.verdict(seq), (Verdict::ConnAmbiguous, "stream reset"));
        assert_eq!(bench.sim.receipts().of(&device(seq)).len(), 1, "it is not sent again by itself");
    }
    assert_eq!(told.count(&Verdict::Delivered), 48);
}

#[tokio::test]
async fn what_was_written_to_a_connection_that_is_lost_is_ambiguous() {
    let waiting = When { up_to: Some(100), ..When::default() };
    let script = Script::new().rule(waiting, Act::Stall { accepted: true }).event_times(1, 60, ConnectionAct::Abort);
    let bench = Bench::scripted(script).await;
    let sent = bench.send(0..60).await;
    bench.sim.receipts().wait_for(60).await;
    bench.gateway.close(Duration::from_millis(300)).await;
    let told = sent.told().await;
    assert_eq!(told.count(&Verdict::ConnAmbiguous), 60, "{told:?}");
    assert_eq!(bench.sim.receipts().repeated(), vec![]);
    assert_eq!(bench.send(60..62).await.told().await.unsent(Unsent::Closed), 2);
}

#[tokio::test]
async fn a_raised_flag_brings_back_what_is_unsent() {
    let bench = Bench::scripted(Script::new().latency(200)).await;
    let sent = bench.send(0..8_000).await;
    bench.sim.receipts().wait_for(5).await;
    sent.stop.raise();
    let told = sent.told().await;
    let delivered = told.count(&Verdict::Delivered);
    assert!(delivered < 8_000, "{delivered}");
    assert_eq!(told.unsent(Unsent::Stopped) + delivered, 8_000);
    assert_eq!(bench.sim.receipts().accepted(), delivered as u64);
}
