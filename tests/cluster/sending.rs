//! A broadcast through a fleet: everyone once, counted alike by every node, controlled through any.

use std::time::{Duration, Instant};

use loadtest::gateways::Simulated;
use serde_json::json;

use crate::fleet::{Fleet, counter, finished, register, send, until, within};

const DEVICES: u64 = 3_000;
/// What "effective on every node within a second" allows.
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_receives_once_whichever_node_was_told() {
    let fleet = Fleet::bare().await;
    let (apis, _workers) = (fleet.nodes("api", 2), fleet.nodes("worker", 2));
    let (one, other) = (&apis[0].admin, &apis[1].admin);
    one.put("/v1/hubs/demo", &fleet.hub(&fleet.key)).await.expect(201);
    register(one, 0..DEVICES / 2).await;
    register(other, DEVICES / 2..DEVICES).await;
    for node in [one, other] {
        let count = node.post("/v1/hubs/demo/audience", &json!({"audience": "all"})).await.expect(200).json();
        assert_eq!(count["count"], DEVICES);
    }
    let large = send(other, &json!({})).await;
    let small = send(one, &json!({"audience": "$InstallationId:{dev-7}"})).await;
    for (path, targets) in [(&large, DEVICES), (&small, 1)] {
        let over = finished(one, path).await;
        assert_eq!(over["state"], "completed", "{over}");
        for node in [one, other] {
            let shown = node.get(path).await.expect(200).json();
            assert_eq!((counter(&shown, "targeted"), counter(&shown, "delivered")), (targets, targets), "{shown}");
        }
    }
    fleet.each_received(0..7, 1);
    fleet.each_received(7..8, 2);
    fleet.each_received(8..DEVICES, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wishes_through_one_node_hold_on_all_within_a_second() {
    let fleet = Fleet::bare().await;
    let (apis, _workers) = (fleet.nodes("api", 2), fleet.nodes("worker", 2));
    let (one, other) = (&apis[0].admin, &apis[1].admin);
    one.put("/v1/hubs/demo", &fleet.hub(&fleet.key)).await.expect(201);
    register(one, 0..DEVICES).await;
    let sent = || fleet.sim.receipts().len();
    let path = send(one, &json!({"rate_per_second": 200})).await;
    until(other, &path, |broadcast| counter(broadcast, "delivered") >= 50).await;
    other.send("POST", &format!("{path}:pause"), &[], b"").await.expect(202);
    let paused = Instant::now();
    assert_eq!(one.get(&path).await.expect(200).json()["state"], "paused");
    tokio::time::sleep_until((paused + SECOND).into()).await;
    let before = sent();
    tokio::time::sleep(SECOND).await;
    assert_eq!(sent(), before, "nothing is sent a second after the pause");
    let faster = json!({"rate_per_second": 2_000}).to_string();
    let kind = [("content-type", "application/json")];
    one.send("PATCH", &path, &kind, faster.as_bytes()).await.expect(202);
    one.send("POST", &format!("{path}:resume"), &[], b"").await.expect(202);
    let resumed = Instant::now();
    within(SECOND * 2, other, &path, |broadcast| counter(broadcast, "delivered") >= 700).await;
    assert!(resumed.elapsed() < SECOND * 2, "the faster pace holds: {:?}", resumed.elapsed());
    other.send("POST", &format!("{path}:cancel"), &[], b"").await.expect(202);
    let over = finished(one, &path).await;
    assert_eq!(over["state"], "cancelled");
    let (delivered, cancelled) = (counter(&over, "delivered"), counter(&over, "cancelled"));
    assert_eq!((delivered + cancelled, counter(&over, "pending")), (DEVICES, 0), "{over}");
    assert_eq!(sent(), delivered);
}
