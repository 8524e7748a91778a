//! What of a send reaches the push service: header fields (`notification-hubs.md` 2.5.2) and payloads, legacy ones too.

use loadtest::gateways::Simulated;
use serde_json::json;

use crate::world::{World, apple_token, bodies, last_header, windows_channel};

const HANDLE: &str = "ServiceBusNotification-DeviceHandle";
const FORMAT: &str = "ServiceBusNotification-Format";

#[tokio::test]
async fn fields_of_apns_stand_over_the_hubs_own() {
    let world = World::start().await;
    let handle = apple_token(1);
    let headers = [
        (FORMAT, "apple"),
        (HANDLE, handle.as_str()),
        ("apns-push-type", "voip"),
        ("apns-topic", "com.example.app.voip"),
        ("apns-priority", "5"),
        ("apns-collapse-id", "score"),
        ("apns-expiration", "0"),
        ("X-Other", "stays here"),
    ];
    let id = world.sent("&direct", &headers, r#"{"aps":{"alert":"x"}}"#).await;
    world.finished(&id).await;
    for (name, value) in [
        ("apns-push-type", Some("voip")),
        ("apns-topic", Some("com.example.app.voip")),
        ("apns-priority", Some("5")),
        ("apns-collapse-id", Some("score")),
        ("apns-expiration", Some("0")),
        ("x-other", None),
    ] {
        assert_eq!(last_header(&world.apns, name).as_deref(), value, "{name}");
    }
    // Without a push type the payload tells it.
    let silent = [(FORMAT, "apple"), (HANDLE, handle.as_str())];
    let id = world.sent("&direct", &silent, r#"{"aps":{"content-available":1}}"#).await;
    world.finished(&id).await;
    assert_eq!(last_header(&world.apns, "apns-push-type").as_deref(), Some("background"));
}

#[tokio::test]
async fn fields_of_wns_stand_over_what_the_payload_tells() {
    let world = World::start().await;
    let channel = windows_channel(&world, 1);
    let headers = [
        (FORMAT, "windows"),
        (HANDLE, channel.as_str()),
        ("X-WNS-Type", "wns/raw"),
        ("X-WNS-Tag", "t1"),
        ("X-WNS-TTL", "60"),
        ("Content-Type", "application/octet-stream"),
    ];
    let id = world.sent("&direct", &headers, "<toast/>").await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 1);
    for (name, value) in [
        ("x-wns-type", "wns/raw"),
        ("x-wns-tag", "t1"),
        ("x-wns-ttl", "60"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(last_header(&world.wns, name).as_deref(), Some(value), "{name}");
    }
    let id = world.sent("&direct", &[(FORMAT, "windows"), (HANDLE, &channel)], "<tile/>").await;
    world.finished(&id).await;
    assert_eq!(last_header(&world.wns, "x-wns-type").as_deref(), Some("wns/tile"));
}

#[tokio::test]
async fn both_forms_of_fcm_are_sent_as_v1_to_both_kinds_of_devices() {
    let world = World::start().await;
    for (id, platform) in [("old", "gcm"), ("new", "fcmV1")] {
        let token = format!("{id}:APA91b-Device_of_this_test");
        world.install(id, &json!({"platform": platform, "pushChannel": token, "tags": ["all"]})).await;
    }
    let legacy = r#"{"notification":{"title":"t","badge":"2"},"data":{"n":1},"priority":"high","time_to_live":60}"#;
    let id = world.sent("", &[(FORMAT, "gcm")], legacy).await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 2);
    for body in bodies(&world.fcm) {
        let message = &body["message"];
        assert_eq!((&message["notification"]["title"], &message["data"]["n"]), (&json!("t"), &json!("1")), "{body}");
        assert_eq!((&message["android"]["ttl"], &message["android"]["priority"]), (&json!("60s"), &json!("HIGH")));
        assert_eq!(message["apns"]["payload"]["aps"]["badge"], 2);
    }
    let details = world.details(&id).await;
    assert!(details.contains("<GcmOutcomeCounts><Outcome><Name>Success</Name><Count>2</Count>"), "{details}");
    let id = world.sent("", &[(FORMAT, "fcmv1")], r#"{"message":{"token":"own","data":{"a":"b"}}}"#).await;
    world.finished(&id).await;
    let last = bodies(&world.fcm).pop().unwrap();
    assert!(last["message"]["token"].as_str().unwrap().contains("APA91b"), "{last}");
    assert!(world.details(&id).await.contains("<FcmV1OutcomeCounts>"));
    assert_eq!(world.fcm.receipts().accepted(), 4);
}
