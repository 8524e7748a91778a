//! Each rule that APNs checks, with the answer for breaking it.
use http::Method;
use loadtest::gateways::Simulated;

use crate::client::{self, BODY, request, soon, token};

/// Sends a request to a fresh service; answers (status, reason).
async fn verdict(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> (u16, String) {
    verdict_of_body(change, BODY.as_bytes()).await
}

async fn verdict_of_body(
    change: impl FnOnce(http::request::Builder) -> http::request::Builder,
    body: &[u8],
) -> (u16, String) {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    let request = http::request::Builder::new().header("authorization", format!("bearer {}", kit.jwt));
    let answered = soon(client.push_body(change(request), body)).await.unwrap();
    assert!(!kit.sim.counts().violations.any());
    assert_eq!(kit.sim.receipts().page(0, 1)[0].status, answered.status);
    (answered.status, answered.reason().to_owned())
}

fn to_device(token: &str) -> impl FnOnce(http::request::Builder) -> http::request::Builder {
    let uri = format!("https://localhost/3/device/{token}");
    |request| request.method(Method::POST).uri(uri).header("apns-topic", client::TOPIC)
}

async fn with_header(name: &str, value: &str) -> (u16, String) {
    verdict(|request| to_device(&token(1))(request).header(name, value)).await
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test]
async fn a_good_request_is_accepted_and_its_id_echoed() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    let id = "0189cf2a-7d3e-7c10-8f54-00000000002a";
    let answered = soon(client.push(kit.request(&token(1)).header("apns-id", id))).await.unwrap();
    assert_eq!((answered.status, answered.headers["apns-id"].to_str().unwrap()), (200, id));
    assert!(answered.headers.get("apns-unique-id").is_none(), "only the sandbox gives one");
    let receipt = &kit.sim.receipts().all()[0];
    assert_eq!((receipt.id.to_string().as_str(), receipt.token.to_string()), (id, token(1)));

    let generated = soon(client.push(kit.request(&token(2)))).await.unwrap();
    assert_eq!(generated.headers["apns-id"].to_str().unwrap(), kit.sim.receipts().all()[1].id.to_string());
}

#[tokio::test]
async fn method_and_path() {
    let get = |request| to_device(&token(1))(request).method(Method::GET);
    assert_eq!(verdict_of_body(get, b"").await, refused(405, "MethodNotAllowed"));
    let path = |request: http::request::Builder| request.method(Method::POST).uri("https://localhost/4/device/00");
    assert_eq!(verdict(path).await, refused(404, "BadPath"));
    assert_eq!(verdict(to_device(&token(1).replace('0', "%20"))).await, refused(404, "BadPath"));
    assert_eq!(verdict(to_device("")).await, refused(400, "MissingDeviceToken"));
}

#[tokio::test]
async fn device_tokens_of_many_lengths_but_hex() {
    for good in ["ab".repeat(16), "AB".repeat(32), "ab".repeat(80), "ab".repeat(256)] {
        assert_eq!(verdict(to_device(&good)).await, refused(200, ""));
    }
    for bad in ["ab".repeat(15), "ab".repeat(257), format!("{}a", token(1)), token(1).replace('0', "g")] {
        assert_eq!(verdict(to_device(&bad)).await, refused(400, "BadDeviceToken"), "{bad}");
    }
}

#[tokio::test]
async fn topics() {
    let plain = |topic: &'static str, push_type: &'static str| {
        verdict(move |request| {
            request
                .method(Method::POST)
                .uri(format!("https://localhost/3/device/{}", token(1)))
                .header("apns-topic", topic)
                .header("apns-push-type", push_type)
                .header("apns-priority", "5")
        })
    };
    let none = |request: http::request::Builder| {
        request.method(Method::POST).uri(format!("https://localhost/3/device/{}", token(1)))
    };
    assert_eq!(verdict(none).await, refused(400, "MissingTopic"));
    assert_eq!(plain("com.example.app", "alert").await, refused(200, ""));
    assert_eq!(plain("com example", "alert").await, refused(400, "BadTopic"));
    assert_eq!(plain("com.example.other", "alert").await, refused(400, "TopicDisallowed"));
    assert_eq!(plain("com.example.app", "voip").await, refused(400, "BadTopic"));
    for (topic, push_type) in [
        ("com.example.app", "background"),
        ("com.example.app.voip", "voip"),
        ("com.example.app.complication", "complication"),
        ("com.example.app.pushkit.fileprovider", "fileprovider"),
        ("com.example.app.push-type.liveactivity", "liveactivity"),
        ("com.example.app.voip-ptt", "pushtotalk"),
        ("com.example.app.location-query", "location"),
        ("com.example.app.push-type.controls", "controls"),
        ("com.example.app.push-type.widgets", "widgets"),
    ] {
        assert_eq!(plain(topic, push_type).await, refused(200, ""), "{push_type}");
    }
    assert_eq!(plain("com.example.app", "poke").await, refused(400, "InvalidPushType"));
}

