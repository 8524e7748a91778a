//! From a broadcast to the `message` of every device of it: written once, without its target (`push-services.md` 2.2).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::gateway::SharedRequest;
use crate::model::broadcast::{BroadcastRequest, Native, Notification, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

/// Longest message, in bytes of its JSON without target.
pub const LONGEST: usize = 4_096;
/// The longest time that the service keeps a message.
const LONGEST_TTL: u32 = 2_419_200;

/// Of an `apns-collapse-id`, and of a `Topic` of Web Push, in bytes.
const LONGEST_COLLAPSE_ID: usize = 64;
const LONGEST_TOPIC: usize = 32;

/// The members that say who gets a message.
const TARGETS: [&str; 4] = ["token", "fid", "topic", "condition"];

/// What a body begins with; the target follows.
pub(super) const OPENING: &[u8] = br#"{"message":{"#;

/// Checks a request and writes its body at `now`. The errors' field is `payloads.fcm` or within, `notification` or
/// `template`.
///
/// Android and web count a message's life from its arrival, so the body says what is left of it: it is as exact as the
/// request is young, a second by the worker that prepares it anew, and the time that a batch waits for the gateway.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, message) = message(request)?;
    assemble(id, request, field, message, now, expires)
}

/// The same for what a template made of the request's properties: the whole `{"message":{…}}`, or the message itself as
/// templates of the older form are. Whom it names as its target is left out: the audience says who gets it.
pub fn prepare_rendered(
    id: BroadcastId,
    request: &BroadcastRequest,
    rendered: &Rendered,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    const FIELD: &str = "template";
    let fault = |rule: &'static str| FieldError::new(FIELD, rule);
    let whole = serde_json::from_str(&rendered.body).ok();
    let Some(Value::Object(mut message)) = whole else { return Err(fault("must be a JSON object for FCM")) };
    if let Some(Value::Object(inner)) = message.get_mut("message") {
        message = std::mem::take(inner);
    }
    for target in TARGETS {
        message.remove(target);
    }
    if message.is_empty() {
        return Err(fault("must not be an empty message"));
    }
    assemble(id, request, FIELD, message, now, expires)
}

fn assemble(
    id: BroadcastId,
    request: &BroadcastRequest,
    field: &'static str,
    mut message: Map<String, Value>,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    check(field, &message)?;
    let size = serde_json::to_vec(&message).map_or(usize::MAX, |text| text.len());
    if size > LONGEST {
        return Err(FieldError::new(field, format!("must have at most {LONGEST} bytes for FCM (has {size})")));
    }
    let left = if request.ttl_seconds == 0 { 0 } else { expires.since(now).as_secs() };
    let defaults = Defaults {
        key: request.collapse_key.clone().filter(|key| !key.is_empty()).unwrap_or_else(|| id.to_string()),
        priority: request.priority,
        left: left.min(u64::from(LONGEST_TTL)),
        // Nought is now or never; another moment, however late, is no such wish.
        expires: if request.ttl_seconds == 0 { 0 } else { expires.millis().div_euclid(1_000).max(1) },
    };
    defaults.complete(&mut message);
    let body = Bytes::from(json!({ "message": message }).to_string());
    let headers = vec![("content-type", "application/json".to_owned())];
    Ok(SharedRequest { headers, body, broadcast: id, lane: request.lane })
}

fn message(request: &BroadcastRequest) -> Result<(&'static str, Map<String, Value>), FieldError> {
    const FIELD: &str = "payloads.fcm";
    let raw = |payload: &str| match serde_json::from_str(payload) {
        Ok(Value::Object(members)) if !members.is_empty() => Ok((FIELD, members)),
        Ok(Value::Object(_)) => Err(FieldError::new(FIELD, "must not be an empty object")),
        _ => Err(FieldError::new(FIELD, "must be a JSON object: the message without its target")),
    };
    match request.content.native(Platform::Fcm)? {
        Native::Payload(payload) => raw(payload),
        Native::Portable(notification) => Ok(("notification", render(notification)?)),
    }
}

