//! A sender that one worker paused is paused for all, shown by every node and resumed through any.

use loadtest::gateways::ProviderKey;
use serde_json::json;

use crate::fleet::{Fleet, counter, finished, register, send, until};

const DEVICES: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_seen_and_ended_through_any_node() {
    let fleet = Fleet::bare().await;
    let (apis, workers) = (fleet.nodes("api", 2), fleet.nodes("worker", 2));
    let (one, other) = (&apis[0].admin, &apis[1].admin);
    one.put("/v1/hubs/demo", &fleet.hub(&fleet.key)).await.expect(201);
    register(one, 0..DEVICES).await;
    fleet.sim.revoke(&fleet.key.key_id);
    let path = send(one, &json!({})).await;
    for node in [one, other] {
        let hub = until(node, "/v1/hubs/demo", |hub| hub["senders"]["apns"]["state"] == "paused").await;
        let sender = &hub["senders"]["apns"];
        assert_eq!(sender["reason"], "InvalidProviderToken", "{sender}");
        assert!(sender["since"].is_string(), "{sender}");
        let waiting = until(node, &path, |broadcast| broadcast["waiting"] != json!([])).await;
        assert_eq!(waiting["waiting"][0]["reason"], "InvalidProviderToken", "{waiting}");
    }
    // A worker that comes later knows as well, and asks the service no more than the others do.
    let _late = fleet.node("worker");
    fleet.sim.trust(&fleet.key);
    let resumed = other.send("POST", "/v1/hubs/demo/senders/apns:resume", &[], b"").await.expect(200).json();
    assert_eq!(resumed, json!({"platform": "apns", "state": "ok", "was_paused": true}));
    let over = finished(one, &path).await;
    assert_eq!(counter(&over, "delivered"), DEVICES, "{over}");
    fleet.each_received(0..DEVICES, 1);
    until(one, "/v1/hubs/demo", |hub| hub["senders"]["apns"]["state"] == "ok").await;
    let again = one.send("POST", "/v1/hubs/demo/senders/apns:resume", &[], b"").await.expect(200).json();
    assert_eq!(again["was_paused"], false);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_through_one_node_ends_the_pause_of_all_workers() {
    let fleet = Fleet::bare().await;
    let (apis, _workers) = (fleet.nodes("api", 2), fleet.nodes("worker", 2));
    let (one, other) = (&apis[0].admin, &apis[1].admin);
    let wrong = ProviderKey::generate("TEAM123456").unwrap();
    one.put("/v1/hubs/demo", &fleet.hub(&wrong)).await.expect(201);
    register(one, 0..DEVICES).await;
    let path = send(one, &json!({})).await;
    until(other, "/v1/hubs/demo", |hub| hub["senders"]["apns"]["state"] == "paused").await;
    other.put("/v1/hubs/demo", &fleet.hub(&fleet.key)).await.expect(200);
    assert_eq!(counter(&finished(one, &path).await, "delivered"), DEVICES);
    fleet.each_received(0..DEVICES, 1);
}
