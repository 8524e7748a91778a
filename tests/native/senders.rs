//! Credentials in use: changed through the API, wrong, and good again, over real connections.

use std::time::Duration;

use loadtest::gateways::{ProviderKey, Simulated, Token};
use serde_json::{Value, json};

use crate::client::Client;
use crate::real::{Real, TEAM};
use crate::world::{broadcast, document, finished, send, until};

/// The first wait before a paused sender is probed.
const PROBE: Duration = Duration::from_secs(30);

async fn register(admin: &Client, devices: u64) {
    admin.import("/v1/hubs/demo", (0..devices).map(document)).await;
}

/// Sends to everybody and waits until the sender is paused for its credentials; nobody is dropped.
async fn held(real: &Real, devices: u64) -> String {
    let id = send(&real.admin, &broadcast("all")).await;
    let held = until(&real.admin, &id, |progress| progress["waiting"][0]["reason"] == "InvalidProviderToken").await;
    assert_eq!((&held["state"], &held["counters"]["pending"]), (&json!("running"), &json!(devices)));
    let sender = real.sender().await;
    assert_eq!((&sender["state"], &sender["reason"]), (&json!("paused"), &json!("InvalidProviderToken")));
    assert_eq!(counted(&real.admin).await, devices);
    id
}

async fn counted(admin: &Client) -> u64 {
    let count = admin.post("/v1/hubs/demo/audience", &json!({})).await.expect(200).json();
    count["count"].as_u64().unwrap()
}

/// Nobody was missed, served twice or dropped.
async fn each_got_one(real: &Real, devices: u64) {
    for device in 0..devices {
        let token = Token::from_hex(format!("{:064x}", device + 1).as_bytes()).unwrap();
        let accepted = real.sim.receipts().of(&token).iter().filter(|receipt| receipt.accepted()).count();
        assert_eq!(accepted, 1, "device {device}");
    }
    assert_eq!(counted(&real.admin).await, devices);
}

fn delivered(over: &Value) -> u64 {
    assert_eq!(over["state"], "completed");
    over["counters"]["delivered"].as_u64().unwrap()
}

#[tokio::test]
async fn a_paused_sender_resumed_by_hand_delivers_what_was_held() {
    let real = Real::start().await;
    register(&real.admin, 20).await;
    real.sim.revoke(&real.key.key_id);
    let id = held(&real, 20).await;
    // Too early: it is paused again, and nobody is lost.
    let resume = async || {
        real.admin.send("POST", "/v1/hubs/demo/senders/apns:resume", &[], b"").await.expect(200).json()["was_paused"]
            .clone()
    };
    assert_eq!(resume().await, json!(true));
    until(&real.admin, &id, |progress| progress["waiting"][0]["reason"] == "InvalidProviderToken").await;
    real.sim.trust(&real.key);
    assert_eq!(resume().await, json!(true));
    assert_eq!(delivered(&finished(&real.admin, &id).await), 20);
    assert_eq!(real.sender().await, json!({"state": "ok"}));
    each_got_one(&real, 20).await;
    assert_eq!(resume().await, json!(false));
    assert!(real.running.stop().await);
}

#[tokio::test]
async fn a_changed_key_signs_the_next_push_without_a_restart() {
    let real = Real::start().await;
    register(&real.admin, 5).await;
    let id = send(&real.admin, &broadcast("all")).await;
    assert_eq!(delivered(&finished(&real.admin, &id).await), 5);
    let next = real.sim.issue_key(TEAM).unwrap();
    real.use_key(&next).await;
    real.sim.revoke(&real.key.key_id);
    let id = send(&real.admin, &broadcast("all")).await;
    assert_eq!(delivered(&finished(&real.admin, &id).await), 5);
    assert_eq!(real.signers(), [real.key.key_id.clone(), next.key_id.clone()]);
    assert!(real.running.stop().await);
}

#[tokio::test]
async fn a_wrong_key_pauses_drops_nobody_and_a_probe_resumes() {
    let real = Real::start().await;
    register(&real.admin, 20).await;
    let wrong = ProviderKey::generate(TEAM).unwrap();
    real.use_key(&wrong).await;
    let id = held(&real, 20).await;
    // The service learns of the key; nobody tells the sender, who asks again after a while.
    real.sim.trust(&wrong);
    real.clock.turn(PROBE);
    real.sim.clock().advance(PROBE);
    assert_eq!(delivered(&finished(&real.admin, &id).await), 20);
    assert_eq!(real.sender().await, json!({"state": "ok"}));
    each_got_one(&real, 20).await;
    assert!(real.running.stop().await);
}

#[tokio::test]
async fn a_wrong_key_that_is_replaced_delivers_what_was_held() {
    let real = Real::start().await;
    register(&real.admin, 20).await;
    real.use_key(&ProviderKey::generate(TEAM).unwrap()).await;
    let id = held(&real, 20).await;
    real.use_key(&real.key).await;
    assert_eq!(delivered(&finished(&real.admin, &id).await), 20);
    each_got_one(&real, 20).await;
    assert!(real.running.stop().await);
}
