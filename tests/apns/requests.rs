//! What is on the wire.

use std::sync::Arc;

use bytes::Bytes;
use fanfare::gateway::Gateway;
use fanfare::gateway::apns::{ApnsAuth, ApnsGateway};
use fanfare::model::broadcast::Lane;
use fanfare::model::id::{BroadcastId, Seq};
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::Verdict;
use loadtest::gateways::{ApnsConfig, Simulated};

use crate::bench::{Bench, TOPIC, asked, far, quick, settings, token};

#[tokio::test]
async fn a_push_carries_the_fields_that_the_service_wants() {
    let bench = Bench::new(ApnsConfig { keep_requests: true, ..ApnsConfig::default() }, 1).await;
    let id = BroadcastId::new(1);
    let expires = Timestamp::from_millis(1_900_000_000_500);
    let request = bench.gateway.prepare(id, &asked(Lane::Bulk, r#"{"aps":{"alert":"Hello"}}"#), expires).unwrap();
    bench.send_request(Arc::new(request), 7..8, far()).await.told().await.assert_all(&Verdict::Delivered);
    let sent = bench.sim.receipts().full(0).unwrap();
    let path = format!("/3/device/{}", "0000000000000007".repeat(4));
    let authority = bench.sim.endpoint().trim_start_matches("https://").to_owned();
    for (field, value) in [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", &path),
        (":authority", &authority),
        ("apns-id", &id.message_id(Seq(7)).to_string()),
        ("apns-topic", TOPIC),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1900000000"),
        ("apns-collapse-id", &id.to_string()),
    ] {
        assert_eq!(sent.header(field), Some(value), "{field}");
    }
    assert_eq!(sent.body, br#"{"aps":{"alert":"Hello"}}"#);
    bench.assert_no_violation();
}

/// T14.
#[tokio::test]
async fn the_longest_body_is_taken_and_one_byte_more_is_refused_here_as_there() {
    let bench = Bench::new(ApnsConfig::default(), 1).await;
    let of = |bytes: usize| format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(bytes - 20));
    let prepare = |bytes| {
        bench.gateway.prepare(BroadcastId::new(1), &asked(Lane::Bulk, &of(bytes)), Timestamp::from_millis(1 << 41))
    };
    let longest = prepare(4_096).unwrap();
    assert_eq!(prepare(4_097).unwrap_err().field, "payloads.apns");
    let mut longer = longest.clone();
    longer.body = Bytes::from(of(4_097));
    let taken = bench.send_request(Arc::new(longest), 0..1, far()).await.told().await;
    taken.assert_all(&Verdict::Delivered);
    let refused = bench.send_request(Arc::new(longer), 1..2, far()).await.told().await;
    assert_eq!(refused.verdict(1), (Verdict::FixRequest { for_all: true }, "PayloadTooLarge"));
}

#[tokio::test]
async fn a_certificate_speaks_instead_of_a_token() {
    let bench = Bench::new(ApnsConfig { keep_requests: true, ..ApnsConfig::default() }, 1).await;
    let certificate = bench.sim.authority().client_certificate(&[TOPIC]).unwrap();
    let auth = ApnsAuth::certificate(&certificate.certificate_pem, &certificate.key_pem).unwrap();
    let settings = settings(&bench.sim, auth).with_tuning(quick());
    let gateway = ApnsGateway::open(&settings, &bench.shared, Arc::default()).unwrap();
    let bench = Bench { gateway: Arc::new(gateway), ..bench };
    bench.send(Lane::Bulk, 0..100).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..100);
    assert_eq!(bench.sim.receipts().full(0).unwrap().header("authorization"), None);
}

/// The same target of the same broadcast carries the same id at every attempt.
#[tokio::test]
async fn a_repeat_carries_the_same_id() {
    let bench = Bench::new(ApnsConfig::default(), 1).await;
    let request = bench.request(Lane::Bulk);
    for _ in 0..2 {
        bench.send_request(Arc::clone(&request), 3..4, far()).await.told().await.assert_all(&Verdict::Delivered);
    }
    let ids: Vec<_> = bench.sim.receipts().of(&token(3)).into_iter().map(|receipt| receipt.id).collect();
    assert_eq!(ids, [request.broadcast.message_id(Seq(3)); 2]);
}