/// The portable form in FCM's own.
fn render(notification: &Notification) -> Result<Map<String, Value>, FieldError> {
    let Notification { title, body, data } = notification;
    let mut message = Map::new();
    let shown = [("title", title), ("body", body)];
    let shown: Map<String, Value> =
        shown.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect();
    if !shown.is_empty() {
        message.insert("notification".to_owned(), shown.into());
    }
    if !data.is_empty() {
        message.insert("data".to_owned(), json!(data));
    }
    if message.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    Ok(message)
}

fn check(field: &'static str, message: &Map<String, Value>) -> Result<(), FieldError> {
    let fault = |name: &str, rule: &'static str| Err(FieldError::new(format!("{field}.{name}"), rule));
    for target in TARGETS {
        if message.contains_key(target) {
            return fault(target, "must be absent: the audience says who gets it");
        }
    }
    let android_v2 = ["android_v2", "androidV2"].into_iter().find(|name| message.contains_key(*name));
    if let (Some(name), true) = (android_v2, message.contains_key("android")) {
        return fault(name, "must not stand beside android");
    }
    for name in ["notification", "android", "android_v2", "androidV2", "webpush", "apns"] {
        if message.get(name).is_some_and(|value| !value.is_object()) {
            return fault(name, "must be an object");
        }
    }
    if let Some(ttl) = message.get("android").and_then(|android| android.get("ttl"))
        && !ttl.as_str().is_some_and(is_ttl)
    {
        return fault("android.ttl", "must be a duration from \"0s\" to \"2419200s\"");
    }
    match message.get("data") {
        None => Ok(()),
        Some(Value::Object(data)) => data.iter().try_for_each(|(name, value)| {
            let reserved = matches!(name.as_str(), "from" | "message_type")
                || name.starts_with("google.")
                || name.starts_with("gcm.notification.");
            match value {
                _ if reserved => fault(&format!("data.{name}"), "must have another name: this one is FCM's own"),
                Value::String(_) => Ok(()),
                _ => fault(&format!("data.{name}"), "must be a string"),
            }
        }),
        Some(_) => fault("data", "must be an object of strings"),
    }
}

fn is_ttl(text: &str) -> bool {
    let seconds = text.strip_suffix('s').filter(|digits| !digits.starts_with(['+', '-']));
    seconds
        .and_then(|digits| digits.parse::<f64>().ok())
        .is_some_and(|seconds| (0.0..=f64::from(LONGEST_TTL)).contains(&seconds))
}

/// What the caller left out.
struct Defaults {
    /// Lets a repeat replace the first copy (section 7).
    key: String,
    priority: Priority,
    /// Seconds of life.
    left: u64,
    /// The end of life, seconds since 1970; 0: now or never.
    expires: i64,
}

impl Defaults {
    /// Puts them in, leg by leg. A message that uses `android_v2` gets none for Android, because `android` may not stand
    /// beside it.
    fn complete(&self, message: &mut Map<String, Value>) {
        let shows = message.contains_key("notification");
        if !message.contains_key("android_v2") && !message.contains_key("androidV2") {
            self.android(message, shows);
        }
        self.apple(message, shows);
        self.web(message, shows);
    }

    fn android(&self, message: &mut Map<String, Value>, shows: bool) {
        let Some(android) = object(message, "android") else { return };
        absent(android, &["ttl"], format!("{}s", self.left));
        let priority = match self.priority {
            Priority::High => "HIGH",
            Priority::Normal => "NORMAL",
        };
        absent(android, &["priority"], priority.to_owned());
        absent(android, &["collapse_key", "collapseKey"], self.key.clone());
        let shows = shows || android.contains_key("notification");
        if let Some(shown) = shows.then(|| object(android, "notification")).flatten() {
            absent(shown, &["tag"], self.key.clone());
        }
    }

