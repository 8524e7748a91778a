//! A broadcast as JSON: what POST takes, checked member by member, and what GET shows.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::document::Object;
use crate::api::error::ApiError;
use crate::directory::Hub;
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::broadcast::{
    Broadcast, BroadcastRequest, BroadcastState, Content, LONGEST_TTL_SECONDS, Lane, Notification, Payloads, Priority,
};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::outcome::Counters;
use crate::model::platform::Platform;
use crate::model::template::Written;
use crate::model::time::Timestamp;
use crate::store::Hold;

/// How long a message lives unless told, in seconds.
const DAY: u32 = 86_400;

/// The fastest pace that can be asked for.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 0..=100_000_000;

/// A checked request.
#[derive(Debug)]
pub(super) struct Asked {
    pub request: BroadcastRequest,
    pub audience: Audience,
    pub dry_run: bool,
}

/// Reads a request. Whether its payloads fit their services is not asked here: [`check_payloads`].
pub(super) fn read(body: &[u8], limits: &AudienceLimits) -> Result<Asked, ApiError> {
    let mut form = Object::of_body(body)?;
    let content = content(&mut form)?;
    let text = form.text("audience")?.unwrap_or_default();
    let audience = Audience::parse(&text, limits)?;
    let lanes = [("transactional", Lane::Transactional), ("bulk", Lane::Bulk)];
    let priorities = [("high", Priority::High), ("normal", Priority::Normal)];
    let request = BroadcastRequest {
        audience: text,
        content,
        ttl_seconds: form.integer("ttl_seconds", 0..=LONGEST_TTL_SECONDS)?.unwrap_or(DAY),
        collapse_key: form.bounded_text("collapse_key", 256)?,
        priority: form.choice("priority", &priorities)?.unwrap_or_default(),
        lane: form.choice("lane", &lanes)?.unwrap_or_default(),
        weight: form.integer("weight", 1..=1000)?.unwrap_or(1),
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
        schedule_at: schedule(&mut form)?,
    };
    let dry_run = form.boolean("dry_run")?.unwrap_or(false);
    form.finish()?;
    Ok(Asked { request, audience, dry_run })
}

fn schedule(form: &mut Object<'_>) -> Result<Option<Timestamp>, FieldError> {
    let Some(text) = form.text("schedule_at")? else { return Ok(None) };
    let rule = "must be an ISO 8601 date and time such as 2027-01-01T09:00:00Z";
    Timestamp::parse(&text).map(Some).ok_or_else(|| form.fault("schedule_at", rule))
}

fn content(form: &mut Object<'_>) -> Result<Content, FieldError> {
    let (notification, payloads) = (form.object("notification")?, form.object("payloads")?);
    if let Some(template) = form.object("template")? {
        if notification.is_some() || payloads.is_some() {
            return Err(form.fault("template", "must not stand beside notification or payloads"));
        }
        return Ok(Content::Template(properties(template)?));
    }
    let payloads = payloads.map(self::payloads).transpose()?;
    match (notification, payloads) {
        (Some(form), payloads) => {
            Ok(Content::Notification { notification: notification_of(form)?, payloads: payloads.unwrap_or_default() })
        }
        (None, Some(payloads)) if payloads.is_empty() => {
            Err(FieldError::new("payloads", "must name at least one platform"))
        }
        (None, Some(payloads)) => Ok(Content::Payloads(payloads)),
        (None, None) => Err(FieldError::new("notification", "is required, or payloads, or template")),
    }
}

fn notification_of(mut form: Object<'_>) -> Result<Notification, FieldError> {
    let (title, body) = (form.text("title")?, form.text("body")?);
    let mut data = BTreeMap::new();
    if let Some(mut members) = form.object("data")? {
        for (name, value) in members.rest() {
            let text = serde_json::from_str(value.get()).map_err(|_| members.fault(&name, "must be a string"))?;
            data.insert(name, text);
        }
    }
    form.finish()?;
    if title.is_none() && body.is_none() && data.is_empty() {
        return Err(FieldError::new("notification", "must have a title, a body or data"));
    }
    Ok(Notification { title, body, data })
}

fn payloads(mut form: Object<'_>) -> Result<Payloads, FieldError> {
    let mut payloads = Payloads::new();
    for (label, value) in form.rest() {
        let platform = Platform::from_label(&label).ok_or_else(|| {
            form.fault(&label, "is no platform; those are apns, fcm, wns, web_push, adm, baidu and xiaomi")
        })?;
        let text = payload(platform, value).map_err(|rule| form.fault(&label, rule))?;
        payloads.insert(label, text);
    }
    Ok(payloads)
}

/// What templates are filled with. Numbers and booleans are their text.
fn properties(mut form: Object<'_>) -> Result<BTreeMap<String, String>, FieldError> {
    let mut properties = Written::default();
    for (name, value) in form.rest() {
        let raw = value.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).ok(),
            Some(b'{' | b'[') | None => None,
            Some(_) => Some(raw.to_owned()),
        };
        let text = text.ok_or_else(|| form.fault(&name, "must be a string, a number or a boolean"))?;
        properties.add("template", name, text)?;
    }
    Ok(properties.texts())
}

