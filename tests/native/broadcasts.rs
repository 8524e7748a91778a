//! Broadcasts: accepted, followed, controlled, looked at afterwards.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::push::Mood;
use crate::world::{World, broadcast};

const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";

#[tokio::test]
async fn a_broadcast_reaches_its_audience_and_every_device_can_be_asked_about() {
    let world = World::start().await;
    world.register(30).await;
    let sender = world.with_rule("send").await;
    let accepted = sender.post(BROADCASTS, &broadcast("even")).await.expect(202);
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), Some(&*format!("{BROADCASTS}/{id}")));
    let over = world.finished(&id).await;
    assert_eq!(
        (&over["state"], &over["audience"], &over["lane"]),
        (&json!("completed"), &json!("even"), &json!("bulk"))
    );
    let counters = json!({
        "targeted": 15, "pending": 0, "delivered": 15, "rejected": 0, "dropped": 0, "expired": 0, "cancelled": 0,
        "skipped": 0, "retries": 0,
    });
    assert_eq!((&over["counters"], &over["platforms"]), (&counters, &json!({"apns": counters})));
    for time in ["accepted_at", "planned_at", "started_at", "finished_at"] {
        assert!(over[time].as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert_eq!(sender.get(&format!("{BROADCASTS}/{id}")).await.expect(200).json(), over);
    let outcomes = sender.get(&format!("{BROADCASTS}/{id}/outcomes?outcome=delivered&limit=10")).await.json();
    assert_eq!(outcomes["items"].as_array().unwrap().len(), 10);
    let next = outcomes["next_cursor"].as_str().unwrap();
    let rest = sender.get(&format!("{BROADCASTS}/{id}/outcomes?limit=10&cursor={next}")).await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (5, &Value::Null));
    let none = sender.get(&format!("{BROADCASTS}/{id}/outcomes?outcome=pending")).await.json();
    assert_eq!(none["items"], json!([]));
    let item = sender.outcome(&format!("{BROADCASTS}/{id}"), "dev-4").await;
    assert_eq!((&item["installation"], &item["target"]), (&json!("dev-4"), &json!("native")));
    assert_eq!((&item["platform"], &item["outcome"]), (&json!("apns"), &json!("delivered")));
    let missed = sender.get(&format!("{BROADCASTS}/{id}/outcomes/dev-5")).await;
    assert_eq!(missed.refusal(), (404, "not_targeted".into(), String::new()));
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let world = World::start().await;
    world.register(3).await;
    let send = async |key: &str, body: Value| -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        world.admin.send("POST", BROADCASTS, &headers, body.to_string().as_bytes()).await
    };
    let first = send("k1", broadcast("all")).await.expect(202);
    let again = send("k1", broadcast("all")).await.expect(202);
    assert_eq!(first.json(), again.json());
    assert_eq!(first.header("location"), again.header("location"));
    let other = send("k1", broadcast("even")).await;
    assert_eq!(other.refusal(), (422, "idempotency_key_reused".into(), "Idempotency-Key".into()));
    assert_ne!(send("k2", broadcast("all")).await.expect(202).json(), first.json());
    let bad = send("", broadcast("all")).await;
    assert_eq!(bad.refusal(), (400, "invalid".into(), "Idempotency-Key".into()));
    let all = world.admin.get(BROADCASTS).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let metrics = world.admin.get("/metrics").await;
    assert!(metrics.text().contains("fanfare_broadcasts_total{hub=\"demo\"} 2"), "{}", metrics.text());
}

#[tokio::test]
async fn a_dry_run_tells_and_creates_nothing() {
    let world = World::start().await;
    world.register(4).await;
    let adm = json!({"platform": "adm", "pushChannel": "x", "tags": ["all"]});
    world.admin.put("/v1/hubs/demo/installations/kindle", &adm).await.expect(201);
    let mut dry = broadcast("all");
    dry["dry_run"] = json!(true);
    let told = world.admin.post(BROADCASTS, &dry).await.expect(200).json();
    let bytes = r#"{"aps":{"alert":"Hello"}}"#.len();
    assert_eq!(told, json!({"count": 4, "platforms": {"apns": 4}, "payload_bytes": {"apns": bytes}}));
    let portable = json!({"notification": {"title": "x"}, "dry_run": true});
    assert_eq!(world.admin.post(BROADCASTS, &portable).await.json()["count"], 5);
    assert_eq!(world.admin.get(BROADCASTS).await.json()["items"], json!([]));
}