    fn apple(&self, message: &mut Map<String, Value>, shows: bool) {
        let Some(apns) = object(message, "apns") else { return };
        let aps = apns.get("payload").and_then(|payload| payload.get("aps"));
        let shows =
            shows || ["alert", "sound", "badge"].iter().any(|name| aps.is_some_and(|aps| aps.get(name).is_some()));
        let Some(headers) = object(apns, "headers") else { return };
        absent_header(headers, "apns-expiration", self.expires.to_string());
        // Apple refuses 10 for what shows nothing (1.4).
        let urgent = shows && self.priority == Priority::High;
        absent_header(headers, "apns-priority", if urgent { "10" } else { "5" }.to_owned());
        // The other legs take longer ones.
        if self.key.len() <= LONGEST_COLLAPSE_ID {
            absent_header(headers, "apns-collapse-id", self.key.clone());
        }
    }

    fn web(&self, message: &mut Map<String, Value>, shows: bool) {
        let Some(web) = object(message, "webpush") else { return };
        let shows = shows || web.contains_key("notification");
        if let Some(headers) = object(web, "headers") {
            absent_header(headers, "TTL", self.left.to_string());
            let urgency = match self.priority {
                Priority::High => "high",
                Priority::Normal => "normal",
            };
            absent_header(headers, "Urgency", urgency.to_owned());
            if is_topic(&self.key) {
                absent_header(headers, "Topic", self.key.clone());
            }
        }
        if let Some(shown) = shows.then(|| object(web, "notification")).flatten() {
            absent(shown, &["tag"], self.key.clone());
        }
    }
}

/// A topic of RFC 8030 section 5.4: 32 letters of URL-safe base64 at most.
fn is_topic(key: &str) -> bool {
    (1..=LONGEST_TOPIC).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The object of that name, made where there is none.
fn object<'a>(within: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    within.entry(name).or_insert_with(|| Map::new().into()).as_object_mut()
}

/// Sets the first of these names, which mean the same, unless one of them stands there.
fn absent(within: &mut Map<String, Value>, names: &[&str], value: String) {
    if let (false, Some(name)) = (names.iter().any(|name| within.contains_key(*name)), names.first()) {
        within.insert((*name).to_owned(), value.into());
    }
}

/// Sets a header unless it stands there, in capitals or not.
fn absent_header(within: &mut Map<String, Value>, name: &str, value: String) {
    if !within.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        within.insert(name.to_owned(), value.into());
    }
}

/// Writes a device's body: the shared one with the target first. A channel of a Firebase installation id's form is one.
/// Writes nothing for a body that is none of ours, or a channel that is no text.
pub(super) fn splice(shared: &[u8], channel: &[u8], out: &mut Vec<u8>) {
    let (Some(rest), Ok(text)) = (shared.strip_prefix(OPENING), std::str::from_utf8(channel)) else { return };
    let name: &[u8] = if is_fid(channel) { b"\"fid\":" } else { b"\"token\":" };
    out.extend_from_slice(OPENING);
    out.extend_from_slice(name);
    if channel.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')) {
        // What tokens are made of needs no escapes.
        out.push(b'"');
        out.extend_from_slice(channel);
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
    out.push(b',');
    out.extend_from_slice(rest);
}

