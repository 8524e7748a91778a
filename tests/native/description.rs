//! What the API says of itself is what it serves.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::described::Described;
use crate::push::Mood;
use crate::world::{World, broadcast, document, hub};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let world = World::bare(&[]).await;
    let nobody = Client::new(world.running.address(), None);
    let description = nobody.get("/v1/openapi.json").await.expect(200).json();
    let described = description["paths"].as_object().unwrap();
    let paths: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(paths, fanfare::api::paths().into_iter().collect());
    for (path, operations) in described {
        // What a path does not take it refuses and says what it takes.
        let named = path.replace(['{', '}'], "");
        let refused = world.admin.send("OPTIONS", &named, &[], b"").await.expect(405);
        let served: BTreeSet<String> =
            refused.header("allow").unwrap().split(',').map(|method| method.trim().to_ascii_lowercase()).collect();
        let told: BTreeSet<String> = METHODS
            .iter()
            .filter(|method| operations.get(**method).is_some())
            .map(|method| (*method).to_owned())
            .collect();
        assert_eq!(told, served.into_iter().filter(|method| method != "head").collect(), "{path}");
    }
}

#[tokio::test]
async fn operations_have_names_of_their_own_and_every_shape_is_there() {
    let world = World::bare(&[]).await;
    let description = Client::new(world.running.address(), None).get("/v1/openapi.json").await.expect(200).json();
    let operations = description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let named: Vec<&str> = operations.filter_map(|(_, one)| one["operationId"].as_str()).collect();
    let distinct: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(distinct.len(), named.len());
    let mut wanted = BTreeSet::new();
    references(&description, &mut wanted);
    for name in wanted {
        assert!(description.pointer(name.trim_start_matches('#')).is_some(), "{name} is not in the description");
    }
}

#[tokio::test]
async fn wns_is_described_as_it_is_taken_and_shown() {
    let world = World::bare(&[]).await;
    let description = Client::new(world.running.address(), None).get("/v1/openapi.json").await.expect(200).json();
    let members = |shape: &str| {
        let shape = &description["components"]["schemas"][shape]["properties"];
        shape.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
    };
    assert!(members("HubSettings").contains("wns") && members("Hub").contains("wns"));
    let (taken, shown) = (members("WnsSettings"), members("WnsShown"));
    assert_eq!(taken.difference(&shown).collect::<Vec<_>>(), ["client_secret"]);
    assert!(shown.is_subset(&taken), "what is shown can be sent back");
    let whole = json!({
        "auth": "entra", "tenant_id": "t", "client_id": "c", "client_secret": "s", "token_endpoint": "https://h/t",
        "allowed_hosts": ["h"], "ca": "CA", "rate_per_second": 1,
    });
    assert_eq!(whole.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), taken);
    // Read to its end: what refuses it is the push service of these tests, which is one of Apple's.
    let refused = world.admin.put("/v1/hubs/demo", &json!({"wns": whole})).await;
    assert_eq!((refused.refusal().0, refused.refusal().2), (400, "wns.endpoint".to_owned()), "{refused:?}");
}

fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_needs_no_key_and_admits_nothing_from_elsewhere() {
    let world = World::bare(&[]).await;
    let page = Client::new(world.running.address(), None).get("/docs").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for outside in ["http://", "https://", "src=\"//"] {
        assert!(!page.text().contains(outside), "{outside}");
    }
}

/// Where the description stands as it was last looked at. `UPDATE_OPENAPI=1` writes it anew.
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/native/openapi.json");

#[tokio::test]
async fn the_description_is_the_one_that_was_looked_at() {
    let world = World::bare(&[]).await;
    let served = Client::new(world.running.address(), None).get("/v1/openapi.json").await.expect(200);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(SNAPSHOT, served.text()).unwrap();
    }
    let known = std::fs::read_to_string(SNAPSHOT).unwrap();
    let first = known.lines().zip(served.text().lines()).enumerate().find(|(_, (known, served))| known != served);
    let hint = "look at what changed and run the test with UPDATE_OPENAPI=1";
    assert!(first.is_none() && known == served.text(), "{hint}: {first:?}");
}

