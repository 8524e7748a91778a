//! From a broadcast to the message of every device of it: the same for all but the channel (`push-services.md` 5.2).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::gateway::{SharedRequest, of_template};
use crate::model::broadcast::{BroadcastRequest, Native, Notification};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::{BAIDU_MESSAGE_TYPE as MESSAGE_TYPE, Rendered};
use crate::model::time::Timestamp;

/// Longest `msg`, in bytes.
pub const LONGEST: usize = 4_096;
/// Longest `msg_expires`, in seconds.
const LIFE: u64 = 7 * 86_400;
const FIELD: &str = "payloads.baidu";
/// By which of Apple's environments an iPhone is reached, unless it is the app's own.
const DEPLOY_STATUS: &str = "x-baidu-deploy-status";
const DEVELOPMENT: &str = "1";
const PRODUCTION: &str = "2";

/// What the phone does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It wakes the app.
    Message,
    /// It is shown.
    Notification,
}

impl Kind {
    const fn code(self) -> &'static str {
        match self {
            Self::Message => "0",
            Self::Notification => "1",
        }
    }

    /// The kind that a caller wrote down.
    fn read(text: &str, field: &'static str) -> Result<Self, FieldError> {
        match text.trim() {
            "0" => Ok(Self::Message),
            "1" => Ok(Self::Notification),
            _ => Err(FieldError::new(field, "must be 0 (a message to the app) or 1 (a notification)")),
        }
    }

    /// Where nobody says: what can be shown is shown. A notification has a description, that of an iPhone `aps`.
    fn of(msg: &Map<String, Value>) -> Self {
        if msg.contains_key("description") || msg.contains_key("aps") { Self::Notification } else { Self::Message }
    }
}

/// Checks a broadcast and writes its message at `now`. The errors' field is `payloads.baidu`, `x-baidu-message-type`,
/// `x-baidu-deploy-status`, `notification` or `template`.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, msg) = match request.content.native(Platform::Baidu)? {
        Native::Payload(payload) => (FIELD, payload.to_owned()),
        Native::Portable(notification) => ("notification", render(notification)?),
    };
    let told = request.content.raw(Platform::Baidu).and_then(|raw| raw.header(MESSAGE_TYPE));
    let kind = told.map(|text| Kind::read(text, MESSAGE_TYPE)).transpose()?;
    let told = request.content.raw(Platform::Baidu).and_then(|raw| raw.header(DEPLOY_STATUS));
    let status = told.map(status).transpose()?;
    made(id, request, field, msg, (kind, status), expires.since(now).as_secs())
}

/// The same for what a template made; its headers may say of what kind it is.
pub fn prepare_rendered(
    id: BroadcastId,
    request: &BroadcastRequest,
    rendered: &Rendered,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let told = rendered.headers.iter().find(|(name, _)| name == MESSAGE_TYPE);
    let kind = told.map(|(_, text)| Kind::read(text, "template")).transpose()?;
    let made = made(id, request, FIELD, rendered.body.clone(), (kind, None), expires.since(now).as_secs());
    made.map_err(|error| of_template(error, FIELD))
}

fn made(
    id: BroadcastId,
    request: &BroadcastRequest,
    field: &'static str,
    msg: String,
    (kind, status): (Option<Kind>, Option<&'static str>),
    life: u64,
) -> Result<SharedRequest, FieldError> {
    let Ok(Value::Object(members)) = serde_json::from_str(&msg) else {
        return Err(FieldError::new(field, "must be a JSON object: the message"));
    };
    if msg.len() > LONGEST {
        let rule = format!("must have at most {LONGEST} bytes for Baidu (has {})", msg.len());
        return Err(FieldError::new(field, rule));
    }
    let mut headers = vec![
        ("msg_type", kind.unwrap_or_else(|| Kind::of(&members)).code().to_owned()),
        ("msg_expires", life.min(LIFE).to_string()),
    ];
    headers.extend(device(&members, status.unwrap_or(PRODUCTION)));
    Ok(SharedRequest { headers, body: Bytes::from(msg), broadcast: id, lane: request.lane })
}

/// Whose message it is, which an app for both has to say: an iPhone's has `aps`, and goes by one of Apple's two
/// environments.
fn device(members: &Map<String, Value>, status: &'static str) -> Vec<(&'static str, String)> {
    if members.contains_key("aps") {
        vec![("device_type", "4".to_owned()), ("deploy_status", status.to_owned())]
    } else {
        vec![("device_type", "3".to_owned())]
    }
}

/// The environment that a caller wrote down.
fn status(text: &str) -> Result<&'static str, FieldError> {
    match text.trim() {
        "1" => Ok(DEVELOPMENT),
        "2" => Ok(PRODUCTION),
        _ => Err(FieldError::new(DEPLOY_STATUS, "must be 1 (development) or 2 (production)")),
    }
}

