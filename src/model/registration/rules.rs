//! What a platform asks of a template when it is registered (4.5): a body of its kind, and the headers by which the push
//! service will know it. Headers that the body tells are added, as the .NET client does for its callers.

use super::OneTemplate;
use crate::model::field::FieldError;
use crate::model::platform::PlatformWord;
use crate::model::time::Timestamp;
use crate::model::xml;

const WNS_TYPE: &str = "X-WNS-Type";
const MPNS_TARGET: &str = "X-WindowsPhone-Target";
const MPNS_CLASS: &str = "X-NotificationClass";

/// The template, if it may stand on this platform.
pub(super) fn checked(platform: PlatformWord, template: OneTemplate) -> Result<OneTemplate, FieldError> {
    match platform {
        PlatformWord::Wns => wns(template),
        PlatformWord::Mpns => mpns(template),
        PlatformWord::Apns => apns(template),
        _ => {
            object(&template.template.body)?;
            Ok(template)
        }
    }
}

fn object(body: &str) -> Result<(), FieldError> {
    let value: serde_json::Value = serde_json::from_str(body)
        .map_err(|error| FieldError::json("BodyTemplate", "must be a JSON object", &error))?;
    if value.is_object() { Ok(()) } else { Err(FieldError::new("BodyTemplate", "must be a JSON object")) }
}

/// The root element of a body that is XML; `None` when it is none.
fn root(body: &str) -> Option<xml::Element> {
    xml::parse_text(body).ok()
}

fn has(template: &OneTemplate, header: &str) -> bool {
    template.template.headers.keys().any(|name| name.eq_ignore_ascii_case(header))
}

fn wns(mut it: OneTemplate) -> Result<OneTemplate, FieldError> {
    let root = root(&it.template.body);
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(&it.template.body).is_ok();
    if root.is_none() && !is_json() {
        return Err(FieldError::new("BodyTemplate", "must be well-formed XML or JSON"));
    }
    if !has(&it, WNS_TYPE) {
        let kinds = ["toast", "tile", "badge"];
        let kind = root.and_then(|root| kinds.into_iter().find(|kind| root.name.eq_ignore_ascii_case(kind)));
        let kind = kind.ok_or_else(|| FieldError::new("WnsHeaders", "Must contain WNS Header : 'X-WNS-Type'."))?;
        it.template.headers.insert(WNS_TYPE.to_owned(), format!("wns/{kind}"));
    }
    Ok(it)
}

fn mpns(mut it: OneTemplate) -> Result<OneTemplate, FieldError> {
    let root = root(&it.template.body);
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(&it.template.body).is_ok();
    if root.is_none() && !is_json() {
        return Err(FieldError::new("BodyTemplate", "must be well-formed XML or JSON"));
    }
    let first = root.filter(|root| root.name == "Notification").and_then(|root| root.children.into_iter().next());
    let told = match first.map(|first| first.name).as_deref() {
        Some("Tile") => Some(("token", "1")),
        Some("Toast") => Some(("toast", "2")),
        _ => None,
    };
    if let Some((target, class)) = told {
        for (header, value) in [(MPNS_TARGET, target), (MPNS_CLASS, class)] {
            if !has(&it, header) {
                it.template.headers.insert(header.to_owned(), value.to_owned());
            }
        }
    } else if !has(&it, MPNS_CLASS) {
        let rule = "must contain X-NotificationClass: the body is neither a tile nor a toast";
        return Err(FieldError::new("MpnsHeaders", rule));
    }
    Ok(it)
}

/// A value that is decided when it is sent (4.1).
fn is_expression(text: &str) -> bool {
    text.starts_with(['$', '.', '%', '#', '{'])
}

fn apns(it: OneTemplate) -> Result<OneTemplate, FieldError> {
    object(&it.template.body)?;
    for (name, value) in &it.template.headers {
        let prefixed = name.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("apns-"));
        if !prefixed {
            return Err(FieldError::new("ApnsHeaders", "must have names that begin with apns-"));
        }
        let is_number = || value.parse::<i64>().is_ok();
        if name.eq_ignore_ascii_case("apns-expiration") && !is_expression(value) && !is_number() {
            return Err(FieldError::new("ApnsHeaders", "must have a whole number as apns-expiration"));
        }
    }
    if let Some(expiry) = &it.template.expiry
        && !is_expression(expiry)
        && Timestamp::parse(expiry).is_none()
    {
        return Err(FieldError::new(
            "Expiry",
            "must be a date and time such as 2027-01-01T09:00:00Z, or an expression",
        ));
    }
    Ok(it)
}