/// A payload's text: of an object the bytes as they were written, of a string what it says.
fn payload(platform: Platform, value: &RawValue) -> Result<String, &'static str> {
    let raw = value.get();
    let text = || serde_json::from_str::<String>(raw).ok();
    match platform {
        // Notifications are XML (toast, tile, badge) or any text (raw).
        Platform::Wns | Platform::Mpns => text().ok_or("must be a string"),
        // A worker of a browser gets whatever bytes its page understands.
        Platform::WebPush if !raw.starts_with('{') => text().ok_or("must be an object or a string"),
        _ if raw.starts_with('{') => Ok(raw.to_owned()),
        _ => Err("must be an object"),
    }
}

/// Asks the hub's gateways whether they can send this: the bytes that one message of each has.
pub(super) fn check_payloads(
    hub: &Hub,
    request: &BroadcastRequest,
    now: Timestamp,
) -> Result<BTreeMap<Platform, usize>, FieldError> {
    if let Content::Payloads(payloads) | Content::Notification { payloads, .. } = &request.content {
        for label in payloads.keys() {
            if Platform::from_label(label).and_then(|platform| hub.gateway(platform)).is_none() {
                let rule = "must be absent: the hub has no credentials for this platform";
                return Err(FieldError::new(format!("payloads.{label}"), rule));
            }
        }
    }
    if let Content::Template(_) = request.content {
        return check_beside_template(hub, request, now).map(|()| BTreeMap::new());
    }
    let named = request.content.platforms();
    // Only its length and form matter here; the id that it will get is of the same length.
    let id = BroadcastId::new(u64::try_from(now.millis()).unwrap_or(0));
    let expires = request.schedule_at.unwrap_or(now).plus(request.ttl());
    let mut bytes = BTreeMap::new();
    for (platform, gateway) in hub.gateways() {
        if named.as_ref().is_none_or(|named| named.contains(&platform)) {
            bytes.insert(platform, gateway.prepare(id, request, expires)?.body.len());
        }
    }
    Ok(bytes)
}

/// What each template makes is known when it is sent; what the request says beside it can be checked at once, with any
/// message.
fn check_beside_template(hub: &Hub, request: &BroadcastRequest, now: Timestamp) -> Result<(), FieldError> {
    let notification = Notification { title: Some("-".to_owned()), ..Notification::default() };
    let content = Content::Notification { notification, payloads: Payloads::new() };
    let request = BroadcastRequest { content, ..request.clone() };
    let (id, expires) = (BroadcastId::new(0), request.schedule_at.unwrap_or(now).plus(request.ttl()));
    for (_, gateway) in hub.gateways() {
        match gateway.prepare(id, &request, expires) {
            Err(error) if error.field == "collapse_key" => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A broadcast as GET answers it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: BroadcastId,
    state: BroadcastState,
    lane: Lane,
    audience: &'a str,
    priority: Priority,
    weight: u32,
    rate_per_second: u32,
    ttl_seconds: u32,
    collapse_key: Option<&'a str>,
    schedule_at: Option<Timestamp>,
    accepted_at: Timestamp,
    planned_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    expires_at: Timestamp,
    /// Why no plan could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    counters: Counters,
    platforms: &'a BTreeMap<Platform, Counters>,
    waiting: Vec<Waiting<'a>>,
}

/// A sender that this broadcast waits for.
#[derive(Serialize)]
struct Waiting<'a> {
    platform: Platform,
    reason: &'a str,
    until: Timestamp,
}

impl<'a> Shown<'a> {
    /// As it stands at `now`, with what its hub's senders wait for.
    pub(super) fn new(broadcast: &'a Broadcast, blocked: &'a BTreeMap<Platform, Hold>, now: Timestamp) -> Self {
        let Broadcast { id, request, times, failure, platforms, .. } = broadcast;
        let pending = |platform: &Platform| platforms.get(platform).is_some_and(|counters| counters.pending > 0);
        let waiting = blocked.iter().filter(|(platform, _)| pending(platform)).map(|(platform, blocked)| Waiting {
            platform: *platform,
            reason: blocked.reason.as_str(),
            until: blocked.until,
        });
        Self {
            id: *id,
            state: broadcast.state(now),
            lane: request.lane,
            audience: &request.audience,
            priority: request.priority,
            weight: request.weight,
            rate_per_second: request.rate_per_second,
            ttl_seconds: request.ttl_seconds,
            collapse_key: request.collapse_key.as_deref(),
            schedule_at: request.schedule_at,
            accepted_at: times.accepted,
            planned_at: times.planned,
            started_at: times.started,
            finished_at: times.finished,
            expires_at: times.expires,
            failure: failure.as_deref(),
            counters: broadcast.counters(),
            platforms,
            waiting: waiting.collect(),
        }
    }
}
