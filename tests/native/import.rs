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
