//! Scheduled sends and their cancellation (`notification-hubs.md` 2.6).

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use loadtest::gateways::Simulated;

use crate::world::{World, apple, id_of};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;
const TIME: &str = "ServiceBusNotification-ScheduleTime";

fn after(wait: Duration) -> String {
    SystemClock.now().plus(wait).to_string()
}

#[tokio::test]
async fn who_gets_it_is_decided_when_it_is_due() {
    let world = World::start().await;
    let at = after(Duration::from_secs(2));
    let path = "/hub1/schedulednotifications/?api-version=2020-06";
    let sent = world.full.send("POST", path, &[APPLE, (TIME, &at)], ALERT.as_bytes()).await.expect(201);
    let id = id_of(&sent);
    assert!(world.details(&id).await.contains("<State>Scheduled</State>"));
    world.install("dev-1", &apple(1)).await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 1);
    // One that was sent cannot be cancelled any more.
    world.full.delete(&format!("/hub1/schedulednotifications/{id}?api-version=2020-06")).await.expect(404);
}

#[tokio::test]
async fn c14_a_cancelled_one_is_not_sent_and_says_so() {
    let world = World::start().await;
    world.install("dev-1", &apple(1)).await;
    let at = after(Duration::from_secs(3_600)).replace('Z', "");
    let path = "/hub1/schedulednotifications?api-version=2020-06";
    let sent = world.full.send("POST", path, &[APPLE, (TIME, &at)], ALERT.as_bytes()).await.expect(201);
    let id = id_of(&sent);
    let own = format!("/hub1/schedulednotifications/{id}?api-version=2020-06");
    world.listen.delete(&own).await.expect(401);
    world.full.delete(&own).await.expect(200);
    world.finished(&id).await;
    assert!(world.details(&id).await.contains("<State>Canceled</State>"));
    assert!(world.apns.receipts().is_empty());
    // A message that was never scheduled is none to cancel.
    let now = world.sent("", &[APPLE], ALERT).await;
    for id in [now.as_str(), "none"] {
        world.full.delete(&format!("/hub1/schedulednotifications/{id}")).await.expect(404);
    }
}

#[tokio::test]
async fn a_time_that_has_passed_is_now_and_one_too_far_ahead_is_refused() {
    let world = World::start().await;
    world.install("dev-1", &apple(1)).await;
    let path = "/hub1/schedulednotifications?api-version=2020-06";
    let past = [APPLE, (TIME, "2020-01-01T00:00:00Z")];
    let sent = world.full.send("POST", path, &past, ALERT.as_bytes()).await.expect(201);
    assert_eq!(world.finished(&id_of(&sent)).await["counters"]["delivered"], 1);
    let far = after(Duration::from_secs(8 * 86_400));
    for (headers, rule) in [
        (vec![APPLE], "is required"),
        (vec![APPLE, (TIME, "soon")], "must be an ISO 8601"),
        (vec![APPLE, (TIME, &far)], "must not be more than 7 days ahead"),
    ] {
        let answer = world.full.send("POST", path, &headers, ALERT.as_bytes()).await.expect(400);
        assert!(answer.text().contains(&format!("ScheduleTime {rule}")), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_handle_without_direct_is_not_taken_for_everyone() {
    let world = World::start().await;
    let headers = [
        ("ServiceBusNotification-Format", "apple"),
        ("ServiceBusNotification-ScheduleTime", "2020-01-01T00:00:00Z"),
        ("ServiceBusNotification-DeviceHandle", "AABB"),
    ];
    let path = "/hub1/schedulednotifications/?api-version=2020-06";
    let refused = world.full.send("POST", path, &headers, b"{\"aps\":{\"alert\":\"Hi\"}}").await.expect(400);
    assert!(refused.text().contains("ServiceBusNotification-DeviceHandle must stand only"), "{}", refused.text());
}