#[tokio::test]
async fn message_ids_are_canonical_lower_case_uuids() {
    for bad in [
        "",
        "0189CF2A-7D3E-7C10-8F54-00000000002A",
        "0189cf2a7d3e7c108f5400000000002a",
        "{0189cf2a-7d3e-7c10-8f54-00000000002a}",
        "0189cf2a-7d3e-7c10-8f54-00000000002g",
    ] {
        assert_eq!(with_header("apns-id", bad).await, refused(400, "BadMessageId"), "{bad}");
    }
}

#[tokio::test]
async fn priorities() {
    for (priority, expected) in [("10", 200), ("5", 200), ("1", 200), ("2", 400), ("05", 400), ("high", 400)] {
        assert_eq!(with_header("apns-priority", priority).await.0, expected, "{priority}");
    }
    let typed = |push_type: &'static str, priority: Option<&'static str>| {
        verdict(move |request| {
            let request = to_device(&token(1))(request).header("apns-push-type", push_type);
            match priority {
                Some(priority) => request.header("apns-priority", priority),
                None => request,
            }
        })
    };
    assert_eq!(typed("background", Some("5")).await, refused(200, ""));
    assert_eq!(typed("background", Some("10")).await, refused(400, "BadPriority"));
    assert_eq!(typed("background", None).await, refused(400, "BadPriority"), "the default is 10");
}

#[tokio::test]
async fn expiration_and_collapse_id() {
    for (date, expected) in [("0", 200), ("1893456000", 200), ("-1", 400), ("tomorrow", 400), ("", 400), ("1e9", 400)] {
        assert_eq!(with_header("apns-expiration", date).await.0, expected, "{date}");
    }
    assert_eq!(with_header("apns-expiration", "x").await, refused(400, "BadExpirationDate"));
    assert_eq!(with_header("apns-collapse-id", &"c".repeat(64)).await, refused(200, ""));
    assert_eq!(with_header("apns-collapse-id", &"c".repeat(65)).await, refused(400, "BadCollapseId"));
}

#[tokio::test]
async fn duplicate_headers() {
    for (name, value) in [("apns-topic", "com.example.app"), ("authorization", "bearer x")] {
        assert_eq!(with_header(name, value).await, refused(400, "DuplicateHeaders"), "{name}");
    }
}

#[tokio::test]
async fn payload_sizes() {
    fn body(bytes: usize) -> Vec<u8> {
        format!(r#"{{"aps":"{}"}}"#, "x".repeat(bytes - 10)).into_bytes()
    }
    let voip = |request: http::request::Builder| {
        request
            .method(Method::POST)
            .uri(format!("https://localhost/3/device/{}", token(1)))
            .header("apns-topic", "com.example.app.voip")
            .header("apns-push-type", "voip")
    };
    assert_eq!(verdict_of_body(to_device(&token(1)), b"").await, refused(400, "PayloadEmpty"));
    assert_eq!(verdict_of_body(to_device(&token(1)), &body(4096)).await, refused(200, ""));
    assert_eq!(verdict_of_body(to_device(&token(1)), &body(4097)).await, refused(413, "PayloadTooLarge"));
    assert_eq!(verdict_of_body(voip, &body(5120)).await, refused(200, ""));
    assert_eq!(verdict_of_body(voip, &body(5121)).await, refused(413, "PayloadTooLarge"));
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_violation() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    for (body, violations) in [(BODY, 0), ("[1]", 1), (r#"{"aps":}"#, 2), (BODY, 2)] {
        assert_eq!(soon(client.push_body(kit.request(&token(1)), body.as_bytes())).await.unwrap().status, 200);
        assert_eq!(kit.sim.counts().violations.payload, violations);
    }
}

#[tokio::test]
async fn credentials_can_be_left_unchecked() {
    let config = loadtest::gateways::ApnsConfig { verify_credentials: false, ..client::config() };
    let kit = client::kit(config).await;
    let client = kit.connect().await;
    assert_eq!(soon(client.push(request(&token(1)))).await.unwrap().status, 200);
    assert_eq!(soon(client.push(request("00"))).await.unwrap().reason(), "BadDeviceToken");
}
