//! A hub's account with WNS, from PUT to outcomes.

use loadtest::gateways::script::Act;
use loadtest::gateways::{Script, Simulated, WnsConfig};
use serde_json::{Value, json};

use crate::bench::prefix;
use crate::scripted;
use crate::world::{HUB, World, apple};

#[tokio::test]
async fn everyone_who_is_owed_a_toast_receives_one() {
    let world = World::new(WnsConfig { keep_requests: true, ..WnsConfig::default() }).await;
    world.register_windows(0..400).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    assert_eq!((&done["state"], &done["counters"]["targeted"]), (&json!("completed"), &json!(400)));
    assert_eq!(done["platforms"]["wns"]["delivered"], 400, "{done}");
    world.received_once(0..400);
    let request = world.wns.receipts().full(0).unwrap();
    assert_eq!(request.header("x-wns-type"), Some("wns/toast"));
    assert!(String::from_utf8(request.body).unwrap().contains("<text>Hello</text>"));
    assert_eq!(world.outcome(&id, "win-399").await.0, "delivered");
    let (open, sim) = (world.gauge("fanfare_gateway_connections").await, world.wns.counts().connections_open);
    assert!(open >= 1.0 && sim >= 1, "{open} {sim}");
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_configured_hub_sends_as_well() {
    let world = World::configured(WnsConfig::default()).await;
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!((&shown["read_only"], &shown["wns"]["auth"]), (&json!(true), &json!("entra")), "{shown}");
    assert!(!shown.to_string().contains("a secret & more"));
    world.register_windows(0..5).await;
    let id = world.greet().await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 5);
    world.received_once(0..5);
}

#[tokio::test]
async fn a_payload_goes_out_as_it_was_given() {
    let world = World::new(WnsConfig { keep_requests: true, ..WnsConfig::default() }).await;
    world.register_windows(0..3).await;
    world.register([apple(0)]).await;
    let id = world.send(json!({"payloads": {"wns": "one, two & <three"}})).await;
    let done = world.finished(&id).await;
    assert_eq!(done["counters"]["targeted"], 3, "only the platform that has a payload: {done}");
    world.received_once(0..3);
    for order in 0..3 {
        let request = world.wns.receipts().full(order).unwrap();
        assert_eq!(request.header("x-wns-type"), Some("wns/raw"));
        assert_eq!(request.body, b"one, two & <three");
    }
    let broken = json!({"audience": "all", "payloads": {"wns": "x".repeat(5_001)}});
    let refused = world.admin.post(&format!("{HUB}/broadcasts"), &broken).await;
    assert_eq!((refused.refusal().0, refused.refusal().2), (400, "payloads.wns".to_owned()));
}

#[tokio::test]
async fn the_secret_never_comes_out_and_stays_with_its_identity() {
    let world = World::new(WnsConfig::default()).await;
    let secret = "a secret & more";
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert!(!shown.to_string().contains("client_secret") && !shown.to_string().contains(secret), "{shown}");
    assert_eq!((&shown["wns"]["auth"], &shown["wns"]["tenant_id"]), (&json!("entra"), &json!("example.com")));
    assert_eq!(shown["wns"]["allowed_hosts"], json!([world.wns.allowed_host()]));
    // What GET shows can be sent back, and still sends.
    assert_eq!(world.admin.put(HUB, &shown).await.expect(200).json(), shown);
    world.register_windows(0..1).await;
    let id = world.greet().await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 1);
    let mut astray = shown.clone();
    astray["wns"]["token_endpoint"] = "https://localhost:1/t".into();
    let refused = world.admin.put(HUB, &astray).await;
    assert_eq!((refused.refusal().0, refused.refusal().2), (400, "wns.client_secret".to_owned()));
    for bytes in world.at_rest() {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn each_bad_member_is_refused_by_its_name() {
    let world = World::bare(WnsConfig::default()).await;
    for (member, value) in [
        ("auth", json!("oauth")),
        ("tenant_id", json!("a/b")),
        ("tenant_id", json!(null)),
        ("client_id", json!("a b")),
        ("client_id", json!(null)),
        ("client_secret", json!("")),
        ("client_secret", json!(null)),
        ("token_endpoint", json!("http://localhost/t")),
        ("token_endpoint", json!("https://localhost/{other}")),
        ("allowed_hosts", json!(["https://h"])),
        ("allowed_hosts", json!("h")),
        ("ca", json!("no root")),
        ("rate_per_second", json!(-1)),
        ("secret", json!("unknown")),
    ] {
        let refused = world.admin.put(HUB, &json!({"wns": world.account_with(member, value.clone())})).await;
        assert_eq!((refused.refusal().0, refused.refusal().2), (400, format!("wns.{member}")), "{member}: {value}");
    }
    let mut live = world.account_with("auth", json!("live"));
    assert_eq!(world.admin.put(HUB, &json!({"wns": live})).await.refusal().2, "wns.tenant_id");
    live["tenant_id"] = Value::Null;
    live["token_endpoint"] = world.wns.live_endpoint().into();
    assert_eq!(world.admin.put(HUB, &json!({"wns": live})).await.refusal().2, "wns.client_id");
    world.admin.get(HUB).await.expect(404);
    live["client_id"] = WnsConfig::default().package_sid.into();
    world.admin.put(HUB, &json!({"wns": live})).await.expect(201);
    world.register_windows(0..2).await;
    let id = world.greet().await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 2, "the older flow sends as well");
}

