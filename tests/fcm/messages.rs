//! What a device is sent.

use fanfare::model::broadcast::{Content, Payloads};
use fanfare::model::verdict::Verdict;
use loadtest::gateways::{FcmConfig, Simulated, Token};
use serde_json::{Value, json};

use crate::bench::{Bench, token};

fn keeping() -> FcmConfig {
    FcmConfig { keep_requests: true, ..FcmConfig::default() }
}

fn bodies(bench: &Bench) -> Vec<Value> {
    let receipts = bench.sim.receipts();
    (0..receipts.len()).map(|at| serde_json::from_slice(&receipts.full(at).unwrap().body).unwrap()).collect()
}

#[tokio::test]
async fn tokens_and_installation_ids_get_the_same_message() {
    let bench = Bench::new(keeping()).await;
    let fid = "cAbcdefghijklmnopqrs_-";
    let told = bench.send_to(vec![(1, token(1)), (2, fid.to_owned()), (3, token(3))]).await.told().await;
    assert_eq!(told.count(&Verdict::Delivered), 3);
    let receipts = bench.sim.receipts().page(0, 10);
    assert!(
        receipts.iter().all(|receipt| (receipt.body, receipt.collapse) == (receipts[0].body, receipts[0].collapse))
    );
    assert_ne!(receipts[0].collapse, 0);
    assert_eq!(bench.sim.receipts().of(&Token::new(fid.as_bytes())).len(), 1);
    let bodies = bodies(&bench);
    let target = |body: &Value| (body["message"]["token"].clone(), body["message"]["fid"].clone());
    let mut targets: Vec<_> = bodies.iter().map(target).collect();
    targets.sort_by_key(|target| target.0.to_string());
    assert_eq!(targets, [(json!(token(1)), Value::Null), (json!(token(3)), Value::Null), (Value::Null, json!(fid)),]);
    let request = bench.sim.receipts().full(0).unwrap();
    assert_eq!(request.header(":path"), Some("/v1/projects/demo-project/messages:send"));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn what_the_service_finds_wrong_is_told_of_the_right_one() {
    let bench = Bench::new(keeping()).await;
    let told = bench.send_to(vec![(1, token(1)), (2, "no token".to_owned())]).await.told().await;
    assert_eq!(told.verdict(2), (Verdict::DropToken { since: None }, "INVALID_ARGUMENT"));
    assert_eq!(told.verdict(1).0, Verdict::Delivered);
    // A rule that only the service knows.
    let payload = json!({"notification": {"titel": "t"}}).to_string();
    let request = bench.prepared(Content::Payloads(Payloads::from([("fcm".to_owned(), payload)])));
    let told = bench.send_request(request, vec![(3, token(3))]).await.told().await;
    assert_eq!(told.verdict(3), (Verdict::FixRequest { for_all: true }, "INVALID_ARGUMENT"));
}
