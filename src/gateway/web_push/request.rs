//! From a broadcast to what is equal for every browser: the message in the clear and the header fields
//! (`push-services.md` 4.2). It is encrypted for each on its way out.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::encryption::LONGEST;
use crate::gateway::SharedRequest;
use crate::model::broadcast::{BroadcastRequest, Native, Notification, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

pub const TTL: &str = "ttl";
pub const URGENCY: &str = "urgency";
pub const TOPIC: &str = "topic";

/// The longest time that every push service keeps a message: 28 days at Google, 30 elsewhere.
const LONGEST_TTL: u64 = 28 * 86_400;
/// Longest topic, in characters of the base64url alphabet (RFC 8030 section 5.4).
const LONGEST_TOPIC: usize = 32;
/// Bytes whose base64url has that length.
const TOPIC_BYTES: usize = 24;

/// Checks a broadcast and writes down what is equal for every target; its life is counted from `now`. The error's field
/// is one of the native API's request: `payloads.web_push`, `notification`, `template`.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let key = request.collapse_key.as_deref().filter(|key| !key.is_empty());
    let (field, body) = body(id, request, key)?;
    if body.len() > LONGEST {
        let rule = format!("must have at most {LONGEST} bytes for Web Push (has {})", body.len());
        return Err(FieldError::new(field, rule));
    }
    let ttl = match request.ttl_seconds {
        0 => 0,
        // Nought is now or never; another moment, however late, is no such wish.
        _ => expires.since(now).as_secs().clamp(1, LONGEST_TTL),
    };
    let urgency = match request.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
    };
    let topic = key.map_or_else(|| URL_SAFE_NO_PAD.encode(id.as_bytes()), topic);
    let headers = vec![(TTL, ttl.to_string()), (URGENCY, urgency.to_owned()), (TOPIC, topic)];
    Ok(SharedRequest { headers, body, broadcast: id, lane: request.lane })
}

/// A key that can be a topic is one; any other stands for one of its own, always the same.
fn topic(key: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if key.len() <= LONGEST_TOPIC && key.bytes().all(fits) {
        return key.to_owned();
    }
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, key.as_bytes()).as_ref()[..TOPIC_BYTES])
}

fn body(id: BroadcastId, request: &BroadcastRequest, key: Option<&str>) -> Result<(&'static str, Bytes), FieldError> {
    const PAYLOAD: &str = "payloads.web_push";
    match request.content.native(Platform::WebPush)? {
        Native::Payload(payload) => Ok((PAYLOAD, Bytes::copy_from_slice(payload.as_bytes()))),
        Native::Portable(notification) => {
            let tag = key.map_or_else(|| id.to_string(), str::to_owned);
            Ok(("notification", render(notification, tag)?.into()))
        }
    }
}

/// The portable form as a service worker gets it, a JSON object: `title`, and beside it what `showNotification` takes as
/// its options: `body`, `data`, and a `tag` by which a repeat replaces the first copy on the screen (7). Only what was
/// given stands in it, the tag always.
fn render(notification: &Notification, tag: String) -> Result<String, FieldError> {
    let Notification { title, body, data } = notification;
    if title.is_none() && body.is_none() && data.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    let mut shown = Map::new();
    let texts = [("title", title.as_deref()), ("body", body.as_deref()), ("tag", Some(tag.as_str()))];
    shown.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
    if !data.is_empty() {
        let data = data.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        shown.insert("data".to_owned(), Value::Object(data.collect()));
    }
    Ok(Value::Object(shown).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::{Content, Payloads};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(payload: &str) -> BroadcastRequest {
        BroadcastRequest::everyday(Content::Payloads(Payloads::from([("web_push".to_owned(), payload.to_owned())])))
    }

    fn made(request: &BroadcastRequest) -> Result<SharedRequest, FieldError> {
        prepare(BroadcastId::new(1), request, NOW, Timestamp::from_millis(1_042_000))
    }

    fn header(request: &BroadcastRequest, name: &str) -> Option<String> {
        made(request).unwrap().headers.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    #[test]
    fn life_and_urgency_are_said() {
        let request = asked("x");
        assert_eq!(
            (header(&request, TTL).as_deref(), header(&request, URGENCY).as_deref()),
            (Some("42"), Some("high"))
        );
        let brief = BroadcastRequest { ttl_seconds: 0, priority: Priority::Normal, ..request.clone() };
        assert_eq!((header(&brief, TTL).as_deref(), header(&brief, URGENCY).as_deref()), (Some("0"), Some("normal")));
        let life = |until: i64| {
            let made = prepare(BroadcastId::new(1), &request, NOW, Timestamp::from_millis(until)).unwrap();
            made.headers[0].1.clone()
        };
        assert_eq!([life(999_000), life(1_000_999), life(1_000_000 + 29 * 86_400_000)], ["1", "1", "2419200"]);
    }

    #[test]
    fn every_collapse_key_makes_a_topic() {
        let of =
            |key: &str| header(&BroadcastRequest { collapse_key: Some(key.to_owned()), ..asked("x") }, TOPIC).unwrap();
        assert_eq!(of("score-1_A"), "score-1_A");
        assert_eq!(of(&"a".repeat(32)), "a".repeat(32));
        let fits = |topic: &str| topic.len() <= 32 && URL_SAFE_NO_PAD.decode(topic).is_ok();
        for key in ["score:1", &"a".repeat(33), "é", " "] {
            assert!(fits(&of(key)) && of(key).len() == 32 && of(key) == of(key), "{key}");
        }
        assert_ne!(of("score:1"), of("score:2"));
        let own = header(&asked("x"), TOPIC).unwrap();
        assert!(fits(&own) && own.len() == 22, "{own}");
        assert_eq!(of("").len(), 22, "an empty key is none");
    }

    #[test]
    fn the_portable_form_is_what_show_notification_takes() {
        let of = |title: Option<&str>, data: &[(&str, &str)], key: Option<&str>| {
            let data = data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let notification = Notification { title: title.map(str::to_owned), body: None, data };
            let content = Content::Notification { notification, payloads: Payloads::new() };
            made(&BroadcastRequest { content, collapse_key: key.map(str::to_owned), ..asked("") })
        };
        let text = |made: SharedRequest| String::from_utf8(made.body.to_vec()).unwrap();
        let full = text(of(Some("\"Hi\""), &[("k", "v")], Some("score")).unwrap());
        assert_eq!(full, r#"{"data":{"k":"v"},"tag":"score","title":"\"Hi\""}"#);
        let made = of(None, &[("k", "v")], None).unwrap();
        assert_eq!(text(made.clone()), format!(r#"{{"data":{{"k":"v"}},"tag":"{}"}}"#, made.broadcast));
        assert_eq!(of(None, &[], None).unwrap_err().field, "notification");
        assert_eq!(of(Some(&"x".repeat(4_000)), &[], None).unwrap_err().field, "notification");
    }

    #[test]
    fn messages_over_the_limit_name_their_field() {
        assert!(made(&asked(&"x".repeat(3_993))).is_ok());
        let error = made(&asked(&"x".repeat(3_994))).unwrap_err();
        assert_eq!(error.to_string(), "payloads.web_push must have at most 3993 bytes for Web Push (has 3994)");
        assert!(made(&asked("")).is_ok(), "a message without content wakes the page");
    }
}