#[tokio::test]
async fn a_wrong_secret_pauses_the_sender_and_the_right_one_completes_what_waits() {
    let world = World::bare(WnsConfig::default()).await;
    let wrong = json!({"wns": world.account_with("client_secret", json!("wrong"))});
    world.admin.put(HUB, &wrong).await.expect(201);
    world.register_windows(0..50).await;
    let id = world.greet().await;
    let waits = world.until(&id, |progress| progress["waiting"][0]["platform"] == "wns").await;
    assert_eq!(waits["waiting"][0]["reason"], "invalid_client");
    assert_eq!((&waits["counters"]["pending"], &waits["counters"]["targeted"]), (&json!(50), &json!(50)));
    let sender = world.sender().await;
    assert_eq!((&sender["state"], &sender["reason"]), (&json!("paused"), &json!("invalid_client")));
    assert!(world.wns.receipts().is_empty());
    world.admin.put(HUB, &json!({"wns": world.account()})).await.expect(200);
    let done = world.finished(&id).await;
    assert_eq!((&done["counters"]["delivered"], &done["counters"]["dropped"]), (&json!(50), &json!(0)), "{done}");
    world.received_once(0..50);
    assert_eq!(world.sender().await, json!({"state": "ok"}));
}

#[tokio::test]
async fn a_sender_that_was_refused_goes_on_by_hand() {
    let world = World::new(scripted(Script::new().always(Act::refuse(401, "token")))).await;
    world.register_windows(0..20).await;
    let id = world.greet().await;
    world.until(&id, |progress| progress["waiting"][0]["platform"] == "wns").await;
    assert_eq!(world.sender().await["state"], "paused");
    world.wns.set_script(Script::new());
    let resumed = world.admin.post(&format!("{HUB}/senders/wns:resume"), &json!({})).await.expect(200).json();
    assert_eq!(resumed["was_paused"], true, "{resumed}");
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 20);
    world.received_once(0..20);
}

#[tokio::test]
async fn a_dead_channel_is_dropped_and_one_of_a_strange_host_is_never_asked() {
    let world = World::new(scripted(Script::new().token(&prefix(1), Act::refuse(410, "Channel expired")))).await;
    world.register_windows(0..30).await;
    let stranger = |n: u64| {
        let channel = format!("https://127.0.0.1:{}/?token=00", n + 1);
        json!({"installationId": format!("odd-{n}"), "platform": "wns", "pushChannel": channel, "tags": ["all"]})
    };
    world.register((0..10).map(stranger)).await;
    let id = world.greet().await;
    let done = world.finished(&id).await;
    let counters = &done["counters"];
    assert_eq!((&counters["delivered"], &counters["dropped"]), (&json!(29), &json!(1)), "{done}");
    assert_eq!((&counters["rejected"], &counters["targeted"]), (&json!(10), &json!(40)), "{done}");
    assert_eq!(world.outcome(&id, "win-1").await, ("dropped".to_owned(), "Channel expired".to_owned()));
    let why = "channel is of no allowed host".to_owned();
    assert_eq!(world.outcome(&id, "odd-3").await, ("rejected".to_owned(), why));
    let expired = async |id: &str| {
        let shown = world.admin.get(&format!("{HUB}/installations/{id}")).await.expect(200).json();
        shown["pushChannelExpired"].clone()
    };
    assert_eq!((expired("win-1").await, expired("win-2").await), (json!(true), json!(false)));
    assert_eq!(expired("odd-3").await, false, "a rule of ours is no evidence against a channel");
    let again = world.greet().await;
    assert_eq!(world.finished(&again).await["counters"]["targeted"], 39);
}

