//! The WNS gateway against the simulated service, over real TLS and HTTP/1.1: alone, and in a whole service.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail as the test does"
)]

mod bench;
#[expect(dead_code, reason = "the tests of the API need more of it")]
#[path = "../native/client.rs"]
mod client;
#[path = "../seam/prepared.rs"]
mod prepared;
#[path = "../seam/mod.rs"]
mod seam;
mod service;
mod world;

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use fanfare::gateway::wns::{WnsAuth, WnsSettings};
use fanfare::gateway::{Answer, Gateway, Probe, Unsent};
use fanfare::model::verdict::{Reason, ThrottleScope, Verdict};
use loadtest::gateways::script::{Act, When};
use loadtest::gateways::{Answer as Scripted, Script, Simulated, WnsConfig};

use bench::{Bench, prefix, token};

fn scripted(script: Script) -> WnsConfig {
    WnsConfig { script, ..WnsConfig::default() }
}

#[tokio::test]
async fn every_channel_gets_one_toast_with_one_token_over_kept_connections() {
    let bench = Bench::new(WnsConfig { keep_requests: true, ..WnsConfig::default() }).await;
    let told = bench.send(0..200).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 200, "{:?}", bench.sim.receipts().answers());
    assert_eq!((bench.sim.receipts().accepted(), bench.sim.receipts().repeated()), (200, vec![]));
    assert_eq!(bench.sim.tokens_given(), 1);
    assert!(bench.sim.counts().connections_ever <= 40, "{:?}", bench.sim.counts());
    let request = bench.sim.receipts().full(0).unwrap();
    assert_eq!(request.header("x-wns-type"), Some("wns/toast"));
    assert!(String::from_utf8(request.body).unwrap().contains("<text>Hello</text>"));
}

#[tokio::test]
async fn the_meter_counts_the_connections_that_are_open() {
    let stalled = Script::new().always(Act::Stall { accepted: false });
    let mut bench = Bench::new(scripted(stalled)).await;
    let meter = bench.metered();
    let sent = bench.send(0..16).await;
    bench.sim.receipts().wait_for(16).await;
    assert_eq!(meter.streams(), 16);
    assert_eq!(meter.connections(), 16, "those for tokens are not to WNS");
    bench.gateway.close(Duration::ZERO).await;
    sent.told().await;
    bench.reopen(&bench.settings());
    tokio::time::timeout(Duration::from_secs(30), bench.sim.wait_until(|counts| counts.connections_open == 0))
        .await
        .unwrap();
    assert_eq!((meter.connections(), meter.streams()), (0, 0));
}

#[tokio::test]
async fn each_target_gets_the_verdict_of_its_own_answer() {
    let script = Script::new()
        .token(&prefix(1), Act::refuse(410, "Channel expired"))
        .token(&prefix(2), Act::refuse(404, "no such channel"))
        .token(&prefix(3), Act::refuse(200, "dropped"))
        .token(&prefix(4), Act::refuse(200, "channelthrottled"))
        .token(&prefix(5), Act::refuse(403, "other app"))
        .token(&prefix(6), Act::Answer(Scripted::refused(503, "busy").with_retry_after("30")))
        .token(&prefix(7), Act::refuse(302, "elsewhere"));
    let bench = Bench::new(scripted(script)).await;
    let told = bench.send(0..20).await.told().await;
    assert_eq!(told.verdict(1), (Verdict::DropToken { since: None }, "Channel expired"));
    assert_eq!(told.verdict(2).0, Verdict::DropToken { since: None });
    assert_eq!(told.verdict(3), (Verdict::Refused, "dropped"));
    let rest = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_mins(10)) };
    assert_eq!(told.verdict(4).0, rest);
    assert_eq!(told.verdict(5), (Verdict::EnvMismatch, "other app"));
    assert_eq!(told.verdict(6).0, Verdict::Retry { after: Some(Duration::from_secs(30)) });
    assert_eq!(told.verdict(7).0, Verdict::FixRequest { for_all: false });
    assert_eq!(told.count(&Verdict::Delivered), 13);
    assert!(matches!(told.0[&1], Answer::Verdict { written_at: Some(_), .. }), "a drop needs the time of writing");
}

