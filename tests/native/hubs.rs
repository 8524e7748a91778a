//! Hubs: their life, their credentials, their keys, and what the configuration decides.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::client::Client;
use crate::push::Mood;
use crate::world::{World, hub};

const HUB: &str = "/v1/hubs/demo";

#[tokio::test]
async fn a_hub_is_made_changed_and_deleted() {
    let world = World::bare(&[]).await;
    let made = world.admin.put(HUB, &json!({})).await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.json();
    assert_eq!(made["keys"]["DefaultFullSharedAccessSignature"]["rights"], json!(["listen", "send", "manage"]));
    assert_eq!(made["keys"]["DefaultListenSharedAccessSignature"]["primary"].as_str().unwrap().len(), 44);
    assert_eq!((&made["weight"], &made["read_only"]), (&json!(1), &json!(false)));
    let changed = world.admin.put("/v1/hubs/DEMO", &json!({"weight": 7})).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["weight"]), (&json!("demo"), &json!(7)));
    assert_eq!(changed["keys"], made["keys"], "keys stay");
    // What GET shows can be sent back.
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!(world.admin.put(HUB, &shown).await.expect(200).json(), shown);
    assert_eq!(world.admin.get("/v1/hubs").await.json(), json!({"items": [shown], "next_cursor": null}));
    world.admin.delete(HUB).await.expect(204);
    world.admin.get(HUB).await.expect(404);
    let again = world.admin.put(HUB, &json!({})).await.expect(201).json();
    assert_ne!(again["keys"], made["keys"], "a new hub has new keys");
}

/// Whether a text stands anywhere in a value.
fn holds(value: &Value, text: &str) -> bool {
    value.to_string().contains(text)
}

#[tokio::test]
async fn credentials_never_come_out_and_keys_only_for_the_admin() {
    let world = World::start().await;
    let full = world.with_rule("full").await;
    let key = world.admin.get(HUB).await.json()["keys"]["send"]["primary"].as_str().unwrap().to_owned();
    for path in [HUB, "/v1/hubs"] {
        let shown = world.admin.get(path).await.expect(200).json();
        assert!(!holds(&shown, "very private") && holds(&shown, &key), "{path}");
    }
    let shown = full.get(HUB).await.expect(200).json();
    assert!(!holds(&shown, &key) && !holds(&shown, "primary"));
    assert_eq!(shown["keys"]["send"], json!({"rights": ["send"]}));
    assert_eq!(shown["apns"]["auth"], "token");
    let put = full.put(HUB, &json!({"weight": 2})).await.expect(200).json();
    assert!(!holds(&put, &key));
    // Nothing of it rests in the clear either.
    world.running.stop().await;
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found("very private") && !found(&key));
    }
}

#[tokio::test]
async fn a_gateway_is_opened_when_its_account_changes_and_the_old_one_closed() {
    let world = World::start().await;
    let opened = || world.push.opened.load(Ordering::SeqCst);
    assert_eq!(opened(), 1);
    let mut settings = hub();
    settings["apns"].as_object_mut().unwrap().remove("key");
    settings["apns"]["rate_per_second"] = json!(100);
    world.admin.put(HUB, &settings).await.expect(200);
    assert_eq!(opened(), 1, "a pace needs no new gateway");
    settings["apns"]["topic"] = json!("com.example.other");
    world.admin.put(HUB, &settings).await.expect(200);
    assert_eq!(opened(), 2);
    settings["apns"]["topic"] = json!("not a topic");
    let refused = world.admin.put(HUB, &settings).await;
    assert_eq!(refused.refusal(), (400, "invalid".into(), "apns.topic".into()));
    assert_eq!(world.admin.get(HUB).await.json()["apns"]["topic"], "com.example.other");
    world.admin.put(HUB, &json!({})).await.expect(200);
    let mut closed = world.push.closed.subscribe();
    closed.wait_for(|closed| *closed == 2).await.unwrap();
    assert!(world.admin.get(HUB).await.json().get("apns").is_none());
}

