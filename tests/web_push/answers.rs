//! Every row of the response table (push-services.md 4.3), as it comes over the wire.

use std::time::Duration;

use fanfare::gateway::{Answer, Gateway, Probe, Unsent};
use fanfare::model::verdict::{ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer as Scripted, Script, Simulated};

use crate::bench::{Bench, SUBJECT, prefix, token};

fn later(after: Duration) -> Verdict {
    Verdict::Throttle { scope: ThrottleScope::Target, after: Some(after) }
}

#[tokio::test]
async fn each_target_gets_the_verdict_of_its_own_answer() {
    let all = Verdict::FixRequest { for_all: true };
    let one = Verdict::FixRequest { for_all: false };
    let drop = Verdict::DropToken { since: None };
    let retry = Verdict::Retry { after: None };
    let rows = [
        (200, "", Verdict::Delivered, ""),
        (201, "", Verdict::Delivered, ""),
        (202, "", Verdict::Delivered, ""),
        (400, "101", all.clone(), "errno 101"),
        (400, "110", all.clone(), "errno 110"),
        (400, "111", all.clone(), "errno 111"),
        (400, "112", all.clone(), "errno 112"),
        (400, "113", all.clone(), "errno 113"),
        (400, "BadTtl", all.clone(), "BadTtl"),
        (400, "BadUrgency", all.clone(), "BadUrgency"),
        (400, "BadWebPushRequest", all.clone(), "BadWebPushRequest"),
        (400, "BadWebPushTopic", all.clone(), "BadWebPushTopic"),
        (400, "VapidPkHashMismatch", Verdict::EnvMismatch, "made with another VAPID key"),
        (400, "SomethingNew", one.clone(), "SomethingNew"),
        (403, "Forbidden", Verdict::EnvMismatch, "Forbidden"),
        (404, "102", drop.clone(), "errno 102"),
        (405, "method", all.clone(), "method"),
        (410, "103", drop.clone(), "errno 103"),
        (410, "105", drop.clone(), "errno 105"),
        (410, "106", drop.clone(), "errno 106"),
        (410, "Unregistered", drop.clone(), "Unregistered"),
        (413, "104", all.clone(), "errno 104"),
        (413, "PayloadTooLarge", all, "PayloadTooLarge"),
        (429, "TooManyRequests", Verdict::Throttle { scope: ThrottleScope::Target, after: None }, "TooManyRequests"),
        (500, "999", retry.clone(), "errno 999"),
        (502, "900", retry.clone(), "errno 900"),
        (503, "201", retry.clone(), "errno 201"),
        (503, "ServiceUnavailable", retry, "ServiceUnavailable"),
        (418, "teapot", one, "teapot"),
    ];
    let script = rows.iter().zip(1..).fold(Script::new(), |script, ((status, reason, ..), seq)| {
        let answer = match *reason {
            "" => Scripted { status: *status, ..Scripted::accepted() },
            reason => Scripted::refused(*status, reason),
        };
        script.token(&prefix(seq), Act::Answer(answer))
    });
    let bench = Bench::scripted(script).await;
    let owed = rows.len() as u64;
    let told = bench.send(1..owed + 5).await.told().await;
    for ((status, said, verdict, reason), seq) in rows.into_iter().zip(1..) {
        assert_eq!(told.verdict(seq), (verdict, reason), "{status} {said}");
    }
    assert_eq!(told.count(&Verdict::Delivered), 3 + 4, "what has no rule is taken");
    let gone = &told.0[&16];
    assert!(matches!(gone, Answer::Verdict { written_at: Some(_), .. }), "a drop needs the time of writing: {gone:?}");
}

#[tokio::test]
async fn one_browser_that_is_asked_too_often_waits_alone() {
    let slow = Act::Answer(Scripted::refused(429, "TooManyRequests").with_retry_after("120"));
    let bench = Bench::scripted(Script::new().token(&prefix(1), slow)).await;
    let told = bench.send(0..50).await.told().await;
    assert_eq!(told.verdict(1), (later(Duration::from_secs(120)), "TooManyRequests"));
    assert_eq!(told.count(&Verdict::Delivered), 49);
}

