//! Writing registrations as clients read them: no prefixes in names, no blanks between tags, nothing empty and nothing
//! nil, elements in the order of 2.3.2 (2.3.3, and quirks Q5–Q7, Q21, Q23, Q34).

use serde_json::Value;

use super::form::{self, Form};
use super::{Registration, RegistrationId};
use crate::model::channel::Channel;
use crate::model::platform::PlatformWord;
use crate::model::template::BAIDU_MESSAGE_TYPE;
use crate::model::time::Timestamp;
use crate::model::xml::{escaped, push, push_cdata};

/// What never expires. Three fraction digits, which the mobile clients count on.
const NEVER: &str = "9999-12-31T23:59:59.999Z";

const ATOM: &str = "http://www.w3.org/2005/Atom";
const METADATA: &str = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata";
const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Where documents say that they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// `https://host/hub`, as the caller addressed it.
    pub hub: String,
    /// The caller's `api-version`.
    pub version: String,
}

impl Links {
    /// Absolute address of something of the hub.
    pub fn to(&self, path: &str) -> String {
        format!("{}/{path}?api-version={}", self.hub, self.version)
    }

    /// That of a registration.
    pub fn registration(&self, id: &RegistrationId) -> String {
        self.to(&format!("registrations/{id}"))
    }
}

/// How a body of a template is written.
#[derive(Clone, Copy)]
enum Body {
    Cdata,
    /// On one line, with references for line breaks, which CDATA has none of.
    Escaped,
}

/// `2026-01-05T10:00:00Z`.
pub(crate) fn seconds(time: Timestamp) -> String {
    let whole = Timestamp::from_millis(time.millis().div_euclid(1_000) * 1_000).to_string();
    whole.replace(".000Z", "Z")
}

/// `W/"1"`, as the header has it.
pub fn http_etag(etag: u64) -> String {
    format!("W/\"{etag}\"")
}

/// An entry by itself.
pub fn document(registration: &Registration, etag: u64, updated: Timestamp, links: &Links) -> String {
    let mut out = String::with_capacity(1_024);
    entry(&mut out, registration, etag, updated, links);
    out
}

/// Appends an entry.
pub fn entry(out: &mut String, registration: &Registration, etag: u64, updated: Timestamp, links: &Links) {
    let (address, updated) = (links.registration(&registration.id), seconds(updated));
    let etag_text = http_etag(etag);
    out.extend(["<entry a:etag=\"", &escaped(&etag_text), "\" xmlns=\"", ATOM, "\" xmlns:a=\"", METADATA, "\">"]);
    push(out, "id", &address);
    out.extend(["<title type=\"text\">", &escaped(registration.id.as_str()), "</title>"]);
    push(out, "published", &updated);
    push(out, "updated", &updated);
    out.extend(["<link rel=\"self\" href=\"", &escaped(&address), "\"/><content type=\"application/xml\">"]);
    description(out, registration, etag, Body::Cdata);
    out.push_str("</content></entry>");
}

/// The beginning and the end of a feed, around entries. `address` is what was asked for, `next` where it goes on.
pub fn feed(title: &str, address: &str, next: Option<&str>, updated: Timestamp, entries: &str) -> String {
    let mut out = String::with_capacity(entries.len() + 512);
    out.extend(["<feed xmlns=\"", ATOM, "\"><title type=\"text\">", &escaped(title), "</title>"]);
    push(&mut out, "id", address);
    push(&mut out, "updated", &seconds(updated));
    out.extend(["<link rel=\"self\" href=\"", &escaped(address), "\"/>"]);
    if let Some(next) = next {
        out.extend(["<link rel=\"next\" href=\"", &escaped(next), "\"/>"]);
    }
    out.extend([entries, "</feed>"]);
    out
}

/// The description on one line, without its end: what an export writes and an import reads.
pub fn line(registration: &Registration, etag: u64) -> String {
    let mut out = String::with_capacity(512);
    description(&mut out, registration, etag, Body::Escaped);
    if out.contains(['\n', '\r']) { out.replace('\n', "&#10;").replace('\r', "&#13;") } else { out }
}

