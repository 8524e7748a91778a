//! A hub that reaches browsers, from PUT to outcomes.

use loadtest::gateways::script::Act;
use loadtest::gateways::{Script, Simulated, WebPushConfig};
use serde_json::{Value, json};

use crate::bench::prefix;
use crate::world::{HUB, World};

fn kept() -> WebPushConfig {
    WebPushConfig { keep_requests: true, ..WebPushConfig::default() }
}

fn scripted(script: Script) -> WebPushConfig {
    WebPushConfig { script, ..WebPushConfig::default() }
}

#[tokio::test]
async fn everyone_who_is_owed_a_message_receives_one() {
    let world = World::new(kept()).await;
    world.register_browsers(0..400).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    assert_eq!((&done["state"], &done["counters"]["targeted"]), (&json!("completed"), &json!(400)));
    assert_eq!(done["platforms"]["web_push"]["delivered"], 400, "{done}");
    world.received_once(0..400);
    let shown: Value = serde_json::from_slice(&world.sim.receipts().full(0).unwrap().body).unwrap();
    assert_eq!(shown, json!({"title": "Hello", "tag": id}));
    assert_eq!(world.outcome(&id, "page-399").await.0, "delivered");
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_configured_hub_sends_as_well() {
    let world = World::configured(WebPushConfig::default()).await;
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!((&shown["read_only"], &shown["web_push"]["allow_private_networks"]), (&json!(true), &json!(true)));
    assert!(!shown.to_string().contains("PRIVATE"), "{shown}");
    world.register_browsers(0..5).await;
    let id = world.greet().await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 5);
    world.received_once(0..5);
}

#[tokio::test]
async fn a_payload_goes_out_as_it_was_given_and_no_longer_one_is_taken() {
    let world = World::new(kept()).await;
    world.register_browsers(0..3).await;
    let object =
        json!({"audience": "all", "payloads": {"web_push": {"title": "Hello", "n": 1}}, "collapse_key": "score:1"});
    let id = world.send(object).await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 3);
    let request = world.sim.receipts().full(0).unwrap();
    assert_eq!(String::from_utf8(request.body.clone()).unwrap().replace(' ', ""), r#"{"n":1,"title":"Hello"}"#);
    assert_eq!(request.header("topic").unwrap().len(), 32, "made of a key that is none");
    let send = |payload: Value| json!({"audience": "all", "payloads": {"web_push": payload}});
    let id = world.send(send("x".repeat(3_993).into())).await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 3);
    let refused = world.admin.post(&format!("{HUB}/broadcasts"), &send("x".repeat(3_994).into())).await;
    assert_eq!((refused.refusal().0, refused.refusal().2), (400, "payloads.web_push".to_owned()));
}

#[tokio::test]
async fn the_key_never_comes_out() {
    let world = World::new(WebPushConfig::default()).await;
    let pem = world.sim.vapid_private_key();
    let inner = pem.lines().nth(1).unwrap();
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert!(!shown.to_string().contains(inner) && shown["web_push"].get("vapid_private_key").is_none(), "{shown}");
    assert_eq!(shown["web_push"]["vapid_public_key"].as_str().unwrap().len(), 87);
    // What GET shows can be sent back, and still sends.
    assert_eq!(world.admin.put(HUB, &shown).await.expect(200).json(), shown);
    world.register_browsers(0..1).await;
    let id = world.greet().await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 1);
    for bytes in world.at_rest() {
        assert!(!bytes.windows(inner.len()).any(|window| window == inner.as_bytes()));
    }
}

#[tokio::test]
async fn each_bad_member_is_refused_by_its_name() {
    let world = World::bare(WebPushConfig::default()).await;
    for (member, value) in [
        ("subject", json!("ops@example.com")),
        ("subject", json!(null)),
        ("vapid_private_key", json!("no key")),
        ("vapid_private_key", json!(null)),
        ("allow_private_networks", json!("yes")),
        ("ca", json!("no root")),
        ("rate_per_second", json!(-1)),
        ("endpoint", json!("https://push.example")),
    ] {
        let refused = world.admin.put(HUB, &json!({"web_push": world.account_with(member, value.clone())})).await;
        assert_eq!(
            (refused.refusal().0, refused.refusal().2),
            (400, format!("web_push.{member}")),
            "{member}: {value}"
        );
    }
    world.admin.get(HUB).await.expect(404);
}

