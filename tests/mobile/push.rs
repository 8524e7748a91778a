//! `/push/installations`: apps register their own devices (sections 5 and 12.16).

use std::process::Command;
use std::sync::Arc;

use loadtest::gateways::{ApnsConfig, ApnsSim, Authority, Simulated};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::program;
use crate::upstream::Upstream;
use crate::world::{ADMIN, USERS, World, session};

/// As the JavaScript client makes them.
pub const ID: &str = "6c6f7aa2-3a52-4f4b-9b8d-0a1f0e4b5c11";
const PATH: &str = "/push/installations/6c6f7aa2-3a52-4f4b-9b8d-0a1f0e4b5c11";
/// The device itself asks.
const OWN: (&str, &str) = ("x-zumo-installation-id", ID);
const JSON: (&str, &str) = ("content-type", "application/json");

/// `[mobile]` whose devices go to the hub `demo`, with more of the section.
fn config(more: &str) -> String {
    format!("{}\n{more}\n[hubs.demo]\n", USERS.replace("[mobile]", "[mobile]\nhub = 'demo'"))
}

async fn world() -> World {
    World::with(&config("")).await
}

fn token(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn document() -> Value {
    json!({"installationId": ID, "pushChannel": token(1), "platform": "apns", "templates": {}, "secondaryTiles": {}})
}

async fn put(client: &Client, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    client.send("PUT", PATH, &headers, body.to_string().as_bytes()).await
}

/// What of the installation the hub has.
async fn stored(world: &World) -> Value {
    world.admin.get(&format!("/v1/hubs/demo/installations/{ID}")).await.expect(200).json()
}

async fn tags_and_user(world: &World) -> (Value, Value) {
    let mut stored = stored(world).await;
    (stored["tags"].take(), stored["userId"].take())
}

/// What a refusal says, which all clients read.
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn point_16_the_users_tag_is_added_replaced_and_kept() {
    let world = world().await;
    let answer = put(&world.client, &[OWN], &document()).await.expect(200);
    assert_eq!((answer.header("content-length"), answer.body.is_empty()), (Some("0"), true));
    assert_eq!(tags_and_user(&world).await, (Value::Null, Value::Null));
    // The app's backend sets a tag.
    let tag = json!([{"op": "add", "path": "/tags", "value": "vip"}]);
    let path = format!("/v1/hubs/demo/installations/{ID}");
    world.admin.send("PATCH", &path, &[JSON], tag.to_string().as_bytes()).await.expect(200);
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    put(&a, &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (json!(["vip", "_UserId:sid:a"]), json!("sid:a")));
    put(&b, &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (json!(["vip", "_UserId:sid:b"]), json!("sid:b")));
    put(&world.client, &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (json!(["vip", "_UserId:sid:b"]), json!("sid:b")));
    // Either header signs in.
    let token = session("sid:a");
    put(&world.client, &[OWN, ("x-zumo-auth", &token)], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await.1, json!("sid:a"));
    // An id that is no tag is found by $UserId:{…} alone.
    put(&world.signed_in("auth0|7"), &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (json!(["vip"]), json!("auth0|7")));
    let refused = put(&world.signed_in("a}b"), &[OWN], &document()).await.expect(400);
    assert!(refusal(&refused).contains("userId must not hold"), "{refused:?}");
}

#[tokio::test]
async fn point_16_a_foreign_installation_is_protected() {
    let world = world().await;
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    put(&a, &[], &document()).await.expect(200);
    let before = stored(&world).await;
    let mut other = document();
    other["pushChannel"] = json!(token(2));
    let not_it = ("x-zumo-installation-id", "00000000-3a52-4f4b-9b8d-0a1f0e4b5c11");
    for headers in [&[][..], &[not_it]] {
        let refused = put(&world.client, headers, &other).await.expect(401);
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert!(refusal(&refused).contains("belongs to a user"));
        world.client.send("DELETE", PATH, headers, b"").await.expect(401);
        assert!(refusal(&put(&b, headers, &other).await.expect(403)).contains("belongs to another user"));
        b.send("DELETE", PATH, headers, b"").await.expect(403);
    }
    assert_eq!(stored(&world).await, before);
    // Its user, and the device without a user, may.
    put(&a, &[], &document()).await.expect(200);
    let upper = ("x-zumo-installation-id", "6C6F7AA2-3A52-4F4B-9B8D-0A1F0E4B5C11");
    put(&world.client, &[upper], &other).await.expect(200);
    assert_eq!(stored(&world).await["pushChannel"], json!(token(2)));
    let answer = a.send("DELETE", PATH, &[], b"").await.expect(204);
    assert!(answer.body.is_empty() && answer.header("etag").is_none());
    world.client.delete(PATH).await.expect(204);
    // Afterwards it is anybody's who knows the id, and the next user's.
    put(&b, &[], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await.1, json!("sid:b"));
    world.client.send("DELETE", PATH, &[OWN], b"").await.expect(204);
    world.admin.get(&format!("/v1/hubs/demo/installations/{ID}")).await.expect(404);
}

#[tokio::test]
async fn point_16_client_tags_are_filtered() {
    let template = |tags: &Value| json!({"t": {"body": "{\"aps\":{\"alert\":\"$(m)\"}}", "tags": tags}});
    let tags = json!(["topic:a", "vip", "_UserId:sid:victim", "no tag", 7]);
    let mut said = document();
    (said["tags"], said["userId"]) = (tags.clone(), json!("sid:victim"));
    said["templates"] = template(&tags);
    let world = world().await;
    put(&world.client, &[], &said).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (Value::Null, Value::Null));
    assert_eq!(stored(&world).await["templates"]["t"]["tags"], json!(["t"]), "its own name and no more");
    let world = world.restart(&config("[mobile.push]\nallowed_tags = ['topic:*', 'news']")).await;
    put(&world.signed_in("sid:a"), &[], &said).await.expect(200);
    assert_eq!(tags_and_user(&world).await.0, json!(["topic:a", "_UserId:sid:a"]));
    assert_eq!(stored(&world).await["templates"]["t"]["tags"], json!(["topic:a", "t"]));
    // A client that knows nothing of tags takes none away; one that names others replaces its own.
    put(&world.client, &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await.0, json!(["topic:a", "_UserId:sid:a"]));
    said["tags"] = json!(["news"]);
    put(&world.client, &[OWN], &said).await.expect(200);
    assert_eq!(tags_and_user(&world).await.0, json!(["_UserId:sid:a", "news"]));
}

