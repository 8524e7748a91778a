//! A store or a queue that is not there: at the start, and later.

use std::time::Duration;

use serde_json::json;

use crate::fleet::{Fleet, within};

/// Longer than the pool waits for a connection before it says that there is none.
const NOTICED: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_its_store_and_says_so() {
    let mut fleet = Fleet::bare().await;
    fleet.postgres.stop().unwrap();
    let early = fleet.starting("api", &[]);
    early.until_said("waiting for the store");
    fleet.postgres.run().unwrap();
    let node = early.listening();
    node.admin.get("/readyz").await.expect(200);
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_gives_up_in_time_and_heeds_a_signal_meanwhile() {
    let mut fleet = Fleet::bare().await;
    fleet.postgres.stop().unwrap();
    let mut patient = fleet.starting("worker", &[]);
    patient.until_said("waiting for the store");
    patient.signal();
    assert_eq!(patient.ended().code(), Some(0), "{:#?}", patient.said());
    let mut hasty = fleet.starting("worker", &[("SERVER__START_SECONDS", "2")]);
    assert_eq!(hasty.ended().code(), Some(1));
    let said = hasty.said();
    assert!(said.last().unwrap().contains("(server.start_seconds)"), "{said:#?}");
    assert!(said.len() < 6, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_refused_is_not_waited_for() {
    let fleet = Fleet::bare().await;
    let nowhere = fleet.postgres.url("nowhere");
    let mut node = fleet.starting("api", &[("STORE__URL", &nowhere)]);
    assert_eq!(node.ended().code(), Some(1));
    assert!(node.said().last().unwrap().contains("nowhere"), "{:#?}", node.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_requests_are_told_to_come_back_and_the_log_stays_short() {
    let mut fleet = Fleet::bare().await;
    let (api, worker) = (fleet.node("api"), fleet.node("worker"));
    api.admin.put("/v1/hubs/demo", &json!({})).await.expect(201);
    fleet.postgres.kill().unwrap();
    let asked = json!({"audience": "a"});
    let audience = || api.admin.post("/v1/hubs/demo/audience", &asked);
    let refused = audience().await.expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let missing = api.admin.get("/readyz").await.expect(503).json();
    assert!(missing["missing"][0].as_str().unwrap().starts_with("store: "), "{missing}");
    api.admin.get("/healthz").await.expect(200);
    // A hub that nobody knows may be known to the store.
    api.admin.get("/v1/hubs/unknown").await.expect(503);
    for _ in 0..200 {
        audience().await.expect(503);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for node in [&api, &worker] {
        let said = node.node.said();
        assert!(said.len() < 40, "{} lines: {said:#?}", said.len());
    }
    fleet.postgres.run().unwrap();
    within(NOTICED, &api.admin, "/healthz", |_| true).await;
    until_ready(&api.admin).await;
    until_ready(&worker.admin).await;
    api.admin.get("/v1/hubs/unknown").await.expect(404);
    worker.stop();
    api.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_queue_a_node_is_there_for_those_who_ask_so() {
    let mut fleet = Fleet::bare().await;
    let api = fleet.node("api");
    fleet.redis.kill();
    let missing = api.admin.get("/readyz").await.expect(503).json();
    assert!(missing["missing"][0].as_str().unwrap().starts_with("queue: "), "{missing}");
    let ready = api.admin.get("/readyz?ignore=queue").await.expect(200).json();
    assert_eq!((&ready["status"], &ready["missing"]), (&json!("ready"), &missing["missing"]));
    api.admin.get("/readyz?ignore=store").await.expect(400);
    // One that starts now comes up, too.
    let late = fleet.starting("worker", &[]).listening();
    late.admin.get("/readyz?ignore=queue").await.expect(200);
    fleet.redis.restart().await.unwrap();
    until_ready(&api.admin).await;
    until_ready(&late.admin).await;
}

/// Waits until it is ready again.
pub async fn until_ready(node: &crate::client::Client) {
    let end = std::time::Instant::now() + NOTICED;
    while node.get("/readyz").await.status != 200 {
        assert!(std::time::Instant::now() < end, "it does not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
