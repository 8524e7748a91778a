//! Broadcasts, audiences and controls that break a rule.

use super::row::Row;
use super::world::World;

const AUDIENCE: &str = "/v1/hubs/demo/audience";
const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";

pub fn rows(world: &World) -> Vec<Row> {
    [audiences(), contents(), payloads(), members(), repeated(), controls(world)].concat()
}

fn audiences() -> Vec<Row> {
    let ask = |body: &str, field, rule| Row::invalid("POST", AUDIENCE, body, field, rule);
    vec![
        ask("", "body", "must be a JSON object"),
        ask(r#"{"audience":"a &&"}"#, "audience", "is not an audience"),
        ask(r#"{"audience":"a && || b"}"#, "audience", "at character"),
        ask(r#"{"audience":7}"#, "audience", "must be a string"),
        ask(r#"{"kind":"tile"}"#, "kind", "must be \"native\" or \"template\""),
        ask(r#"{"tags":["a"]}"#, "tags", "is not known here"),
    ]
}

fn send(body: &str, field: &'static str, rule: &'static str) -> Row {
    Row::invalid("POST", BROADCASTS, body, field, rule)
}

fn contents() -> Vec<Row> {
    vec![
        send("", "body", "must be a JSON object"),
        send("{}", "notification", "is required, or payloads, or template"),
        send(r#"{"notification":{}}"#, "notification", "must have a title, a body or data"),
        send(r#"{"notification":"x"}"#, "notification", "must be an object"),
        send(r#"{"notification":{"tilte":"x"}}"#, "notification.tilte", "is not known here"),
        send(r#"{"notification":{"title":1}}"#, "notification.title", "must be a string"),
        send(r#"{"notification":{"title":"x","body":[]}}"#, "notification.body", "must be a string"),
        send(r#"{"notification":{"title":"x","data":7}}"#, "notification.data", "must be an object"),
        send(r#"{"notification":{"title":"x","data":{"k":1}}}"#, "notification.data.k", "must be a string"),
        send(r#"{"notification":{"title":"x","data":{"aps":"1"}}}"#, "notification.data", "APNs' own"),
        send(r#"{"template":7}"#, "template", "must be an object"),
        send(r#"{"template":{"msg":{}}}"#, "template.msg", "must be a string, a number or a boolean"),
        send(r#"{"template":{"msg":["x"]}}"#, "template.msg", "must be a string, a number or a boolean"),
        send(r#"{"template":{"msg":"x","MSG":"y"}}"#, "template.MSG", "must not stand twice"),
        send(r#"{"template":{"":"x"}}"#, "template", "must have names of 1 to 120 characters"),
        send(
            r#"{"template":{"msg":"x"},"notification":{"title":"x"}}"#,
            "template",
            "must not stand beside notification or payloads",
        ),
    ]
}

fn payloads() -> Vec<Row> {
    let long = |open: &str, length: usize, close: &str| format!("{open}{}{close}", "x".repeat(length));
    let apns = long(r#"{"payloads":{"apns":{"aps":{"alert":""#, 4_097, r#""}}}}"#);
    let fcm = long(r#"{"payloads":{"fcm":{"data":{"a":""#, 4_097, r#""}}}}"#);
    let wns = long(r#"{"payloads":{"wns":""#, 5_001, r#""}}"#);
    let portable = long(r#"{"notification":{"title":"x","data":{"a":""#, 4_097, r#""}}}"#);
    let absent = "must be absent: the hub has no credentials for this platform";
    vec![
        send(r#"{"payloads":{}}"#, "payloads", "must name at least one platform"),
        send(r#"{"payloads":7}"#, "payloads", "must be an object"),
        send(
            r#"{"payloads":{"pager":{}}}"#,
            "payloads.pager",
            "is no platform; those are apns, fcm, wns, web_push, adm, baidu and xiaomi",
        ),
        send(r#"{"payloads":{"apns":"x"}}"#, "payloads.apns", "must be an object"),
        send(r#"{"payloads":{"apns":{}}}"#, "payloads.apns", "must not be an empty object"),
        send(&apns, "payloads.apns", "4096"),
        send(&portable, "notification", "4096"),
        send(r#"{"payloads":{"fcm":{}}}"#, "payloads.fcm", "must not be an empty object"),
        send(&fcm, "payloads.fcm", "4096"),
        send(r#"{"payloads":{"fcm":{"token":"x"}}}"#, "payloads.fcm.token", "must be absent: the audience says"),
        send(r#"{"payloads":{"fcm":{"data":{"a":1}}}}"#, "payloads.fcm.data.a", "must be a string"),
        send(r#"{"payloads":{"fcm":{"data":{"from":"x"}}}}"#, "payloads.fcm.data.from", "this one is FCM's own"),
        send(r#"{"payloads":{"fcm":{"android":{"ttl":5}}}}"#, "payloads.fcm.android.ttl", "must be a duration"),
        send(r#"{"payloads":{"wns":{"a":1}}}"#, "payloads.wns", "must be a string"),
        send(r#"{"payloads":{"wns":""}}"#, "payloads.wns", "must not be empty"),
        send(&wns, "payloads.wns", "must have at most 5000 bytes for WNS (has 5001)"),
        Row::invalid("POST", "/v1/hubs/bare/broadcasts", r#"{"payloads":{"wns":"<toast/>"}}"#, "payloads.wns", absent),
        send(r#"{"payloads":{"web_push":{"title":"x"}}}"#, "payloads.web_push", absent),
        Row::invalid(
            "POST",
            "/v1/hubs/bare/broadcasts",
            r#"{"payloads":{"apns":{"aps":{}}}}"#,
            "payloads.apns",
            absent,
        ),
    ]
}

fn members() -> Vec<Row> {
    let member = |text: &str, field, rule| send(&format!(r#"{{"notification":{{"title":"x"}},{text}}}"#), field, rule);
    vec![
        member(r#""audience":"(a""#, "audience", "is not an audience"),
        member(r#""audience":["a"]"#, "audience", "must be a string"),
        member(r#""ttl_seconds":-1"#, "ttl_seconds", "must be a whole number from 0 to 2592000"),
        member(r#""ttl_seconds":2592001"#, "ttl_seconds", "must be a whole number from 0 to 2592000"),
        member(r#""priority":"urgent""#, "priority", "must be \"high\" or \"normal\""),
        member(r#""lane":"fast""#, "lane", "must be \"transactional\" or \"bulk\""),
        member(r#""weight":0"#, "weight", "must be a whole number from 1 to 1000"),
        member(r#""rate_per_second":1.5"#, "rate_per_second", "must be a whole number from 0 to 100000000"),
        member(r#""collapse_key":"""#, "collapse_key", "must have 1 to 256 characters"),
        member(r#""collapse_key":7"#, "collapse_key", "must be a string"),
        member(
            &format!(r#""collapse_key":"{}""#, "k".repeat(65)),
            "collapse_key",
            "must have at most 64 bytes for APNs",
        ),
        member(r#""schedule_at":"tomorrow""#, "schedule_at", "must be an ISO 8601 date and time such as 2027-01-01"),
        member(r#""dry_run":"yes""#, "dry_run", "must be true or false"),
        member(r#""ttl":60"#, "ttl", "is not known here"),
        member(r#""lane":"bulk","lane":"bulk""#, "lane", "must not stand twice"),
    ]
}

fn repeated() -> Vec<Row> {
    let body = r#"{"notification":{"title":"x"}}"#;
    let key = "must have 1 to 256 visible ASCII characters";
    vec![
        Row::refused(422, "idempotency_key_reused", "POST", BROADCASTS, body, "was used for another request")
            .with("idempotency-key", "used")
            .about("Idempotency-Key"),
        Row::invalid("POST", BROADCASTS, body, "Idempotency-Key", key).with("idempotency-key", ""),
        Row::invalid("POST", BROADCASTS, body, "Idempotency-Key", key).with("idempotency-key", "caf\u{e9}"),
    ]
}

fn controls(world: &World) -> Vec<Row> {
    let waiting = format!("{BROADCASTS}/{}", world.waiting);
    let over = format!("{BROADCASTS}/{}", world.over);
    let rate = |body: &str, field, rule| Row::invalid("PATCH", &*waiting, body, field, rule);
    let is_over =
        |method, path: String, body: &str| Row::refused(409, "over", method, path, body, "the broadcast is over");
    vec![
        rate("", "body", "must be a JSON object"),
        rate("{}", "rate_per_second", "is required"),
        rate(r#"{"rate_per_second":-1}"#, "rate_per_second", "must be a whole number from 0 to 100000000"),
        rate(r#"{"rate_per_second":"1"}"#, "rate_per_second", "must be a whole number from 0 to 100000000"),
        rate(r#"{"rate_per_second":100000001}"#, "rate_per_second", "must be a whole number from 0 to 100000000"),
        rate(r#"{"rate_per_second":1,"lane":"bulk"}"#, "lane", "is not known here"),
        is_over("POST", format!("{over}:pause"), ""),
        is_over("POST", format!("{over}:resume"), ""),
        is_over("POST", format!("{over}:cancel"), ""),
        is_over("PATCH", over.clone(), r#"{"rate_per_second":1}"#),
    ]
}
