//! A hub's accounts with the smaller services, from PUT or configuration to outcomes.

use serde_json::{Value, json};

use crate::world::{ALL, HUB, World, all_is_well, one_is_dead};

#[tokio::test]
async fn devices_get_their_message_and_a_dead_one_is_dropped() {
    let world = World::start(one_is_dead(), false).await;
    let created = world.admin.put(HUB, &world.accounts).await.expect(201).json();
    for (platform, secret) in ALL {
        let secret = world.accounts[platform][secret].as_str().unwrap();
        assert!(!created.to_string().contains(secret), "{created}");
        assert_eq!(created["senders"][platform]["state"], "ok");
        for device in 0..5 {
            world.register(platform, device).await;
        }
    }
    let done = world.send(json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    for (platform, _) in ALL {
        let it = &done["platforms"][platform];
        assert_eq!((&it["delivered"], &it["dropped"]), (&json!(4), &json!(1)), "{done}");
    }
    let payloads = json!({
        "adm": {"data": {"k": "v"}}, "baidu": {"description": "B"}, "xiaomi": {"title": "T", "description": "B"},
    });
    let done = world.send(json!({"audience": "all", "payloads": payloads})).await;
    for (platform, _) in ALL {
        assert_eq!(done["platforms"][platform]["delivered"], 4, "{done}");
        assert_eq!(world.receipts(platform).accepted(), 8);
    }
    assert_eq!(world.last_form("xiaomi")["title"], "T");
}

#[tokio::test]
async fn what_is_shown_can_be_sent_back_and_a_secret_stays_with_what_it_belongs_to() {
    let world = World::with_hub(all_is_well()).await;
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!(world.admin.put(HUB, &shown).await.expect(200).json(), shown);
    for (platform, member, other, secret) in [
        ("adm", "token_endpoint", "https://localhost:1/t", "client_secret"),
        ("adm", "client_id", "other", "client_secret"),
        ("baidu", "api_key", "other", "secret_key"),
        ("xiaomi", "endpoint", "https://localhost:1", "app_secret"),
    ] {
        let mut astray = shown.clone();
        astray[platform][member] = other.into();
        let refused = world.admin.put(HUB, &astray).await;
        assert_eq!((refused.refusal().0, refused.refusal().2), (400, format!("{platform}.{secret}")));
    }
}

#[tokio::test]
async fn a_configured_hub_sends_as_well() {
    let world = World::start(all_is_well(), true).await;
    for (platform, _) in ALL {
        world.register(platform, 0).await;
    }
    let done = world.send(json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    assert_eq!(done["counters"]["delivered"], 3, "{done}");
    for (platform, _) in ALL {
        assert_eq!(world.receipts(platform).accepted(), 1, "{platform}");
    }
}

#[tokio::test]
async fn templates_are_rendered_for_each_service() {
    let world = World::with_hub(all_is_well()).await;
    let full = world.full().await;
    for (platform, body, headers) in [
        ("adm", r#"{"data":{"m":"$(msg)"}}"#, json!({})),
        ("baidu", r#"{"description":"$(msg)"}"#, json!({"X-Baidu-Message-Type": "0"})),
        ("xiaomi", r#"{"title":"T","description":"$(msg)","extra":{"m":"$(msg)"}}"#, json!({})),
    ] {
        let document = json!({
            "platform": platform, "pushChannel": crate::world::channel(platform, 0),
            "templates": {"t": {"body": body, "headers": headers}},
        });
        full.put(&format!("{HUB}/installations/{platform}"), &document).await.expect(201);
    }
    let done = world.send(json!({"template": {"msg": "Hi \"there\""}})).await;
    assert_eq!(done["counters"]["delivered"], 3, "{done}");
    let (baidu, xiaomi) = (world.last_form("baidu"), world.last_form("xiaomi"));
    let msg: Value = serde_json::from_str(&baidu["msg"]).unwrap();
    assert_eq!((&msg["description"], baidu["msg_type"].as_str()), (&json!("Hi \"there\""), "0"));
    assert_eq!((xiaomi["description"].as_str(), xiaomi["extra.m"].as_str()), ("Hi \"there\"", "Hi \"there\""));
    // What a template makes too long is that device's outcome.
    let long = world.send(json!({"template": {"msg": "x".repeat(200)}})).await;
    assert_eq!(long["platforms"]["xiaomi"]["rejected"], 1, "{long}");
}

#[tokio::test]
async fn each_bad_member_is_refused_by_its_name() {
    let world = World::start(all_is_well(), false).await;
    for (platform, member, value) in [
        ("adm", "client_id", json!("a b")),
        ("adm", "client_id", json!(null)),
        ("adm", "client_secret", json!("")),
        ("adm", "client_secret", json!(null)),
        ("adm", "endpoint", json!("http://localhost")),
        ("adm", "token_endpoint", json!("http://localhost/t")),
        ("baidu", "api_key", json!("a b")),
        ("baidu", "api_key", json!(null)),
        ("baidu", "secret_key", json!("")),
        ("baidu", "secret_key", json!(null)),
        ("baidu", "endpoint", json!("http://localhost")),
        ("xiaomi", "app_secret", json!("a b")),
        ("xiaomi", "app_secret", json!(null)),
        ("xiaomi", "package_name", json!("a b")),
        ("xiaomi", "endpoint", json!("https://localhost/v3")),
    ]
    .into_iter()
    .chain(ALL.into_iter().flat_map(|(platform, _)| {
        [("ca", json!("no root")), ("rate_per_second", json!(-1)), ("tenant_id", json!("t"))]
            .map(|(member, value)| (platform, member, value))
    })) {
        let mut account = world.accounts[platform].clone();
        account[member] = value.clone();
        let refused = world.admin.put(HUB, &json!({platform: account})).await;
        let named = (400, format!("{platform}.{member}"));
        assert_eq!((refused.refusal().0, refused.refusal().2), named, "{member}: {value}");
    }
}
