//! Legacy FCM payloads (`gcm`) as messages of HTTP v1: Google shut the legacy API down, the applications that write its
//! payloads are still there.
//!
//! | legacy | HTTP v1 |
//! |---|---|
//! | `data.K` | `data.K`; what is no string becomes its JSON text |
//! | `notification.title`, `.body`, `.image` | the same in `notification` |
//! | `notification.icon`, `.color`, `.sound`, `.tag`, `.click_action`, `.title_loc_key`, `.title_loc_args`, `.body_loc_key`, `.body_loc_args` | the same in `android.notification`; arguments also as the text of a JSON array |
//! | `notification.android_channel_id` | `android.notification.channel_id` |
//! | `notification.subtitle` | `apns.payload.aps.alert.subtitle`, beside title and body |
//! | `notification.badge` | `apns.payload.aps.badge`, a number |
//! | `notification.sound` | also `apns.payload.aps.sound` |
//! | `content_available`, `mutable_content`: true | `apns.payload.aps.content-available`, `.mutable-content`: 1 |
//! | `priority`: `high` or 10, `normal` or 5 | `android.priority`: `HIGH`, `NORMAL`; `apns.headers.apns-priority`: 10, 5 |
//! | `time_to_live`: seconds | `android.ttl`: `"Ns"`, at most four weeks |
//! | `collapse_key`, `restricted_package_name`, `direct_boot_ok` | the same in `android` |
//! | `fcm_options` | `fcm_options` |
//! | `to`, `registration_ids`, `condition` | nothing: the audience says who gets it |
//! | `dry_run`: true | refused: it would be sent |
//! | anything else | nothing, as the legacy API did |

use serde_json::{Map, Value, json};

use crate::model::field::FieldError;

/// The longest time that the service keeps a message, in seconds.
const LONGEST_TTL: u64 = 2_419_200;

/// The `message` of HTTP v1 that says what a legacy payload said.
pub fn message(mut legacy: Map<String, Value>) -> Result<Map<String, Value>, FieldError> {
    if truth(&mut legacy, "dry_run")? {
        return Err(fault("dry_run", "must be absent or false: this send would notify devices"));
    }
    let mut made = Made::default();
    made.notification(object(&mut legacy, "notification")?.unwrap_or_default())?;
    if let Some(data) = object(&mut legacy, "data")? {
        made.message.insert("data".to_owned(), data.into_iter().map(|(name, value)| (name, as_text(value))).collect());
    }
    for (legacy_name, name) in [("content_available", "content-available"), ("mutable_content", "mutable-content")] {
        if truth(&mut legacy, legacy_name)? {
            made.aps.insert(name.to_owned(), 1.into());
        }
    }
    if let Some(priority) = legacy.remove("priority") {
        made.priority(&priority)?;
    }
    if let Some(ttl) = legacy.remove("time_to_live").filter(|ttl| !ttl.is_null()) {
        let seconds = ttl.as_u64().or_else(|| ttl.as_str().and_then(|text| text.parse().ok()));
        let seconds = seconds.filter(|seconds| *seconds <= LONGEST_TTL);
        let seconds = seconds.ok_or_else(|| fault("time_to_live", "must be a number of seconds from 0 to 2419200"))?;
        made.android.insert("ttl".to_owned(), format!("{seconds}s").into());
    }
    for name in ["collapse_key", "restricted_package_name"] {
        if let Some(text) = text(&mut legacy, name)? {
            made.android.insert(name.to_owned(), text.into());
        }
    }
    if truth(&mut legacy, "direct_boot_ok")? {
        made.android.insert("direct_boot_ok".to_owned(), true.into());
    }
    if let Some(options) = object(&mut legacy, "fcm_options")? {
        made.message.insert("fcm_options".to_owned(), options.into());
    }
    Ok(made.whole())
}

#[derive(Default)]
struct Made {
    message: Map<String, Value>,
    android: Map<String, Value>,
    android_shown: Map<String, Value>,
    aps: Map<String, Value>,
    apns_headers: Map<String, Value>,
}