async fn act(world: &World, id: &str, action: &str) -> Answer {
    world.admin.send("POST", &format!("{BROADCASTS}/{id}:{action}"), &[], b"").await
}

#[tokio::test]
async fn a_broadcast_is_paused_paced_resumed_and_cancelled() {
    let world = World::start().await;
    world.register(3_000).await;
    world.push.set(Mood::Hold);
    let id = world.send("all").await;
    let path = format!("{BROADCASTS}/{id}");
    // A cancel before the plan is made would leave nothing to cancel.
    world.until(&id, |progress| !progress["planned_at"].is_null()).await;
    assert_eq!(act(&world, &id, "pause").await.expect(202).json()["state"], "paused");
    assert_eq!(world.admin.get(&path).await.json()["state"], "paused");
    let paced = world.admin.send("PATCH", &path, &[], br#"{"rate_per_second":100000}"#).await.expect(202);
    assert_eq!(paced.json()["rate_per_second"], 100_000);
    let resumed = act(&world, &id, "resume").await.expect(202).json();
    assert!(["queued", "running"].contains(&resumed["state"].as_str().unwrap()), "{resumed}");
    assert_eq!(act(&world, &id, "cancel").await.expect(202).json()["state"], "cancelled");
    let over = world.finished(&id).await;
    assert_eq!((&over["state"], &over["counters"]["cancelled"]), (&json!("cancelled"), &json!(3_000)));
    for action in ["pause", "resume", "cancel"] {
        assert_eq!(act(&world, &id, action).await.refusal(), (409, "over".into(), String::new()), "{action}");
    }
    let paced = world.admin.send("PATCH", &path, &[], br#"{"rate_per_second":1}"#).await;
    assert_eq!(paced.refusal(), (409, "over".into(), String::new()));
}

#[tokio::test]
async fn a_schedule_waits_and_can_be_cancelled() {
    let world = World::start().await;
    world.register(3).await;
    let mut later = broadcast("all");
    later["schedule_at"] = json!("2199-01-01T09:00:00Z");
    let id = world.admin.post(BROADCASTS, &later).await.expect(202).json()["id"].as_str().unwrap().to_owned();
    let waiting = world.admin.get(&format!("{BROADCASTS}/{id}")).await.json();
    assert_eq!((&waiting["state"], &waiting["schedule_at"]), (&json!("scheduled"), &json!("2199-01-01T09:00:00.000Z")));
    act(&world, &id, "cancel").await.expect(202);
    let over = world.finished(&id).await;
    assert_eq!((&over["state"], &over["counters"]["targeted"]), (&json!("cancelled"), &json!(0)));
}

#[tokio::test]
async fn a_list_is_newest_first_and_paged() {
    let world = World::start().await;
    world.register(1).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.insert(0, world.send("all").await);
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.admin.get(&format!("{BROADCASTS}?limit=2{cursor}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        listed.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    sent.sort();
    listed.reverse();
    assert_eq!(listed, sent);
}

#[tokio::test]
async fn what_was_written_is_what_is_sent() {
    let world = World::start().await;
    world.register(1).await;
    // Odd spacing, an escape, a number in a form of its own: opaque bytes.
    let raw = br#"{"dry_run":true,"payloads":{"apns":{ "aps" : {"alert":"caf\u00e9"}, "n":1.50 }}}"#;
    let told = world.admin.send("POST", BROADCASTS, &[], raw).await.expect(200).json();
    assert_eq!(told["payload_bytes"]["apns"], r#"{ "aps" : {"alert":"caf\u00e9"}, "n":1.50 }"#.len());
}
