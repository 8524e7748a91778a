//! Broken requests: each gets a status, a code and the field at fault, and changes nothing.

use serde_json::json;

use crate::client::Client;
use crate::world::{ADMIN, World, document, hub, start_real};

const HUB: &str = "/v1/hubs/demo";
const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";
const DEVICE: &str = "/v1/hubs/demo/installations/dev-1";
const AUDIENCE: &str = "/v1/hubs/demo/audience";
const UNKNOWN: &str = "/v1/hubs/demo/broadcasts/01920000-0000-7000-8000-000000000000";

/// Method, path, body, status, code, field.
type Row = (&'static str, String, &'static str, u16, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    let apns =
        |member: &'static str, field: &'static str| -> Row { ("PUT", HUB.into(), member, 400, "invalid", field) };
    let device =
        |body: &'static str, field: &'static str| -> Row { ("PUT", DEVICE.into(), body, 400, "invalid", field) };
    let send =
        |body: &'static str, field: &'static str| -> Row { ("POST", BROADCASTS.into(), body, 400, "invalid", field) };
    vec![
        // Paths and methods.
        ("GET", "/nowhere".into(), "", 404, "no_route", ""),
        ("GET", "/v1".into(), "", 404, "no_route", ""),
        ("GET", "/v1/hubs/".into(), "", 404, "no_route", ""),
        ("POST", "/v1/hubs".into(), "{}", 405, "method_not_allowed", ""),
        ("PATCH", HUB.into(), "{}", 405, "method_not_allowed", ""),
        ("DELETE", "/healthz".into(), "", 405, "method_not_allowed", ""),
        ("POST", UNKNOWN.into(), "", 405, "method_not_allowed", ""),
        ("POST", at(UNKNOWN, ":explode"), "", 404, "no_route", ""),
        ("POST", at(HUB, "/keys/full"), "", 404, "no_route", ""),
        ("POST", at(HUB, "/keys/full:forget"), "", 404, "no_route", ""),
        ("POST", at(HUB, "/senders/apns:pause"), "", 404, "no_route", ""),
        // What is not there.
        ("GET", "/v1/hubs/other".into(), "", 404, "no_hub", ""),
        ("DELETE", "/v1/hubs/other".into(), "", 404, "no_hub", ""),
        ("POST", "/v1/hubs/other/audience".into(), "{}", 404, "no_hub", ""),
        ("GET", at(HUB, "/installations/nobody"), "", 404, "no_installation", ""),
        ("POST", at(HUB, "/keys/nokey:rotate"), "", 404, "no_key", ""),
        ("POST", at(HUB, "/senders/fcm:resume"), "", 404, "no_sender", ""),
        ("POST", at(HUB, "/senders/pager:resume"), "", 404, "no_sender", ""),
        ("GET", UNKNOWN.into(), "", 404, "no_broadcast", ""),
        ("GET", at(BROADCASTS, "/7"), "", 404, "no_broadcast", ""),
        ("POST", at(UNKNOWN, ":cancel"), "", 404, "no_broadcast", ""),
        ("PATCH", UNKNOWN.into(), r#"{"rate_per_second":1}"#, 404, "no_broadcast", ""),
        ("GET", at(UNKNOWN, "/events"), "", 404, "no_broadcast", ""),
        ("GET", at(UNKNOWN, "/outcomes"), "", 404, "no_broadcast", ""),
        ("GET", at(UNKNOWN, "/outcomes/dev-1"), "", 404, "no_broadcast", ""),
        // Hubs.
        ("PUT", "/v1/hubs/-bad".into(), "{}", 400, "invalid", "hub"),
        ("PUT", "/v1/hubs/%ff".into(), "{}", 400, "invalid", "path"),
        apns("", "body"),
        apns("[]", "body"),
        apns("{\"weight\":1", "body"),
        apns(r#"{"wieght":1}"#, "wieght"),
        apns(r#"{"weight":1,"weight":1}"#, "weight"),
        apns(r#"{"weight":1001}"#, "weight"),
        apns(r#"{"weight":"1"}"#, "weight"),
        apns(r#"{"name":"other"}"#, "name"),
        apns(r#"{"fcm":{}}"#, "fcm.service_account"),
        apns(r#"{"keys":[]}"#, "keys"),
        apns(r#"{"keys":{"a":{"rights":["manage"]}}}"#, "keys.a.rights"),
        apns(r#"{"keys":{"a":{"rights":[]}}}"#, "keys.a.rights"),
        apns(r#"{"keys":{"a":{"rights":["send"],"primary":"a b"}}}"#, "keys.a.primary"),
        apns(r#"{"keys":{"a":{"rights":["send"],"tertiary":"a"}}}"#, "keys.a.tertiary"),
        apns(r#"{"apns":{"team_id":"TEAM123456"}}"#, "apns.topic"),
        apns(r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"OTHER12345"}}"#, "apns.key"),
        apns(r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"KEY1234567","key":"no PEM"}}"#, "apns.key"),
        apns(r#"{"apns":{"topic":"t","cert":"no PEM","cert_key":"no PEM"}}"#, "apns.cert"),
        apns(r#"{"apns":{"topic":"a b","team_id":"TEAM123456","key_id":"KEY1234567"}}"#, "apns.topic"),
        apns(
            r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"KEY1234567","endpoint":"http://a"}}"#,
            "apns.endpoint",
        ),
        apns(
            r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"KEY1234567","connections":0}}"#,
            "apns.connections",
        ),
        apns(r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"KEY1234567","ca":"no PEM"}}"#, "apns.ca"),
        // Installations.
        device("", "body"),
        device("{}", "platform"),
        device(r#"{"platform":"pager"}"#, "platform"),
        device(r#"{"platform":"apns"}"#, "pushChannel"),
        device(r#"{"platform":"apns","pushChannel":"xyz"}"#, "pushChannel"),
        device(r#"{"installationId":"dev-2","platform":"apns"}"#, "installationId"),
        device(r#"{"platform":"wns","pushChannel":"https://x.notify.windows.com/?t=1","tags":["a b"]}"#, "tags[0]"),
        ("PUT", at(HUB, "/installations/a%20b"), r#"{"platform":"apns"}"#, 400, "invalid", "installationId"),
        ("GET", at(HUB, "/installations/a%20b"), "", 400, "invalid", "installationId"),
        ("GET", at(HUB, "/installations?audience=a+b"), "", 400, "invalid", "audience"),
        ("GET", at(HUB, "/installations?audiance=a"), "", 400, "invalid", "audiance"),
        ("GET", at(HUB, "/installations?limit=0"), "", 400, "invalid", "limit"),
        ("GET", at(HUB, "/installations?limit=ten"), "", 400, "invalid", "limit"),
        ("GET", at(HUB, "/installations?cursor=x"), "", 400, "invalid", "cursor"),
        // Audiences.
        ("POST", AUDIENCE.into(), r#"{"audience":"a &&"}"#, 400, "invalid", "audience"),
        ("POST", AUDIENCE.into(), r#"{"audience":7}"#, 400, "invalid", "audience"),
        ("POST", AUDIENCE.into(), r#"{"kind":"tile"}"#, 400, "invalid", "kind"),
        ("POST", AUDIENCE.into(), r#"{"tags":["a"]}"#, 400, "invalid", "tags"),
        // Broadcasts.
        send("{}", "notification"),
        send(r#"{"notification":{}}"#, "notification"),
        send(r#"{"notification":"x"}"#, "notification"),
        send(r#"{"notification":{"tilte":"x"}}"#, "notification.tilte"),
        send(r#"{"notification":{"title":1}}"#, "notification.title"),
        send(r#"{"notification":{"title":"x","data":{"k":1}}}"#, "notification.data.k"),
        send(r#"{"payloads":{}}"#, "payloads"),
        send(r#"{"payloads":{"pager":{}}}"#, "payloads.pager"),
        send(r#"{"payloads":{"apns":"x"}}"#, "payloads.apns"),
        send(r#"{"payloads":{"apns":{}}}"#, "payloads.apns"),
        send(r#"{"payloads":{"fcm":{"notification":{}}}}"#, "payloads.fcm"),
        send(r#"{"payloads":{"wns":{"a":1}}}"#, "payloads.wns"),
        send(r#"{"template":{"msg":"x"}}"#, "template"),
        send(r#"{"template":{"msg":"x"},"notification":{"title":"x"}}"#, "template"),
        send(r#"{"notification":{"title":"x"},"audience":"(a"}"#, "audience"),
        send(r#"{"notification":{"title":"x"},"ttl_seconds":-1}"#, "ttl_seconds"),
        send(r#"{"notification":{"title":"x"},"ttl_seconds":2592001}"#, "ttl_seconds"),
        send(r#"{"notification":{"title":"x"},"priority":"urgent"}"#, "priority"),
        send(r#"{"notification":{"title":"x"},"lane":"fast"}"#, "lane"),
        send(r#"{"notification":{"title":"x"},"weight":0}"#, "weight"),
        send(r#"{"notification":{"title":"x"},"rate_per_second":1.5}"#, "rate_per_second"),
        send(r#"{"notification":{"title":"x"},"collapse_key":""}"#, "collapse_key"),
        send(r#"{"notification":{"title":"x"},"schedule_at":"tomorrow"}"#, "schedule_at"),
        send(r#"{"notification":{"title":"x"},"dry_run":"yes"}"#, "dry_run"),
        send(r#"{"notification":{"title":"x"},"ttl":60}"#, "ttl"),
        ("PATCH", UNKNOWN.into(), "{}", 400, "invalid", "rate_per_second"),
        ("PATCH", UNKNOWN.into(), r#"{"rate_per_second":1,"lane":"bulk"}"#, 400, "invalid", "lane"),
        ("GET", at(BROADCASTS, "?cursor=7"), "", 400, "invalid", "cursor"),
        ("GET", at(BROADCASTS, "?state=running"), "", 400, "invalid", "state"),
        ("GET", at(UNKNOWN, "/outcomes?outcome=lost"), "", 400, "invalid", "outcome"),
    ]
}

#[tokio::test]
async fn each_broken_request_is_told_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let running = start_real(folder.path()).await;
    let admin = Client::bearer(running.address(), ADMIN);
    let mut good = hub();
    good["apns"]["key"] = rcgen::KeyPair::generate().unwrap().serialize_pem().into();
    admin.put(HUB, &good).await.expect(201);
    let before = admin.get(HUB).await.json();
    let rows = rows();
    assert!(rows.len() >= 40);
    for (method, path, body, status, code, field) in rows {
        let answer = admin.send(method, &path, &[], body.as_bytes()).await;
        let wanted = (status, code.to_owned(), field.to_owned());
        assert_eq!(answer.refusal(), wanted, "{method} {path} {body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    assert_eq!(admin.get(HUB).await.json(), before);
    assert_eq!(admin.get("/v1/hubs").await.json()["items"].as_array().map(Vec::len), Some(1));
    let items = |answer: crate::client::Answer| answer.json()["items"].as_array().map(Vec::len);
    assert_eq!(items(admin.get(BROADCASTS).await), Some(0));
    assert_eq!(items(admin.get(&format!("{HUB}/installations")).await), Some(0));
    running.stop().await;
}

#[tokio::test]
async fn bodies_have_a_length_and_a_type() {
    let world = World::with(&[("LIMITS__BODY_BYTES", "1024")]).await;
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
    for kind in ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"] {
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
async fn a_payload_must_fit_its_service() {
    let world = World::start().await;
    let body = json!({"payloads": {"apns": {"aps": {"alert": "x".repeat(5_000)}}}});
    let answer = world.admin.post(BROADCASTS, &body).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "payloads.apns".into()));
    let long_key = json!({"notification": {"title": "x"}, "collapse_key": "k".repeat(65)});
    let answer = world.admin.post(BROADCASTS, &long_key).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "collapse_key".into()));
}

#[tokio::test]
async fn an_audience_says_where_it_is_wrong() {
    let world = World::start().await;
    let answer = world.admin.post(AUDIENCE, &json!({"audience": "news && && x"})).await.expect(400);
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("at character 9"), "{message}");
}

#[tokio::test]
async fn limits_of_documents_are_those_of_the_configuration() {
    let settings = [("LIMITS__TAGS_PER_INSTALLATION", "2"), ("LIMITS__EXPRESSION_TERMS", "2")];
    let world = World::with(&settings).await;
    let mut three = document(1);
    three["tags"] = json!(["a", "b", "c"]);
    let answer = world.admin.put(DEVICE, &three).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "tags".into()));
    let answer = world.admin.post(AUDIENCE, &json!({"audience": "a || b || c"})).await;
    assert_eq!(answer.refusal(), (400, "invalid".into(), "audience".into()));
}
