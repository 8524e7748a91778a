//! Broken requests: each gets a status, a code, the field at fault and the rule that it breaks, and changes nothing.

use serde_json::{Value, json};

use crate::world::document;

mod broadcasts;
mod hubs;
mod installations;
mod places;
mod row;
pub mod world;

use row::Row;
use world::World;

const AUDIENCE: &str = "/v1/hubs/demo/audience";
const DEVICE: &str = "/v1/hubs/demo/installations/dev-1";

/// Sends each request and compares all that it could have changed before and after it.
async fn all_are_refused(rows: impl Fn(&World) -> Vec<Row>) {
    let world = World::start().await;
    let before = world.fingerprint().await;
    let rows = rows(&world);
    assert!(rows.len() >= 40, "{}", rows.len());
    // All that is wrong is told at once.
    let mut wrong = Vec::new();
    for row in &rows {
        let answer = world.send(row).await;
        let message = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["error"]["message"].clone();
        let message = message.as_str().unwrap_or_default();
        let Row { method, path, status, code, field, rule, .. } = row;
        let shown =
            format!("{method} {path} {:.200} as {:?}\n  {} {}", row.body, row.who, answer.status, answer.text());
        if answer.refusal() != (*status, (*code).to_owned(), (*field).to_owned()) || !message.contains(rule) {
            wrong.push(format!("{shown}\n  wanted {status} {code} {field:?} {rule:?}"));
        }
        // A sentence begins with the field that it is about.
        if *code == "invalid" && !message.starts_with(field) {
            wrong.push(format!("{shown}\n  the message does not name its field"));
        }
        let typed = answer.header("content-type") == Some("application/json");
        if !typed || answer.header("allow").is_some() != (*status == 405) {
            wrong.push(format!("{shown}\n  {:?}", answer.headers));
        }
        let after = world.fingerprint().await;
        assert_eq!(after, before, "it changed something: {shown}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    world.running.stop().await;
}

#[tokio::test]
async fn places_callers_and_bodies_are_refused_and_nothing_changes() {
    all_are_refused(places::rows).await;
}

#[tokio::test]
async fn settings_and_documents_are_refused_and_nothing_changes() {
    all_are_refused(|world| [hubs::rows(world), installations::rows(world)].concat()).await;
}

#[tokio::test]
async fn broadcasts_and_controls_are_refused_and_nothing_changes() {
    all_are_refused(broadcasts::rows).await;
}

#[tokio::test]
async fn each_bad_line_of_an_import_is_told_and_nothing_changes() {
    let world = World::start().await;
    let before = world.fingerprint().await;
    let long = format!(r#"{{"installationId":"x","platform":"apns","pushChannel":"{}"}}"#, "ab".repeat(600));
    let good = document(1).to_string();
    let cases = [
        ("nonsense", "body", "must be a JSON object"),
        ("[]", "body", "must be a JSON object"),
        ("{}", "installationId", "is required"),
        (&good[..good.len() - 1], "body", "must be a JSON object"),
        (r#"{"installationId":"a b","platform":"apns"}"#, "installationId", "may hold only"),
        (r#"{"installationId":"x","platform":"pager"}"#, "platform", "must be one of"),
        (r#"{"installationId":"x","platform":"apns"}"#, "pushChannel", "is required"),
        (
            r#"{"installationId":"x","platform":"apns","pushChannel":"zz"}"#,
            "pushChannel",
            "must be a device token: an even number of hexadecimal digits",
        ),
        (
            r#"{"installationId":"x","platform":"gcm","pushChannel":"a","tags":["a b"]}"#,
            "tags[0]",
            "is not allowed in a tag",
        ),
        (r#"{"installationId":"x","platform":"gcm","pushChannel":"a","tags":"a"}"#, "tags", "must be an array"),
        (&long, "line", "must have at most 1024 bytes"),
    ];
    for (line, field, rule) in cases {
        // The second of two lines, so that its number is its own; a blank one is no line.
        let body = format!("\n{line}\n");
        let path = "/v1/hubs/demo/installations:import";
        let lines = world.admin.send("POST", path, &[], body.as_bytes()).await.expect(200).lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!((&lines[0]["line"], &lines[0]["error"]["code"]), (&json!(2), &json!("invalid")), "{lines:?}");
        let message = lines[0]["error"]["message"].as_str().unwrap();
        assert_eq!(lines[0]["error"]["field"], field, "{message}");
        assert!(message.starts_with(field) && message.contains(rule), "{message}");
        assert_eq!(lines[1], json!({"imported": 0, "failed": 1}));
        assert_eq!(world.fingerprint().await, before, "{line}");
    }
    world.running.stop().await;
}

/// What `curl -d` says when it is told nothing.
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn bodies_have_a_length_and_a_type() {
    let world = crate::world::World::with(&[("LIMITS__BODY_BYTES", "1024")]).await;
    let long = format!(r#"{{"audience":"{}"}}"#, "a".repeat(2_000));
    let typed = |kind| [("content-type", kind)];
    let refused = |answer: crate::client::Answer| answer.refusal();
    let too_large = (413, "too_large".to_owned(), "body".to_owned());
    assert_eq!(refused(world.admin.send("POST", AUDIENCE, &[], long.as_bytes()).await), too_large);
    let mut streamed = world.admin.begin("POST", AUDIENCE, &[("transfer-encoding", "chunked")]).await;
    for piece in long.as_bytes().chunks(300) {
        streamed.chunk(piece).await;
    }
    streamed.chunk(b"").await;
    assert_eq!(refused(streamed.answer().await), too_large);
    let text = world.admin.send("POST", AUDIENCE, &typed("text/plain"), b"{}").await;
    assert_eq!(refused(text), (415, "unsupported_media_type".into(), "Content-Type".into()));
    let packed = world.admin.send("POST", AUDIENCE, &[("content-encoding", "gzip")], b"{}").await;
    assert_eq!(refused(packed), (415, "unsupported_media_type".into(), "Content-Encoding".into()));
    for kind in ["application/json", "application/json; charset=utf-8", "application/merge-patch+json", FORM] {
        world.admin.send("POST", AUDIENCE, &typed(kind), b"{}").await.expect(200);
    }
    // A body in pieces that fits is whole again.
    let mut streamed = world.admin.begin("POST", AUDIENCE, &[("transfer-encoding", "chunked")]).await;
    for piece in [&br#"{"aud"#[..], b"ience\":", b"\"a\"}", b""] {
        streamed.chunk(piece).await;
    }
    streamed.answer().await.expect(200);
}

#[tokio::test]
async fn limits_of_documents_are_those_of_the_configuration() {
    let settings = [("LIMITS__TAGS_PER_INSTALLATION", "2"), ("LIMITS__EXPRESSION_TERMS", "2")];
    let world = crate::world::World::with(&settings).await;
    let mut three = document(1);
    three["tags"] = json!(["a", "b", "c"]);
    let answer = world.admin.put(DEVICE, &three).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "tags".into()));
    let answer = world.admin.post(AUDIENCE, &json!({"audience": "a || b || c"})).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "audience".into()));
}
