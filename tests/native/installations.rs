//! Installations one by one.

use serde_json::json;

use crate::push::Mood;
use crate::world::{World, document};

const DEVICE: &str = "/v1/hubs/demo/installations/dev-1";

#[tokio::test]
async fn an_installation_is_put_read_and_deleted() {
    let world = World::start().await;
    let listen = world.with_rule("listen").await;
    let put = listen.put(DEVICE, &document(1)).await.expect(201).json();
    assert_eq!(put, json!({"result": "created"}));
    assert_eq!(listen.put(DEVICE, &document(1)).await.expect(200).json(), json!({"result": "touched"}));
    let mut changed = document(1);
    changed["userId"] = json!("u1");
    assert_eq!(listen.put(DEVICE, &changed).await.expect(200).json(), json!({"result": "updated"}));
    let read = listen.get(DEVICE).await.expect(200).json();
    assert_eq!((&read["userId"], &read["pushChannelExpired"]), (&json!("u1"), &json!(false)));
    assert_eq!(read["tags"], json!(["all", "odd"]));
    // What was read can be put back.
    listen.put(DEVICE, &read).await.expect(200);
    listen.delete(DEVICE).await.expect(204);
    listen.delete(DEVICE).await.expect(204);
    listen.get(DEVICE).await.expect(404);
}

#[tokio::test]
async fn ids_are_decoded_from_the_path() {
    let world = World::start().await;
    let mut document = document(1);
    document["installationId"] = json!("a:b@c#d=é");
    world.admin.put("/v1/hubs/demo/installations/a:b@c%23d=%C3%A9", &document).await.expect(201);
    let read = world.admin.get("/v1/hubs/demo/installations/a%3Ab%40c%23d%3D%C3%A9").await.expect(200).json();
    assert_eq!(read["installationId"], "a:b@c#d=é");
}