/// A service that is described, and answers that are checked against it.
struct Checked {
    world: World,
    described: Described,
}

impl Checked {
    /// Sends a request to `path` with its parameters filled in, and checks status and body.
    async fn call(&mut self, method: &str, path: &str, place: &str, body: Option<Value>, status: u16) -> Answer {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(&self.world.admin.clone(), method, path, place, &[], text.as_bytes(), status).await
    }

    #[expect(clippy::too_many_arguments, reason = "a request and what is wanted of it")]
    async fn send(
        &mut self,
        caller: &Client,
        method: &str,
        path: &str,
        place: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        status: u16,
    ) -> Answer {
        let answer = caller.send(method, place, headers, body).await.expect(status);
        let documents = match answer.header("content-type") {
            None => Vec::new(),
            Some("application/x-ndjson") => answer.lines(),
            Some("text/event-stream") => {
                let events = answer.text().lines().filter_map(|line| line.strip_prefix("data: "));
                events.map(|data| serde_json::from_str(data).unwrap()).collect()
            }
            Some("application/json") => vec![answer.json()],
            Some(_) => vec![Value::String(answer.text().to_owned())],
        };
        self.described.check(method, path, status, &documents);
        answer
    }
}

const HUBS: &str = "/v1/hubs";
const HUB: &str = "/v1/hubs/{hub}";
const INSTALLATIONS: &str = "/v1/hubs/{hub}/installations";
const INSTALLATION: &str = "/v1/hubs/{hub}/installations/{id}";
const IMPORT: &str = "/v1/hubs/{hub}/installations:import";
const EXPORT: &str = "/v1/hubs/{hub}/installations:export";
const BROADCASTS: &str = "/v1/hubs/{hub}/broadcasts";
const BROADCAST: &str = "/v1/hubs/{hub}/broadcasts/{id}";

#[tokio::test]
async fn answers_have_the_shapes_that_are_described() {
    let world = World::bare(&[]).await;
    let description = world.admin.get("/v1/openapi.json").await.expect(200).json();
    let mut on = Checked { world, described: Described::new(description.clone()) };
    hubs(&mut on).await;
    installations(&mut on).await;
    broadcasts(&mut on).await;
    for path in ["/healthz", "/readyz", "/metrics", "/docs", "/v1/openapi.json"] {
        on.call("GET", path, path, None, 200).await;
    }
    refusals(&mut on).await;
    on.call("DELETE", HUB, "/v1/hubs/demo", None, 204).await;
    on.world.running.app().draining.cancel();
    on.call("GET", "/readyz", "/readyz", None, 503).await;

    // Every success that is described was seen.
    let mut unseen = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for status in operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status) {
                let seen = (method.clone(), path.clone(), status.clone());
                if status.starts_with('2') && !on.described.seen.contains(&seen) {
                    unseen.push(seen);
                }
            }
        }
    }
    assert_eq!(unseen, []);
}

#[tokio::test]
async fn a_hub_with_every_service_has_the_shape_that_is_described() {
    let world = crate::broken::world::World::start().await;
    let mut described = Described::new(world.admin.get("/v1/openapi.json").await.expect(200).json());
    let shown = world.admin.get("/v1/hubs/demo").await.expect(200).json();
    assert!(shown["apns"].is_object() && shown["fcm"].is_object());
    described.check("GET", HUB, 200, &[shown]);
    world.running.stop().await;
}

