//! From a broadcast to what every device of it gets: one body, one set of header fields (`push-services.md` 1.3, 1.4).

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::gateway::{SharedRequest, header_value};
use crate::model::broadcast::{BroadcastRequest, Content, Notification, Priority};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;

/// Longest body, in bytes; [`LONGEST_VOIP`] for calls.
pub const LONGEST: usize = 4_096;
pub const LONGEST_VOIP: usize = 5_120;
/// Longest `apns-collapse-id`, in bytes.
pub const LONGEST_COLLAPSE_ID: usize = 64;

pub const TOPIC: &str = "apns-topic";
pub const PUSH_TYPE: &str = "apns-push-type";
pub const PRIORITY: &str = "apns-priority";
pub const EXPIRATION: &str = "apns-expiration";
pub const COLLAPSE_ID: &str = "apns-collapse-id";
pub const ID: &str = "apns-id";

/// What the service must do with a push. A hub's topic says which special kind it is for (1.4); a plain bundle id is
/// for alerts and background pushes, told apart by the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushType {
    Alert,
    Background,
    Voip,
    Complication,
    FileProvider,
    Mdm,
    LiveActivity,
    PushToTalk,
    Location,
    Controls,
    Widgets,
}

impl PushType {
    /// The value of `apns-push-type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Background => "background",
            Self::Voip => "voip",
            Self::Complication => "complication",
            Self::FileProvider => "fileprovider",
            Self::Mdm => "mdm",
            Self::LiveActivity => "liveactivity",
            Self::PushToTalk => "pushtotalk",
            Self::Location => "location",
            Self::Controls => "controls",
            Self::Widgets => "widgets",
        }
    }

    /// The kind of a value of `apns-push-type`.
    fn from_word(word: &str) -> Option<Self> {
        let all = [
            Self::Alert,
            Self::Background,
            Self::Voip,
            Self::Complication,
            Self::FileProvider,
            Self::Mdm,
            Self::LiveActivity,
            Self::PushToTalk,
            Self::Location,
            Self::Controls,
            Self::Widgets,
        ];
        all.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The kind that a topic and a payload make.
    pub fn of(topic: &str, payload: &Map<String, Value>) -> Self {
        let by_topic = [
            (".voip", Self::Voip),
            (".complication", Self::Complication),
            (".pushkit.fileprovider", Self::FileProvider),
            (".push-type.liveactivity", Self::LiveActivity),
            (".voip-ptt", Self::PushToTalk),
            (".location-query", Self::Location),
            (".push-type.controls", Self::Controls),
            (".push-type.widgets", Self::Widgets),
        ];
        if let Some((_, special)) = by_topic.into_iter().find(|(suffix, _)| topic.ends_with(suffix)) {
            return special;
        }
        let aps = payload.get("aps").and_then(Value::as_object);
        let silent = aps.is_some_and(|aps| aps.len() == 1 && aps.get("content-available") == Some(&Value::from(1)));
        match aps {
            _ if silent => Self::Background,
            None if payload.len() == 1 && payload.contains_key("mdm") => Self::Mdm,
            _ => Self::Alert,
        }
    }

    const fn longest_body(self) -> usize {
        if matches!(self, Self::Voip) { LONGEST_VOIP } else { LONGEST }
    }

    /// The service takes nothing but 5 for a background push.
    const fn priority(self, asked: Priority) -> &'static str {
        match (self, asked) {
            (Self::Background, _) | (_, Priority::Normal) => "5",
            (_, Priority::High) => "10",
        }
    }
}

/// Checks a broadcast for a hub's topic and writes down what is equal for every target. The error's field is one of the
/// native API's request: `payloads.apns`, `notification`, `collapse_key`, `template`.
pub fn prepare(
    topic: &str,
    id: BroadcastId,
    request: &BroadcastRequest,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, body) = body(request)?;
    assemble(topic, id, request, expires, Message { field, body, headers: &[], expiry: None })
}

/// The same for what a template made of the request's properties. Its headers go before what the request says.
pub fn prepare_rendered(
    topic: &str,
    id: BroadcastId,
    request: &BroadcastRequest,
    rendered: &Rendered,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let body = Bytes::copy_from_slice(rendered.body.as_bytes());
    let message = Message { field: "template", body, headers: &rendered.headers, expiry: rendered.expiry.as_deref() };
    assemble(topic, id, request, expires, message)
}

/// One message, and what it says of itself.
struct Message<'a> {
    field: &'static str,
    body: Bytes,
    /// Names in lower case.
    headers: &'a [(String, String)],
    expiry: Option<&'a str>,
}

impl Message<'_> {
    fn header(&self, name: &str) -> Result<Option<String>, FieldError> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(name, value)| header_value(name, value)).transpose()
    }

    /// The end of its life that the message itself gives, in seconds since 1970.
    fn expiration(&self) -> Result<Option<String>, FieldError> {
        let fault = |rule| Err(FieldError::new(self.field, rule));
        match (self.header(EXPIRATION)?, self.expiry) {
            (Some(seconds), _) if seconds.parse::<i64>().is_ok_and(|seconds| seconds >= 0) => Ok(Some(seconds)),
            (Some(_), _) => fault("must have whole seconds since 1970 in apns-expiration"),
            (None, Some(text)) => match Timestamp::parse(text.trim()) {
                Some(time) => Ok(Some(time.millis().div_euclid(1_000).max(0).to_string())),
                None => fault("must have an ISO 8601 date and time for its expiry"),
            },
            (None, None) => Ok(None),
        }
    }
}

