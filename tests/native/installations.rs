//! Installations one by one.

use serde_json::json;

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
