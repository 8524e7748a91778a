//! The conformance checklist (`notification-hubs.md` section 10): tokens (2), paths
//! (3), installations (6) and errors (16).

use loadtest::gateways::Script;
use serde_json::{Value, json};

use crate::atom::fcm;
use crate::client::Client;
use crate::world::{ADMIN, FULL, World, apple, apple_token, signed, token};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

/// What an error says: its code and its detail without the tracking.
pub fn refusal(answer: &crate::client::Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/xml; charset=utf-8"), "{answer:?}");
    let text = answer.text();
    let rest = text.strip_prefix(&format!("<Error><Code>{}</Code><Detail>", answer.status));
    let rest = rest.unwrap_or_else(|| panic!("{text}"));
    let (message, rest) = rest.split_once(".TrackingId:").unwrap();
    let (tracking, rest) = rest.split_once("_G0,TimeStamp:").unwrap();
    assert_eq!(Some(tracking), answer.header("trackingid"), "{text}");
    assert!(rest.ends_with("M</Detail></Error>"), "{text}");
    (answer.status, message.to_owned())
}

#[tokio::test]
async fn c02_tokens_in_every_form_are_verified() {
    let world = World::start().await;
    let address = world.address();
    let hub = world.admin.get("/v1/hubs/hub1").await.expect(200).json();
    let rule = FULL;
    let key = |which: &str| hub["keys"][rule][which].as_str().unwrap().to_owned();
    let (primary, secondary) = (key("primary"), key("secondary"));
    let until = 4_000_000_000;
    let ask = async |authorization: String| {
        let client = Client::new(address, Some(authorization));
        client.get("/hub1/installations/none?api-version=2020-06").await
    };
    let host = format!("127.0.0.1:{}", address.port());
    for resource in [
        format!("https://{host}/"),
        format!("https://{host}"),
        "http://127.0.0.1/hub1/installations/none/".to_owned(),
        format!("https://{host}/hub1/installations/none?api-version=2020-06"),
        "sb://127.0.0.1/HUB1".to_owned(),
    ] {
        for key in [&primary, &secondary] {
            let token = token(&resource, until, rule, key);
            assert_eq!(ask(token.clone()).await.status, 404, "{resource}");
            let mut parts: Vec<_> = token.strip_prefix("SharedAccessSignature ").unwrap().split('&').collect();
            parts.reverse();
            assert_eq!(ask(format!("SharedAccessSignature {}", parts.join("&"))).await.status, 404, "{resource}");
        }
    }
    let own = format!("https://{host}/");
    for (authorization, reason) in [
        (token(&own, until, rule, "wrong"), "InvalidSignature: "),
        (token(&own, until, "NoRule", &primary), "InvalidSignature: "),
        (token(&own, 1_000_000_000, rule, &primary), "ExpiredToken: "),
        (token("https://elsewhere.test/", until, rule, &primary), "InvalidAudience: "),
        (token("https://127.0.0.1/hub2", until, rule, &primary), "InvalidAudience: "),
        ("SharedAccessSignature sr=x".to_owned(), "MalformedToken: "),
        ("Nothing".to_owned(), "the request needs"),
    ] {
        let (status, message) = refusal(&ask(authorization).await);
        assert_eq!(status, 401);
        assert!(message.starts_with(reason), "{message}");
    }
    // The spec's own: the key is text, the resource is signed as it stands, and a port is no part of it.
    let key = "c2VjcmV0LWtleS1mb3ItdGVzdHMtb25seS0wMTIzNDU=";
    let mut settings = hub.clone();
    settings["keys"]["Vector"] = json!({"rights": ["listen", "send", "manage"], "primary": key});
    world.admin.put("/v1/hubs/hub1", &settings).await.expect(200);
    for (raw, signature) in [
        ("https%3A%2F%2Fns1.example.test%2F", "t9WCLpIQwixQZ9K5RCVO6Ylaf5EVtNNSCQ0exUkjy4Q="),
        ("http%3a%2f%2fns1.example.test%2fhub1%2fmessages%2f", "0n9z08t1vLdwej19zztx+zQ5zMuLt52f7XO5yQk1NgQ="),
    ] {
        let signature: String = signature.bytes().map(crate::world::encoded).collect();
        let ask = async |resource: &str| {
            let token = format!("SharedAccessSignature sr={resource}&sig={signature}&se=1900000000&skn=Vector");
            let client = Client::new(address, Some(token));
            let headers = [APPLE, ("host", "ns1.example.test:8443")];
            client.send("POST", "/hub1/messages/?api-version=2020-06", &headers, ALERT.as_bytes()).await
        };
        ask(raw).await.expect(201);
        let message = refusal(&ask(&raw.to_uppercase()).await);
        assert!(message.0 == 401 && message.1.starts_with("InvalidSignature: "), "{message:?}");
    }
    // The namespace's rule is for every hub, and its key is the admin key. A hub's rule is for its hub alone.
    assert_eq!(world.root().get("/hub1/installations/none").await.status, 404);
    world.admin.put("/v1/hubs/hub2", &json!({})).await.expect(201);
    assert_eq!(refusal(&world.full.get("/hub2/installations/none").await).0, 401);
}