#[tokio::test]
async fn settings_and_keys_survive_a_restart() {
    let world = World::start().await;
    let before = world.admin.get(HUB).await.json();
    let world = world.restart(&[]).await;
    assert_eq!(world.admin.get(HUB).await.json(), before);
    world.with_rule("full").await.get(HUB).await.expect(200);
    assert_eq!(world.push.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_rotated_key_lives_on_as_the_secondary_for_one_more_turn() {
    let world = World::start().await;
    let old = world.with_rule("send").await;
    let first = world.admin.send("POST", "/v1/hubs/demo/keys/send:rotate", &[], b"").await.expect(200).json();
    assert_eq!(first["name"], "send");
    let new = Client::bearer(world.running.address(), first["primary"].as_str().unwrap());
    for caller in [&old, &new] {
        caller.get("/v1/hubs/demo/broadcasts").await.expect(200);
    }
    let second = world.admin.send("POST", "/v1/hubs/demo/keys/send:rotate", &[], b"").await.expect(200).json();
    assert_eq!(second["secondary"], first["primary"]);
    old.get("/v1/hubs/demo/broadcasts").await.expect(401);
    new.get("/v1/hubs/demo/broadcasts").await.expect(200);
}

#[tokio::test]
async fn what_the_configuration_decides_is_read_only() {
    let rule = "FANFARE_HUB";
    let keys = [
        ("HUBS__demo__WEIGHT", "3"),
        ("HUBS__demo__KEYS__app__RIGHTS", r#"["listen"]"#),
        ("HUBS__demo__KEYS__app__PRIMARY", rule),
    ];
    let world = World::bare(&keys).await;
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!((&shown["weight"], &shown["read_only"]), (&json!(3), &json!(true)));
    assert_eq!(shown["keys"]["app"]["primary"], rule);
    let read_only = (409, "read_only".to_owned(), String::new());
    assert_eq!(world.admin.put(HUB, &json!({})).await.refusal(), read_only);
    assert_eq!(world.admin.delete(HUB).await.refusal(), read_only);
    let rotated = world.admin.send("POST", "/v1/hubs/demo/keys/app:rotate", &[], b"").await;
    assert_eq!(rotated.refusal(), read_only);
    // Without keys in the configuration they are the API's, and outlive restarts.
    let world = world.restart(&[("HUBS__demo__WEIGHT", "4")]).await;
    let shown = world.admin.get(HUB).await.json();
    assert_eq!((&shown["weight"], &shown["keys"]["app"]["primary"]), (&json!(4), &json!(rule)));
    world.admin.send("POST", "/v1/hubs/demo/keys/app:rotate", &[], b"").await.expect(200);
    // Out of the configuration, the hub is the API's altogether.
    let world = world.restart(&[]).await;
    let shown = world.admin.get(HUB).await.json();
    assert_eq!((&shown["read_only"], &shown["keys"]["app"]["secondary"]), (&json!(false), &json!(rule)));
    world.admin.delete(HUB).await.expect(204);
}

#[tokio::test]
async fn a_paused_sender_is_shown_and_new_credentials_let_it_go_on() {
    let world = World::start().await;
    world.register(10).await;
    world.push.set(Mood::Refuse);
    let id = world.send("all").await;
    let waiting = world.until(&id, |progress| progress["waiting"][0]["reason"] == "InvalidProviderToken").await;
    assert_eq!((&waiting["state"], &waiting["counters"]["pending"]), (&json!("running"), &json!(10)));
    let sender = world.admin.get(HUB).await.json()["senders"]["apns"].clone();
    assert_eq!((&sender["state"], &sender["reason"]), (&json!("paused"), &json!("InvalidProviderToken")));
    world.push.set(Mood::Accept);
    let mut settings = hub();
    settings["apns"]["key"] = json!("another one");
    world.admin.put(HUB, &settings).await.expect(200);
    let over = world.finished(&id).await;
    assert_eq!(over["counters"]["delivered"], 10);
    assert_eq!(world.admin.get(HUB).await.json()["senders"], json!({"apns": {"state": "ok"}}));
}