#[tokio::test]
async fn an_origin_that_has_too_much_rests_and_no_other_does() {
    for (status, reason, retry_after, rest) in
        [(429, "", Some("120"), 120), (406, "", Some("30"), 30), (429, "errno", None, 60), (503, "201", Some("40"), 40)]
    {
        let answer = Scripted { retry_after: retry_after.map(str::to_owned), ..Scripted::refused(status, reason) };
        let bench = Bench::scripted(Script::new().always(Act::Answer(answer))).await;
        let other = bench.another(Default::default()).await;
        let asked =
            |seq| (seq, if seq < 200 { bench.sim.subscription(&token(seq)) } else { other.subscription(&token(seq)) });
        let told = bench.send_to((0..400).map(asked).collect()).await.told().await;
        assert_eq!(told.count(&Verdict::Delivered), 200, "{status}: {told:?}");
        assert!(told.with(&Verdict::Delivered).iter().all(|seq| *seq >= 200));
        let waits = |verdict: &Verdict| match verdict {
            Verdict::Throttle { scope: ThrottleScope::Target, after: Some(after) }
            | Verdict::Retry { after: Some(after) } => (rest - 5..=rest).contains(&after.as_secs()),
            _ => false,
        };
        assert!((0..200).all(|seq| waits(&told.verdict(seq).0)), "{status}: {told:?}");
        let asked = bench.sim.receipts().len();
        assert!(asked <= 16, "{status}: those that were under way at most, not {asked}");
    }
}

#[tokio::test]
async fn refused_credentials_bring_the_rest_back() {
    for (status, reason) in
        [(401, "109"), (400, "BadJwtToken"), (403, "BadVapidPublicKey"), (403, "BadAuthorizationHeader")]
    {
        let bench = Bench::scripted(Script::new().always(Act::refuse(status, reason))).await;
        let told = bench.send(0..300).await.told().await;
        let refused = told.count(&Verdict::Credentials);
        assert!(refused > 0 && refused < 100, "{reason}: {refused}");
        assert_eq!(told.unsent(Unsent::Closed), 300 - refused, "{reason}");
    }
}

#[tokio::test]
async fn another_key_than_that_of_the_subscription_is_told_apart() {
    let mut bench = Bench::scripted(Script::new()).await;
    let other = loadtest::gateways::WebPushSim::start_under(Default::default(), &bench.authority).await.unwrap();
    let settings = fanfare::gateway::web_push::WebPushSettings::new(SUBJECT, &other.vapid_private_key()).unwrap();
    bench.reopen(&settings.with_private_networks(true));
    assert_eq!(bench.gateway.probe().await, Probe::Works, "nobody can be asked without a browser");
    let told = bench.send(0..3).await.told().await;
    told.assert_all(&Verdict::EnvMismatch);
    assert_eq!(told.verdict(0).1, "made with another VAPID key");
}

#[tokio::test]
async fn what_was_not_looked_at_is_sent_again_at_once() {
    let passing = |answer: Act| Script::new().rule_times(2, Default::default(), answer);
    let refused = Act::Reset { code: loadtest::http2::ErrorCode::REFUSED_STREAM, accepted: false };
    for act in [Act::refuse(503, "202"), Act::refuse(503, "Shutdown"), refused] {
        let bench = Bench::scripted(passing(act.clone())).await;
        bench.send(1..2).await.told().await.assert_all(&Verdict::Delivered);
        assert_eq!((bench.sim.receipts().len(), bench.sim.receipts().accepted()), (3, 1), "{act:?}");
    }
    let bench = Bench::scripted(Script::new().always(Act::refuse(503, "202"))).await;
    let told = bench.send(1..2).await.told().await;
    assert_eq!(told.verdict(1), (Verdict::Retry { after: None }, "errno 202"));
    assert_eq!(bench.sim.receipts().len(), 3);
}

#[tokio::test]
async fn a_moved_endpoint_is_followed_once_and_only_to_where_one_may_send() {
    let bench = Bench::scripted(Script::new()).await;
    let new = bench.another(Default::default()).await;
    let to = |seq| new.subscription(&token(seq))["endpoint"].as_str().unwrap().to_owned();
    let script = [301, 302, 307]
        .into_iter()
        .zip(1..)
        .fold(Script::new(), |script, (status, seq)| script.token(&prefix(seq), Act::refuse(status, &to(seq))))
        .token(&prefix(4), Act::refuse(301, "http://localhost/x"))
        .token(&prefix(5), Act::refuse(301, &format!("/wp/{}", token(5))));
    bench.sim.set_script(script);
    let told = bench.send(1..7).await.told().await;
    assert_eq!(told.with(&Verdict::Delivered), [1, 2, 3, 6]);
    assert_eq!(new.receipts().accepted(), 3);
    assert_eq!(told.verdict(4), (Verdict::FixRequest { for_all: false }, "moved to no allowed address"));
    assert_eq!(told.verdict(5).0, Verdict::FixRequest { for_all: false }, "in a circle");
    assert_eq!(bench.sim.receipts().of(&token(5)).len(), 2);
}
