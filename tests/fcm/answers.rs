//! Every row of `push-services.md` 2.3 as the service says it, and the verdict that its target gets.

use std::time::Duration;

use fanfare::gateway::{Answer, Unsent};
use fanfare::model::verdict::{ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer as Scripted, Script, Simulated};

use crate::bench::{Bench, prefix};

const DROP: Verdict = Verdict::DropToken { since: None };
const FIX_ALL: Verdict = Verdict::FixRequest { for_all: true };
const FIX_ONE: Verdict = Verdict::FixRequest { for_all: false };
const AGAIN: Verdict = Verdict::Retry { after: Some(Duration::from_secs(10)) };

fn said(body: serde_json::Value) -> Act {
    Act::Answer(Scripted { body: Some(body.to_string()), ..Scripted::refused(400, "INVALID_ARGUMENT") })
}

/// A field violation, as Google writes it.
fn violation(field: &str) -> Act {
    said(serde_json::json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{
        "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}],
    }]}}))
}

/// Answers that leave the rest of the batch alone.
#[tokio::test]
async fn each_target_gets_the_verdict_of_its_own_answer() {
    let narrow = said(serde_json::json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{
        "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "device:1"}],
    }]}}));
    let Act::Answer(narrow) = narrow else { unreachable!() };
    let rows = [
        (violation("message.token"), DROP, "INVALID_ARGUMENT"),
        (violation("message.fid"), DROP, "INVALID_ARGUMENT"),
        (Act::refuse(401, "THIRD_PARTY_AUTH_ERROR"), FIX_ONE, "THIRD_PARTY_AUTH_ERROR"),
        (Act::refuse(401, "APNS_AUTH_ERROR"), FIX_ONE, "APNS_AUTH_ERROR"),
        (Act::refuse(403, "SENDER_ID_MISMATCH"), Verdict::EnvMismatch, "SENDER_ID_MISMATCH"),
        (Act::refuse(404, "UNREGISTERED"), DROP, "UNREGISTERED"),
        (Act::refuse(404, "NOT_FOUND"), DROP, "NOT_FOUND"),
        (Act::refuse(500, "INTERNAL"), AGAIN, "INTERNAL"),
        (Act::Answer(Scripted { status: 502, ..Scripted::accepted() }), AGAIN, "status 502"),
        (Act::Answer(Scripted { status: 504, ..Scripted::accepted() }), AGAIN, "status 504"),
        (Act::refuse(503, "UNAVAILABLE"), AGAIN, "UNAVAILABLE"),
        (
            Act::Answer(Scripted::refused(503, "UNAVAILABLE").with_retry_after("120")),
            Verdict::Retry { after: Some(Duration::from_mins(2)) },
            "UNAVAILABLE",
        ),
        (Act::refuse(400, "UNSPECIFIED_ERROR"), AGAIN, "UNSPECIFIED_ERROR"),
        (
            Act::Answer(Scripted { status: 429, ..narrow }.with_retry_after("7")),
            Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_secs(7)) },
            "RESOURCE_EXHAUSTED",
        ),
        (violation("message.android.ttl"), FIX_ALL, "INVALID_ARGUMENT"),
        (Act::refuse(400, "INVALID_ARGUMENT"), FIX_ALL, "INVALID_ARGUMENT"),
        (Act::refuse(413, "OUT_OF_RANGE"), FIX_ALL, "OUT_OF_RANGE"),
        (Act::refuse(400, "A_NEW_WORD"), FIX_ONE, "A_NEW_WORD"),
        (Act::refuse(409, "ABORTED"), FIX_ONE, "ABORTED"),
    ];
    let script =
        rows.iter().zip(0..).fold(Script::new(), |script, ((act, ..), seq)| script.token(&prefix(seq), act.clone()));
    let bench = Bench::scripted(script).await;
    let told = bench.send(0..100).await.told().await;
    for ((act, verdict, reason), seq) in rows.iter().zip(0..) {
        assert_eq!(told.verdict(seq), (verdict.clone(), *reason), "{act:?}");
    }
    assert_eq!(told.count(&Verdict::Delivered), 100 - rows.len());
    assert!(matches!(told.0[&5], Answer::Verdict { written_at: Some(_), .. }), "a drop needs the time of writing");
    bench.assert_no_violation();
}

/// Answers about the project or the account: everyone would get them, so the rest comes back unsent.
#[tokio::test]
async fn an_answer_that_is_everyones_brings_the_rest_back() {
    let page = Scripted { body: Some("<html>404</html>".to_owned()), ..Scripted::refused(404, "NOT_FOUND") };
    let quota =
        |seconds| Verdict::Throttle { scope: ThrottleScope::Project, after: Some(Duration::from_secs(seconds)) };
    for (act, verdict, reason) in [
        (Act::refuse(403, "PERMISSION_DENIED"), Verdict::Credentials, "PERMISSION_DENIED"),
        (Act::Answer(page), Verdict::Credentials, "status 404"),
        (Act::refuse(429, "QUOTA_EXCEEDED"), quota(60), "QUOTA_EXCEEDED"),
        (
            Act::Answer(Scripted::refused(429, "RESOURCE_EXHAUSTED").with_retry_after("7")),
            quota(7),
            "RESOURCE_EXHAUSTED",
        ),
    ] {
        let bench = Bench::scripted(Script::new().latency(20).always(act.clone())).await;
        let told = bench.send(0..1_000).await.told().await;
        let refused = told.with(&verdict);
        assert!(!refused.is_empty() && refused.len() < 1_000, "{act:?}: {}", refused.len());
        assert_eq!(told.verdict(refused[0]).1, reason);
        assert_eq!(told.unsent(Unsent::Closed), 1_000 - refused.len(), "{act:?}");
        assert_eq!(bench.sim.receipts().repeated(), vec![]);
    }
}