#[tokio::test]
async fn point_16_registrations_beside_each_other_lose_no_tag() {
    let world = World::with(&config("[mobile.push]\nrequests_per_minute = 0")).await;
    put(&world.client, &[OWN], &document()).await.expect(200);
    let (user, path) = (world.signed_in("sid:a"), format!("/v1/hubs/demo/installations/{ID}"));
    let mut expected = vec!["_UserId:sid:a".to_owned()];
    for round in 0..20 {
        let tag = format!("server-{round}");
        let patch = json!([{"op": "add", "path": "/tags", "value": tag}]).to_string();
        let (patch, document) = (patch.as_bytes(), document());
        let (patched, registered, again) = futures_util::join!(
            world.admin.send("PATCH", &path, &[JSON], patch),
            put(&user, &[OWN], &document),
            put(&world.client, &[OWN], &document)
        );
        assert_eq!((patched.status, registered.status, again.status), (200, 200, 200));
        expected.push(tag);
    }
    let (tags, user) = tags_and_user(&world).await;
    let mut tags: Vec<String> = serde_json::from_value(tags).unwrap();
    tags.sort();
    expected.sort();
    assert_eq!((tags, user), (expected, json!("sid:a")));
}

#[tokio::test]
async fn obs_175_to_179_put_and_delete_are_all_there_is() {
    let world = world().await;
    let version = ("zumo-api-version", "2.0.0");
    for headers in [&[][..], &[version], &[("zumo-api-version", "9.9.9")]] {
        put(&world.client, headers, &document()).await.expect(200);
        world.client.send("DELETE", PATH, headers, b"").await.expect(204);
    }
    put(&world.client, &[("if-modified-since", "Mon, 27 Mar 1972 00:00:00 GMT")], &document()).await.expect(200);
    for method in ["GET", "HEAD", "POST", "PATCH"] {
        world.client.send(method, PATH, &[], b"").await.expect(404);
    }
    assert_eq!(refusal(&world.client.get(PATH).await), "there is nothing at this path");
    let slash = format!("{PATH}/");
    world.client.delete(&slash).await.expect(204);
    world.client.put("/push/installations", &document()).await.expect(404);
}

