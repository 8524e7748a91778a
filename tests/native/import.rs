//! Streams of installations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, document};

const IMPORT: &str = "/v1/hubs/demo/installations:import";

async fn count(world: &World) -> u64 {
    world.admin.post("/v1/hubs/demo/audience", &json!({})).await.json()["count"].as_u64().unwrap()
}

#[tokio::test]
async fn bad_lines_are_told_by_number_and_the_others_imported() {
    let world = World::with(&[("LIMITS__IMPORT_LINE_BYTES", "512")]).await;
    let long = format!(r#"{{"installationId":"x","tags":["{}"]}}"#, "a".repeat(600));
    let lines = [
        document(1).to_string(),
        String::new(),
        "{".to_owned(),
        document(2).to_string() + "\r",
        long,
        r#"{"platform":"apns"}"#.to_owned(),
        r#"{"installationId":"x","platform":"apns","pushChannel":"zz"}"#.to_owned(),
        document(3).to_string(),
    ];
    let answer = world.admin.send("POST", IMPORT, &[], lines.join("\n").as_bytes()).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let told: Vec<(u64, String)> = answer.lines()[..4]
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["error"]["field"].as_str().unwrap().to_owned()))
        .collect();
    let told: Vec<_> = told.iter().map(|(line, field)| (*line, field.as_str())).collect();
    assert_eq!(told, [(3, "body"), (5, "line"), (6, "installationId"), (7, "pushChannel")]);
    assert_eq!(answer.lines()[4], json!({"imported": 3, "failed": 4}));
    assert_eq!(count(&world).await, 3);
}

#[tokio::test]
async fn later_lines_of_an_installation_win_whatever_is_under_way() {
    let world = World::start().await;
    let mut lines = String::new();
    for round in 0..4_000 {
        let mut document = document(round % 700);
        document["tags"] = json!([format!("round-{round}")]);
        lines += &(document.to_string() + "\n");
    }
    let answer = world.admin.send("POST", IMPORT, &[], lines.as_bytes()).await.expect(200);
    assert_eq!(answer.lines(), [json!({"imported": 4_000, "failed": 0})]);
    assert_eq!(count(&world).await, 700);
    for device in [0, 499, 500, 699] {
        let read = world.admin.get(&format!("/v1/hubs/demo/installations/dev-{device}")).await.json();
        let last = (0..4_000).rev().find(|round| round % 700 == device).unwrap();
        assert_eq!(read["tags"], json!([format!("round-{last}")]));
    }
}

#[tokio::test]
async fn an_empty_stream_is_an_empty_import() {
    let world = World::start().await;
    let answer = world.admin.send("POST", IMPORT, &[], b"").await.expect(200);
    assert_eq!(answer.lines(), [json!({"imported": 0, "failed": 0})]);
}

#[tokio::test]
async fn errors_come_while_the_stream_goes_on() {
    let world = World::start().await;
    let mut exchange = world.admin.begin("POST", IMPORT, &[("transfer-encoding", "chunked")]).await;
    exchange.chunk(b"nonsense\n").await;
    exchange.head().await.expect(200);
    let first: Value = serde_json::from_slice(&exchange.next_chunk().await.unwrap()).unwrap();
    assert_eq!(first["line"], 1);
    exchange.chunk(document(1).to_string().as_bytes()).await;
    exchange.chunk(b"").await;
    let last: Value = serde_json::from_slice(&exchange.next_chunk().await.unwrap()).unwrap();
    assert_eq!(last, json!({"imported": 1, "failed": 1}));
    assert!(exchange.next_chunk().await.is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_imports_what_was_read() {
    let world = World::start().await;
    let mut exchange = world.admin.begin("POST", IMPORT, &[("transfer-encoding", "chunked")]).await;
    let lines: String = (0..600).map(|device| document(device).to_string() + "\n").collect();
    exchange.chunk(lines.as_bytes()).await;
    // A bad line that is answered says that everything before it was read.
    exchange.chunk(b"nonsense\n{\"installationId\":\"half").await;
    exchange.head().await.expect(200);
    assert!(exchange.next_chunk().await.is_some());
    drop(exchange);
    let imported = async {
        while count(&world).await < 600 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), imported).await.expect("all 600 are imported");
    world.running.stop().await;
}

const EXPORT: &str = "/v1/hubs/demo/installations:export";

#[tokio::test]
async fn an_export_is_an_import() {
    let world = World::start().await;
    world.register(1_203).await;
    let mut rich = document(7);
    rich["templates"] = json!({"t": {"body": "{}", "tags": ["x"], "headers": {"apns-priority": "5"}}});
    rich["userId"] = json!("u7");
    rich["expirationTime"] = json!("2099-01-01T00:00:00Z");
    world.admin.put("/v1/hubs/demo/installations/dev-7", &rich).await.expect(200);
    let exported = world.admin.get(EXPORT).await.expect(200);
    assert_eq!(exported.header("content-type"), Some("application/x-ndjson"));
    let told = |line: &Value| (line["installationId"].clone(), line.to_string());
    let without_cursor = |mut line: Value| {
        line.as_object_mut().unwrap().remove("next_cursor");
        line
    };
    let sorted = |lines: Vec<Value>| {
        let mut lines: Vec<_> = lines.into_iter().map(without_cursor).collect();
        lines.sort_by_key(|line| told(line).1);
        lines
    };
    let lines = exported.lines();
    assert_eq!(lines.len(), 1_203);
    // Broken off after the first page, it goes on from there with nothing missing and nothing twice.
    let at = lines.iter().position(|line| !line["next_cursor"].is_null()).unwrap();
    let cursor = lines[at]["next_cursor"].as_str().unwrap();
    let rest = world.admin.get(&format!("{EXPORT}?cursor={cursor}")).await.expect(200).lines();
    assert_eq!(rest, lines[at + 1..]);
    let even = world.admin.get(&format!("{EXPORT}?audience=even")).await.expect(200).lines();
    assert_eq!(even.len(), 602);
    world.admin.put("/v1/hubs/other", &crate::world::hub()).await.expect(201);
    let import = world.admin.send("POST", "/v1/hubs/other/installations:import", &[], &exported.body).await.expect(200);
    assert_eq!(import.lines(), [json!({"imported": 1_203, "failed": 0})]);
    let again = world.admin.get("/v1/hubs/other/installations:export").await.expect(200);
    assert_eq!(sorted(again.lines()), sorted(lines));
    for (query, field) in [("?audience=a+b", "audience"), ("?cursor=x", "cursor"), ("?limit=3", "limit")] {
        let refused = world.admin.get(&format!("{EXPORT}{query}")).await;
        assert_eq!(refused.refusal(), (400, "invalid".into(), field.into()));
    }
    let listen = world.with_rule("listen").await;
    assert_eq!(listen.get(EXPORT).await.refusal().0, 403);
}
