//! Answers of the service, and which of them the transport acts on itself.

use fanfare::gateway::Answer;
use fanfare::model::broadcast::Lane;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::{ThrottleScope, Verdict};
use loadtest::gateways::script::{Act, When};
use loadtest::gateways::{Answer as Scripted, ApnsConfig, Script, Simulated};

use crate::bench::{Bench, prefix, token};

fn scripted(script: Script) -> ApnsConfig {
    ApnsConfig { script, ..ApnsConfig::default() }
}

/// T3 as far as a gateway goes, T13.
#[tokio::test]
async fn each_target_gets_the_verdict_of_its_own_answer() {
    let script = Script::new()
        .token(&prefix(1), Act::Answer(Scripted::unregistered(1_700_000_000_000)))
        .token(&prefix(2), Act::refuse(410, "Unregistered"))
        .token(&prefix(3), Act::refuse(400, "BadDeviceToken"))
        .token(&prefix(4), Act::refuse(400, "FooBar"))
        .token(&prefix(5), Act::refuse(503, "FooBar"))
        .token(&prefix(6), Act::refuse(429, "TooManyRequests"))
        .token(&prefix(7), Act::refuse(500, "InternalServerError"));
    let bench = Bench::new(scripted(script), 2).await;
    let before = fanfare::clock::Clock::now(&*bench.clock);
    let told = bench.send(Lane::Bulk, 0..100).await.told().await;
    let since = Some(Timestamp::from_millis(1_700_000_000_000));
    assert_eq!(told.verdict(1), (Verdict::DropToken { since }, "Unregistered"));
    assert_eq!(told.verdict(2), (Verdict::DropToken { since: None }, "Unregistered"));
    assert_eq!(told.verdict(3), (Verdict::EnvMismatch, "BadDeviceToken"));
    assert_eq!(told.verdict(4), (Verdict::FixRequest { for_all: false }, "FooBar"));
    assert_eq!(told.verdict(5), (Verdict::Retry { after: None }, "FooBar"));
    let device = Verdict::Throttle { scope: ThrottleScope::Target, after: None };
    assert_eq!(told.verdict(6), (device, "TooManyRequests"));
    assert_eq!(told.verdict(7), (Verdict::Retry { after: None }, "InternalServerError"));
    assert_eq!(told.count(&Verdict::Delivered), 93);
    let Answer::Verdict { written_at: Some(at), .. } = told.0[&2] else { panic!("a drop needs the time of writing") };
    assert!(at >= before);
    bench.assert_no_violation();
}

#[tokio::test]
async fn an_answer_against_the_connection_is_sent_again_on_another() {
    let script = Script::new()
        .rule_times(1, When { token_prefix: Some(prefix(5)), ..When::default() }, Act::refuse(503, "Shutdown"))
        .rule_times(1, When { token_prefix: Some(prefix(9)), ..When::default() }, Act::refuse(400, "IdleTimeout"));
    let bench = Bench::new(scripted(script), 2).await;
    bench.send(Lane::Bulk, 0..50).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..50);
    assert!(bench.sim.counts().connections_ever >= 2);
}

#[tokio::test]
async fn a_connection_fault_that_never_ends_is_told_after_a_few_tries() {
    let script = Script::new().token(&prefix(5), Act::refuse(503, "Shutdown"));
    let bench = Bench::new(scripted(script), 2).await;
    let told = bench.send(Lane::Bulk, 0..10).await.told().await;
    assert_eq!(told.verdict(5), (Verdict::ConnSafe, "Shutdown"));
    assert_eq!(told.count(&Verdict::Delivered), 9);
    assert_eq!(bench.sim.receipts().of(&token(5)).len(), 4);
}
