use super::*;
use serde_json::json;

const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
const TILE: &str = "https://x.notify.windows.com/?t=1";

fn read(document: &Value) -> Installation {
    Installation::parse(document.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap()
}

fn device() -> Value {
    json!({"installationId": "d", "platform": "apns", "pushChannel": TOKEN, "tags": ["a", "b"], "userId": "u",
           "pushVariables": {"v": "1"}, "expirationTime": "2099-01-01T00:00:00Z",
           "templates": {"t": {"body": "{}", "headers": {"apns-priority": "5"}, "expiry": "2099-01-01T00:00:00Z", "tags": ["c"]}}})
}

fn patched(device: &Value, operations: &Value) -> Result<Value, FieldError> {
    let patch = Patch::parse(operations.to_string().as_bytes())?;
    let result = patch.apply(&read(device), &InstallationLimits { tags: 5, tag_length: 9, templates: 2 })?;
    Ok(serde_json::to_value(result.read_form(false)).unwrap())
}

/// One operation on the device, and what is at `pointer` after it.
fn one(op: &str, path: &str, value: Value, pointer: &str) -> Value {
    let result = patched(&device(), &json!([{"op": op, "path": path, "value": value}])).unwrap();
    result.pointer(pointer).cloned().unwrap_or_default()
}

#[test]
fn every_row_of_the_table_does_what_it_says() {
    let null = Value::Null;
    for (op, path, value, pointer, becomes) in [
        ("replace", "/pushChannel", json!("aa".repeat(32)), "/pushChannel", json!("aa".repeat(32))),
        ("add", "/USERID", json!("w"), "/userId", json!("w")),
        ("remove", "/userId", null.clone(), "/userId", null.clone()),
        (
            "replace",
            "/expirationTime",
            json!("2098-01-01T00:00:00Z"),
            "/expirationTime",
            json!("2098-01-01T00:00:00.000Z"),
        ),
        ("remove", "/expirationTime", null.clone(), "/expirationTime", json!(super::super::NEVER)),
        ("add", "/tags", json!("sport"), "/tags", json!(["a", "b", "sport"])),
        ("add", "/tags", json!(["x", "a"]), "/tags", json!(["a", "b", "x"])),
        ("add", "/tags", json!("[\"x\",\"y\"]"), "/tags", json!(["a", "b", "x", "y"])),
        ("replace", "/tags", json!("[\"x\"]"), "/tags", json!(["x"])),
        ("remove", "/tags", null.clone(), "/tags", null.clone()),
        ("remove", "/tags/a", null.clone(), "/tags", json!(["b"])),
        ("remove", "/tags/nobody", null.clone(), "/tags", json!(["a", "b"])),
        ("add", "/pushVariables", json!({"w": "2"}), "/pushVariables", json!({"w": "2"})),
        ("add", "/pushVariables/w", json!("2"), "/pushVariables", json!({"v": "1", "w": "2"})),
        ("remove", "/pushVariables/v", null.clone(), "/pushVariables", null.clone()),
        ("add", "/templates", json!({"n": {"body": "{}"}}), "/templates/n/body", json!("{}")),
        ("add", "/templates", json!({"n": {"body": "{}"}}), "/templates/t/body", json!("{}")),
        ("replace", "/templates", json!({"n": {"body": "{}"}}), "/templates/t", null.clone()),
        ("remove", "/templates", null.clone(), "/templates", null.clone()),
        ("add", "/templates/n", json!("{\"body\":\"{}\"}"), "/templates/n/body", json!("{}")),
        ("remove", "/templates/t", null.clone(), "/templates", null.clone()),
        ("replace", "/Templates/t/Body", json!("{\"a\":1}"), "/templates/t/body", json!("{\"a\":1}")),
        ("remove", "/templates/t/expiry", null.clone(), "/templates/t/expiry", null.clone()),
        (
            "add",
            "/templates/t/headers",
            json!("{\"apns-topic\":\"v\"}"),
            "/templates/t/headers",
            json!({"apns-topic": "v"}),
        ),
        (
            "add",
            "/templates/t/headers/apns-topic",
            json!("v"),
            "/templates/t/headers",
            json!({"apns-priority": "5", "apns-topic": "v"}),
        ),
        ("remove", "/templates/t/headers/apns-priority", null.clone(), "/templates/t/headers", null.clone()),
        ("add", "/templates/t/tags", json!("d"), "/templates/t/tags", json!(["c", "d"])),
        ("remove", "/templates/t/tags/c", null.clone(), "/templates/t/tags", null.clone()),
    ] {
        assert_eq!(one(op, path, value, pointer), becomes, "{op} {path}");
    }
}

#[test]
fn tiles_and_all_below_them() {
    let device = json!({"installationId": "d", "platform": "wns", "pushChannel": TILE});
    let made = patched(
        &device,
        &json!([
            {"op": "add", "path": "/secondaryTiles/s", "value": {"pushChannel": TILE, "tags": ["a"]}},
            {"op": "add", "path": "/secondaryTiles/s/tags", "value": "b"},
            {"op": "remove", "path": "/secondaryTiles/s/tags/a"},
            {"op": "replace", "path": "/secondaryTiles/s/pushChannel", "value": "https://y.notify.windows.com/"},
            {"op": "add", "path": "/secondaryTiles/s/templates/t", "value": "{\"body\":\"<x/>\"}"},
            {"op": "add", "path": "/secondaryTiles/s/templates/t/headers/X-WNS-Type", "value": "wns/tile"},
        ]),
    );
    let tile = made.unwrap()["secondaryTiles"]["s"].clone();
    assert_eq!(
        tile,
        json!({"pushChannel": "https://y.notify.windows.com/", "tags": ["b"],
               "templates": {"t": {"body": "<x/>", "headers": {"X-WNS-Type": "wns/tile"}}}})
    );
}

#[test]
fn pointers_are_unescaped() {
    let patch = json!([{"op": "add", "path": "/pushVariables/a~1b~0c", "value": "1"}]);
    assert_eq!(patched(&device(), &patch).unwrap()["pushVariables"]["a/b~c"], "1");
}

#[test]
fn what_is_broken_is_named() {
    for (operation, field, said) in [
        (json!({"op": "move", "path": "/tags"}), "[0].op", "\"move\""),
        (json!({"op": "add", "path": "/platform", "value": "gcm"}), "[0].path", "\"/platform\""),
        (json!({"op": "add", "path": "tags", "value": "a"}), "[0].path", "\"tags\""),
        (json!({"op": "remove", "path": "/tags/a/b"}), "[0].path", "/tags/a/b"),
        (json!({"op": "remove", "path": "/templates/t/title"}), "[0].path", "title"),
        (json!({"op": "remove", "path": "/secondaryTiles/"}), "[0].path", "secondaryTiles"),
        (json!({"op": "remove", "path": "/pushChannel"}), "[0].path", "needs it"),
        (json!({"op": "remove", "path": "/templates/t/body"}), "[0].path", "needs it"),
        (json!({"op": "add", "path": "/tags/a", "value": "a"}), "[0].path", "only be removed"),
        (json!({"op": "add", "path": "/tags"}), "[0].value", "required"),
        (json!({"op": "add", "path": "/tags", "value": 7}), "[0].value", "number"),
        (json!({"op": "add", "path": "/tags", "value": "[a"}), "[0].value", "array"),
        (json!({"op": "add", "path": "/templates/n", "value": "{"}), "[0].value", "object"),
        (json!({"op": "add", "path": "/tags", "value": "a", "from": "/x"}), "[0].from", "member"),
        (json!({"op": "add", "path": "/tags", "value": ["c", "d", "e"]}), "tags", "more than 5"),
        (json!({"op": "add", "path": "/tags", "value": "0123456789"}), "tags[2]", ""),
        (json!({"op": "add", "path": "/templates/n/tags", "value": "a"}), "templates.n.body", "required"),
        (json!({"op": "replace", "path": "/templates/t/body", "value": "{\"a\":\"#(n\"}"}), "templates.t.body", "#(n"),
        (json!({"op": "add", "path": "/pushChannel", "value": "xyz"}), "pushChannel", ""),
    ] {
        let error = patched(&device(), &json!([operation])).unwrap_err();
        assert_eq!(error.field, field, "{operation}");
        assert!(error.rule.contains(said), "{operation}: {error}");
    }
    assert_eq!(patched(&device(), &json!({})).unwrap_err().field, "body");
    let many: Vec<_> = (0..=OPERATIONS).map(|_| json!({"op": "remove", "path": "/tags"})).collect();
    assert_eq!(patched(&device(), &json!(many)).unwrap_err().field, "body");
}

#[test]
fn debug_shows_no_channel() {
    let patch = json!([{"op": "add", "path": "/pushChannel", "value": TOKEN}]).to_string();
    let patch = Patch::parse(patch.as_bytes()).unwrap();
    assert!(patch.sets_channel() && !format!("{patch:?}").contains(TOKEN));
}
