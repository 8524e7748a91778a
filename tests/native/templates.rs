//! Template broadcasts by the API, and what APNs received of them, byte for byte.

use std::collections::BTreeMap;

use loadtest::gateways::Simulated;
use serde_json::{Value, json};

use crate::real::Real;
use crate::world::{document, finished, send};

const INSTALLATIONS: &str = "/v1/hubs/demo/installations";

async fn register(real: &Real, device: u64, more: Value) {
    let mut document = document(device);
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    real.admin.put(&format!("{INSTALLATIONS}/dev-{device}"), &document).await.expect(201);
}

/// Bodies by the last digits of the device's token, and the headers of the last request.
fn received(real: &Real) -> BTreeMap<u64, Vec<String>> {
    let receipts = real.sim.receipts();
    let mut received: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for order in 0..receipts.len() {
        let request = receipts.full(order).unwrap();
        let token = request.header(":path").unwrap().rsplit('/').next().unwrap().to_owned();
        let device = u64::from_str_radix(&token[token.len() - 8..], 16).unwrap() - 1;
        received.entry(device).or_default().push(String::from_utf8(request.body).unwrap());
    }
    received
}

#[tokio::test]
async fn what_the_service_receives_is_what_the_templates_say() {
    let real = Real::start().await;
    let bodies = [
        r#"{"aps":{"alert":"$(msg)"}}"#,
        r##"{ "aps" : { "badge" : "#(n)" , "alert": ".(long, 20)" } }"##,
        r#"{"aps":{"alert":"{$(city) + ' - ' + $(n)}"},"u":"{'https://e.test/?c=' + %(city)}"}"#,
        r#"{"aps":{"alert":"{'Hi ' + $(name:{you})}","title":"City: $(city)"}}"#,
    ];
    for (device, body) in (0..).zip(bodies) {
        register(&real, device, json!({"templates": {"t": {"body": body}}})).await;
    }
    register(&real, 4, json!({"templates": {"t": {"body": bodies[3]}}, "pushVariables": {"NAME": "Ann \"a\""}})).await;
    register(&real, 5, json!({})).await;
    let properties =
        json!({"msg": "He said \"hi\" & left", "n": 7, "city": "São Paulo", "long": "This is the title line"});
    let dry = json!({"audience": "all", "template": properties, "dry_run": true});
    let told = real.admin.post("/v1/hubs/demo/broadcasts", &dry).await.expect(200).json();
    let longest = r#"{"aps":{"alert":"São Paulo - 7"},"u":"https://e.test/?c=S%C3%A3o%20Paulo"}"#;
    assert_eq!(told, json!({"count": 5, "platforms": {"apns": 5}, "payload_bytes": {"apns": longest.len()}}));
    let id = send(&real.admin, &json!({"audience": "all", "template": properties})).await;
    let over = finished(&real.admin, &id).await;
    assert_eq!((&over["counters"]["targeted"], &over["counters"]["delivered"]), (&json!(5), &json!(5)), "{over}");
    let expected = [
        r#"{"aps":{"alert":"He said \"hi\" & left"}}"#,
        r#"{"aps":{"badge":7,"alert":"This is the title..."}}"#,
        longest,
        r#"{"aps":{"alert":"Hi you","title":"City: $(city)"}}"#,
        r#"{"aps":{"alert":"Hi Ann \"a\"","title":"City: $(city)"}}"#,
    ];
    let expected = (0..).zip(expected.map(|body| vec![body.to_owned()])).collect::<BTreeMap<_, _>>();
    assert_eq!(received(&real), expected);
    let item = real.admin.outcome(&format!("/v1/hubs/demo/broadcasts/{id}"), "dev-4").await;
    assert_eq!((&item["target"], &item["outcome"]), (&json!("template:t"), &json!("delivered")));
}

