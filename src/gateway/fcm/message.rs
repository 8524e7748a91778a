//! From a broadcast to the message that every device of it gets (`push-services.md` 2.2), and each device's target put
//! into it.
//!
//! The message is written once, without its target: `{"message":{…}}`. The target is the only thing that differs, and its
//! place is right behind the second brace, so that a device costs one copy of the message and no JSON.
//!
//! What the caller wrote stands. Only what is absent is added: life, priority, and the keys by which a repeat replaces
//! the first copy instead of standing beside it (section 7).

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::gateway::SharedRequest;
use crate::model::broadcast::{BroadcastRequest, Content, Notification, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// Keys and values of a message together, in bytes.
pub const LONGEST: usize = 4_096;
/// The longest life that the service takes: four weeks.
pub const LONGEST_TTL: u64 = 2_419_200;
/// The service passes `collapse_key` on to APNs, which takes so many bytes.
const LONGEST_COLLAPSE_ID: usize = 64;

const HEAD: &[u8] = br#"{"message":{"#;
const TARGETS: [&str; 4] = ["token", "fid", "topic", "condition"];

/// Checks a broadcast and writes down what is equal for every target. The error's field is one of the native API's
/// request: `payloads.fcm…`, `notification…`, `collapse_key`, `template`. The life that is left is counted from `now`.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    expires: Timestamp,
    now: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, mut message) = message(request)?;
    check(field, &message)?;
    let written = Additions::new(id, request, expires, now)?;
    written.complete(field, &mut message)?;
    let body = serde_json::to_vec(&json!({ "message": message }))
        .map_err(|error| FieldError::new(field, format!("cannot be written as JSON: {error}")))?;
    let headers = vec![("content-type", "application/json".to_owned())];
    Ok(SharedRequest { headers, body: Bytes::from(body), broadcast: id, lane: request.lane })
}

/// The message for one device. A channel is a registration token or an installation id; the service tells them apart by
/// the member that carries them (2.6).
pub fn address(body: &Bytes, channel: &[u8]) -> Bytes {
    let member: &[u8] = if is_installation_id(channel) { br#""fid":""# } else { br#""token":""# };
    let rest = body.get(HEAD.len()..).unwrap_or_default();
    let mut out = BytesMut::with_capacity(body.len() + member.len() + channel.len() + 2);
    out.put_slice(HEAD);
    out.put_slice(member);
    for byte in channel {
        // Tokens have neither, but a registered channel is foreign text.
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    // A message is never empty: its life is in it.
    out.put_slice(b"\",");
    out.put_slice(rest);
    out.freeze()
}

/// A Firebase installation id: 22 characters of base64url whose first is one of four (2.6).
pub fn is_installation_id(channel: &[u8]) -> bool {
    let letters = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    channel.len() == 22 && matches!(channel.first(), Some(b'c'..=b'f')) && channel.iter().all(letters)
}

fn message(request: &BroadcastRequest) -> Result<(&'static str, Map<String, Value>), FieldError> {
    let raw = |payload: &String| match serde_json::from_str(payload) {
        Ok(Value::Object(message)) => Ok(("payloads.fcm", message)),
        _ => Err(FieldError::new("payloads.fcm", "must be a JSON object")),
    };
    let label = Platform::Fcm.label();
    match &request.content {
        Content::Notification { notification, payloads } => match payloads.get(label) {
            Some(payload) => raw(payload),
            None => Ok(("notification", render(notification)?)),
        },
        Content::Payloads(payloads) => {
            payloads.get(label).map(raw).unwrap_or_else(|| Err(FieldError::new("payloads.fcm", "must be given")))
        }
        Content::Template(_) => Err(FieldError::new("template", "must be rendered to a payload first")),
    }
}

/// The portable form in FCM's own.
fn render(notification: &Notification) -> Result<Map<String, Value>, FieldError> {
    let Notification { title, body, data } = notification;
    let mut message = Map::new();
    let shown = [("title", title), ("body", body)];
    let shown: Map<String, Value> =
        shown.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into()))).collect();
    if shown.is_empty() && data.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    if !shown.is_empty() {
        message.insert("notification".to_owned(), shown.into());
    }
    if !data.is_empty() {
        message.insert("data".to_owned(), json!(data));
    }
    Ok(message)
}