async fn hubs(on: &mut Checked) {
    on.call("PUT", HUB, "/v1/hubs/demo", Some(hub()), 201).await;
    let mut certified = hub();
    certified["apns"] = json!({"topic": "t", "cert": "a certificate", "cert_key": "its key", "ca": "a root"});
    certified["keys"]["send"]["secondary"] = json!("another");
    on.call("PUT", HUB, "/v1/hubs/demo", Some(certified), 200).await;
    on.call("PUT", HUB, "/v1/hubs/demo", Some(hub()), 200).await;
    on.call("GET", HUB, "/v1/hubs/demo", None, 200).await;
    let full = on.world.with_rule("full").await;
    on.send(&full, "GET", HUB, "/v1/hubs/demo", &[], b"", 200).await;
    on.call("GET", HUBS, HUBS, None, 200).await;
    on.call("POST", "/v1/hubs/{hub}/keys/{action}", "/v1/hubs/demo/keys/send:rotate", None, 200).await;
    on.call("POST", "/v1/hubs/{hub}/senders/{action}", "/v1/hubs/demo/senders/apns:resume", None, 200).await;
    on.call("POST", "/v1/users/{action}", "/v1/users/sid:00:revoke", None, 200).await;
}

async fn installations(on: &mut Checked) {
    let at = "/v1/hubs/demo/installations/dev-1";
    on.call("PUT", INSTALLATION, at, Some(document(1)), 201).await;
    on.call("PUT", INSTALLATION, at, Some(document(1)), 200).await;
    let patch = json!([{"op": "add", "path": "/templates/t", "value": "{\"body\":\"{}\",\"headers\":{\"apns-priority\":\"5\"},\"tags\":[\"x\"]}"}]);
    on.call("PATCH", INSTALLATION, at, Some(patch), 200).await;
    on.call("GET", INSTALLATION, at, None, 200).await;
    let p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    let auth = "A".repeat(22);
    let channel = "https://x.notify.windows.com/?token=1";
    let others = [
        json!({"installationId": "kindle", "platform": "adm", "pushChannel": "x", "userId": "u", "expirationTime": "2199-01-01T00:00:00Z",
            "pushVariables": {"a": "b"}}),
        json!({"installationId": "phone", "platform": "fcmv1", "pushChannel": "a:b"}),
        json!({"installationId": "page", "platform": "browser",
            "pushChannel": {"endpoint": "https://push.example/1", "p256dh": p256dh, "auth": auth}}),
        json!({"installationId": "desk", "platform": "wns", "pushChannel": channel, "secondaryTiles": {"tile": {
            "pushChannel": channel, "tags": ["x"], "templates": {"t": {"body": "<toast/>"}}}}}),
        json!({"installationId": "bad", "platform": "pager"}),
    ];
    let lines: String = others.iter().map(|line| line.to_string() + "\n").collect();
    let admin = on.world.admin.clone();
    let import = "/v1/hubs/demo/installations:import";
    let told = on.send(&admin, "POST", IMPORT, import, &[], lines.as_bytes(), 200).await;
    assert_eq!(told.lines().last(), Some(&json!({"imported": 4, "failed": 1})), "{told:?}");
    on.call("GET", INSTALLATIONS, "/v1/hubs/demo/installations?limit=2", None, 200).await;
    on.call("GET", INSTALLATIONS, "/v1/hubs/demo/installations", None, 200).await;
    on.call("GET", EXPORT, "/v1/hubs/demo/installations:export", None, 200).await;
    let question = Some(json!({"audience": "all", "kind": "native"}));
    on.call("POST", "/v1/hubs/{hub}/audience", "/v1/hubs/demo/audience", question, 200).await;
    on.call("DELETE", INSTALLATION, "/v1/hubs/demo/installations/kindle", None, 204).await;
}