fn assemble(
    topic: &str,
    id: BroadcastId,
    request: &BroadcastRequest,
    expires: Timestamp,
    message: Message<'_>,
) -> Result<SharedRequest, FieldError> {
    let (own_type, own_topic, own_priority, own_collapse_id, own_expiration) = (
        message.header(PUSH_TYPE)?,
        message.header(TOPIC)?,
        message.header(PRIORITY)?,
        message.header(COLLAPSE_ID)?,
        message.expiration()?,
    );
    let Message { field, body, .. } = message;
    let topic = own_topic.as_deref().unwrap_or(topic);
    let payload = match serde_json::from_slice(&body) {
        Ok(Value::Object(members)) if !members.is_empty() => members,
        Ok(Value::Object(_)) => return Err(FieldError::new(field, "must not be an empty object")),
        _ => return Err(FieldError::new(field, "must be a JSON object")),
    };
    let push_type = own_type.as_deref().and_then(PushType::from_word).unwrap_or_else(|| PushType::of(topic, &payload));
    let longest = push_type.longest_body();
    if body.len() > longest {
        let rule = format!("must have at most {longest} bytes for APNs (has {})", body.len());
        return Err(FieldError::new(field, rule));
    }
    // 0 asks for one attempt and no storing (1.3); a message without a life of its own wants just that.
    let expiration = if request.ttl_seconds == 0 { 0 } else { expires.millis().div_euclid(1_000).max(1) };
    let headers = vec![
        (TOPIC, topic.to_owned()),
        (PUSH_TYPE, own_type.unwrap_or_else(|| push_type.as_str().to_owned())),
        (PRIORITY, own_priority.unwrap_or_else(|| push_type.priority(request.priority).to_owned())),
        (EXPIRATION, own_expiration.unwrap_or_else(|| expiration.to_string())),
        (COLLAPSE_ID, own_collapse_id.map_or_else(|| collapse_id(id, request), |key| checked_collapse_id(field, key))?),
    ];
    Ok(SharedRequest { headers, body, broadcast: id, lane: request.lane })
}

/// The caller's key, else the broadcast's id: a repeat after a crash or a lost answer then replaces the first copy on
/// the screen (section 7).
fn collapse_id(id: BroadcastId, request: &BroadcastRequest) -> Result<String, FieldError> {
    let Some(key) = request.collapse_key.as_deref().filter(|key| !key.is_empty()) else { return Ok(id.to_string()) };
    let key = checked_collapse_id("collapse_key", key.to_owned())?;
    if key.contains(char::is_control) || key.trim() != key {
        return Err(FieldError::new("collapse_key", "must not hold control characters, nor begin or end with a space"));
    }
    Ok(key)
}

fn checked_collapse_id(field: &'static str, key: String) -> Result<String, FieldError> {
    if key.len() > LONGEST_COLLAPSE_ID {
        return Err(FieldError::new(field, "must have at most 64 bytes for APNs"));
    }
    Ok(key)
}

fn body(request: &BroadcastRequest) -> Result<(&'static str, Bytes), FieldError> {
    let raw = |payload: &String| ("payloads.apns", Bytes::copy_from_slice(payload.as_bytes()));
    let label = Platform::Apns.label();
    match &request.content {
        Content::Notification { notification, payloads } => match payloads.get(label) {
            Some(payload) => Ok(raw(payload)),
            None => Ok(("notification", render(notification)?)),
        },
        Content::Payloads(payloads) => {
            payloads.get(label).map(raw).ok_or_else(|| FieldError::new("payloads.apns", "must be given"))
        }
        Content::Template(_) => Err(FieldError::new("template", "must be rendered to a payload first")),
    }
}

#[derive(Serialize)]
struct Portable<'a> {
    aps: Aps<'a>,
    #[serde(flatten)]
    data: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Aps<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert<'a>>,
    #[serde(rename = "content-available", skip_serializing_if = "Option::is_none")]
    content_available: Option<u8>,
}

#[derive(Serialize)]
struct Alert<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// The portable form in APNs' own: an alert, the data beside `aps`. Without title and body it is a background push.
fn render(notification: &Notification) -> Result<Bytes, FieldError> {
    let Notification { title, body, data } = notification;
    if data.contains_key("aps") {
        return Err(FieldError::new("notification.data", "must not have the member aps, which is APNs' own"));
    }
    let shows = title.is_some() || body.is_some();
    if !shows && data.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    let alert = shows.then_some(Alert { title: title.as_deref(), body: body.as_deref() });
    let aps = Aps { alert, content_available: (!shows).then_some(1) };
    serde_json::to_vec(&Portable { aps, data })
        .map(Bytes::from)
        .map_err(|error| FieldError::new("notification", format!("cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests;