#[tokio::test]
async fn c03_paths_and_queries_are_taken_as_clients_write_them() {
    let world = World::start().await;
    world
        .install("a%2Fb".replace("%2F", ":").as_str(), &json!({"platform": "apns", "pushChannel": apple_token(1)}))
        .await;
    for path in [
        "/hub1/installations/a:b",
        "/HUB1/Installations/a%3Ab/",
        "/hub1/INSTALLATIONS/a:b?API-Version=2015-04&unknown=1&flag",
        "/hub1/installations/a:b?api-version=",
    ] {
        world.listen.get(path).await.expect(200);
    }
    for (path, flag) in
        [("/hub1/messages", "direct"), ("/hub1/Messages/", "Direct=true"), ("/hub1/messages/", "%64irect")]
    {
        let headers = [APPLE, ("ServiceBusNotification-DeviceHandle", &apple_token(1))];
        let path = format!("{path}?api-version=2020-06&{flag}");
        world.full.send("POST", &path, &headers, ALERT.as_bytes()).await.expect(201);
    }
    world.listen.send("POST", "/hub1/RegistrationIds/?test", &[], b"").await.expect(201);
    world.listen.send("PUT", "/hub1/Registrations/1-2-3/", &[], fcm("t", "a#b").as_bytes()).await.expect(200);
    for path in [
        "/HUB1/REGISTRATIONS/1-2-3?test",
        "/hub1/registrations?%24Filter=fcmV1registrationId%20EQ%20't'&%24TOP=1",
        "/hub1/Tags/a%23b/Registrations/?ContinuationToken=&$top=1",
    ] {
        let answer = world.full.get(path).await.expect(200);
        assert!(answer.text().contains("<RegistrationId>1-2-3</RegistrationId>"), "{path}: {}", answer.text());
    }
    for version in ["latest", "2020", "2020-6", "2020-06-01"] {
        let answer = world.listen.get(&format!("/hub1/installations/a:b?api-version={version}")).await;
        let (status, message) = refusal(&answer);
        assert!(status == 400 && message.starts_with("api-version "), "{message}");
    }
}