#[tokio::test]
async fn headers_and_expiry_of_a_template_go_to_the_service() {
    let real = Real::start().await;
    let headers = json!({"apns-push-type": "background", "apns-priority": "5", "apns-collapse-id": "$(key)",
        "apns-topic": "com.example.app"});
    let template =
        json!({"body": "{\"aps\":{\"content-available\":1},\"x\":\"$(x)\"}", "headers": headers, "expiry": "$(until)"});
    register(&real, 0, json!({"templates": {"t": template}})).await;
    let properties = json!({"key": "score-1", "x": true, "until": "2099-01-01T00:00:00Z"});
    let id = send(&real.admin, &json!({"template": properties, "collapse_key": "another", "ttl_seconds": 60})).await;
    let over = finished(&real.admin, &id).await;
    assert_eq!(over["counters"]["delivered"], 1, "{over}");
    let request = real.sim.receipts().full(0).unwrap();
    let header = |name| request.header(name).unwrap_or_default();
    assert_eq!(
        ["apns-push-type", "apns-priority", "apns-collapse-id", "apns-expiration"].map(header),
        ["background", "5", "score-1", "4070908800"]
    );
    assert_eq!(request.body, br#"{"aps":{"content-available":1},"x":"true"}"#);
    // A header that its properties make wrong is told, and sends nothing.
    let long = json!({"template": {"key": "x".repeat(65), "until": ""}});
    let id = send(&real.admin, &long).await;
    let over = finished(&real.admin, &id).await;
    assert_eq!((&over["state"], &over["counters"]["rejected"]), (&json!("completed"), &json!(1)), "{over}");
    let outcomes = real.admin.get(&format!("/v1/hubs/demo/broadcasts/{id}/outcomes")).await.expect(200).json();
    assert_eq!(outcomes["items"][0]["reason"], "template must have at most 64 bytes for APNs");
    assert_eq!(real.sim.receipts().len(), 1);
}

#[tokio::test]
async fn a_broken_template_is_refused_by_its_field_and_leaves_the_installation_as_it_was() {
    let real = Real::start().await;
    register(&real, 0, json!({"templates": {"t": {"body": "{}"}}})).await;
    let at = format!("{INSTALLATIONS}/dev-0");
    for (template, field, said) in [
        (json!({"body": "{\"a\":\"{#(n) + 'x'}\"}"}), "templates.t.body", "must not hold # in a composition"),
        (json!({"body": "{\"a\":\"$(n\"}"}), "templates.t.body", "close its parentheses"),
        (json!({"body": "{\"a\":"}), "templates.t.body", "well-formed JSON"),
        (json!({"body": "<toast/>"}), "templates.t.body", "must be a JSON object"),
        (
            json!({"body": "{}", "headers": {"X-WNS-Type": "wns/raw"}}),
            "templates.t.headers.x-wns-type",
            "must be one of",
        ),
        (json!({"body": "{}", "expiry": "soon"}), "templates.t.expiry", "ISO 8601"),
    ] {
        let mut broken = document(0);
        broken["templates"] = json!({"t": template});
        let refused = real.admin.put(&at, &broken).await.expect(400).json();
        assert_eq!(refused["error"]["field"], field, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(said), "{refused}");
    }
    let patch = json!([{"op": "replace", "path": "/templates/t/body", "value": "{\"a\":\"$body\"}"}]).to_string();
    let headers = [("content-type", "application/json-patch+json")];
    let refused = real.admin.send("PATCH", &at, &headers, patch.as_bytes()).await.expect(400).json();
    assert_eq!(refused["error"]["field"], "templates.t.body", "{refused}");
    assert_eq!(real.admin.get(&at).await.expect(200).json()["templates"]["t"]["body"], "{}");
    let long = json!({"template": {}, "collapse_key": "x".repeat(65)});
    let refused = real.admin.post("/v1/hubs/demo/broadcasts", &long).await.expect(400).json();
    assert_eq!(refused["error"]["field"], "collapse_key", "{refused}");
}
