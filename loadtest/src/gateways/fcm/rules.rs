//! What FCM checks in a message besides its target (push-services.md 2.2).
use serde_json::{Map, Value};

use super::error::Fault;
use crate::gateways::receipts::collapse_hash;

/// Keys and values of what is shown and of the data, bytes.
const LONGEST: usize = 4_096;
const LONGEST_TTL: u32 = 2_419_200;

const REQUEST: &[&str] = &["message", "validate_only"];
const MESSAGE: &[&str] = &["name", "notification", "data", "android", "android_v2", "webpush", "apns", "fcm_options"];
const NOTIFICATION: &[&str] = &["title", "body", "image"];
const ANDROID: &[&str] = &[
    "collapse_key",
    "priority",
    "ttl",
    "restricted_package_name",
    "data",
    "notification",
    "fcm_options",
    "direct_boot_ok",
    "bandwidth_constrained_ok",
    "restricted_satellite_ok",
];
const APNS: &[&str] = &["headers", "payload", "fcm_options", "live_activity_token"];
const WEB: &[&str] = &["headers", "data", "notification", "fcm_options"];

/// What else is worth knowing of a good request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// `collapse_hash` of `android.collapse_key`, else of `android.notification.tag`; 0 without both.
    pub(super) collapse: u32,
    /// `validate_only`.
    pub(super) dry_run: bool,
}

/// Checks a request without the target that was found in it.
pub(super) fn check(request: &Value) -> Result<Facts, Fault> {
    let request = members(Some(request), "request", Some(REQUEST))?.ok_or(Fault::Json)?;
    let another = |name| request.get("message").and_then(|message| message.get(name)).is_some();
    if another("token") || another("fid") {
        return broken("message", "Exactly one of fid and token is needed");
    }
    let message = members(request.get("message"), "message", Some(MESSAGE))?.ok_or(Fault::Json)?;
    members(message.get("notification"), "message.notification", Some(NOTIFICATION))?;
    strings(message.get("data"), "message.data")?;
    let android = members(message.get("android"), "message.android", Some(ANDROID))?;
    if android.is_some() && of(message, "android_v2").is_some() {
        return broken("message.android_v2", "must not stand beside android");
    }
    let shown = match android {
        Some(android) => {
            strings(android.get("data"), "message.android.data")?;
            self::android(android)?;
            members(android.get("notification"), "message.android.notification", None)?
        }
        None => None,
    };
    if let Some(apns) = members(message.get("apns"), "message.apns", Some(APNS))? {
        strings(apns.get("headers"), "message.apns.headers")?;
        members(apns.get("payload"), "message.apns.payload", None)?;
    }
    if let Some(web) = members(message.get("webpush"), "message.webpush", Some(WEB))? {
        strings(web.get("headers"), "message.webpush.headers")?;
        strings(web.get("data"), "message.webpush.data")?;
        members(web.get("notification"), "message.webpush.notification", None)?;
    }
    let size: usize = ["notification", "data"].iter().filter_map(|name| message.get(*name)).map(size).sum();
    if size > LONGEST {
        return broken("message", "Message is too big");
    }
    let text = |within: Option<&Map<String, Value>>, name| Some(of(within?, name)?.as_str()?.to_owned());
    let collapse = text(android, "collapse_key").or_else(|| text(shown, "tag"));
    Ok(Facts {
        collapse: collapse.map_or(0, |key| collapse_hash(key.as_bytes())),
        dry_run: of(request, "validate_only").and_then(Value::as_bool).unwrap_or_default(),
    })
}

fn android(android: &Map<String, Value>) -> Result<(), Fault> {
    if android.get("ttl").is_some_and(|ttl| !ttl.as_str().is_some_and(is_ttl)) {
        return broken("message.android.ttl", "must be a duration from 0s to 2419200s");
    }
    let known = |word: &str| matches!(word, "NORMAL" | "HIGH" | "normal" | "high");
    if android.get("priority").is_some_and(|word| !word.as_str().is_some_and(known)) {
        return broken("message.android.priority", "must be NORMAL or HIGH");
    }
    Ok(())
}