#[tokio::test]
async fn c06_installations_read_back_as_they_are() {
    let world = World::start().await;
    let document = json!({
        "installationId": "dev-1", "platform": "APNS", "pushChannel": apple_token(1).to_uppercase(), "userId": null,
        "tags": ["news", "", " city.paris "], "pushVariables": {"v": "1"}, "unknown": {"x": 1},
        "templates": {"Template Name": {"name": "x", "body": "{\"aps\":{\"alert\":\"$(msg)\"}}", "tags": ["alert"]}},
    });
    world.install("dev-1", &document).await;
    let read = world.listen.get("/hub1/installations/dev-1?api-version=2020-06").await.expect(200);
    assert_eq!(read.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(
        read.json(),
        json!({
            "installationId": "dev-1", "pushChannel": apple_token(1).to_uppercase(), "pushChannelExpired": false,
            "platform": "apns", "expirationTime": "9999-12-31T23:59:59.9999999Z", "tags": ["news", "city.paris"],
            "pushVariables": {"v": "1"},
            "templates": {"Template Name": {
                "body": "{\"aps\":{\"alert\":\"$(msg)\"}}", "tags": ["alert", "Template Name"],
            }},
        })
    );
    // What was read can be written: a template's own name, whatever it holds, is no tag to be checked.
    world.install("dev-1", &read.json()).await;
    assert_eq!(world.listen.get("/hub1/installations/dev-1").await.json(), read.json());
    // Members that are not sent are gone; each rule is named.
    world.install("dev-1", &json!({"platform": "apns", "pushChannel": apple_token(1)})).await;
    assert!(world.listen.get("/hub1/installations/dev-1").await.json().get("tags").is_none());
    for (body, field) in [
        (json!({"installationId": "other", "platform": "apns", "pushChannel": apple_token(1)}), "installationId "),
        (json!({"platform": "pager", "pushChannel": "x"}), "platform "),
        (json!({"platform": "apns", "pushChannel": "no hex"}), "pushChannel "),
        (json!({"platform": "apns", "pushChannel": apple_token(1), "tags": ["a b"]}), "tags[0] "),
        (json!([]), "body "),
    ] {
        let (status, message) = refusal(&world.listen.put("/hub1/installations/dev-1", &body).await);
        assert!(status == 400 && message.starts_with(field), "{body}: {message}");
    }
    let missing = world.listen.get("/hub1/installations/none").await;
    assert_eq!(refusal(&missing), (404, "Installation not found".to_owned()));
    let missing = world.listen.send("PATCH", "/hub1/installations/none", &[], b"[]").await;
    assert_eq!(refusal(&missing), (404, "Installation not found".to_owned()));
}

#[tokio::test]
async fn c16_errors_have_the_one_form_and_say_why() {
    let world = World::start().await;
    // A missing right is a 401 that says so, without Retry-After: a 403 would be tried again.
    let answer = world.listen.send("POST", "/hub1/messages", &[APPLE], ALERT.as_bytes()).await;
    let (status, message) = refusal(&answer);
    assert!(status == 401 && message.starts_with("Send claim is required for this operation"), "{message}");
    assert!(answer.header("retry-after").is_none());
    let (status, message) = refusal(&world.listen.get("/hub1/feedbackcontainer").await);
    assert!(status == 401 && message.starts_with("Manage claim is required for this operation"), "{message}");
    // An unknown hub is one only for who may know.
    let gone = "No service is hosted at the specified address.".to_owned();
    assert_eq!(refusal(&world.root().get("/nowhere/installations/x").await), (404, gone.clone()));
    assert_eq!(refusal(&world.full.get("/nowhere/installations/x").await).0, 401);
    assert_eq!(refusal(&Client::new(world.address(), None).get("/hub1/installations/x").await).0, 401);
    assert_eq!(refusal(&world.full.get("/hub1/something/else").await), (404, gone));
    let wrong = world.full.send("POST", "/hub1/installations/x", &[], b"").await;
    assert_eq!(refusal(&wrong).0, 405);
    assert!(wrong.header("allow").is_some_and(|methods| methods.contains("PATCH")));
    // The caller's own id is the one that is reported.
    let own = [("TrackingId", "0f8fad5b-d9cb-469f-a165-70867728950e")];
    let answer = world.full.send("GET", "/hub1/installations/none", &own, b"").await;
    assert!(answer.text().contains("TrackingId:0f8fad5b-d9cb-469f-a165-70867728950e_"), "{}", answer.text());
    assert_eq!(answer.header("trackingid"), Some("0f8fad5b-d9cb-469f-a165-70867728950e"));
    assert!(answer.header("x-ms-correlation-request-id").is_some());
    let odd = world.full.send("GET", "/hub1/installations/none", &[("TrackingId", "x\"<")], b"").await;
    assert_eq!(odd.header("trackingid").map(str::len), Some(36));
    // Other faces speak their own language.
    let native = world.full.get("/v1/none").await.expect(404);
    assert_eq!(native.json()["error"]["code"], "no_route");
    let page: Value = Client::new(world.address(), None).get("/favicon.ico").await.expect(404).json();
    assert_eq!(page["error"]["code"], "no_route");
}

#[tokio::test]
async fn c16_who_comes_too_often_is_told_when_to_come_back() {
    let settings = [("LIMITS__BROADCASTS_PER_SECOND", "1"), ("LIMITS__BROADCASTS_BURST", "1")];
    let world = World::with(Script::default(), &settings).await;
    world.send("", &[APPLE], ALERT).await.expect(201);
    let answer = world.send("", &[APPLE], ALERT).await;
    assert_eq!(refusal(&answer).0, 429);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().is_ok(), "whole seconds");
}

#[tokio::test]
async fn the_printed_connection_string_is_all_that_is_needed() {
    let world = World::start().await;
    let hub = world.admin.put("/v1/hubs/hub3", &json!({})).await.expect(201).json();
    for (rule, keys) in hub["keys"].as_object().unwrap() {
        for which in ["primary", "secondary"] {
            let client = signed(world.address(), rule, keys[which].as_str().unwrap());
            client.put("/hub3/installations/dev-1", &apple(1)).await.expect(200);
        }
    }
    assert_eq!(signed(world.address(), "RootManageSharedAccessKey", ADMIN).get("/hub3").await.status, 200);
}
