//! Direct sends, one handle and a batch: the same plan, worker and ledger as any other broadcast, without a registration.

use loadtest::gateways::script::Act;
use loadtest::gateways::{Script, Simulated};
use serde_json::{Value, json};

use crate::world::{World, apple, apple_token, bodies, id_of};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;
pub const HANDLE: &str = "ServiceBusNotification-DeviceHandle";

/// A batch as the JavaScript client writes it.
pub fn batch(handles: &[String]) -> String {
    let devices = serde_json::to_string(handles).unwrap();
    format!(
        "--nh-boundary-1\r\nContent-type: application/json;charset=utf-8\r\nContent-Disposition: inline; \
         name=notification\r\n\r\n{ALERT}\r\n--nh-boundary-1\r\nContent-type: application/json\r\n\
         Content-Disposition: inline; name=devices\r\n\r\n{devices}\r\n--nh-boundary-1--"
    )
}

pub const MULTIPART: (&str, &str) = ("Content-Type", "multipart/mixed; boundary = \"nh-boundary-1\"");

#[tokio::test]
async fn one_handle_needs_no_registration() {
    let world = World::start().await;
    let handle = apple_token(7);
    let id = world.sent("&direct=true", &[APPLE, (HANDLE, &handle)], ALERT).await;
    let finished = world.finished(&id).await;
    assert_eq!((&finished["counters"]["targeted"], &finished["counters"]["delivered"]), (&json!(1), &json!(1)));
    assert_eq!(finished["lane"], "transactional");
    let outcomes = world.outcomes(&id).await;
    assert_eq!((&outcomes[0]["handle"], &outcomes[0]["outcome"]), (&json!(handle), &json!("delivered")));
    assert!(outcomes[0].get("installation").is_none());
    assert_eq!(bodies(&world.apns), [serde_json::from_str::<Value>(ALERT).unwrap()]);
    // It is nobody's: neither that of an installation with the same seq.
    world.install("dev-0", &apple(0)).await;
    let path = format!("/v1/hubs/hub1/broadcasts/{id}/outcomes/dev-0");
    assert_eq!(world.admin.get(&path).await.refusal().1, "not_targeted");
}

#[tokio::test]
async fn a_batch_reaches_each_handle_once() {
    let world = World::start().await;
    let mut handles: Vec<String> = (0..1_000).map(apple_token).collect();
    handles[999] = handles[0].to_uppercase();
    let path = "/hub1/messages/%24batch?api-version=2020-06&direct";
    let sent = world.full.send("POST", path, &[APPLE, MULTIPART], batch(&handles).as_bytes()).await.expect(201);
    assert!(
        sent.header("location").unwrap().contains("/hub1/messages/")
            && !sent.header("location").unwrap().contains("batch")
    );
    let finished = world.finished(&id_of(&sent)).await;
    let counters = &finished["counters"];
    assert_eq!(
        (&counters["targeted"], &counters["delivered"], &counters["skipped"]),
        (&json!(1_000), &json!(999), &json!(1))
    );
    assert_eq!((world.apns.receipts().accepted(), world.apns.receipts().repeated().len()), (999, 0));
    let details = world.details(&id_of(&sent)).await;
    assert!(details.contains("<Name>Skipped</Name><Count>1</Count>"), "{details}");
}

#[tokio::test]
async fn a_dead_handle_is_rejected_and_takes_nobody_along() {
    let dead = Script::new().token(&apple_token(5), Act::refuse(410, "Unregistered"));
    let world = World::with(dead, &[]).await;
    // An installation whose target has the seq that the handle has in its list.
    world.install("dev-0", &apple(0)).await;
    let id = world.sent("&direct", &[APPLE, (HANDLE, &apple_token(5))], ALERT).await;
    let finished = world.finished(&id).await;
    assert_eq!((&finished["counters"]["rejected"], &finished["counters"]["dropped"]), (&json!(1), &json!(0)));
    let details = world.details(&id).await;
    assert!(details.contains("<Name>ExpiredChannel</Name><Count>1</Count>"), "{details}");
    let read = world.listen.get("/hub1/installations/dev-0").await.expect(200).json();
    assert_eq!(read["pushChannelExpired"], false);
    assert_eq!(world.admin.post("/v1/hubs/hub1/audience", &json!({})).await.json()["count"], 1);
}

#[tokio::test]
async fn handles_that_wait_survive_a_restart() {
    let script = Script::new().rule_times(40, Default::default(), Act::refuse(503, "ServiceUnavailable"));
    let world = World::with(script, &[]).await;
    let handles: Vec<String> = (0..40).map(apple_token).collect();
    let path = "/hub1/messages/$batch?api-version=2020-06&direct";
    let sent = world.full.send("POST", path, &[APPLE, MULTIPART], batch(&handles).as_bytes()).await.expect(201);
    let id = id_of(&sent);
    // Every handle was refused once, so all of them wait for a second attempt: the plan is rows now.
    let mut followed = world.apns.receipts().follow();
    followed.wait_for(|received| *received >= 40).await.unwrap();
    let world = world.restart().await;
    let counters = world.finished(&id).await["counters"].clone();
    assert_eq!((&counters["targeted"], &counters["delivered"]), (&json!(40), &json!(40)), "{counters}");
    let told: Vec<Value> =
        world.outcomes(&id).await.as_array().unwrap().iter().map(|item| item["handle"].clone()).collect();
    assert_eq!(told, handles.iter().map(|handle| json!(handle)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_wrong_with_a_direct_send_is_said() {
    let world = World::start().await;
    let message = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = world.full.send("POST", path, headers, body.as_bytes()).await.expect(400);
        let text = answer.text();
        text.split("<Detail>").nth(1).unwrap().split(".TrackingId").next().unwrap().to_owned()
    };
    let one = "/hub1/messages?direct";
    for (headers, rule) in [
        (vec![APPLE], "ServiceBusNotification-DeviceHandle is required"),
        (vec![APPLE, (HANDLE, "no hex")], "ServiceBusNotification-DeviceHandle must be a device token"),
        (vec![(HANDLE, "aabb")], "ServiceBusNotification-Format must name a platform"),
        (
            vec![APPLE, (HANDLE, "aabb"), ("ServiceBusNotification-Tags", "x")],
            "ServiceBusNotification-Tags must be absent",
        ),
        (vec![("ServiceBusNotification-Format", "browser"), (HANDLE, "https://x/")], "P256DH is required"),
    ] {
        let told = message(one, &headers, ALERT).await;
        assert!(told.starts_with(rule), "{told}");
    }
    let whole = "/hub1/messages/$batch?direct";
    let good = batch(&[apple_token(1)]);
    for (path, headers, body, rule) in [
        ("/hub1/messages/$batch", vec![APPLE, MULTIPART], good.clone(), "direct must stand"),
        (whole, vec![APPLE], good.clone(), "Content-Type must be multipart/mixed"),
        (whole, vec![APPLE, MULTIPART], ALERT.to_owned(), "body must begin its parts"),
        (whole, vec![APPLE, MULTIPART], batch(&[]), "devices must be"),
        (whole, vec![APPLE, MULTIPART], batch(&vec![apple_token(1); 1_001]), "devices must be"),
        (whole, vec![APPLE, MULTIPART], batch(&["zz".to_owned()]), "devices[0] must be a device token"),
        (whole, vec![APPLE, MULTIPART], good.replace("name=devices", "name=other"), "devices is missing"),
        (whole, vec![APPLE, MULTIPART], good.replace("name=notification", "name=other"), "notification is missing"),
    ] {
        let told = message(path, &headers, &body).await;
        assert!(told.starts_with(rule), "{told}");
    }
}