async fn broadcasts(on: &mut Checked) {
    let all = "/v1/hubs/demo/broadcasts";
    let mut dry = broadcast("all");
    dry["dry_run"] = json!(true);
    on.call("POST", BROADCASTS, all, Some(dry), 200).await;
    let mut later = broadcast("all");
    later["schedule_at"] = json!("2199-01-01T00:00:00Z");
    later["collapse_key"] = json!("k");
    let waiting = on.call("POST", BROADCASTS, all, Some(later), 202).await.json()["id"].as_str().unwrap().to_owned();
    on.call("PATCH", BROADCAST, &format!("{all}/{waiting}"), Some(json!({"rate_per_second": 5})), 202).await;
    for action in ["pause", "resume", "cancel"] {
        on.call("POST", BROADCAST, &format!("{all}/{waiting}:{action}"), None, 202).await;
    }
    // One that waits for its sender, and ends with a drop.
    on.world.push.set(Mood::Refuse);
    let template = json!({"template": {"msg": "x", "n": 7, "urgent": true}, "dry_run": true});
    on.call("POST", BROADCASTS, all, Some(template), 200).await;
    let sent = on.call("POST", BROADCASTS, all, Some(json!({"notification": {"title": "x"}})), 202).await.json();
    let id = sent["id"].as_str().unwrap().to_owned();
    on.world.until(&id, |progress| progress["waiting"][0]["reason"] == "InvalidProviderToken").await;
    let one = format!("{all}/{id}");
    on.call("GET", BROADCAST, &one, None, 200).await;
    on.call("GET", HUB, "/v1/hubs/demo", None, 200).await;
    on.call("GET", "/v1/hubs/{hub}/broadcasts/{id}/outcomes", &format!("{one}/outcomes?outcome=pending"), None, 200)
        .await;
    on.world.push.set(Mood::Dead([vec![0; 31], vec![2]].concat()));
    on.call("POST", "/v1/hubs/{hub}/senders/{action}", "/v1/hubs/demo/senders/apns:resume", None, 200).await;
    on.call("GET", "/v1/hubs/{hub}/broadcasts/{id}/events", &format!("{one}/events"), None, 200).await;
    on.call("GET", "/v1/hubs/{hub}/broadcasts/{id}/outcomes", &format!("{one}/outcomes?limit=2"), None, 200).await;
    on.call("GET", "/v1/hubs/{hub}/broadcasts/{id}/outcomes", &format!("{one}/outcomes"), None, 200).await;
    let of_one = "/v1/hubs/{hub}/broadcasts/{id}/outcomes/{installation}";
    on.call("GET", of_one, &format!("{one}/outcomes/dev-1"), None, 200).await;
    on.call("GET", INSTALLATION, "/v1/hubs/demo/installations/dev-1", None, 200).await;
    on.call("GET", BROADCASTS, &format!("{all}?limit=1"), None, 200).await;
}

async fn refusals(on: &mut Checked) {
    let nobody = Client::new(on.world.running.address(), None);
    let (listen, admin) = (on.world.with_rule("listen").await, on.world.admin.clone());
    let (hub, all) = ("/v1/hubs/demo", "/v1/hubs/demo/broadcasts");
    on.send(&nobody, "GET", HUB, hub, &[], b"", 401).await;
    on.send(&listen, "GET", HUB, hub, &[], b"", 403).await;
    on.call("GET", HUB, "/v1/hubs/other", None, 404).await;
    on.call("PUT", HUB, hub, Some(json!({"weight": 0})), 400).await;
    on.send(&admin, "PUT", HUB, hub, &[("content-type", "text/plain")], b"{}", 415).await;
    on.send(&admin, "PUT", HUB, hub, &[], &vec![b' '; 5_000_000], 413).await;
    let body = broadcast("nobody").to_string();
    let key = [("idempotency-key", "k")];
    let sent = on.send(&admin, "POST", BROADCASTS, all, &key, body.as_bytes(), 202).await.json();
    on.send(&admin, "POST", BROADCASTS, all, &key, broadcast("other").to_string().as_bytes(), 422).await;
    let id = sent["id"].as_str().unwrap();
    on.world.finished(id).await;
    on.call("POST", BROADCAST, &format!("{all}/{id}:pause"), None, 409).await;
    on.call("PATCH", BROADCAST, &format!("{all}/{id}"), Some(json!({"rate_per_second": 1})), 409).await;
    let not_targeted = format!("{all}/{id}/outcomes/dev-1");
    on.call("GET", "/v1/hubs/{hub}/broadcasts/{id}/outcomes/{installation}", &not_targeted, None, 404).await;
}
