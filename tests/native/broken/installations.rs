//! Documents and patches of installations that break a rule.

use super::row::Row;
use super::world::World;

const HUB: &str = "/v1/hubs/demo";
const DEVICE: &str = "/v1/hubs/demo/installations/dev-1";

pub fn rows(_: &World) -> Vec<Row> {
    [documents(), patches()].concat()
}

fn documents() -> Vec<Row> {
    let put = |body: &str, field, rule| Row::invalid("PUT", DEVICE, body, field, rule);
    let apns = |rest: &str, field, rule| {
        let channel = "ab".repeat(32);
        Row::invalid("PUT", DEVICE, format!(r#"{{"platform":"apns","pushChannel":"{channel}",{rest}}}"#), field, rule)
    };
    let id = |method, body: &str| {
        Row::invalid(method, format!("{HUB}/installations/a%20b"), body, "installationId", "may hold only")
    };
    vec![
        put("", "body", "must be a JSON object"),
        put("[]", "body", "must be a JSON object"),
        put("{}", "platform", "is required"),
        put(r#"{"platform":"pager"}"#, "platform", "must be one of"),
        put(r#"{"platform":7}"#, "platform", "must be a string"),
        put(r#"{"platform":"apns"}"#, "pushChannel", "is required"),
        put(
            r#"{"platform":"apns","pushChannel":"xyz"}"#,
            "pushChannel",
            "must be a device token: an even number of hex",
        ),
        put(
            r#"{"platform":"wns","pushChannel":"http://x"}"#,
            "pushChannel",
            "must be an absolute https:// channel URI",
        ),
        put(
            r#"{"platform":"browser","pushChannel":{"endpoint":"x"}}"#,
            "pushChannel",
            "must have the members endpoint, p256dh and auth",
        ),
        put(r#"{"installationId":"dev-2","platform":"apns"}"#, "installationId", "must equal"),
        apns(r#""tags":["a b"]"#, "tags[0]", "is not allowed in a tag: letters, digits"),
        apns(r#""tags":"a""#, "tags", "must be an array"),
        apns(r#""userId":7"#, "userId", "must be a string"),
        apns(r#""expirationTime":"tomorrow""#, "expirationTime", "must be an ISO 8601 date and time"),
        apns(r#""templates":[]"#, "templates", "must be an object"),
        apns(r#""templates":{"t":{}}"#, "templates.t.body", "is required"),
        apns(r#""templates":{"t":{"body":"{}","tags":["a b"]}}"#, "templates.t.tags[0]", "is not allowed in a tag"),
        apns(r#""secondaryTiles":{"t":{"pushChannel":"https://x"}}"#, "secondaryTiles", "only"),
        id("PUT", r#"{"platform":"apns"}"#),
        id("GET", ""),
        id("PATCH", "[]"),
        id("DELETE", ""),
    ]
}

fn patches() -> Vec<Row> {
    let patch = |body: &str, field, rule| Row::invalid("PATCH", DEVICE, body, field, rule);
    let long: Vec<_> = (0..1_001).map(|_| "{}").collect();
    // What stands before the broken operation must not be applied either.
    let second = |operation: &str, field, rule| {
        let body = format!(r#"[{{"op":"remove","path":"/tags"}},{operation}]"#);
        Row::invalid("PATCH", DEVICE, body, field, rule)
    };
    vec![
        patch("", "body", "must be a JSON array of patch operations"),
        patch("{}", "body", "must be a JSON array of patch operations"),
        patch("[7]", "body", "must be a JSON array of patch operations"),
        patch(&format!("[{}]", long.join(",")), "body", "must not have more than 1000 operations"),
        second(r#"{"path":"/tags"}"#, "[1].op", "is required"),
        second(r#"{"op":"add","value":"a"}"#, "[1].path", "is required"),
        second(r#"{"op":7,"path":"/tags"}"#, "[1].op", "must be a string"),
        second(r#"{"op":"test","path":"/tags","value":"a"}"#, "[1].op", "must be add, remove or replace"),
        second(r#"{"op":"move","path":"/tags","from":"/userId"}"#, "[1].from", "is not a member of a patch operation"),
        second(r#"{"op":"add","path":"/tags"}"#, "[1].value", "is required"),
        second(r#"{"op":"add","path":"/colour","value":"red"}"#, "[1].path", "must be a part of an installation"),
        second(r#"{"op":"add","path":"tags","value":"a"}"#, "[1].path", "must be a part of an installation"),
        second(r#"{"op":"replace","path":"/platform","value":"wns"}"#, "[1].path", "must be a part of an installation"),
        second(
            r#"{"op":"replace","path":"/installationId","value":"x"}"#,
            "[1].path",
            "must be a part of an installation",
        ),
        second(r#"{"op":"remove","path":"/pushChannel"}"#, "[1].path", "a document needs it"),
        second(r#"{"op":"add","path":"/tags/a","value":"a"}"#, "[1].path", "one tag can only be removed"),
        second(r#"{"op":"add","path":"/tags","value":7}"#, "[1].value", "must be a tag or an array of tags"),
        second(r#"{"op":"add","path":"/tags","value":"[7"}"#, "[1].value", "must be a tag or a JSON array of tags"),
        second(r#"{"op":"add","path":"/templates","value":"x"}"#, "[1].value", "must be an object or its JSON text"),
        second(r#"{"op":"add","path":"/tags","value":"a b"}"#, "tags[0]", "is not allowed in a tag: letters, digits"),
        second(
            r#"{"op":"replace","path":"/pushChannel","value":"xyz"}"#,
            "pushChannel",
            "must be a device token: an even number of hex",
        ),
        second(r#"{"op":"add","path":"/templates/n","value":"{}"}"#, "templates.n.body", "is required"),
        second(r#"{"op":"remove","path":"/templates/t/body"}"#, "[1].path", "a document needs it"),
        second(r#"{"op":"add","path":"/secondaryTiles/x","value":"{}"}"#, "secondaryTiles", "only"),
        second(
            r#"{"op":"replace","path":"/expirationTime","value":"soon"}"#,
            "expirationTime",
            "must be an ISO 8601 date and time",
        ),
    ]
}
