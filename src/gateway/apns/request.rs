//! From a broadcast to what every device of it gets: one body, one set of header fields (`push-services.md` 1.3, 1.4).

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::gateway::{SharedRequest, header_value};
use crate::model::broadcast::{BroadcastRequest, Native, Notification, Priority};
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
    const ALL: [Self; 11] = [
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

    /// The kind of that value of `apns-push-type`.
    fn parse(text: &str) -> Result<Self, FieldError> {
        let rule = "must be alert, background, voip, complication, fileprovider, mdm, liveactivity, pushtotalk, \
                    location, controls or widgets";
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| FieldError::new(PUSH_TYPE, rule))
    }

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
/// native API's request (`payloads.apns`, `notification`, `collapse_key`, `template`), or a header field that the caller
/// gave himself.
pub fn prepare(
    topic: &str,
    id: BroadcastId,
    request: &BroadcastRequest,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let (field, body) = body(request)?;
    let header = |name: &str| request.content.raw(Platform::Apns).and_then(|raw| raw.header(name));
    assemble(topic, id, request, expires, Message { field, body, header: &header, expiry: None })
}

/// The same for what a template made of the request's properties. Its headers go before what the request says; the
/// error's field is always `template`.
pub fn prepare_rendered(
    topic: &str,
    id: BroadcastId,
    request: &BroadcastRequest,
    rendered: &Rendered,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let field = "template";
    let body = Bytes::copy_from_slice(rendered.body.as_bytes());
    let header = |name: &str| rendered.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let message = Message { field, body, header: &header, expiry: rendered.expiry.as_deref() };
    assemble(topic, id, request, expires, message).map_err(|error| match &*error.field {
        "collapse_key" => error,
        _ => error.at(field),
    })
}

/// One message, and what it says of itself.
struct Message<'a> {
    field: &'static str,
    body: Bytes,
    /// By a name in lower case.
    header: &'a dyn Fn(&str) -> Option<&'a str>,
    expiry: Option<&'a str>,
}

impl Message<'_> {
    fn own(&self, name: &'static str) -> Result<Option<String>, FieldError> {
        (self.header)(name).map(|value| header_value(name, value)).transpose()
    }

    /// The end of its life that the message itself gives, in seconds since 1970.
    fn expiration(&self) -> Result<Option<String>, FieldError> {
        match (self.own(EXPIRATION)?, self.expiry) {
            (Some(text), _) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(text)),
            (Some(_), _) => Err(FieldError::new(EXPIRATION, "must be a whole number of seconds since 1970, or 0")),
            (None, Some(text)) => match Timestamp::parse(text.trim()) {
                Some(time) => Ok(Some(time.millis().div_euclid(1_000).max(0).to_string())),
                None => Err(FieldError::new(self.field, "must have an ISO 8601 date and time for its expiry")),
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
    let own_topic = message.own(TOPIC)?;
    let topic = own_topic.as_deref().unwrap_or(topic);
    let (own_type, own_priority) = (message.own(PUSH_TYPE)?, message.own(PRIORITY)?);
    let (own_collapse_id, own_expiration) = (message.own(COLLAPSE_ID)?, message.expiration()?);
    let Message { field, body, .. } = message;
    let payload = match serde_json::from_slice(&body) {
        Ok(Value::Object(members)) if !members.is_empty() => members,
        Ok(Value::Object(_)) => return Err(FieldError::new(field, "must not be an empty object")),
        _ => return Err(FieldError::new(field, "must be a JSON object")),
    };
    let push_type = own_type.as_deref().map_or_else(|| Ok(PushType::of(topic, &payload)), PushType::parse)?;
    let longest = push_type.longest_body();
    if body.len() > longest {
        let rule = format!("must have at most {longest} bytes for APNs (has {})", body.len());
        return Err(FieldError::new(field, rule));
    }
    let priority = own_priority.unwrap_or_else(|| push_type.priority(request.priority).to_owned());
    if !matches!(priority.as_str(), "10" | "5" | "1") {
        return Err(FieldError::new(PRIORITY, "must be 10, 5 or 1"));
    }
    if push_type == PushType::Background && priority == "10" {
        return Err(FieldError::new(PRIORITY, "must not be 10 for a background push: APNs refuses it"));
    }
    // 0 asks for one attempt and no storing (1.3); a message without a life of its own wants just that.
    let expiration = if request.ttl_seconds == 0 { 0 } else { expires.millis().div_euclid(1_000).max(1) };
    let collapse_id = match own_collapse_id {
        Some(key) => checked_collapse_id(&key).map_err(|error| error.at(COLLAPSE_ID))?,
        None => collapse_id(id, request)?,
    };
    let headers = vec![
        (TOPIC, topic.to_owned()),
        (PUSH_TYPE, push_type.as_str().to_owned()),
        (PRIORITY, priority),
        (EXPIRATION, own_expiration.unwrap_or_else(|| expiration.to_string())),
        (COLLAPSE_ID, collapse_id),
    ];
    Ok(SharedRequest { headers, body, broadcast: id, lane: request.lane })
}

/// The caller's key, else the broadcast's id: a repeat after a crash or a lost answer then replaces the first copy on
/// the screen (section 7).
fn collapse_id(id: BroadcastId, request: &BroadcastRequest) -> Result<String, FieldError> {
    let Some(key) = request.collapse_key.as_deref().filter(|key| !key.is_empty()) else { return Ok(id.to_string()) };
    checked_collapse_id(key)
}

fn checked_collapse_id(key: &str) -> Result<String, FieldError> {
    if key.len() > LONGEST_COLLAPSE_ID {
        return Err(FieldError::new("collapse_key", "must have at most 64 bytes for APNs"));
    }
    if key.contains(char::is_control) || key.trim() != key {
        return Err(FieldError::new("collapse_key", "must not hold control characters, nor begin or end with a space"));
    }
    Ok(key.to_owned())
}

fn body(request: &BroadcastRequest) -> Result<(&'static str, Bytes), FieldError> {
    const PAYLOAD: &str = "payloads.apns";
    match request.content.native(Platform::Apns)? {
        Native::Payload(payload) => Ok((PAYLOAD, Bytes::copy_from_slice(payload.as_bytes()))),
        Native::Portable(notification) => Ok(("notification", render(notification)?)),
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