fn is_fid(channel: &[u8]) -> bool {
    channel.len() == 22
        && matches!(channel[0], b'c'..=b'f')
        && channel.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::{Content, Payloads};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    /// After 42 of 60 seconds' life.
    const END: Timestamp = Timestamp::from_millis(1_042_900);

    fn request(content: Content) -> BroadcastRequest {
        BroadcastRequest {
            collapse_key: Some("score".into()),
            priority: Priority::Normal,
            ..BroadcastRequest::everyday(content)
        }
    }

    fn raw(payload: &str) -> Result<SharedRequest, FieldError> {
        let payloads = Payloads::from([("fcm".to_owned(), payload.to_owned())]);
        prepare(BroadcastId::new(7), &request(Content::Payloads(payloads)), NOW, END)
    }

    fn sent(shared: &SharedRequest, channel: &str) -> Value {
        let mut body = Vec::new();
        splice(&shared.body, channel.as_bytes(), &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn what_is_absent_is_put_in_and_nothing_else_is_touched() {
        let shared = raw(r#"{"notification":{"title":"t"},"android":{"ttl":"5s","collapseKey":"own"}}"#).unwrap();
        let expected = json!({"message": {
            "token": "a:b",
            "notification": {"title": "t"},
            "android": {"ttl": "5s", "collapseKey": "own", "priority": "NORMAL", "notification": {"tag": "score"}},
            "apns": {"headers": {
                "apns-collapse-id": "score", "apns-expiration": "1042", "apns-priority": "5",
            }},
            "webpush": {
                "headers": {"TTL": "42", "Urgency": "normal", "Topic": "score"}, "notification": {"tag": "score"},
            },
        }});
        assert_eq!(sent(&shared, "a:b"), expected);
        let fid = sent(&shared, "cAbcdefghijklmnopqrs_-");
        assert_eq!(fid["message"]["fid"], "cAbcdefghijklmnopqrs_-");
        let portable = Notification { title: Some("t".into()), ..Notification::default() };
        let content = Content::Notification { notification: portable, payloads: Payloads::new() };
        let shared = prepare(BroadcastId::new(7), &request(content), NOW, END).unwrap();
        assert_eq!(sent(&shared, "x")["message"]["android"]["ttl"], "42s");
    }

    #[test]
    fn each_leg_says_how_long_and_how_urgent_in_its_own_words() {
        let of = |payload: &str, ttl_seconds, priority| {
            let payloads = Payloads::from([("fcm".to_owned(), payload.to_owned())]);
            let asked = BroadcastRequest { ttl_seconds, priority, ..request(Content::Payloads(payloads)) };
            let shared = prepare(BroadcastId::new(7), &asked, NOW, END).unwrap();
            sent(&shared, "a:b")["message"].take()
        };
        let urgent = of(r#"{"notification":{"title":"t"}}"#, 60, Priority::High);
        assert_eq!(urgent["apns"]["headers"]["apns-priority"], "10");
        assert_eq!(
            (&urgent["android"]["priority"], &urgent["webpush"]["headers"]["Urgency"]),
            (&json!("HIGH"), &json!("high"),)
        );
        // Apple refuses 10 for a message that shows nothing.
        let silent = of(r#"{"data":{"a":"b"}}"#, 60, Priority::High);
        assert_eq!(silent["apns"]["headers"]["apns-priority"], "5");
        assert_eq!(
            (&silent["android"]["notification"], &silent["webpush"]["notification"]),
            (&Value::Null, &Value::Null,)
        );
        let never_kept = of(r#"{"data":{"a":"b"}}"#, 0, Priority::High);
        assert_eq!(never_kept["android"]["ttl"], "0s");
        assert_eq!(never_kept["apns"]["headers"]["apns-expiration"], "0");
        assert_eq!(never_kept["webpush"]["headers"]["TTL"], "0");
        let own = r#"{"webpush":{"headers":{"ttl":"5"}},"apns":{"headers":{"Apns-Priority":"1"}}}"#;
        let own = of(own, 60, Priority::High);
        assert_eq!((own["webpush"]["headers"].get("TTL"), own["apns"]["headers"].get("apns-priority")), (None, None));
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let long = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(LONGEST));
        for (payload, field) in [
            ("[]", "payloads.fcm"),
            ("{}", "payloads.fcm"),
            (long.as_str(), "payloads.fcm"),
            (r#"{"token":"x"}"#, "payloads.fcm.token"),
            (r#"{"topic":"x"}"#, "payloads.fcm.topic"),
            (r#"{"android":{},"android_v2":{}}"#, "payloads.fcm.android_v2"),
            (r#"{"android":7}"#, "payloads.fcm.android"),
            (r#"{"android":{"ttl":"2419201s"}}"#, "payloads.fcm.android.ttl"),
            (r#"{"android":{"ttl":5}}"#, "payloads.fcm.android.ttl"),
            (r#"{"data":{"a":1}}"#, "payloads.fcm.data.a"),
            (r#"{"data":{"google.x":"1"}}"#, "payloads.fcm.data.google.x"),
            (r#"{"data":[]}"#, "payloads.fcm.data"),
        ] {
            assert_eq!(raw(payload).unwrap_err().field, field, "{payload}");
        }
    }
}
