//! Sends of the Notification Hubs face to the smaller services: to an audience, to a handle, and with what became of it.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::world::{World, channel, one_is_dead};

const FORMAT: &str = "ServiceBusNotification-Format";
const HANDLE: &str = "ServiceBusNotification-DeviceHandle";

/// What each service takes.
const PAYLOADS: [(&str, &str); 3] = [
    ("adm", r#"{"data":{"k":"v"}}"#),
    ("baidu", r#"{"title":"T","description":"B"}"#),
    ("xiaomi", r#"{"title":"T","description":"B","pass_through":0}"#),
];

async fn send(client: &Client, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    client.send("POST", &format!("/demo/messages/?api-version=2020-06{query}"), headers, body.as_bytes()).await
}

fn id_of(answer: &Answer) -> String {
    let location = answer.header("location").expect("a Location");
    location.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_raw_send_reaches_an_audience_and_a_handle() {
    let world = World::with_hub(one_is_dead()).await;
    let full = world.full().await;
    for (platform, payload) in PAYLOADS {
        for device in 0..3 {
            world.register(platform, device).await;
        }
        let sent = send(&full, "", &[(FORMAT, platform)], payload).await.expect(201);
        let done = world.finished(&id_of(&sent)).await;
        assert_eq!((&done["counters"]["delivered"], &done["counters"]["dropped"]), (&json!(2), &json!(1)), "{done}");
        let handle = channel(platform, 7);
        let sent = send(&full, "&direct", &[(FORMAT, platform), (HANDLE, &handle)], payload).await.expect(201);
        assert_eq!(world.finished(&id_of(&sent)).await["counters"]["delivered"], 1, "{platform}");
        assert_eq!(world.receipts(platform).accepted(), 3);
    }
    assert_eq!(world.last_form("baidu")["msg_type"], "1");
}

#[tokio::test]
async fn baidus_kind_of_message_is_the_callers() {
    let world = World::with_hub(one_is_dead()).await;
    let full = world.full().await;
    let handle = channel("baidu", 7);
    let headers = |kind| [(FORMAT, "baidu"), (HANDLE, handle.as_str()), ("X-Baidu-Message-Type", kind)];
    for kind in ["0", "1"] {
        let sent = send(&full, "&direct", &headers(kind), r#"{"description":"B"}"#).await.expect(201);
        world.finished(&id_of(&sent)).await;
        assert_eq!(world.last_form("baidu")["msg_type"], kind);
    }
    let refused = send(&full, "&direct", &headers("2"), "{}").await.expect(400);
    assert!(refused.text().contains("x-baidu-message-type must be 0"), "{}", refused.text());
    for (format, body, rule) in [
        ("baidu", "[]", "body must be a JSON object"),
        ("xiaomi", r#"{"topic":"t"}"#, "body.topic must be absent"),
        ("adm", r#"{"data":{"k":1}}"#, "body.data must be an object of strings"),
    ] {
        let refused = send(&full, "", &[(FORMAT, format)], body).await.expect(400);
        assert!(refused.text().contains(&format!("<Detail>{rule}")), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_test_send_says_what_became_of_each_device() {
    let world = World::with_hub(one_is_dead()).await;
    let full = world.full().await;
    for (platform, payload) in PAYLOADS {
        for device in 0..2 {
            world.register(platform, device).await;
        }
        let told = send(&full, "&test", &[(FORMAT, platform)], payload).await.expect(201);
        let text = told.text();
        assert!(text.contains("<Success>1</Success><Failure>1</Failure>"), "{text}");
        assert!(text.contains(&format!("<ApplicationPlatform>{platform}</ApplicationPlatform>")), "{text}");
        assert!(text.contains("successfully sent to the Push") && text.contains("is no longer valid"), "{text}");
        let handle = channel(platform, 1);
        let told = send(&full, "&direct&test", &[(FORMAT, platform), (HANDLE, &handle)], payload).await.expect(201);
        assert!(told.text().contains("<Success>0</Success><Failure>1</Failure>"), "{}", told.text());
    }
}
