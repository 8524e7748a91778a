//! Connections that end, and what becomes of the targets on them.

use std::time::Duration;

use fanfare::gateway::pool::Tuning;
use fanfare::model::broadcast::Lane;
use fanfare::model::verdict::Verdict;
use loadtest::gateways::script::{Act, Afterwards, ConnectionAct, GoAway, When};
use loadtest::gateways::{Answer, ApnsConfig, Script, Simulated};
use loadtest::http2::ErrorCode;

use crate::bench::{Bench, prefix, quick, token};

fn scripted(script: Script) -> ApnsConfig {
    ApnsConfig { script, ..ApnsConfig::default() }
}

async fn everyone_gets_one_despite(go_away: GoAway, connections: usize) {
    let script = Script::new().latency(2).event_times(2, 300, ConnectionAct::GoAway(go_away));
    let bench = Bench::new(scripted(script), connections).await;
    bench.send(Lane::Bulk, 0..3_000).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..3_000);
    assert!(bench.sim.counts().go_aways > 0);
}

/// `push-services.md` 1.6: even where the service would take more at once.
#[tokio::test]
async fn a_new_connection_begins_with_one_push_until_it_was_answered() {
    const LATENCY: u32 = 300;
    let script = Script::new().latency(LATENCY.into());
    let bench = Bench::new(ApnsConfig { streams_before_auth: 1_000, ..scripted(script) }, 1).await;
    bench.send(Lane::Bulk, 0..50).await.told().await.assert_all(&Verdict::Delivered);
    let at: Vec<u32> = bench.sim.receipts().all().iter().map(|receipt| receipt.at_ms).collect();
    // Times of receipts are whole milliseconds.
    assert!(at[1] - at[0] >= LATENCY - 1, "{at:?}");
    assert!(at[49] - at[1] < LATENCY, "one after the other: {at:?}");
}

/// A connection that is not answered holds up its window for `warm_up` and no longer.
#[tokio::test]
async fn a_new_connection_does_not_wait_for_ever_for_its_first_answer() {
    let first = When { token_prefix: Some(prefix(0)), ..When::default() };
    let script = Script::new().rule(first, Act::Stall { accepted: true });
    let config = ApnsConfig { streams_before_auth: 1_000, ..scripted(script) };
    let tuning = Tuning { warm_up: Duration::from_millis(100), ..quick() };
    let bench = Bench::tuned(config, 1, tuning).await;
    let sent = bench.send(Lane::Bulk, 0..20).await;
    tokio::time::timeout(Duration::from_secs(20), bench.sim.receipts().wait_for(20)).await.unwrap();
    drop(sent);
}

/// T5.
#[tokio::test]
async fn streams_above_a_goaway_are_sent_again_and_those_below_are_awaited() {
    let reason = Some("Shutdown".to_owned());
    everyone_gets_one_despite(GoAway { lag: 20, reason: reason.clone(), ..GoAway::default() }, 2).await;
    everyone_gets_one_despite(GoAway { lag: 20, reason, ..GoAway::default() }, 1).await;
}

#[tokio::test]
async fn a_session_that_stays_after_its_goaway_gets_nothing_more() {
    let then = Afterwards::Stay;
    everyone_gets_one_despite(
        GoAway { lag: 5, code: Some(ErrorCode::ENHANCE_YOUR_CALM), then, ..GoAway::default() },
        2,
    )
    .await;
}

/// T6.
#[tokio::test]
async fn a_goaway_in_two_steps_loses_and_repeats_nobody() {
    everyone_gets_one_despite(GoAway { lag: 10, notice_ms: Some(20), ..GoAway::default() }, 2).await;
}

/// T7.
#[tokio::test]
async fn a_refused_stream_is_sent_again_and_other_resets_are_ambiguous() {
    let reset = |code| Act::Reset { code, accepted: false };
    let once = |seq| When { token_prefix: Some(prefix(seq)), ..When::default() };
    let script = Script::new()
        .rule_times(1, once(1), reset(ErrorCode::REFUSED_STREAM))
        .token(&prefix(2), reset(ErrorCode::CANCEL))
        .token(&prefix(3), reset(ErrorCode::INTERNAL_ERROR))
        .token(&prefix(4), reset(ErrorCode::REFUSED_STREAM));
    let bench = Bench::new(scripted(script), 2).await;
    let told = bench.send(Lane::Bulk, 0..50).await.told().await;
    assert_eq!(told.verdict(1).0, Verdict::Delivered);
    assert_eq!(told.verdict(2), (Verdict::ConnAmbiguous, "stream reset"));
    assert_eq!(told.verdict(3), (Verdict::ConnAmbiguous, "stream reset"));
    assert_eq!(told.verdict(4), (Verdict::ConnSafe, "stream refused"));
    assert_eq!(told.count(&Verdict::Delivered), 47);
    bench.assert_no_violation();
}