#[tokio::test]
async fn a_refused_key_pauses_the_sender_and_a_good_answer_completes_what_waits() {
    let world = World::new(scripted(Script::new().always(Act::refuse(401, "109")))).await;
    world.register_browsers(0..20).await;
    let id = world.greet().await;
    let waits = world.until(&id, |progress| progress["waiting"][0]["platform"] == "web_push").await;
    assert_eq!((&waits["waiting"][0]["reason"], &waits["counters"]["pending"]), (&json!("errno 109"), &json!(20)));
    assert_eq!(world.sender().await["state"], "paused");
    world.sim.set_script(Script::new());
    world.admin.post(&format!("{HUB}/senders/web_push:resume"), &json!({})).await.expect(200);
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 20);
    world.received_once(0..20);
    assert_eq!(world.sender().await, json!({"state": "ok"}));
}

#[tokio::test]
async fn a_dead_subscription_is_dropped_and_its_document_says_so() {
    let world = World::new(scripted(Script::new().token(&prefix(1), Act::refuse(410, "106")))).await;
    world.register_browsers(0..30).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    let counters = &done["counters"];
    assert_eq!((&counters["delivered"], &counters["dropped"]), (&json!(29), &json!(1)), "{done}");
    assert_eq!(world.outcome(&id, "page-1").await, ("dropped".to_owned(), "errno 106".to_owned()));
    let expired = async |id: &str| {
        let shown = world.admin.get(&format!("{HUB}/installations/{id}")).await.expect(200).json();
        shown["pushChannelExpired"].clone()
    };
    assert_eq!((expired("page-1").await, expired("page-2").await), (json!(true), json!(false)));
    let again = world.greet().await;
    assert_eq!(world.finished(&again).await["counters"]["targeted"], 29);
}

#[tokio::test]
async fn what_leads_into_the_operators_network_is_rejected_and_holds_up_nobody() {
    let world = World::new(WebPushConfig::default()).await;
    let guarded = world.account_with("allow_private_networks", json!(false));
    world.admin.put(HUB, &json!({"web_push": guarded})).await.expect(200);
    world.register_browsers(0..10).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    assert_eq!(done["counters"]["rejected"], 10, "{done}");
    let why = "endpoint is of no allowed address".to_owned();
    assert_eq!(world.outcome(&id, "page-3").await, ("rejected".to_owned(), why));
    assert_eq!(world.sender().await, json!({"state": "ok"}));
    assert!(world.sim.receipts().is_empty());
}

#[tokio::test]
async fn a_broken_subscription_is_refused_when_it_is_registered() {
    let world = World::new(WebPushConfig::default()).await;
    for (member, value, rule) in
        [("p256dh", "BAAA", "p256dh"), ("auth", "AAAA", "auth"), ("endpoint", "http://push.example/x", "https://")]
    {
        let mut browser = world.browser(0);
        browser["pushChannel"][member] = value.into();
        let refused = world.admin.put(&format!("{HUB}/installations/page-0"), &browser).await;
        assert_eq!((refused.refusal().0, refused.refusal().2), (400, "pushChannel".to_owned()), "{member}");
        let text = refused.json()["error"]["message"].to_string();
        assert!(text.contains(rule), "{text}");
    }
}

#[tokio::test]
async fn a_phone_of_a_retired_service_is_registered_and_told_why_nothing_comes() {
    let world = World::new(WebPushConfig::default()).await;
    let phone = json!({
        "installationId": "lumia", "platform": "mpns", "tags": ["all"],
        "pushChannel": "https://s.notify.live.net/u/1/sin/HmQAAAD",
    });
    world.register([phone]).await;
    world.register_browsers(0..1).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    assert_eq!((&done["counters"]["delivered"], &done["counters"]["rejected"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(world.outcome(&id, "lumia").await, ("rejected".to_owned(), "service_retired".to_owned()));
}