#[tokio::test]
async fn the_body_of_every_client_is_taken() {
    let world = world().await;
    let channel = "https://db5.notify.windows.com/?token=AwYAAABz%2b";
    let toast = json!({"body": "<toast/>", "headers": {"X-WNS-Type": "wns/toast"}, "tags": ["x"]});
    let alert = json!({"body": "{\"aps\":{\"alert\":\"$(m)\"}}", "expiry": "2030-01-01T00:00:00Z"});
    for (client, body) in [
        (
            "JavaScript",
            json!({"installationId": ID, "pushChannel": "APA91b", "platform": "gcm", "templates": {"t": {"body": "{\"data\":{\"m\":\"$(m)\"}}", "tags": ["a"]}}, "secondaryTiles": {}}),
        ),
        (
            ".NET",
            json!({"pushChannel": channel, "platform": "wns", "templates": {"t": toast}, "secondaryTiles": {"tile": {"pushChannel": channel, "tags": ["a"], "templates": {"t": toast}}}}),
        ),
        (".NET, Apple", json!({"pushChannel": token(7), "platform": "apns"})),
        ("Android", json!({"pushChannel": "APA91b", "platform": "gcm", "templates": {"t": {"body": "{\"data\":{}}"}}})),
        (
            "Android, whole",
            json!({"installationId": ID, "pushChannel": "APA91b", "platform": "gcm", "pushVariables": {"a": "b"}, "tags": [], "templates": {}, "expirationTime": ""}),
        ),
        ("iOS", json!({"pushChannel": token(0xAB).to_uppercase(), "platform": "apns", "templates": {"t": alert}})),
        ("newer ones", json!({"pushChannel": "APA91b", "platform": "fcmv1"})),
        ("newer ones", json!({"pushChannel": "amzn1.adm", "platform": "adm"})),
        ("newer ones", json!({"pushChannel": "7-8", "platform": "baidu"})),
    ] {
        let answer = put(&world.client, &[], &body).await;
        assert_eq!(answer.status, 200, "{client}: {answer:?}");
        let stored = stored(&world).await;
        assert_eq!(
            (&stored["pushChannel"], &stored["platform"]),
            (&body["pushChannel"], &body["platform"]),
            "{client}"
        );
    }
}

