//! From a send's headers and body to a broadcast (`notification-hubs.md` 2.5).
//!
//! | of the request | becomes |
//! |---|---|
//! | `ServiceBusNotification-Format`, absent: `template` | the platform, or the installations' templates |
//! | `ServiceBusNotification-Tags`, absent: everyone | the audience |
//! | `apns-*`, `X-WNS-*` and the other services' own (2.5.2) | fields that the service is told |
//! | `ServiceBusNotification-Apns-Expiry` | `apns-expiration`, unless that is given |
//! | `apns-expiration`, `X-WNS-TTL`, `TTL` | also how long Fanfare tries; a day unless told |
//! | the body | the service's payload; FCM's `message`, also made of a legacy one ([`legacy_fcm`]); of WNS without a declaration of another encoding |
//!
//! A broadcast to bare handles, or to persons and devices by name, is somebody waiting for a message: it goes in the
//! transactional lane, everything else in the bulk lane.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::here::text;
use super::legacy_fcm;
use crate::api::error::ApiError;
use crate::model::audience::{Audience, AudienceLimits, Term};
use crate::model::broadcast::{BroadcastRequest, Content, LONGEST_TTL_SECONDS, Lane, Priority, Raw};
use crate::model::channel::Channel;
use crate::model::field::FieldError;
use crate::model::platform::Platform;
use crate::model::template::Written;
use crate::model::time::Timestamp;

pub const FORMAT: &str = "ServiceBusNotification-Format";
pub const TAGS: &str = "ServiceBusNotification-Tags";
const APNS_EXPIRY: &str = "ServiceBusNotification-Apns-Expiry";
const APNS_EXPIRATION: &str = "apns-expiration";

/// How long a message lives unless told, in seconds.
const DAY: u32 = 86_400;

/// The fields of APNs that are a sender's to choose; `apns-id` is ours, because every device's is another.
const APNS: [&str; 5] = ["apns-topic", "apns-push-type", "apns-priority", APNS_EXPIRATION, "apns-collapse-id"];

/// A format word (2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One platform's own payload.
    Native(&'static str, Platform),
    Template,
}

/// The words as clients write them.
const WORDS: [(&str, Platform); 9] = [
    ("apple", Platform::Apns),
    ("fcmv1", Platform::Fcm),
    ("gcm", Platform::Fcm),
    ("windows", Platform::Wns),
    ("windowsphone", Platform::Mpns),
    ("adm", Platform::Adm),
    ("baidu", Platform::Baidu),
    ("browser", Platform::WebPush),
    ("xiaomi", Platform::Xiaomi),
];

impl Format {
    /// The format that a request names, in any case.
    pub fn of(headers: &HeaderMap) -> Result<Self, FieldError> {
        let Some(word) = text(headers, FORMAT)? else { return Ok(Self::Template) };
        if word.eq_ignore_ascii_case("template") {
            return Ok(Self::Template);
        }
        let known = WORDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        known.map(|(word, platform)| Self::Native(word, platform)).ok_or_else(|| {
            let rule = "must be apple, fcmv1, gcm, windows, windowsphone, adm, baidu, browser, xiaomi or template";
            FieldError::new(FORMAT, rule)
        })
    }

    /// The word for a platform when no sender's is known.
    pub fn word_of(platform: Platform) -> &'static str {
        WORDS.into_iter().find(|(_, of)| *of == platform).map_or("template", |(word, _)| word)
    }
}

/// What is asked for, checked.
#[derive(Debug)]
pub struct Asked {
    pub request: BroadcastRequest,
    pub audience: Audience,
}

