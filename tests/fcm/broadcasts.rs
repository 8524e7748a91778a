//! Broadcasts through the API to devices of FCM.

use loadtest::gateways::receipts::collapse_hash;
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer, Script, Simulated, Token, fcm};
use serde_json::{Value, json};

use crate::bench::{device, prefix, token};
use crate::world::{HUB, World};

#[tokio::test]
async fn everyone_owed_gets_one_message_under_either_word_of_the_platform() {
    let world = World::with(4_000, Script::new()).await;
    let path = world.send(&json!({"audience": "all", "notification": {"title": "Hello", "body": "World"}})).await;
    let counters = world.finished(&path).await;
    assert_eq!((&counters["targeted"], &counters["delivered"]), (&json!(4_000), &json!(4_000)), "{counters}");
    let owed: Vec<Token> = (0..4_000).map(device).collect();
    let receipts = world.sim.receipts();
    assert_eq!((receipts.missing(&owed), receipts.repeated()), (vec![], vec![]));
    assert!(!world.sim.counts().violations.any());
    // Without a collapse key the broadcast's id lets a repeat replace the first copy.
    let id = path.rsplit('/').next().unwrap();
    let all = receipts.page(0, 4_000);
    assert!(all.iter().all(|one| one.collapse == collapse_hash(id.as_bytes()) && one.body == all[0].body));
    let message: Value = serde_json::from_slice(&receipts.full(0).unwrap().body).unwrap();
    assert_eq!(message["message"]["notification"], json!({"title": "Hello", "body": "World"}));
    assert_eq!(message["message"]["android"]["notification"]["tag"], id);
    assert_eq!(message["message"]["apns"]["headers"]["apns-collapse-id"], id);
    let path = world.send(&json!({"audience": "gcm", "notification": {"title": "Half"}})).await;
    assert_eq!(world.finished(&path).await["delivered"], 2_000);
}

#[tokio::test]
async fn a_payload_of_the_callers_own_goes_as_it_is() {
    let world = World::with(3, Script::new()).await;
    let own = json!({
        "data": {"score": "3:1"},
        "android": {"ttl": "5s", "priority": "NORMAL", "collapse_key": "score"},
        "apns": {"headers": {"apns-collapse-id": "own"}, "payload": {"aps": {"content-available": 1}}},
    });
    let path = world.send(&json!({"audience": "all", "payloads": {"fcm": own}})).await;
    assert_eq!(world.finished(&path).await["delivered"], 3);
    let mut message: Value = serde_json::from_slice(&world.sim.receipts().full(0).unwrap().body).unwrap();
    let message = message["message"].take();
    for member in ["data", "android"] {
        assert_eq!(message[member], own[member]);
    }
    assert_eq!(message["apns"]["headers"]["apns-collapse-id"], "own");
    assert_eq!(message["apns"]["payload"], own["apns"]["payload"]);
}

