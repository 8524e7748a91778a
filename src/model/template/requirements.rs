//! What each platform wants of a template when it is registered (`notification-hubs.md` 4.5).

use super::compiled::{Compiled, Form};
use super::{BAIDU_MESSAGE_TYPE, Mode, TemplateContent};
use crate::model::field::FieldError;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// What APNs takes in a template's headers; the id of each message is given here.
const APNS: [&str; 5] = ["apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"];

/// What WNS takes.
const WNS: [&str; 9] = [
    "x-wns-type",
    "x-wns-tag",
    "x-wns-group",
    "x-wns-ttl",
    "x-wns-cache-policy",
    "x-wns-requestforstatus",
    "x-wns-suppresspopup",
    "x-wns-match",
    "x-wns-priority",
];

const WNS_TYPES: [&str; 4] = ["wns/toast", "wns/tile", "wns/badge", "wns/raw"];

/// Reads a template strictly and by the rules of its platform. The error's field is `body`, `headers`, `headers.NAME` or
/// `expiry`.
pub fn check(platform: Platform, content: &TemplateContent) -> Result<Compiled, FieldError> {
    let compiled = Compiled::new(content, Mode::Strict)?;
    match platform {
        Platform::Apns => apns(&compiled)?,
        Platform::Wns => wns(&compiled)?,
        Platform::Mpns => mpns(&compiled)?,
        Platform::Baidu => baidu(&compiled)?,
        _ => {
            is_object(&compiled)?;
            if headers_but_type(&compiled).next().is_some() {
                return Err(FieldError::new("headers", "may stand only in templates for apns, wns, mpns and baidu"));
            }
        }
    }
    Ok(compiled)
}

fn is_object(compiled: &Compiled) -> Result<(), FieldError> {
    match compiled.form {
        Form::Json { is_object: true } => Ok(()),
        _ => Err(FieldError::new("body", "must be a JSON object for this platform")),
    }
}

/// Some clients write a content type into every template (Q18). The platform says it, so it means nothing.
fn headers_but_type(compiled: &Compiled) -> impl Iterator<Item = &str> {
    compiled.header_names().filter(|name| *name != "content-type")
}

fn known_headers(compiled: &Compiled, known: &[&str]) -> Result<(), FieldError> {
    match headers_but_type(compiled).find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(FieldError::new(format!("headers.{name}"), format!("must be one of {}", known.join(", ")))),
    }
}

fn apns(compiled: &Compiled) -> Result<(), FieldError> {
    is_object(compiled)?;
    known_headers(compiled, &APNS)?;
    if let Some(Some(text)) = compiled.literal_header("apns-expiration")
        && text.trim().parse::<i64>().is_err()
    {
        return Err(FieldError::new("headers.apns-expiration", "must be whole seconds since 1970, or an expression"));
    }
    if let Some(text) = compiled.literal_expiry().map(str::trim).filter(|text| !text.is_empty())
        && Timestamp::parse(text).is_none()
    {
        let rule = "must be an ISO 8601 date and time such as 2027-01-01T09:00:00Z, or an expression";
        return Err(FieldError::new("expiry", rule));
    }
    Ok(())
}

fn wns(compiled: &Compiled) -> Result<(), FieldError> {
    known_headers(compiled, &WNS)?;
    let root = match &compiled.form {
        Form::Xml(shape) => Some(shape.root.to_ascii_lowercase()),
        Form::Json { .. } => None,
    };
    match compiled.literal_header("x-wns-type") {
        None => {
            let is_known = root.is_some_and(|root| ["toast", "tile", "badge"].contains(&&*root));
            is_known.then_some(()).ok_or_else(|| {
                FieldError::new("headers", "must contain X-WNS-Type where the body's root is not toast, tile or badge")
            })
        }
        Some(None) => Ok(()),
        Some(Some(text)) => {
            let word = text.trim().to_ascii_lowercase();
            if !WNS_TYPES.contains(&&*word) {
                let rule = format!("must be one of {}, or an expression", WNS_TYPES.join(", "));
                return Err(FieldError::new("headers.x-wns-type", rule));
            }
            if word != "wns/raw" && root.is_none() {
                return Err(FieldError::new("body", "must be an XML document for that X-WNS-Type"));
            }
            Ok(())
        }
    }
}

fn baidu(compiled: &Compiled) -> Result<(), FieldError> {
    is_object(compiled)?;
    known_headers(compiled, &[BAIDU_MESSAGE_TYPE])?;
    match compiled.literal_header(BAIDU_MESSAGE_TYPE) {
        Some(Some(text)) if !matches!(text.trim(), "0" | "1") => {
            Err(FieldError::new(format!("headers.{BAIDU_MESSAGE_TYPE}"), "must be 0, 1 or an expression"))
        }
        _ => Ok(()),
    }
}

fn mpns(compiled: &Compiled) -> Result<(), FieldError> {
    if let Some(name) = headers_but_type(compiled).find(|name| !name.starts_with("x-")) {
        return Err(FieldError::new(format!("headers.{name}"), "must begin with X-"));
    }
    let class =
        compiled.literal_header("x-notificationclass").flatten().and_then(|text| text.trim().parse::<u8>().ok());
    if class.is_some_and(|class| matches!(class, 3..=10 | 13..=20 | 23..=31)) {
        return Ok(());
    }
    let is_phone = matches!(&compiled.form, Form::Xml(shape) if shape.root == "Notification" && shape.is_phone
        && matches!(shape.first_child.as_deref(), Some("Tile" | "Toast")));
    is_phone.then_some(()).ok_or_else(|| {
        let rule = "must be a Notification of the namespace WPNotification with a Tile or a Toast, \
                    unless X-NotificationClass says that it is raw";
        FieldError::new("body", rule)
    })
}