#[tokio::test]
async fn bad_requests_are_400_and_say_why() {
    let world = World::with(&format!("{}\n[limits]\nbody_bytes = 20000", config(""))).await;
    let with = |member: &str, value: Value| {
        let mut document = document();
        document[member] = value;
        document
    };
    for (body, said) in [
        (json!([]), "body must be a JSON object"),
        (json!({"platform": "apns"}), "pushChannel is required"),
        (json!({"pushChannel": token(1)}), "platform is required"),
        (with("platform", json!("pager")), "platform must be one of"),
        (with("pushChannel", json!("xyz")), "pushChannel must be a device token"),
        (with("installationId", json!("other")), "installationId must equal the id in the path"),
        (with("templates", json!([])), "templates must be an object"),
        (with("templates", json!({"t": {"body": {}}})), "templates.t.body must be a string"),
        (with("expirationTime", json!("soon")), "expirationTime must be"),
    ] {
        let refused = put(&world.client, &[], &body).await.expect(400);
        assert!(refusal(&refused).starts_with(said), "{refused:?}");
        assert_eq!(refused.json()["error"], refused.json()["message"]);
    }
    let broken = world.client.send("PUT", PATH, &[JSON], b"{").await.expect(400);
    assert!(refusal(&broken).starts_with("body must be a JSON object"));
    // Without a type it is taken for JSON; of another it is refused.
    world.client.send("PUT", PATH, &[], document().to_string().as_bytes()).await.expect(200);
    let text = world.client.send("PUT", PATH, &[("content-type", "text/plain")], b"{}").await.expect(415);
    assert!(refusal(&text).contains("Content-Type"));
    let long = with("x", json!("x".repeat(20_000)));
    assert!(refusal(&put(&world.client, &[], &long).await.expect(413)).contains("at most 20000 bytes"));
    for id in ["dev-1", "6c6f7aa23a524f4b9b8d0a1f0e4b5c11", "{6c6f7aa2-3a52-4f4b-9b8d-0a1f0e4b5c1}", "%zz"] {
        for method in ["PUT", "DELETE"] {
            let body = json!({"pushChannel": token(1), "platform": "apns"}).to_string();
            let path = format!("/push/installations/{id}");
            let refused = world.client.send(method, &path, &[JSON], body.as_bytes()).await.expect(400);
            assert!(refusal(&refused).contains("must be"), "{id}: {refused:?}");
        }
    }
    // A token that stands for nobody is refused also where nobody need be signed in.
    put(&world.showing("a.b.c"), &[], &document()).await.expect(401);
}

#[tokio::test]
async fn only_users_register_where_the_configuration_says_so() {
    let world = World::with(&config("[mobile.push]\naccess = 'authenticated'")).await;
    let refused = put(&world.client, &[OWN], &document()).await.expect(401);
    assert_eq!(refusal(&refused), "You must be logged in to use this application");
    put(&world.signed_in("sid:a"), &[], &document()).await.expect(200);
    world.client.send("DELETE", PATH, &[OWN], b"").await.expect(401);
    put(&world.signed_in("sid:b"), &[OWN], &document()).await.expect(200);
    assert_eq!(tags_and_user(&world).await, (json!(["_UserId:sid:b"]), json!("sid:b")));
}