#[tokio::test]
async fn channels_of_a_dead_host_hold_up_nobody_else() {
    let world = World::bare(WnsConfig::default()).await;
    let hosts = json!([world.wns.allowed_host(), "localhost:1"]);
    world.admin.put(HUB, &json!({"wns": world.account_with("allowed_hosts", hosts)})).await.expect(201);
    world.register_windows(0..30).await;
    let first = world.greet().await;
    assert_eq!(world.finished(&first).await["counters"]["delivered"], 30);
    let lost = |n: u64| {
        let channel = format!("https://localhost:1/?token={n:02x}");
        json!({"installationId": format!("lost-{n}"), "platform": "wns", "pushChannel": channel, "tags": ["all"]})
    };
    world.register((0..100).map(lost)).await;
    let all_but_the_lost = |progress: &Value| progress["counters"]["delivered"] == 30;
    for _ in 0..3 {
        let id = world.greet().await;
        let progress = world.until(&id, all_but_the_lost).await;
        assert_eq!((&progress["counters"]["pending"], &progress["waiting"]), (&json!(100), &json!([])), "{progress}");
    }
    assert_eq!(world.wns.receipts().accepted(), 4 * 30);
}

#[tokio::test]
async fn apns_does_not_wait_for_a_wns_that_is_out_of_reach() {
    let world = World::bare(WnsConfig::default()).await;
    let dead = world.account_with("token_endpoint", json!("https://localhost:1/t"));
    world.admin.put(HUB, &json!({"apns": world.apns_account(), "wns": dead})).await.expect(201);
    world.register_windows(0..40).await;
    world.register((0..60).map(apple)).await;
    let id = world.greet().await;
    let apart = world
        .until(&id, |progress| {
            progress["platforms"]["apns"]["delivered"] == 60 && progress["waiting"][0]["platform"] == "wns"
        })
        .await;
    assert_eq!(apart["waiting"][0]["reason"], "unreachable", "{apart}");
    assert_eq!(apart["waiting"].as_array().unwrap().len(), 1);
    assert_eq!((&apart["platforms"]["wns"]["pending"], &apart["counters"]["pending"]), (&json!(40), &json!(40)));
    assert_eq!(world.apns.receipts().accepted(), 60);
    assert_eq!(world.sender().await["state"], "ok", "it goes on by itself");
    let mended = json!({"apns": world.apns_account(), "wns": world.account()});
    world.admin.put(HUB, &mended).await.expect(200);
    let done = world.finished(&id).await;
    assert_eq!((&done["platforms"]["wns"]["delivered"], &done["counters"]["delivered"]), (&json!(40), &json!(100)));
    world.received_once(0..40);
    assert_eq!(world.apns.receipts().accepted(), 60, "nobody hears twice");
}

#[tokio::test]
async fn templates_go_out_as_xml_with_their_headers() {
    let world = World::new(WnsConfig { keep_requests: true, ..WnsConfig::default() }).await;
    world.register_windows(0..1).await;
    let at = format!("{HUB}/installations/win-0");
    let mut document = world.admin.get(&at).await.expect(200).json();
    let toast = r#"<toast launch="$(where)"><visual><binding template="ToastText01"><text id="1">$(msg)</text></binding></visual></toast>"#;
    document["templates"] =
        json!({"toast": {"body": toast, "headers": {"X-WNS-Type": "wns/toast", "X-WNS-Tag": "$(tag)"}}});
    world.admin.put(&at, &document).await.expect(200);
    let properties = json!({"msg": "He said \"hi\" & <left>", "where": "a\"b&c", "tag": "t1"});
    let id = world.send(json!({"template": properties})).await;
    let done = world.finished(&id).await;
    assert_eq!(done["counters"]["delivered"], 1, "{done}");
    let request = world.wns.receipts().full(0).unwrap();
    assert_eq!((request.header("x-wns-type"), request.header("x-wns-tag")), (Some("wns/toast"), Some("t1")));
    assert_eq!(request.header("content-type"), Some("text/xml"));
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        "<toast launch=\"a&quot;b&amp;c\"><visual><binding template=\"ToastText01\"><text id=\"1\">\
         He said \"hi\" &amp; &lt;left&gt;</text></binding></visual></toast>"
    );
}
