//! What the API says of itself is what it serves.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::Client;
use crate::world::World;

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