fn description(out: &mut String, it: &Registration, etag: u64, body: Body) {
    let form = form::of_platform(it.platform);
    let root = form::root(form, it.template.is_some());
    out.extend(["<", &root, " xmlns=\"", CONNECT, "\" xmlns:i=\"", INSTANCE, "\">"]);
    push(out, "ETag", &etag.to_string());
    push(out, "ExpirationTime", &it.expires.map_or_else(|| NEVER.to_owned(), |expires| expires.to_string()));
    push(out, "RegistrationId", it.id.as_str());
    if !it.tags.is_empty() {
        let tags: Vec<&str> = it.tags.iter().map(|tag| tag.as_str()).collect();
        push(out, "Tags", &tags.join(","));
    }
    if !it.push_variables.is_empty() {
        let variables = serde_json::to_string(&it.push_variables).unwrap_or_default();
        // Quotes stay as they are, as in traffic: in text they need no escape.
        out.extend(["<PushVariables>", &escaped(&variables).replace("&quot;", "\""), "</PushVariables>"]);
    }
    for (name, text) in form.handles.iter().zip(handles(it.platform, &it.channel)) {
        push(out, name, &text);
    }
    if let Some(tile) = &it.tile {
        push(out, "SecondaryTileName", tile);
    }
    if let Some(template) = &it.template {
        match body {
            Body::Cdata => push_cdata(out, "BodyTemplate", &template.template.body),
            Body::Escaped => push(out, "BodyTemplate", &template.template.body),
        }
        let name = Some(&template.name).filter(|name| !name.is_empty());
        // Windows and MPNS have their headers before the name, Apple behind its priority.
        let first = matches!(it.platform, PlatformWord::Wns | PlatformWord::Mpns);
        if first {
            headers(out, form, template);
        }
        optional(out, "Expiry", template.template.expiry.as_ref().filter(|_| it.platform == PlatformWord::Apns));
        optional(out, "TemplateName", name);
        optional(out, "Priority", template.priority.as_ref());
        let told = template.template.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(BAIDU_MESSAGE_TYPE));
        optional(out, "MessageType", told.map(|(_, kind)| kind).filter(|_| it.platform == PlatformWord::Baidu));
        if !first {
            headers(out, form, template);
        }
    }
    out.extend(["</", &root, ">"]);
}

fn optional(out: &mut String, name: &str, text: Option<&String>) {
    if let Some(text) = text {
        push(out, name, text);
    }
}

fn headers(out: &mut String, form: &Form, template: &super::OneTemplate) {
    let Some((list, one, always)) = form.headers else { return };
    let headers = &template.template.headers;
    if headers.is_empty() && !always {
        return;
    }
    out.extend(["<", list, ">"]);
    for (name, value) in headers {
        out.extend(["<", one, ">"]);
        push(out, "Header", name);
        push(out, "Value", value);
        out.extend(["</", one, ">"]);
    }
    out.extend(["</", list, ">"]);
}

/// The texts of a channel's elements, in their order.
fn handles(platform: PlatformWord, channel: &Channel) -> Vec<String> {
    let text = || String::from_utf8_lossy(channel.bytes()).into_owned();
    match platform {
        // As the field writes it: in capitals.
        PlatformWord::Apns => vec![hex::encode_upper(channel.bytes())],
        PlatformWord::Browser => {
            let subscription: Value = serde_json::from_slice(channel.bytes()).unwrap_or_default();
            let member = |name: &str| subscription.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            ["endpoint", "p256dh", "auth"].map(member).to_vec()
        }
        // An installation may hold one that has no user in it.
        PlatformWord::Baidu => match text().split_once('-') {
            Some((user, channel)) => vec![user.to_owned(), channel.to_owned()],
            None => vec![String::new(), text()],
        },
        _ => vec![text()],
    }
}
