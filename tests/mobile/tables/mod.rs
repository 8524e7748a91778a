//! `/tables`, spoken to in the three dialects.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::world::{USERS, World};

mod bodies;
mod clients;
mod crash;
mod dialects;
mod engines;
mod filters;
mod hostile;
mod links;
mod observed;
mod quirks;
mod sync;
mod told;

/// The tables of the original server's record (`mobile-apps.md` 11).
pub const TABLES: &str = "
[mobile.tables.todoitem]
soft_delete = true
columns = { text = 'string', complete = 'boolean' }
[mobile.tables.hard]
[mobile.tables.smallpage]
soft_delete = true
page_size = 3
max_page_size = 5
[mobile.tables.autoid]
auto_increment = true
[mobile.tables.fixed]
dynamic_schema = false
columns = { text = 'string' }
[mobile.tables.secure]
permissions = { read = 'authenticated', insert = 'authenticated', update = 'authenticated', delete = 'authenticated' }
[mobile.tables.mine]
per_user = true
soft_delete = true
[mobile.tables.readonly]
seed_file = 'readonly.json'
permissions = { insert = 'disabled', update = 'disabled', delete = 'disabled', undelete = 'disabled' }
[mobile.tables.types]
columns = { s = 'string', n = 'number', b = 'boolean', d = 'date' }
[mobile.tables.corpus]
soft_delete = true
columns = { text = 'string', note = 'string', n = 'number', m = 'number', b = 'boolean', d = 'date', g = 'string', at = 'string', bin = 'string' }
[mobile.tables.lenient]
soft_delete = true
conflict = 'client_wins'
[mobile.tables.firm]
soft_delete = true
conflict = 'server_wins'
[mobile.tables.merged]
soft_delete = true
conflict = 'merge'
";

pub async fn world() -> World {
    world_over(None).await
}

/// Over that store, or the embedded one.
pub async fn world_over(store: Option<String>) -> World {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("readonly.json"), r#"[{"id":"r-1","text":"one"},{"id":"r-2","text":"two"}]"#)
        .unwrap();
    let authority = loadtest::gateways::Authority::new().unwrap();
    let toml = format!("{USERS}{TABLES}");
    match store {
        Some(store) => World::over(store, folder, authority, &toml).await,
        None => World::within(folder, authority, &toml).await,
    }
}

pub const V2: (&str, &str) = ("zumo-api-version", "2.0.0");
pub const V3: (&str, &str) = ("zumo-api-version", "3.0.0");
/// What the Community Toolkit calls itself, with and without a version.
pub const TOOLKIT: (&str, &str) = ("user-agent", "Datasync/8.0.1 (lang=Managed)");
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// A request; a text for a body goes as it is.
pub async fn send(client: &Client, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let bytes = match body {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let answer = client.send(method, path, headers, &bytes).await;
    form(&answer, path);
    answer
}

/// What holds for each answer (acceptance 6 and 9): JSON with its length and dates of three digits, or nothing at all.
fn form(answer: &Answer, path: &str) {
    assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}: {answer:?}");
    if answer.status == 204 {
        assert!(answer.body.is_empty() && answer.header("etag").is_none(), "{path}: {answer:?}");
        return;
    }
    assert_eq!(answer.header("transfer-encoding"), None, "{path}");
    if answer.body.is_empty() {
        return;
    }
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{path}");
    dates(&answer.json());
}

fn dates(json: &Value) {
    match json {
        Value::Array(items) => items.iter().for_each(dates),
        Value::Object(members) => {
            for name in ["createdAt", "updatedAt"] {
                if let Some(Value::String(date)) = members.get(name) {
                    let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                    assert_eq!(form, "0000-00-00T00:00:00.000Z", "{json}");
                }
            }
            members.values().for_each(dates);
        }
        _ => {}
    }
}

pub async fn post(client: &Client, table: &str, item: Value) -> Value {
    let answer = send(client, "POST", &format!("/tables/{table}"), &[V2, JSON], &item).await;
    answer.expect(201).json()
}

/// The items of a V2 list.
pub async fn list(client: &Client, path: &str) -> Vec<Value> {
    let answer = send(client, "GET", path, &[V2], &Value::Null).await.expect(200).json();
    answer.as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

pub fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn rows_outlive_a_restart() {
    let world = world().await;
    let made = post(&world.client, "TodoItem", json!({"id": "a", "text": "x", "extra": 1})).await;
    let world = world.restart(&format!("{USERS}{TABLES}")).await;
    assert_eq!(list(&world.client, "/tables/todoitem").await, [made]);
    assert_eq!(list(&world.client, "/tables/readonly").await.len(), 2, "seeded once");
}