/// T8.
#[tokio::test]
async fn what_was_written_to_a_connection_that_is_reset_is_ambiguous_and_not_sent_again() {
    for act in [ConnectionAct::Abort, ConnectionAct::Close] {
        // The first answer opens the window; the next 499 requests wait for theirs when the connection goes.
        let waiting = When { up_to: Some(500), ..When::default() };
        let script = Script::new()
            .nth(1, Act::Answer(Answer::accepted()))
            .rule(waiting, Act::Stall { accepted: true })
            .event_times(1, 500, act);
        let bench = Bench::new(scripted(script), 1).await;
        let told = bench.send(Lane::Bulk, 0..2_000).await.told().await;
        let ambiguous = told.count(&Verdict::ConnAmbiguous);
        assert!(ambiguous >= 499, "{ambiguous}");
        assert_eq!(told.count(&Verdict::Delivered) + ambiguous, 2_000);
        for (seq, _) in told.0.iter().filter(|(seq, _)| told.verdict(**seq).0 == Verdict::ConnAmbiguous) {
            assert!(bench.sim.receipts().of(&token(*seq)).len() <= 1, "target {seq} was sent again");
        }
        assert_eq!(bench.sim.receipts().repeated(), vec![]);
        bench.assert_no_violation();
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_in_the_end() {
    let tuning = Tuning { hard_timeout: Duration::from_millis(500), ..quick() };
    let script = Script::new().token(&prefix(3), Act::Stall { accepted: true });
    let bench = Bench::tuned(scripted(script), 1, tuning).await;
    let told = bench.send(Lane::Bulk, 0..20).await.told().await;
    assert_eq!(told.verdict(3), (Verdict::ConnAmbiguous, "no answer in time"));
    assert_eq!(told.count(&Verdict::Delivered), 19);
    bench.sim.wait_until(|counts| counts.cancelled == 1).await;
    assert_eq!(bench.sim.counts().connections_ever, 1);
}

/// A peer that is gone without a word is found out by PING; others go on.
#[tokio::test]
async fn a_half_open_connection_is_found_by_ping() {
    let tuning =
        Tuning { soft_timeout: Duration::from_millis(200), ping_timeout: Duration::from_millis(300), ..quick() };
    let script = Script::new().latency(20).event_times(1, 100, ConnectionAct::Freeze { for_ms: None });
    let bench = Bench::tuned(scripted(script), 2, tuning).await;
    let told = bench.send(Lane::Bulk, 0..4_000).await.told().await;
    let ambiguous = told.count(&Verdict::ConnAmbiguous);
    assert!(ambiguous > 0, "what the frozen peer had taken is ambiguous");
    assert_eq!(told.count(&Verdict::Delivered) + ambiguous, 4_000);
    assert_eq!(bench.sim.receipts().repeated(), vec![]);
}

/// A peer that answers pings and nothing else gets no more requests.
#[tokio::test]
async fn a_mute_connection_gets_no_more_than_it_had() {
    let tuning =
        Tuning { soft_timeout: Duration::from_millis(100), hard_timeout: Duration::from_millis(800), ..quick() };
    let script = Script::new().latency(20).event_times(1, 100, ConnectionAct::Mute);
    let bench = Bench::tuned(scripted(script), 2, tuning).await;
    let told = bench.send(Lane::Bulk, 0..4_000).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered) + told.count(&Verdict::ConnAmbiguous), 4_000);
    assert!(told.count(&Verdict::ConnAmbiguous) > 0);
    assert!(bench.sim.counts().pings > 0);
    bench.assert_no_violation();
}

#[tokio::test]
async fn an_idle_gateway_opens_nothing_and_a_small_batch_opens_one() {
    let tuning = Tuning { stagger: Duration::from_secs(60), ..quick() };
    let bench = Bench::tuned(ApnsConfig::default(), 8, tuning).await;
    assert_eq!(bench.sim.counts().connections_ever, 0);
    bench.send(Lane::Transactional, 0..1).await.told().await.assert_all(&Verdict::Delivered);
    assert_eq!((bench.meter.connections(), bench.meter.streams()), (1, 0));
}
