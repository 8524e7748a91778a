//! What a process of each role serves, and how it ends.

use serde_json::json;

use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_serves_operators_alone() {
    let fleet = Fleet::bare().await;
    let worker = fleet.node("worker");
    worker.admin.get("/healthz").await.expect(200);
    assert_eq!(worker.admin.get("/readyz").await.expect(200).json(), json!({"status": "ready"}));
    assert!(worker.admin.get("/metrics").await.expect(200).text().contains("fanfare_ready 1"));
    for path in ["/v1/hubs", "/v1/hubs/demo/broadcasts", "/docs", "/v1/openapi.json"] {
        let refused = worker.admin.get(path).await.expect(404).json();
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("only sends"), "{path}: {message}");
    }
    worker.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_ends_well_at_a_signal() {
    let fleet = Fleet::bare().await;
    for role in ["api", "worker", "all"] {
        let node = fleet.node(role);
        node.admin.get("/readyz").await.expect(200);
        node.stop();
    }
}
