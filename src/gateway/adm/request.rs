//! From a broadcast to the message of every device of it: the same JSON for all (`push-services.md` 5.1).

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::gateway::SharedRequest;
use crate::model::broadcast::{BroadcastRequest, Native, Notification, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// Longest `data`, in bytes of its JSON.
pub const LONGEST: usize = 6_144;
/// Longest `consolidationKey`.
const LONGEST_KEY: usize = 64;
/// Bounds of `expiresAfter`, in seconds.
const LIFE: std::ops::RangeInclusive<u64> = 60..=31 * 86_400;

pub const MESSAGE_TYPE: &str = "com.amazon.device.messaging.ADMMessage@1.0";
pub const RESULT_TYPE: &str = "com.amazon.device.messaging.ADMSendResult@1.0";

/// Checks a broadcast and writes its message at `now`. What a payload says itself of life, key and priority stays. The
/// errors' field is `payloads.adm` or within, `notification` or `template`.
///
/// A life of less than a minute is one of a minute: the service takes no shorter one.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, mut message) = message(request)?;
    let data = check(field, &message)?;
    let size = serde_json::to_vec(data).map_or(usize::MAX, |text| text.len());
    if size > LONGEST {
        let rule = format!("must have data of at most {LONGEST} bytes for ADM (has {size})");
        return Err(FieldError::new(field, rule));
    }
    let key = request.collapse_key.clone().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let life = expires.since(now).as_secs().clamp(*LIFE.start(), *LIFE.end());
    let priority = match request.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
    };
    message.entry("consolidationKey").or_insert_with(|| key.unwrap_or_else(|| id.to_string()).into());
    message.entry("expiresAfter").or_insert_with(|| life.into());
    message.entry("priority").or_insert_with(|| priority.into());
    let body = Bytes::from(Value::Object(message).to_string());
    Ok(SharedRequest { headers: Vec::new(), body, broadcast: id, lane: request.lane })
}

/// `data`, if it is what the service takes.
fn check<'a>(field: &'static str, message: &'a Map<String, Value>) -> Result<&'a Value, FieldError> {
    let data = message.get("data").ok_or_else(|| FieldError::new(field, "must have data"))?;
    let is_good = data.as_object().is_some_and(|data| data.values().all(Value::is_string));
    if is_good { Ok(data) } else { Err(FieldError::new(format!("{field}.data"), "must be an object of strings")) }
}

fn message(request: &BroadcastRequest) -> Result<(&'static str, Map<String, Value>), FieldError> {
    const FIELD: &str = "payloads.adm";
    let raw = |payload: &str| match serde_json::from_str(payload) {
        Ok(Value::Object(members)) => Ok((FIELD, members)),
        _ => Err(FieldError::new(FIELD, "must be a JSON object: the message with its data")),
    };
    match request.content.native(Platform::Adm)? {
        Native::Payload(payload) => raw(payload),
        Native::Portable(notification) => Ok(("notification", render(notification)?)),
    }
}

/// The portable form: ADM shows nothing by itself, so the app gets title and body beside its data. Data of the same name
/// goes first, as the app's own word.
fn render(notification: &Notification) -> Result<Map<String, Value>, FieldError> {
    let Notification { title, body, data } = notification;
    if title.is_none() && body.is_none() && data.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    let texts = [("title", title), ("body", body)];
    let mut all: Map<String, Value> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into()))).collect();
    all.extend(data.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    Ok(Map::from_iter([("data".to_owned(), json!(all))]))
}

/// Where a device's messages go.
pub(super) fn path(channel: &[u8]) -> String {
    let mut path = String::with_capacity(channel.len() + 48);
    path.push_str("/messaging/registrations/");
    for byte in channel {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(*byte)),
            // Writing into memory cannot fail.
            other => {
                let _ = write!(path, "%{other:02X}");
            }
        }
    }
    path.push_str("/messages");
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::{Content, Payloads};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(content: Content) -> BroadcastRequest {
        BroadcastRequest { ttl_seconds: 600, ..BroadcastRequest::everyday(content) }
    }

    fn payload(text: &str) -> BroadcastRequest {
        asked(Content::Payloads(Payloads::from([("adm".to_owned(), text.to_owned())])))
    }

    fn made(request: &BroadcastRequest) -> Result<Value, FieldError> {
        let made = prepare(BroadcastId::new(1), request, NOW, NOW.plus(request.ttl()))?;
        Ok(serde_json::from_slice(&made.body).unwrap())
    }

    #[test]
    fn what_a_payload_leaves_out_is_the_broadcasts() {
        let own = made(&BroadcastRequest { collapse_key: Some("score".into()), ..payload(r#"{"data":{"a":"b"}}"#) });
        let expected =
            json!({"data": {"a": "b"}, "consolidationKey": "score", "expiresAfter": 600, "priority": "high"});
        assert_eq!(own.unwrap(), expected);
        let full = r#"{"consolidationKey":"k","data":{},"expiresAfter":70,"priority":"normal"}"#;
        assert_eq!(made(&payload(full)).unwrap().to_string(), full);
        let brief = made(&BroadcastRequest { ttl_seconds: 0, priority: Priority::Normal, ..payload(r#"{"data":{}}"#) });
        let brief = brief.unwrap();
        assert_eq!((&brief["expiresAfter"], &brief["priority"]), (&json!(60), &json!("normal")));
        assert_eq!(brief["consolidationKey"].as_str().unwrap().len(), 36, "the broadcast's own");
    }

    #[test]
    fn the_portable_form_is_data() {
        let notification = Notification {
            title: Some("T".into()),
            body: Some("B".into()),
            data: [("k".to_owned(), "v".to_owned()), ("body".to_owned(), "own".to_owned())].into(),
        };
        let content = Content::Notification { notification, payloads: Payloads::new() };
        assert_eq!(made(&asked(content)).unwrap()["data"], json!({"title": "T", "body": "own", "k": "v"}));
    }

    #[test]
    fn errors_name_their_field() {
        for (text, field) in [
            ("[]", "payloads.adm"),
            ("{}", "payloads.adm"),
            (r#"{"data":[]}"#, "payloads.adm.data"),
            (r#"{"data":{"a":1}}"#, "payloads.adm.data"),
            (&format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(LONGEST)), "payloads.adm"),
        ] {
            assert_eq!(made(&payload(text)).unwrap_err().field, field, "{text:.40}");
        }
        assert!(made(&payload(&format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(LONGEST - 8)))).is_ok());
    }

    #[test]
    fn a_registration_stays_within_its_path() {
        assert_eq!(
            path(b"amzn1.adm-registration.v3.Y2_~"),
            "/messaging/registrations/amzn1.adm-registration.v3.Y2_~/messages"
        );
        assert_eq!(path(b"../a?b#c%"), "/messaging/registrations/..%2Fa%3Fb%23c%25/messages");
    }
}