#[tokio::test]
async fn too_many_requests_throttle_the_project_and_bring_the_rest_back() {
    let throttled = Act::Answer(Scripted::refused(406, "slower").with_retry_after("120"));
    let bench = Bench::new(scripted(Script::new().always(throttled))).await;
    let told = bench.send(0..500).await.told().await;
    let project = Verdict::Throttle { scope: ThrottleScope::Project, after: Some(Duration::from_mins(2)) };
    let refused = told.count(&project);
    assert!(refused > 0 && refused < 100, "{refused}");
    assert_eq!(told.unsent(Unsent::Closed), 500 - refused);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_and_everyone_is_served() {
    let bench = Bench::new(WnsConfig::default()).await;
    bench.send(0..20).await.told().await.assert_all(&Verdict::Delivered);
    bench.sim.forget_tokens();
    bench.send(20..120).await.told().await.assert_all(&Verdict::Delivered);
    assert_eq!(bench.sim.tokens_given(), 2);
    assert_eq!(bench.sim.receipts().repeated(), vec![]);
}

#[tokio::test]
async fn a_token_refused_twice_is_the_hubs_trouble() {
    let bench = Bench::new(scripted(Script::new().always(Act::refuse(401, "token")))).await;
    let told = bench.send(0..500).await.told().await;
    let refused = told.count(&Verdict::Credentials);
    assert!(refused > 0, "{told:?}");
    assert_eq!(told.unsent(Unsent::Closed), 500 - refused);
    // One more try each, but for those whose batch was halted while they waited for the new token.
    let receipts = bench.sim.receipts().page(0, 1_000);
    let tries = |n: u64| receipts.iter().filter(|one| one.token.as_bytes() == token(n).as_bytes()).count();
    for (seq, answer) in &told.0 {
        match answer {
            Answer::Verdict { .. } => assert_eq!(tries(*seq), 2, "{seq}"),
            Answer::Unsent(_) => assert!(tries(*seq) <= 1, "{seq}"),
        }
    }
}

#[tokio::test]
async fn both_flows_get_tokens_and_a_wrong_secret_does_not() {
    let mut bench = Bench::new(WnsConfig::default()).await;
    assert_eq!(bench.gateway.clock_ahead(), None);
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    // The endpoint's date has whole seconds.
    assert!(bench.gateway.clock_ahead().is_some_and(|ahead| ahead.abs() < 5_000));
    let entra = bench.settings();
    let live = |secret: &str| {
        let settings = WnsSettings::new(WnsAuth::Live, &bench.config.package_sid, secret).unwrap();
        settings.with_token_endpoint(&bench.sim.live_endpoint()).unwrap()
    };
    let (good, wrong) = (live(&bench.config.client_secret), live("wrong"));
    bench.reopen(&good);
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    bench.reopen(&wrong);
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("invalid_client")));
    bench.reopen(&wrong.with_allowed_hosts([bench.sim.allowed_host().as_str()]).unwrap());
    let told = bench.send(0..100).await.told().await;
    let refused = told.count(&Verdict::Credentials);
    assert!(refused > 0);
    assert_eq!(told.unsent(Unsent::Closed), 100 - refused);
    bench.reopen(&entra.with_token_endpoint("https://localhost:1/t").unwrap());
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    assert_eq!(bench.send(0..3).await.told().await.unsent(Unsent::Unreachable), 3);
    assert!(bench.sim.receipts().is_empty());
}

#[tokio::test]
async fn a_dead_host_is_safe_a_lost_answer_ambiguous_and_a_strange_host_never_asked() {
    let reset = Act::Reset { code: loadtest::http2::ErrorCode::NO_ERROR, accepted: true };
    let mut bench = Bench::new(scripted(Script::new().token(&prefix(1), reset))).await;
    let channels = vec![
        (1, bench.sim.channel(&token(1))),
        (2, "https://localhost:1/?token=00".to_owned()),
        (3, "https://127.0.0.1:2/?token=00".to_owned()),
        (4, bench.sim.channel(&token(4))),
    ];
    let far = SystemClock.boot().plus(Duration::from_hours(1));
    let told = bench.send_to(channels, far).await.told().await;
    assert_eq!(told.verdict(1), (Verdict::ConnAmbiguous, "connection lost"));
    // Alone it looks as if nobody were there, and beside others as if it were that host's own trouble.
    let alone = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_mins(1)) };
    let (verdict, reason) = told.verdict(2);
    assert!(
        [Verdict::ConnSafe, alone.clone()].contains(&verdict) && reason == "connect failed",
        "{verdict:?} {reason}"
    );
    assert_eq!(told.verdict(3), (Verdict::FixRequest { for_all: false }, "channel is of no allowed host"));
    assert_eq!(told.verdict(4).0, Verdict::Delivered);
    assert_eq!(bench.sim.receipts().of(&token(1)).len(), 1, "it is not sent again by itself");
    let dead = || vec![(2, "https://localhost:1/?token=00".to_owned())];
    assert_eq!(bench.send_to(dead(), far).await.told().await.verdict(2), (alone, "connect failed"));
    bench.reopen(&bench.settings());
    assert_eq!(bench.send_to(dead(), far).await.told().await.verdict(2), (Verdict::ConnSafe, "connect failed"));
}

#[tokio::test]
async fn a_raised_flag_and_a_passed_deadline_bring_back_what_is_unsent() {
    let bench = Bench::new(scripted(Script::new().latency(100))).await;
    let sent = bench.send(0..1_000).await;
    bench.sim.receipts().wait_for(5).await;
    sent.stop.raise();
    let told = sent.told().await;
    let delivered = told.count(&Verdict::Delivered);
    assert!(delivered < 300, "{delivered}");
    assert_eq!(told.unsent(Unsent::Stopped) + delivered, 1_000);
    let late = vec![(7, bench.sim.channel(&token(7)))];
    assert_eq!(bench.send_to(late, SystemClock.boot()).await.told().await.unsent(Unsent::Deadline), 1);
    assert_eq!(bench.sim.receipts().accepted(), delivered as u64);
}

#[tokio::test]
async fn closing_waits_for_answers_and_then_gives_up_on_them() {
    let stalled = When { token_prefix: Some(prefix(1)), ..When::default() };
    let bench = Bench::new(scripted(Script::new().rule(stalled, Act::Stall { accepted: false }))).await;
    let sent = bench.send(0..3).await;
    bench.sim.receipts().wait_for(3).await;
    bench.gateway.close(Duration::from_millis(200)).await;
    let told = sent.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 2);
    assert_eq!(told.verdict(1), (Verdict::ConnAmbiguous, "connection abandoned"));
    assert_eq!(bench.send(5..7).await.told().await.unsent(Unsent::Closed), 2);
}