fn broken<T>(field: &str, rule: &'static str) -> Result<T, Fault> {
    Err(Fault::Field(field.to_owned(), rule))
}

/// An object with no member but these, in either spelling.
fn members<'a>(
    value: Option<&'a Value>,
    path: &str,
    known: Option<&[&str]>,
) -> Result<Option<&'a Map<String, Value>>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let Some(object) = value.as_object() else { return broken(path, "must be an object") };
    if let Some(known) = known
        && let Some(strange) = object.keys().find(|name| !known.contains(&snake(name).as_str()))
    {
        return broken(&format!("{path}.{strange}"), "Cannot find field.");
    }
    Ok(Some(object))
}

/// An object of strings, with none of the names that are FCM's own.
fn strings(value: Option<&Value>, path: &str) -> Result<(), Fault> {
    let Some(object) = members(value, path, None)? else { return Ok(()) };
    for (name, value) in object {
        let reserved = matches!(name.as_str(), "from" | "message_type")
            || name.starts_with("google.")
            || name.starts_with("gcm.notification.");
        if reserved || !value.is_string() {
            return broken(&format!("{path}.{name}"), "must be a string under a name that is not reserved");
        }
    }
    Ok(())
}

/// A member in either spelling.
fn of<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find_map(|(found, value)| (snake(found) == name).then_some(value))
}

/// `collapseKey` to `collapse_key`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    // The one name with a digit that stands after an underscore or a small letter alike.
    if out == "androidv2" { "android_v2".to_owned() } else { out }
}

fn is_ttl(text: &str) -> bool {
    let Some(number) = text.strip_suffix('s') else { return false };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = number.parse::<f64>().ok().filter(|_| digits);
    seconds.is_some_and(|seconds| seconds <= f64::from(LONGEST_TTL))
}

/// Bytes of all keys and values.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_broken_rule_names_its_field() {
        let long = "x".repeat(LONGEST);
        for (message, field) in [
            (json!({"topic": "t"}), "message.topic"),
            (json!({"data": {"a": 1}}), "message.data.a"),
            (json!({"data": {"google.a": "1"}}), "message.data.google.a"),
            (json!({"data": {"a": long}}), "message"),
            (json!({"android": {"ttl": 5}}), "message.android.ttl"),
            (json!({"android": {"ttl": "2419201s"}}), "message.android.ttl"),
            (json!({"android": {"ttl": "-1s"}}), "message.android.ttl"),
            (json!({"android": {"priority": "loud"}}), "message.android.priority"),
            (json!({"android": {}, "androidV2": {}}), "message.android_v2"),
            (json!({"apns": {"headers": {"apns-priority": 5}}}), "message.apns.headers.apns-priority"),
            (json!({"notification": {"titel": "t"}}), "message.notification.titel"),
        ] {
            let fault = check(&json!({ "message": message })).unwrap_err();
            assert!(matches!(&fault, Fault::Field(named, _) if named == field), "{fault:?}, not {field}");
        }
    }

    #[test]
    fn the_collapse_key_goes_before_the_tag_in_either_spelling() {
        let tagged = json!({"message": {"android": {"notification": {"tag": "t"}}}});
        let keyed = json!({"message": {"android": {"collapseKey": "k", "notification": {"tag": "t"}}}});
        assert_eq!(check(&tagged).unwrap().collapse, collapse_hash(b"t"));
        assert_eq!(check(&keyed).unwrap().collapse, collapse_hash(b"k"));
        let dry = json!({"message": {"data": {"a": "b"}}, "validateOnly": true});
        assert_eq!(check(&dry).unwrap(), Facts { collapse: 0, dry_run: true });
    }
}