fn check(field: &'static str, message: &Map<String, Value>) -> Result<(), FieldError> {
    let fault = |member: &str, rule: String| Err(FieldError::new(format!("{field}.{member}"), rule));
    if let Some(target) = TARGETS.into_iter().find(|target| message.contains_key(*target)) {
        return fault(target, "must be absent: the audience says who gets the message".to_owned());
    }
    if message.contains_key("android") && message.contains_key("android_v2") {
        return fault("android_v2", "must not stand beside android".to_owned());
    }
    let mut bytes = 0;
    if let Some(data) = message.get("data") {
        let Value::Object(data) = data else { return fault("data", "must be an object".to_owned()) };
        for (name, value) in data {
            let Value::String(text) = value else {
                return fault(&format!("data.{name}"), "must be a string".to_owned());
            };
            if is_reserved(name) {
                let rule = "must not be from, message_type, or begin with google. or gcm.notification.".to_owned();
                return fault(&format!("data.{name}"), rule);
            }
            bytes += name.len() + text.len();
        }
    }
    if let Some(Value::Object(shown)) = message.get("notification") {
        bytes += shown.iter().map(|(name, text)| name.len() + text.as_str().map_or(0, str::len)).sum::<usize>();
    }
    if bytes > LONGEST {
        let rule = format!("must have at most {LONGEST} bytes of keys and values for FCM (has {bytes})");
        return Err(FieldError::new(field, rule));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    matches!(name, "from" | "message_type") || name.starts_with("google.") || name.starts_with("gcm.notification.")
}

/// What a message gets where its caller said nothing.
struct Additions {
    ttl: u64,
    expires: Timestamp,
    at_once: bool,
    high: bool,
    /// The caller's key, else the broadcast's id.
    collapse: String,
}

impl Additions {
    fn new(
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Self, FieldError> {
        let collapse = request.collapse_key.as_deref().filter(|key| !key.is_empty());
        if collapse.is_some_and(|key| key.len() > LONGEST_COLLAPSE_ID) {
            return Err(FieldError::new("collapse_key", "must have at most 64 bytes for FCM"));
        }
        Ok(Self {
            ttl: expires.since(now).as_secs().min(LONGEST_TTL).min(u64::from(request.ttl_seconds)),
            expires,
            at_once: request.ttl_seconds == 0,
            high: request.priority == Priority::High,
            collapse: collapse.map_or_else(|| id.to_string(), str::to_owned),
        })
    }

    fn complete(&self, field: &'static str, message: &mut Map<String, Value>) -> Result<(), FieldError> {
        let shows = message.contains_key("notification");
        if !message.contains_key("android_v2") {
            self.android(shows, section(field, message, "android")?);
        }
        let apns = section(field, message, "apns")?;
        // Without anything to show, Apple takes no other priority from the service (2.2).
        let alerts = shows || apns.get("payload").and_then(|payload| payload.pointer("/aps/alert")).is_some();
        self.apns(alerts, section(&format!("{field}.apns"), apns, "headers")?);
        let webpush = section(field, message, "webpush")?;
        if shows {
            absent(section(&format!("{field}.webpush"), webpush, "notification")?, &["tag"], &self.collapse);
        }
        let headers = section(&format!("{field}.webpush"), webpush, "headers")?;
        absent(headers, &["TTL", "ttl"], &self.ttl.to_string());
        absent(headers, &["Urgency", "urgency"], if self.high { "high" } else { "normal" });
        Ok(())
    }

    fn android(&self, shows: bool, android: &mut Map<String, Value>) {
        absent(android, &["ttl"], &format!("{}s", self.ttl));
        absent(android, &["priority"], if self.high { "HIGH" } else { "NORMAL" });
        absent(android, &["collapse_key", "collapseKey"], &self.collapse);
        if shows && !android.contains_key("notification") {
            android.insert("notification".to_owned(), Value::Object(Map::new()));
        }
        if let Some(Value::Object(shown)) = android.get_mut("notification") {
            absent(shown, &["tag"], &self.collapse);
        }
    }

    fn apns(&self, alerts: bool, headers: &mut Map<String, Value>) {
        let end = if self.at_once { 0 } else { self.expires.millis().div_euclid(1_000).max(1) };
        absent(headers, &["apns-expiration"], &end.to_string());
        absent(headers, &["apns-priority"], if alerts && self.high { "10" } else { "5" });
        absent(headers, &["apns-collapse-id"], &self.collapse);
    }
}

/// A member that is an object, made when it is not there.
fn section<'a>(
    field: &str,
    within: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>, FieldError> {
    match within.entry(name).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(members) => Ok(members),
        _ => Err(FieldError::new(format!("{field}.{name}"), "must be an object")),
    }
}

/// Sets the first of these spellings unless one of them is there.
fn absent(members: &mut Map<String, Value>, spellings: &[&str], value: &str) {
    if let [name, ..] = spellings
        && !spellings.iter().any(|spelling| members.contains_key(*spelling))
    {
        members.insert((*name).to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests;