impl Made {
    fn notification(&mut self, mut legacy: Map<String, Value>) -> Result<(), FieldError> {
        let within = |error: FieldError| {
            let field = format!("body.notification.{}", last(&error.field));
            error.at(field)
        };
        let mut shown = Map::new();
        for name in ["title", "body", "image"] {
            if let Some(text) = text(&mut legacy, name).map_err(within)? {
                shown.insert(name.to_owned(), text.into());
            }
        }
        if let Some(subtitle) = text(&mut legacy, "subtitle").map_err(within)? {
            let mut alert: Map<String, Value> = shown.clone();
            alert.remove("image");
            alert.insert("subtitle".to_owned(), subtitle.into());
            self.aps.insert("alert".to_owned(), alert.into());
        }
        if let Some(sound) = legacy.get("sound").and_then(Value::as_str) {
            self.aps.insert("sound".to_owned(), sound.into());
        }
        for name in ["icon", "color", "sound", "tag", "click_action", "title_loc_key", "body_loc_key"] {
            if let Some(text) = text(&mut legacy, name).map_err(within)? {
                self.android_shown.insert(name.to_owned(), text.into());
            }
        }
        if let Some(channel) = text(&mut legacy, "android_channel_id").map_err(within)? {
            self.android_shown.insert("channel_id".to_owned(), channel.into());
        }
        for name in ["title_loc_args", "body_loc_args"] {
            if let Some(arguments) = legacy.remove(name).filter(|arguments| !arguments.is_null()) {
                let array = match &arguments {
                    Value::Array(array) => Some(array.clone()),
                    Value::String(text) => serde_json::from_str(text).ok(),
                    _ => None,
                };
                let array = array.ok_or_else(|| fault(&format!("notification.{name}"), "must be an array"))?;
                self.android_shown.insert(name.to_owned(), array.into_iter().map(as_text).collect());
            }
        }
        if let Some(badge) = legacy.remove("badge").filter(|badge| !badge.is_null()) {
            let number = badge.as_u64().or_else(|| badge.as_str().and_then(|text| text.parse().ok()));
            let number = number.ok_or_else(|| fault("notification.badge", "must be a whole number"))?;
            self.aps.insert("badge".to_owned(), number.into());
        }
        if !shown.is_empty() {
            self.message.insert("notification".to_owned(), shown.into());
        }
        Ok(())
    }

    fn priority(&mut self, legacy: &Value) -> Result<(), FieldError> {
        let word = legacy.as_str().map(str::to_ascii_lowercase);
        let (android, apns) = match (word.as_deref(), legacy.as_u64()) {
            (Some("high" | "10"), _) | (_, Some(10)) => ("HIGH", "10"),
            (Some("normal" | "5"), _) | (_, Some(5)) => ("NORMAL", "5"),
            _ if legacy.is_null() => return Ok(()),
            _ => return Err(fault("priority", "must be high or normal")),
        };
        self.android.insert("priority".to_owned(), android.into());
        self.apns_headers.insert("apns-priority".to_owned(), apns.into());
        Ok(())
    }

    fn whole(self) -> Map<String, Value> {
        let Self { mut message, mut android, android_shown, aps, apns_headers } = self;
        if !android_shown.is_empty() {
            android.insert("notification".to_owned(), android_shown.into());
        }
        if !android.is_empty() {
            message.insert("android".to_owned(), android.into());
        }
        let mut apns = Map::new();
        if !apns_headers.is_empty() {
            apns.insert("headers".to_owned(), apns_headers.into());
        }
        if !aps.is_empty() {
            apns.insert("payload".to_owned(), json!({ "aps": aps }));
        }
        if !apns.is_empty() {
            message.insert("apns".to_owned(), apns.into());
        }
        message
    }
}

fn fault(name: &str, rule: &'static str) -> FieldError {
    FieldError::new(format!("body.{name}"), rule)
}

fn last(field: &str) -> String {
    field.rsplit('.').next().unwrap_or_default().to_owned()
}

fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        other => other.to_string().into(),
    }
}

/// A text; a number is taken as one.
fn text(from: &mut Map<String, Value>, name: &str) -> Result<Option<String>, FieldError> {
    match from.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(fault(name, "must be a string")),
    }
}

fn truth(from: &mut Map<String, Value>, name: &str) -> Result<bool, FieldError> {
    match from.remove(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(truth)) => Ok(truth),
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(true),
        Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(false),
        Some(_) => Err(fault(name, "must be true or false")),
    }
}