#[tokio::test]
async fn a_list_is_paged_and_obeys_its_audience() {
    let world = World::start().await;
    world.register(25).await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let path = format!("/v1/hubs/demo/installations?audience=even%20%26%26%20all&limit=5{cursor}");
        let page = world.admin.get(&path).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["installationId"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let even: Vec<_> = (0..25).step_by(2).map(|device| format!("dev-{device}")).collect();
    assert_eq!((ids, pages), (even, 3));
}

#[tokio::test]
async fn an_audience_is_counted_by_platform() {
    let world = World::start().await;
    world.register(10).await;
    let adm = json!({"platform": "adm", "pushChannel": "x", "tags": ["all"], "templates": {"t": {"body": "{}"}}});
    world.admin.put("/v1/hubs/demo/installations/kindle", &adm).await.expect(201);
    let count = async |body| world.admin.post("/v1/hubs/demo/audience", &body).await.expect(200).json();
    assert_eq!(count(json!({})).await, json!({"count": 11, "platforms": {"adm": 1, "apns": 10}}));
    assert_eq!(count(json!({"audience": "!even"})).await, json!({"count": 6, "platforms": {"adm": 1, "apns": 5}}));
    assert_eq!(count(json!({"kind": "template"})).await, json!({"count": 1, "platforms": {"adm": 1}}));
    assert_eq!(count(json!({"audience": "nobody"})).await["count"], 0);
}

#[tokio::test]
async fn a_document_is_patched_in_parts() {
    let world = World::start().await;
    let listen = world.with_rule("listen").await;
    listen.put(DEVICE, &document(1)).await.expect(201);
    let patch = async |operations: serde_json::Value| {
        let body = operations.to_string();
        listen.send("PATCH", DEVICE, &[("content-type", "application/json-patch+json")], body.as_bytes()).await
    };
    let operations = json!([
        {"op": "add", "path": "/tags", "value": "sport"},
        {"op": "remove", "path": "/tags/odd"},
        {"op": "replace", "path": "/userId", "value": "u1"},
        {"op": "add", "path": "/templates/t", "value": "{\"body\":\"{}\"}"},
    ]);
    assert_eq!(patch(operations).await.expect(200).json(), json!({"result": "updated"}));
    let read = listen.get(DEVICE).await.expect(200).json();
    assert_eq!((&read["tags"], &read["userId"]), (&json!(["all", "sport"]), &json!("u1")));
    assert_eq!(read["templates"]["t"]["body"], "{}");
    // An audience finds it by its new tags, and no longer by the old one.
    let count = async |audience: &str| {
        let count = world.admin.post("/v1/hubs/demo/audience", &json!({"audience": audience})).await.expect(200).json();
        count["count"].as_u64().unwrap()
    };
    assert_eq!((count("sport").await, count("odd").await, count("$UserId:{u1}").await), (1, 0, 1));
    // All or nothing: what came before the broken operation is not applied either.
    let broken = json!([{"op": "remove", "path": "/tags"}, {"op": "add", "path": "/colour", "value": "red"}]);
    let answer = patch(broken).await;
    assert!(answer.text().contains("/colour"), "{}", answer.text());
    assert_eq!(answer.refusal(), (400, "invalid".into(), "[1].path".into()));
    let test = json!([{"op": "test", "path": "/tags", "value": "all"}]);
    assert_eq!(patch(test).await.refusal(), (400, "invalid".into(), "[0].op".into()));
    let too_many: Vec<String> = (0..1_000).map(|tag| format!("t{tag}")).collect();
    let too_many = json!([{"op": "add", "path": "/tags", "value": too_many}]);
    assert_eq!(patch(too_many).await.refusal(), (400, "invalid".into(), "tags".into()));
    assert_eq!(listen.get(DEVICE).await.expect(200).json(), read);
    assert_eq!(patch(json!([])).await.expect(200).json(), json!({"result": "touched"}));
    listen.delete(DEVICE).await.expect(204);
    assert_eq!(patch(json!([])).await.refusal(), (404, "no_installation".into(), String::new()));
}

#[tokio::test]
async fn patches_at_the_same_time_all_count() {
    let world = World::start().await;
    world.admin.put(DEVICE, &document(1)).await.expect(201);
    let patches = (0..40).map(|tag| {
        let admin = world.admin.clone();
        tokio::spawn(async move {
            let body = json!([{"op": "add", "path": "/tags", "value": format!("t{tag}")}]).to_string();
            admin.send("PATCH", DEVICE, &[], body.as_bytes()).await.expect(200);
        })
    });
    for patch in patches.collect::<Vec<_>>() {
        patch.await.unwrap();
    }
    let tags = world.admin.get(DEVICE).await.json()["tags"].as_array().unwrap().len();
    assert_eq!(tags, 42);
}

#[tokio::test]
async fn a_patch_does_not_revive_what_was_dropped() {
    let world = World::start().await;
    world.register(8).await;
    world.push.set(Mood::Dead([vec![0; 31], vec![2]].concat()));
    let id = world.send("all").await;
    assert_eq!(world.finished(&id).await["counters"]["dropped"], 1);
    let dropped = format!("/v1/hubs/demo/broadcasts/{id}/outcomes?outcome=dropped");
    let dropped = world.admin.get(&dropped).await.expect(200).json();
    assert_eq!(
        (dropped["items"].as_array().unwrap().len(), &dropped["items"][0]["installation"]),
        (1, &json!("dev-1"))
    );
    let patch = async |operations: serde_json::Value| {
        world.admin.send("PATCH", DEVICE, &[], operations.to_string().as_bytes()).await.expect(200);
        world.admin.get(DEVICE).await.expect(200).json()
    };
    let count = async || {
        world.admin.post("/v1/hubs/demo/audience", &json!({})).await.expect(200).json()["count"].as_u64().unwrap()
    };
    let read = patch(json!([{"op": "add", "path": "/tags", "value": "new"}])).await;
    assert_eq!((&read["pushChannelExpired"], &read["tags"][2], count().await), (&json!(true), &json!("new"), 7));
    let read = patch(json!([{"op": "replace", "path": "/pushChannel", "value": "ab".repeat(32)}])).await;
    assert_eq!((&read["pushChannelExpired"], count().await), (&json!(false), 8));
}
