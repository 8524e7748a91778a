//! Paths, methods, callers, bodies: what is refused before anybody looks at what a request says.

use super::row::{Row, Who};
use super::world::World;

const HUB: &str = "/v1/hubs/demo";
const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";
const AUDIENCE: &str = "/v1/hubs/demo/audience";
const UNKNOWN: &str = "/v1/hubs/demo/broadcasts/01920000-0000-7000-8000-000000000000";

pub fn rows(world: &World) -> Vec<Row> {
    [paths(), missing(), callers(), bodies(), lists(world)].concat()
}

fn paths() -> Vec<Row> {
    let nowhere =
        |method, path: String| Row::refused(404, "no_route", method, path, "", "there is nothing at this path");
    let method = |method, path: &str| {
        Row::refused(405, "method_not_allowed", method, path, "{}", "this path does not take this method")
    };
    vec![
        nowhere("GET", "/nowhere".into()),
        nowhere("GET", "/v1".into()),
        nowhere("GET", "/v1/hubs/".into()),
        nowhere("POST", format!("{UNKNOWN}:explode")),
        nowhere("POST", format!("{HUB}/keys/full")),
        nowhere("POST", format!("{HUB}/keys/full:forget")),
        nowhere("POST", format!("{HUB}/senders/apns:pause")),
        method("POST", "/v1/hubs"),
        method("PATCH", HUB),
        method("DELETE", "/healthz"),
        method("DELETE", "/metrics"),
        method("POST", UNKNOWN),
        method("PUT", BROADCASTS),
        method("DELETE", AUDIENCE),
        method("PUT", "/v1/openapi.json"),
        Row::invalid("PUT", "/v1/hubs/%ff", "{}", "path", "must be UTF-8 in percent-encoding"),
        Row::invalid("GET", format!("{HUB}/installations/%ff"), "", "path", "must be UTF-8 in percent-encoding"),
    ]
}