#[tokio::test]
async fn a_device_that_is_gone_is_dropped_and_others_of_a_wrong_project_are_not() {
    let script = Script::new()
        .token(&prefix(1), Act::refuse(404, "UNREGISTERED"))
        .token(&prefix(2), Act::refuse(403, "SENDER_ID_MISMATCH"));
    let world = World::with(100, script).await;
    let path = world.send(&json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    let counters = world.finished(&path).await;
    let count = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!((count("delivered"), count("dropped"), count("rejected")), (98, 1, 1), "{counters}");
    let expired = |device: u64| format!("{HUB}/installations/dev-{device}");
    assert_eq!(world.get(&expired(1)).await["pushChannelExpired"], true);
    assert_ne!(world.get(&expired(2)).await["pushChannelExpired"], true);
    // The dropped one is owed nothing any more.
    let path = world.send(&json!({"audience": "all", "notification": {"title": "Again"}})).await;
    assert_eq!(world.finished(&path).await["targeted"], 99);
    assert_eq!(world.sim.receipts().of(&device(1)).len(), 1);
}

#[tokio::test]
async fn a_wrong_account_pauses_the_sender_drops_nobody_and_the_right_one_goes_on() {
    let world = World::with(2_500, Script::new()).await;
    let right = world.sim.account();
    let wrong = fcm::Account::generate(&right.project_id, &right.client_email, &right.token_uri).unwrap();
    world.use_account(&wrong.json()).await;
    let path = world.send(&json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    let hub = world.until(HUB, |hub| hub["senders"]["fcm"]["state"] == "paused").await;
    assert_eq!(hub["senders"]["fcm"]["reason"], "invalid_grant", "{hub}");
    let standing = world.get(&path).await;
    assert_eq!(standing["counters"]["delivered"], 0, "{standing}");
    assert!(world.sim.receipts().is_empty());
    world.use_account(&right.json()).await;
    let counters = world.finished(&path).await;
    assert_eq!((&counters["delivered"], &counters["dropped"]), (&json!(2_500), &json!(0)), "{counters}");
    let owed: Vec<Token> = (0..2_500).map(|n| Token::new(token(n).as_bytes())).collect();
    assert_eq!((world.sim.receipts().missing(&owed), world.sim.receipts().repeated()), (vec![], vec![]));
    let hub = world.get(HUB).await;
    assert_ne!(hub["senders"]["fcm"]["state"], "paused", "{hub}");
}

#[tokio::test]
async fn a_token_that_the_service_forgets_costs_nobody_anything() {
    let world = World::with(2_500, Script::new().latency(2)).await;
    let hello = json!({"audience": "all", "notification": {"title": "Hello"}});
    assert_eq!(world.finished(&world.send(&hello).await).await["delivered"], 2_500);
    world.sim.reset();
    world.sim.forget_tokens();
    assert_eq!(world.finished(&world.send(&hello).await).await["delivered"], 2_500);
    assert_eq!(world.sim.tokens_given(), 2);
    assert_eq!((world.sim.receipts().accepted(), world.sim.receipts().repeated()), (2_500, vec![]));
}

/// Everyone is served in the end, and the sender learns to ask for less: few are refused for each that is taken.
#[tokio::test]
async fn a_quota_that_is_used_up_costs_time_and_nobody() {
    let beyond = Act::Answer(Answer::refused(429, "QUOTA_EXCEEDED").with_retry_after("1"));
    let world = World::with(3_000, Script::new().quota(500, beyond)).await;
    let path = world.send(&json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    let counters = world.finished(&path).await;
    assert_eq!((&counters["delivered"], &counters["rejected"]), (&json!(3_000), &json!(0)), "{counters}");
    let receipts = world.sim.receipts();
    assert_eq!((receipts.accepted(), receipts.repeated()), (3_000, vec![]));
    let refused = receipts.count_reason("QUOTA_EXCEEDED");
    assert!((1..1_500).contains(&refused), "{refused}");
}

#[tokio::test]
async fn templates_of_either_word_become_messages() {
    let world = World::with(0, Script::new()).await;
    let documents = [
        json!({"installationId": "new", "platform": "fcmv1", "pushChannel": token(0), "templates": {"t": {"body":
            r#"{"message":{"token":"nobody","data":{"msg":"$(msg)"},"android":{"ttl":"5s"}}}"#}}}),
        json!({"installationId": "old", "platform": "gcm", "pushChannel": token(1), "templates": {"t": {"body":
            r#"{"data":{"message":"{'> ' + $(msg)}"}}"#}}}),
    ];
    let lines: String = documents.iter().map(|line| line.to_string() + "\n").collect();
    world.call("POST", &format!("{HUB}/installations:import"), &lines).await;
    let path = world.send(&json!({"template": {"msg": "a \"b\""}})).await;
    assert_eq!(world.finished(&path).await["delivered"], 2);
    let receipts = world.sim.receipts();
    let mut messages: Vec<Value> =
        (0..2).map(|order| serde_json::from_slice(&receipts.full(order).unwrap().body).unwrap()).collect();
    messages.sort_by_key(|message| message["message"]["token"] != token(0));
    assert_eq!(messages[0]["message"]["token"], token(0));
    assert_eq!(messages[0]["message"]["data"], json!({"msg": "a \"b\""}));
    assert_eq!(messages[0]["message"]["android"]["ttl"], "5s");
    assert_eq!(messages[1]["message"]["token"], token(1));
    assert_eq!(messages[1]["message"]["data"], json!({"message": "> a \"b\""}));
    assert!(!world.sim.counts().violations.any());
}