/// Reads a send. `handles`: of a direct one. `schedule_at`: when it is due, if not now.
pub fn read(
    headers: &HeaderMap,
    body: &[u8],
    handles: Option<Vec<Channel>>,
    schedule_at: Option<Timestamp>,
    now: Timestamp,
    limits: &AudienceLimits,
) -> Result<Asked, ApiError> {
    let format = Format::of(headers)?;
    let tags = text(headers, TAGS)?;
    let (text, audience) = match (tags, &handles) {
        (Some(_), Some(_)) => return Err(FieldError::new(TAGS, "must be absent: a direct send has no audience").into()),
        // Never taken for everyone: whoever sends a blank one meant somebody.
        (Some(""), None) => return Err(FieldError::new(TAGS, "must not be blank: leave it out for everyone").into()),
        (Some(tags), None) => {
            let wrong = |error| FieldError::new(TAGS, format!("is no tag expression: {error}"));
            (tags, Audience::parse(tags, limits).map_err(wrong)?)
        }
        (None, _) => ("", Audience::Everyone),
    };
    let lane = if handles.is_some() || is_for_some(&audience) { Lane::Transactional } else { Lane::Bulk };
    let due = schedule_at.unwrap_or(now);
    let (content, ttl_seconds) = match format {
        Format::Template if handles.is_some() => {
            return Err(
                FieldError::new(FORMAT, "must not be template in a direct send: a handle has no template").into()
            );
        }
        Format::Template => (Content::Template(properties(body)?), DAY),
        Format::Native(word, platform) => {
            let fields = fields(platform, headers)?;
            let ttl = ttl(platform, &fields, due);
            let body = payload(word, platform, body)?;
            let is_raw = fields.get("x-wns-type").is_some_and(|kind| kind.eq_ignore_ascii_case("wns/raw"));
            let body = if platform == Platform::Wns && !is_raw { in_utf8(body) } else { body };
            let handles = handles.map(Into::into);
            (Content::Raw(Raw { platform, body, headers: fields, format: word.to_owned(), handles }), ttl)
        }
    };
    let request = BroadcastRequest {
        audience: text.to_owned(),
        content,
        ttl_seconds,
        collapse_key: None,
        priority: Priority::High,
        lane,
        weight: 1,
        rate_per_second: 0,
        schedule_at,
    };
    Ok(Asked { request, audience })
}

/// Whether it names persons or devices, and nothing wider.
fn is_for_some(audience: &Audience) -> bool {
    let mut terms = audience.terms().peekable();
    terms.peek().is_some() && terms.all(|term| matches!(term, Term::User(_) | Term::Installation(_)))
}

/// The properties of a template send: a flat object whose numbers and truth values are taken as their text.
fn properties(body: &[u8]) -> Result<BTreeMap<String, String>, FieldError> {
    let rule = "must be a JSON object of strings, the templates' properties";
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| FieldError::json("body", rule, &error))?;
    let mut properties = Written::default();
    for (name, value) in members {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(FieldError::new(format!("body.{name}"), "must be a string"));
            }
        };
        properties.add("body", name, text)?;
    }
    Ok(properties.texts())
}