#[tokio::test]
async fn who_registers_without_end_is_told_when_to_come_back() {
    let world = World::with(&config("[mobile.push]\nrequests_per_minute = 3")).await;
    for _ in 0..2 {
        put(&world.client, &[], &document()).await.expect(200);
    }
    world.client.delete(PATH).await.expect(204);
    for method in ["PUT", "DELETE"] {
        let refused = world.client.send(method, PATH, &[JSON], b"{}").await.expect(429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(
            (1..=20).contains(&wait) && refusal(&refused).contains("mobile.push.requests_per_minute"),
            "{refused:?}"
        );
    }
    let other = PATH.replace("6c6f", "7c6f");
    world.client.delete(&other).await.expect(204);
    let all = "[mobile.push]\nrequests_per_minute = 0\n[limits]\nregistrations_per_second = 1\nregistrations_burst = 2";
    let world = world.restart(&config(all)).await;
    world.client.delete(PATH).await.expect(204);
    world.client.delete(&other).await.expect(204);
    let refused = world.client.delete(&PATH.replace("6c6f", "8c6f")).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn without_a_hub_there_is_nothing_to_register_with() {
    let world = World::start().await;
    assert!(refusal(&put(&world.client, &[], &document()).await.expect(404)).contains("mobile.hub is not set"));
    let world = world.restart(&USERS.replace("[mobile]", "[mobile]\nhub = 'later'")).await;
    assert!(refusal(&put(&world.client, &[], &document()).await.expect(404)).contains("does not exist"));
    world.client.delete(PATH).await.expect(404);
    world.admin.put("/v1/hubs/later", &json!({})).await.expect(201);
    put(&world.client, &[], &document()).await.expect(200);
}

/// The way of a message to a signed-in user's devices, whichever way the backend addresses them.
#[tokio::test]
async fn a_broadcast_to_a_user_reaches_the_device_that_registered_itself() {
    let world = World::with(&USERS.replace("[mobile]", "[mobile]\nhub = 'demo'")).await;
    let authority = Arc::new(Authority::new().unwrap());
    let apns = ApnsConfig { keep_requests: true, ..ApnsConfig::default() };
    let apns = ApnsSim::start_under(apns, authority.clone()).await.unwrap();
    let key = apns.issue_key("TEAM123456").unwrap();
    let hub = json!({"apns": {
        "endpoint": apns.endpoint(), "ca": authority.ca_pem(), "topic": "com.example.app", "connections": 1,
        "team_id": key.team_id, "key_id": key.key_id, "key": key.p8(),
    }});
    world.admin.put("/v1/hubs/demo", &hub).await.expect(201);
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    // As iOS does; another user's device and nobody's stand beside it.
    put(&a, &[], &json!({"pushChannel": token(0xAA).to_uppercase(), "platform": "apns"})).await.expect(200);
    for (client, id, n) in [(&b, "7c6f", 0xBB), (&world.client, "8c6f", 0xCC)] {
        let body = json!({"pushChannel": token(n), "platform": "apns"});
        client.put(&PATH.replace("6c6f", id), &body).await.expect(200);
    }
    let send = async |audience: &str| {
        let request = json!({"audience": audience, "payloads": {"apns": {"aps": {"alert": audience}}}});
        let id = world.admin.post("/v1/hubs/demo/broadcasts", &request).await.expect(202).json()["id"].take();
        let path = format!("/v1/hubs/demo/broadcasts/{}", id.as_str().unwrap());
        let ended = world.admin.follow(&path, |broadcast| !broadcast["finished_at"].is_null()).await;
        ended["counters"]["delivered"].as_u64().unwrap()
    };
    let tokens = || apns.receipts().all().iter().map(|got| got.token.to_string()).collect::<Vec<_>>();
    assert_eq!(send("_UserId:sid:a").await, 1);
    assert_eq!(send("$UserId:{sid:a}").await, 1);
    assert_eq!(tokens(), [token(0xAA), token(0xAA)]);
    // Somebody else signs in on the device: it is theirs alone.
    put(&b, &[OWN], &json!({"pushChannel": token(0xAA), "platform": "apns"})).await.expect(200);
    assert_eq!((send("_UserId:sid:a").await, send("$UserId:{sid:a}").await), (0, 0));
    assert_eq!((send("_UserId:sid:b").await, send("$UserId:{sid:b}").await), (2, 2));
    assert_eq!(send(&format!("$InstallationId:{{{ID}}}")).await, 1);
}

/// 11.3: the JavaScript client of the field, as it is (`client/push.mjs`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a02_the_javascript_client_registers_and_calls_custom_apis() {
    let upstream = Upstream::start().await;
    let world = World::with(&config(&upstream.section())).await;
    let mut node = Command::new("node");
    node.current_dir(program::folder("mobile/client", "azure-mobile-apps-client").await)
        .arg("push.mjs")
        .env("NODE_EXTRA_CA_CERTS", world.trusted())
        .env("SERVICE", world.over_tls())
        .env("ADMIN", ADMIN)
        .env("TOKEN", session("sid:a"))
        .env("CHANNEL", "APA91b-of_this:device");
    let said = program::run(node, "node").await;
    assert!(said.lines().any(|line| line == "push and custom APIs work"), "{said}");
}
