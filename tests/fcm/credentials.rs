//! Access tokens: how few are asked for, and what becomes of targets when the service refuses one.

use fanfare::gateway::{Gateway, Probe, Unsent};
use fanfare::model::verdict::{Reason, Verdict};
use loadtest::gateways::script::{Act, Refusal};
use loadtest::gateways::{FcmConfig, Script, Simulated, fcm};

use crate::bench::{Bench, device, token};

#[tokio::test]
async fn one_token_serves_all_connections() {
    let bench = Bench::scripted(Script::new().latency(5)).await;
    let told = bench.send(0..5_000).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 5_000, "{:?}", bench.sim.receipts().answers());
    bench.assert_each_got_one(0..5_000);
    let counts = bench.sim.counts();
    assert_eq!((bench.sim.tokens_given(), counts.requests), (1, 5_000));
    assert!((2..=100).contains(&counts.max_open_streams) && counts.connections_ever <= 11, "{counts:?}");
}

/// A worker hands in again what was surely not processed; nobody gets a second copy.
#[tokio::test]
async fn a_refused_token_is_renewed_once_and_everyone_is_served() {
    let bench = Bench::scripted(Script::new().latency(5)).await;
    bench.send(0..20).await.told().await.assert_all(&Verdict::Delivered);
    bench.sim.forget_tokens();
    let mut left: Vec<u64> = (20..520).collect();
    for _ in 0..2 {
        let told = bench.send_to(left.iter().map(|seq| (*seq, token(*seq))).collect()).await.told().await;
        let again = told.with(&Verdict::ConnSafe);
        assert_eq!(told.count(&Verdict::Delivered) + again.len(), left.len());
        left = again;
    }
    assert_eq!((left.len(), bench.sim.tokens_given()), (0, 2));
    bench.assert_each_got_one(0..520);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_the_hubs_trouble() {
    let bench = Bench::scripted(Script::new().latency(5).always(Act::refuse(401, "UNAUTHENTICATED"))).await;
    let first = bench.send(0..3).await.told().await;
    assert_eq!(first.count(&Verdict::ConnSafe), 3, "{first:?}");
    let told = bench.send(0..1_000).await.told().await;
    let refused = told.with(&Verdict::Credentials);
    assert!(!refused.is_empty(), "{told:?}");
    assert_eq!(told.verdict(refused[0]).1, "UNAUTHENTICATED");
    assert_eq!(told.unsent(Unsent::Closed), 1_000 - refused.len());
    assert_eq!(bench.sim.tokens_given(), 2);
    assert!(bench.sim.receipts().of(&device(999)).is_empty(), "the rest was never written");
}

#[tokio::test]
async fn a_key_that_google_does_not_know_is_refused() {
    let mut bench = Bench::new(FcmConfig::default()).await;
    let known = bench.sim.account();
    let stranger = fcm::Account::generate(&known.project_id, &known.client_email, &known.token_uri).unwrap();
    bench.reopen(&bench.sim.endpoint(), &stranger.json());
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("invalid_grant")));
    let told = bench.send(0..100).await.told().await;
    assert_eq!(told.count(&Verdict::Credentials), 100);
    assert_eq!(told.verdict(0).1, "invalid_grant");
    assert!(bench.sim.receipts().is_empty());
}

#[tokio::test]
async fn a_probe_notifies_nobody_and_tells_good_from_bad() {
    let mut bench = Bench::new(FcmConfig::default()).await;
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    bench.sim.set_script(Script::new().always(Act::refuse(400, "INVALID_ARGUMENT")));
    assert_eq!(bench.gateway.probe().await, Probe::Works, "the token of nobody is not about credentials");
    bench.sim.set_script(Script::new().always(Act::refuse(403, "PERMISSION_DENIED")));
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("PERMISSION_DENIED")));
    bench.sim.set_script(Script::new().always(Act::refuse(503, "UNAVAILABLE")));
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    bench.sim.set_script(Script { refuse_connections: Some(Refusal::Reset), ..Script::new() });
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    assert!(bench.sim.receipts().is_empty());
    bench.sim.set_script(Script::new());
    let mut elsewhere = serde_json::from_str::<serde_json::Value>(&bench.sim.account().json()).unwrap();
    elsewhere["project_id"] = "another-project".into();
    bench.reopen(&bench.sim.endpoint(), &elsewhere.to_string());
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("status 404")));
}

#[tokio::test]
async fn an_endpoint_that_nobody_answers_hands_targets_back() {
    let mut bench = Bench::new(FcmConfig::default()).await;
    bench.reopen("https://localhost:1", &bench.sim.account().json());
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    assert_eq!(bench.send(0..3).await.told().await.unsent(Unsent::Unreachable), 3);
    let mut dead = serde_json::from_str::<serde_json::Value>(&bench.sim.account().json()).unwrap();
    dead["token_uri"] = "https://localhost:1/token".into();
    bench.reopen(&bench.sim.endpoint(), &dead.to_string());
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    assert_eq!(bench.send(0..3).await.told().await.unsent(Unsent::Unreachable), 3);
    assert!(bench.sim.receipts().is_empty());
}