/// The body as the platform's gateway takes it. What the service itself asks of it, the gateway checks.
fn payload(word: &str, platform: Platform, body: &[u8]) -> Result<String, FieldError> {
    let text = std::str::from_utf8(body).map_err(|_| FieldError::new("body", "must be text in UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(FieldError::new("body", "must not be empty: it is the notification's payload"));
    }
    let object = || -> Result<Map<String, Value>, FieldError> {
        let rule = "must be a JSON object, the notification's payload";
        serde_json::from_str(text).map_err(|error| FieldError::json("body", rule, &error))
    };
    match (word, platform) {
        ("gcm", _) => Ok(Value::Object(legacy_fcm::message(object()?)?).to_string()),
        (_, Platform::Fcm) => Ok(Value::Object(message(object()?)?).to_string()),
        // Raw notifications are anything; the gateway looks at toasts, tiles and badges.
        (_, Platform::Wns) => Ok(text.to_owned()),
        (_, Platform::Mpns) => crate::model::xml::parse(text.as_bytes()).map(|_| text.to_owned()),
        // What a page's worker understands is its own business.
        (_, Platform::WebPush) => Ok(text.to_owned()),
        _ => object().map(|_| text.to_owned()),
    }
}

/// A document whose declaration does not speak against it: the .NET client puts one of UTF-16 before every toast, and sends
/// UTF-8. A phone would believe the declaration.
fn in_utf8(document: String) -> String {
    let declared = document.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    match declared.map(|(declaration, rest)| (declaration.to_ascii_lowercase(), rest)) {
        Some((declaration, rest)) if declaration.contains("utf-16") => rest.trim_start().to_owned(),
        _ => document,
    }
}

/// The `message` of an HTTP v1 body, without a target: the audience says who gets it.
fn message(mut body: Map<String, Value>) -> Result<Map<String, Value>, FieldError> {
    let Some(Value::Object(mut message)) = body.remove("message") else {
        return Err(FieldError::new("body", "must have the member message, an object"));
    };
    for target in ["token", "fid", "topic", "condition"] {
        message.remove(target);
    }
    Ok(message)
}

/// What the service is told besides the payload.
fn fields(platform: Platform, headers: &HeaderMap) -> Result<BTreeMap<String, String>, FieldError> {
    let is_passed = |name: &str| match platform {
        Platform::Apns => APNS.contains(&name),
        Platform::Wns => name.starts_with("x-wns-"),
        Platform::Mpns => name.starts_with("x-windowsphone-") || matches!(name, "x-notificationclass" | "x-messageid"),
        Platform::Baidu => name.starts_with("x-baidu-"),
        Platform::WebPush => matches!(name, "ttl" | "urgency" | "topic"),
        Platform::Fcm | Platform::Adm | Platform::Xiaomi => false,
    };
    let mut fields = BTreeMap::new();
    for (name, value) in headers {
        if is_passed(name.as_str()) {
            let value = value.to_str().map_err(|_| FieldError::new(name.as_str().to_owned(), "must be ASCII"))?;
            fields.insert(name.as_str().to_owned(), value.trim().to_owned());
        }
    }
    if platform == Platform::Apns {
        if let Some(priority) = text(headers, "X-Apns-Priority")? {
            fields.entry("apns-priority".to_owned()).or_insert_with(|| priority.to_owned());
        }
        if let Some(text) = text(headers, APNS_EXPIRY)? {
            let rule = "must be a date and time such as 2027-01-01T09:00:00Z or 01/31/2027 09:00:00";
            let expiry = date(text).ok_or_else(|| FieldError::new(APNS_EXPIRY, rule))?;
            let seconds = || expiry.millis().div_euclid(1_000).max(0).to_string();
            fields.entry(APNS_EXPIRATION.to_owned()).or_insert_with(seconds);
        }
    }
    if platform == Platform::Mpns
        && let Some(target) = fields.get_mut("x-windowsphone-target").filter(|target| *target == "tile")
    {
        // A client's slip: tiles are called tokens there.
        "token".clone_into(target);
    }
    Ok(fields)
}

/// ISO 8601, or the invariant form of .NET on either clock; UTC unless it says otherwise.
fn date(text: &str) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let mut parts = text.split_whitespace();
    let (day, clock, half) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let numbers = |text: &str, by: char| -> Option<[i8; 2]> {
        let mut numbers = text.split(by).map(|number| number.parse().ok());
        Some([numbers.next()??, numbers.next()??])
    };
    let [month, day_of_month] = numbers(day, '/')?;
    let year: i16 = day.split('/').nth(2)?.parse().ok()?;
    let [hour, minute] = numbers(clock, ':')?;
    let second: i8 = clock.split(':').nth(2)?.parse().ok()?;
    let hour = match half {
        None => hour,
        Some(half) if half.eq_ignore_ascii_case("am") => hour.rem_euclid(12),
        Some(half) if half.eq_ignore_ascii_case("pm") => hour.rem_euclid(12) + 12,
        Some(_) => return None,
    };
    let moment = jiff::civil::DateTime::new(year, month, day_of_month, hour, minute, second, 0).ok()?;
    let moment = jiff::tz::TimeZone::UTC.to_timestamp(moment).ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// How long Fanfare tries. A service that is told "now or never" is told so by the field itself; Fanfare's own patience
/// is for the way there.
fn ttl(platform: Platform, fields: &BTreeMap<String, String>, due: Timestamp) -> u32 {
    let number = |name: &str| fields.get(name).and_then(|text| text.parse::<i64>().ok());
    let seconds = match platform {
        Platform::Apns => number(APNS_EXPIRATION).map(|end| end - due.millis().div_euclid(1_000)),
        Platform::Wns => number("x-wns-ttl"),
        Platform::WebPush => number("ttl"),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| *seconds > 0).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or(DAY).min(LONGEST_TTL_SECONDS)
}

#[cfg(test)]
mod tests;