/// The portable form. A notification must have a description, so a title alone is one; data alone goes to the app.
fn render(notification: &Notification) -> Result<String, FieldError> {
    let Notification { title, body, data } = notification;
    let mut msg = Map::new();
    match (title, body) {
        (Some(title), Some(body)) => {
            msg.insert("title".to_owned(), title.as_str().into());
            msg.insert("description".to_owned(), body.as_str().into());
        }
        (Some(text), None) | (None, Some(text)) => {
            msg.insert("description".to_owned(), text.as_str().into());
        }
        (None, None) if data.is_empty() => {
            return Err(FieldError::new("notification", "must have title, body or data"));
        }
        (None, None) => {}
    }
    if !data.is_empty() {
        msg.insert("custom_content".to_owned(), json!(data));
    }
    Ok(Value::Object(msg).to_string())
}

/// The service's name of a device: what stands behind the user in `USER-CHANNEL`, or all where there is no user. None
/// for what is no text, or names no channel.
pub(super) fn channel_id(channel: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(channel).ok()?;
    let id = text.split_once('-').map_or(text, |(_, id)| id);
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::broadcast::{Content, Payloads, Raw};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(content: Content) -> BroadcastRequest {
        BroadcastRequest { ttl_seconds: 600, ..BroadcastRequest::everyday(content) }
    }

    fn payload(text: &str) -> BroadcastRequest {
        asked(Content::Payloads(Payloads::from([("baidu".to_owned(), text.to_owned())])))
    }

    fn raw(text: &str, kind: &str) -> BroadcastRequest {
        asked(Content::Raw(Raw {
            platform: Platform::Baidu,
            body: text.to_owned(),
            headers: BTreeMap::from([("x-baidu-message-type".to_owned(), kind.to_owned())]),
            format: "baidu".to_owned(),
            handles: None,
        }))
    }

    /// Kind, life and message.
    fn made(request: &BroadcastRequest) -> Result<(String, String, String), FieldError> {
        let made = prepare(BroadcastId::new(1), request, NOW, NOW.plus(request.ttl()))?;
        let said = |name| made.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        Ok((said("msg_type"), said("msg_expires"), String::from_utf8(made.body.to_vec()).unwrap()))
    }

    #[test]
    fn a_payload_goes_as_it_was_written_and_says_its_kind() {
        for (request, kind) in [
            (payload(r#"{"description": "B"}"#), "1"),
            (payload(r#"{"aps":{"alert":"B"}}"#), "1"),
            (payload(r#"{"k":"v"}"#), "0"),
            (raw(r#"{"description":"B"}"#, "0"), "0"),
            (raw("{}", " 1 "), "1"),
        ] {
            let (told, life, msg) = made(&request).unwrap();
            assert_eq!((told.as_str(), life.as_str()), (kind, "600"), "{msg}");
        }
        assert_eq!(made(&payload(r#"{"description": "B"}"#)).unwrap().2, r#"{"description": "B"}"#);
        let long = BroadcastRequest { ttl_seconds: 30 * 86_400, ..payload("{}") };
        assert_eq!(made(&long).unwrap().1, "604800");
    }

    #[test]
    fn a_message_says_whose_it_is() {
        let told = |request: &BroadcastRequest| {
            let made = prepare(BroadcastId::new(1), request, NOW, NOW.plus(request.ttl()))?;
            let said = |name| made.headers.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone());
            Ok::<_, FieldError>((said("device_type").unwrap(), said("deploy_status")))
        };
        let apple = r#"{"aps":{"alert":"B"}}"#;
        let by = |status: &str| {
            let headers = BTreeMap::from([("x-baidu-deploy-status".to_owned(), status.to_owned())]);
            let format = "baidu".to_owned();
            asked(Content::Raw(Raw {
                platform: Platform::Baidu,
                body: apple.to_owned(),
                headers,
                format,
                handles: None,
            }))
        };
        assert_eq!(told(&payload(r#"{"description":"B"}"#)), Ok(("3".to_owned(), None)));
        assert_eq!(told(&payload(apple)), Ok(("4".to_owned(), Some("2".to_owned()))));
        assert_eq!(told(&by("1")), Ok(("4".to_owned(), Some("1".to_owned()))));
        assert_eq!(told(&by("3")).unwrap_err().field, "x-baidu-deploy-status");
    }

    #[test]
    fn the_portable_form_is_a_notification_or_data() {
        let rendered = |title: Option<&str>, body: Option<&str>, data: &[(&str, &str)]| {
            let data = data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let notification = Notification { title: title.map(Into::into), body: body.map(Into::into), data };
            let content = Content::Notification { notification, payloads: Payloads::new() };
            made(&asked(content)).map(|(kind, _, msg)| (kind, serde_json::from_str::<Value>(&msg).unwrap()))
        };
        let one = |kind: &str, msg: Value| Ok((kind.to_owned(), msg));
        let whole = json!({"title": "T", "description": "B", "custom_content": {"k": "v"}});
        assert_eq!(rendered(Some("T"), Some("B"), &[("k", "v")]), one("1", whole));
        assert_eq!(rendered(Some("T"), None, &[]), one("1", json!({"description": "T"})));
        assert_eq!(rendered(None, Some("B"), &[]), one("1", json!({"description": "B"})));
        assert_eq!(rendered(None, None, &[("k", "v")]), one("0", json!({"custom_content": {"k": "v"}})));
        assert_eq!(rendered(None, None, &[]).unwrap_err().field, "notification");
    }

    #[test]
    fn a_template_may_say_its_kind() {
        let of = |body: &str, kind: Option<&str>| {
            let headers = kind.map(|kind| ("x-baidu-message-type".to_owned(), kind.to_owned())).into_iter().collect();
            let rendered = Rendered { body: body.to_owned(), headers, expiry: None };
            let request = asked(Content::Template(BTreeMap::new()));
            prepare_rendered(BroadcastId::new(1), &request, &rendered, NOW, NOW.plus(request.ttl()))
        };
        assert_eq!(of(r#"{"k":"v"}"#, None).unwrap().headers[0].1, "0");
        assert_eq!(of(r#"{"k":"v"}"#, Some("1")).unwrap().headers[0].1, "1");
        assert_eq!(of("{}", Some("2")).unwrap_err().field, "template");
        assert_eq!(of("[]", None).unwrap_err().field, "template");
    }

    #[test]
    fn errors_name_their_field() {
        for (request, field) in [
            (payload("[]"), FIELD),
            (payload("title=x"), FIELD),
            (payload(&format!(r#"{{"k":"{}"}}"#, "x".repeat(LONGEST - 7))), FIELD),
            (raw("{}", "2"), MESSAGE_TYPE),
            (raw("{}", ""), MESSAGE_TYPE),
        ] {
            assert_eq!(made(&request).unwrap_err().field, field);
        }
        assert!(made(&payload(&format!(r#"{{"k":"{}"}}"#, "x".repeat(LONGEST - 8)))).is_ok());
    }

    #[test]
    fn the_channel_stands_behind_the_user() {
        for (channel, id) in [
            ("1042-3785", Some("3785")),
            ("3785", Some("3785")),
            ("1042-37-85", Some("37-85")),
            ("1042-", None),
            ("", None),
        ] {
            assert_eq!(channel_id(channel.as_bytes()), id, "{channel}");
        }
        assert_eq!(channel_id(b"1-\xff"), None);
    }
}