fn missing() -> Vec<Row> {
    let hub = |method, path: &str, body: &str| Row::refused(404, "no_hub", method, path, body, "there is no such hub");
    let broadcast = |method, path: String, body: &str| {
        Row::refused(404, "no_broadcast", method, path, body, "there is no such broadcast in this hub")
    };
    let gone = |code, method, path: &str, body: &str, rule| {
        Row::refused(404, code, method, format!("{HUB}{path}"), body, rule)
    };
    vec![
        hub("GET", "/v1/hubs/other", ""),
        hub("DELETE", "/v1/hubs/other", ""),
        hub("POST", "/v1/hubs/other/audience", "{}"),
        hub("POST", "/v1/hubs/other/keys/full:rotate", ""),
        hub("POST", "/v1/hubs/other/senders/apns:resume", ""),
        hub("POST", "/v1/hubs/other/broadcasts", r#"{"notification":{"title":"x"}}"#),
        hub("PUT", "/v1/hubs/other/installations/dev-1", r#"{"platform":"apns","pushChannel":"ab"}"#),
        hub("POST", "/v1/hubs/other/installations:import", "{}"),
        hub("GET", "/v1/hubs/other/installations:export", ""),
        gone("no_installation", "GET", "/installations/nobody", "", "there is no such installation in this hub"),
        gone("no_installation", "PATCH", "/installations/nobody", "[]", "there is no such installation in this hub"),
        gone("no_key", "POST", "/keys/nokey:rotate", "", "has no access rule of this name"),
        gone("no_sender", "POST", "/senders/web_push:resume", "", "has no sender for this platform"),
        gone("no_sender", "POST", "/senders/pager:resume", "", "has no sender for this platform"),
        broadcast("GET", UNKNOWN.into(), ""),
        broadcast("GET", format!("{BROADCASTS}/7"), ""),
        broadcast("POST", format!("{UNKNOWN}:cancel"), ""),
        broadcast("POST", format!("{BROADCASTS}/7:pause"), ""),
        broadcast("PATCH", UNKNOWN.into(), r#"{"rate_per_second":1}"#),
        broadcast("GET", format!("{UNKNOWN}/events"), ""),
        broadcast("GET", format!("{UNKNOWN}/outcomes"), ""),
        broadcast("GET", format!("{UNKNOWN}/outcomes/dev-1"), ""),
    ]
}

fn callers() -> Vec<Row> {
    let unknown = |who, rule| Row::refused(401, "unauthorized", "DELETE", HUB, "", rule).by(who);
    let denied = |rule, method, path: &str, body: &str, wanted| {
        Row::refused(403, "forbidden", method, format!("{HUB}{path}"), body, wanted).by(Who::Rule(rule))
    };
    let broadcast = r#"{"notification":{"title":"x"}}"#;
    let document = r#"{"platform":"apns","pushChannel":"abcd"}"#;
    vec![
        unknown(Who::Header(None), "needs an Authorization header"),
        unknown(Who::Header(Some("")), "needs an Authorization header"),
        unknown(Who::Header(Some("Basic YTpi")), "needs an Authorization header"),
        unknown(Who::Header(Some("Bearer wrong")), "the key is not known here"),
        unknown(Who::Header(Some("SharedAccessSignature sr=x&sig=y")), "needs sr, sig, se and skn"),
        unknown(
            Who::Header(Some("SharedAccessSignature sr=demo&sig=eA%3D%3D&se=4000000000&skn=listen")),
            "has an invalid signature",
        ),
        unknown(Who::ExpiredToken, "the token has expired"),
        unknown(Who::TokenForElsewhere, "is for another resource"),
        denied("listen", "POST", "/broadcasts", broadcast, "send"),
        denied("listen", "POST", "/audience", "{}", "send"),
        denied("listen", "DELETE", "", "", "admin"),
        denied("send", "PUT", "/installations/dev-1", document, "listen"),
        denied("send", "PATCH", "/installations/dev-1", "[]", "listen"),
        denied("send", "DELETE", "/installations/dev-1", "", "listen"),
        denied("send", "POST", "/installations:import", document, "manage"),
        denied("send", "PUT", "", r#"{"weight":2}"#, "manage"),
        denied("send", "POST", "/senders/apns:resume", "", "manage"),
        denied("full", "PUT", "", r#"{"keys":{"a":{"rights":["listen"]}}}"#, "admin"),
        denied("full", "POST", "/keys/full:rotate", "", "admin"),
        denied("full", "DELETE", "", "", "admin"),
    ]
}

fn bodies() -> Vec<Row> {
    let long = |open: &str, close: &str| format!("{open}{}{close}", "x".repeat(9_000));
    let too_large = |method, path: &str, body: String| {
        Row::refused(413, "too_large", method, path, body, "must have at most 8192 bytes").about("body")
    };
    let media = |method, path: &str, header, value, rule| {
        Row::refused(415, "unsupported_media_type", method, path, "{}", rule).with(header, value).about(match header {
            "content-type" => "Content-Type",
            _ => "Content-Encoding",
        })
    };
    vec![
        too_large("POST", BROADCASTS, long(r#"{"notification":{"title":""#, r#""}}"#)),
        too_large("PUT", HUB, long(r#"{"keys":{"a":{"rights":["send"],"primary":""#, r#""}}}"#)),
        too_large("PUT", "/v1/hubs/demo/installations/dev-1", long(r#"{"pushChannel":""#, r#""}"#)),
        too_large("PATCH", "/v1/hubs/demo/installations/dev-1", long(r#"[""#, r#""]"#)),
        too_large("POST", AUDIENCE, long(r#"{"audience":""#, r#""}"#)),
        media("PUT", HUB, "content-type", "text/plain", "must be application/json"),
        media("POST", BROADCASTS, "content-type", "multipart/form-data", "must be application/json"),
        media(
            "PUT",
            "/v1/hubs/demo/installations/dev-1",
            "content-encoding",
            "gzip",
            "compressed bodies are not taken",
        ),
        media(
            "POST",
            "/v1/hubs/demo/installations:import",
            "content-encoding",
            "br",
            "compressed bodies are not taken",
        ),
    ]
}

fn lists(world: &World) -> Vec<Row> {
    let get = |path: String, field, rule| Row::invalid("GET", path, "", field, rule);
    let (installations, export) = (format!("{HUB}/installations"), format!("{HUB}/installations:export"));
    let outcomes = format!("{BROADCASTS}/{}/outcomes", world.over);
    let of_one = format!("{BROADCASTS}/{}/outcomes/dev-1", world.over);
    let cursor = "must be the next_cursor of an earlier page";
    let unknown = "is not a parameter of this path";
    vec![
        get("/v1/hubs?limit=5".into(), "limit", unknown),
        get(format!("{installations}?audience=a+b"), "audience", "is not an audience"),
        get(format!("{installations}?audiance=a"), "audiance", unknown),
        get(format!("{installations}?limit=0"), "limit", "must be a whole number from 1 to 1000"),
        get(format!("{installations}?limit=ten"), "limit", "must be a whole number from 1 to 1000"),
        get(format!("{installations}?cursor=x"), "cursor", cursor),
        get(format!("{export}?limit=5"), "limit", unknown),
        get(format!("{export}?cursor=-1"), "cursor", cursor),
        get(format!("{export}?audience=%28"), "audience", "is not an audience"),
        get(format!("{BROADCASTS}?cursor=7"), "cursor", cursor),
        get(format!("{BROADCASTS}?state=running"), "state", unknown),
        get(format!("{BROADCASTS}?limit=501"), "limit", "must be a whole number from 1 to 500"),
        get(format!("{outcomes}?outcome=lost"), "outcome", "must be pending, delivered, rejected, dropped"),
        get(format!("{outcomes}?cursor=x"), "cursor", cursor),
        get(format!("{outcomes}?limit=1001"), "limit", "must be a whole number from 1 to 1000"),
        get(format!("{outcomes}?platform=apns"), "platform", unknown),
        get(format!("{of_one}?cursor=1.5"), "cursor", cursor),
        get(format!("{BROADCASTS}/{}/outcomes/a%20b", world.over), "installationId", "may hold only"),
        Row::refused(404, "not_targeted", "GET", of_one, "", "did not target the installation"),
    ]
}