fn object(from: &mut Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, FieldError> {
    match from.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(fault(name, "must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(legacy: Value) -> Result<Value, String> {
        let Value::Object(legacy) = legacy else { panic!("an object") };
        message(legacy).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn each_row_of_the_table() {
        for (legacy, expected) in [
            (
                json!({"data": {"a": "b", "n": 1, "o": {"x": []}}}),
                json!({"data": {"a": "b", "n": "1", "o": "{\"x\":[]}"}}),
            ),
            (
                json!({"notification": {"title": "t", "body": "b", "image": "https://i"}}),
                json!({"notification": {"title": "t", "body": "b", "image": "https://i"}}),
            ),
            (
                json!({"notification": {"icon": "i", "color": "#fff", "tag": "g", "click_action": "C",
                    "title_loc_key": "T", "title_loc_args": ["a", 1], "body_loc_key": "B", "body_loc_args": "[\"z\"]"}}),
                json!({"android": {"notification": {"icon": "i", "color": "#fff", "tag": "g", "click_action": "C",
                    "title_loc_key": "T", "title_loc_args": ["a", "1"], "body_loc_key": "B", "body_loc_args": ["z"]}}}),
            ),
            (
                json!({"notification": {"android_channel_id": "c"}}),
                json!({"android": {"notification": {"channel_id": "c"}}}),
            ),
            (
                json!({"notification": {"title": "t", "subtitle": "s"}}),
                json!({"notification": {"title": "t"},
                    "apns": {"payload": {"aps": {"alert": {"title": "t", "subtitle": "s"}}}}}),
            ),
            (json!({"notification": {"badge": "3"}}), json!({"apns": {"payload": {"aps": {"badge": 3}}}})),
            (
                json!({"notification": {"sound": "default"}}),
                json!({"android": {"notification": {"sound": "default"}},
                    "apns": {"payload": {"aps": {"sound": "default"}}}}),
            ),
            (
                json!({"content_available": true, "mutable_content": true}),
                json!({"apns": {"payload": {"aps": {"content-available": 1, "mutable-content": 1}}}}),
            ),
            (
                json!({"priority": "high"}),
                json!({"android": {"priority": "HIGH"}, "apns": {"headers": {"apns-priority": "10"}}}),
            ),
            (
                json!({"priority": 5}),
                json!({"android": {"priority": "NORMAL"}, "apns": {"headers": {"apns-priority": "5"}}}),
            ),
            (json!({"time_to_live": 60}), json!({"android": {"ttl": "60s"}})),
            (
                json!({"collapse_key": "k", "restricted_package_name": "p", "direct_boot_ok": true}),
                json!({"android": {"collapse_key": "k", "restricted_package_name": "p", "direct_boot_ok": true}}),
            ),
            (json!({"fcm_options": {"analytics_label": "l"}}), json!({"fcm_options": {"analytics_label": "l"}})),
            (
                json!({"to": "t", "registration_ids": ["t"], "condition": "c", "delay_while_idle": true, "x": 1,
                    "dry_run": false}),
                json!({}),
            ),
        ] {
            assert_eq!(made(legacy.clone()), Ok(expected), "{legacy}");
        }
    }

    #[test]
    fn what_cannot_be_said_in_v1_names_its_field() {
        for (legacy, rule) in [
            (json!({"dry_run": true}), "body.dry_run must be absent"),
            (json!({"priority": "loud"}), "body.priority must be high or normal"),
            (json!({"time_to_live": -1}), "body.time_to_live must be"),
            (json!({"time_to_live": 2_419_201}), "body.time_to_live must be"),
            (json!({"notification": []}), "body.notification must be an object"),
            (json!({"notification": {"title": {}}}), "body.notification.title must be a string"),
            (json!({"notification": {"badge": "many"}}), "body.notification.badge must be"),
            (json!({"notification": {"title_loc_args": 1}}), "body.notification.title_loc_args must be an array"),
            (json!({"data": "x"}), "body.data must be an object"),
            (json!({"content_available": "perhaps"}), "body.content_available must be true or false"),
        ] {
            let told = made(legacy.clone()).unwrap_err();
            assert!(told.starts_with(rule), "{legacy}: {told}");
        }
    }
}
