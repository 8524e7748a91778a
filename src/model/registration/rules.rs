//! What a platform asks of a template when it is registered (4.5). Headers that the body tells are added, as the .NET
//! client does for its callers; then it is looked at as every template is ([`template::check`]), and what is wrong is told
//! of the element that holds it.

use super::{OneTemplate, form};
use crate::model::field::FieldError;
use crate::model::platform::PlatformWord;
use crate::model::{template, xml};

const WNS_TYPE: &str = "X-WNS-Type";
const MPNS_TARGET: &str = "X-WindowsPhone-Target";
const MPNS_CLASS: &str = "X-NotificationClass";

/// The template, if it may stand on this platform.
pub(super) fn checked(platform: PlatformWord, template: OneTemplate) -> Result<OneTemplate, FieldError> {
    let it = match platform {
        PlatformWord::Wns => wns(template)?,
        PlatformWord::Mpns => mpns(template)?,
        _ => template,
    };
    let content = it.template.content(platform.platform());
    template::check(platform.platform(), &content).map_err(|error| of_element(platform, error))?;
    Ok(it)
}

/// A rule that names a member of a template, told of the element.
fn of_element(platform: PlatformWord, error: FieldError) -> FieldError {
    let list = form::of_platform(platform).headers.map_or("BodyTemplate", |(list, ..)| list);
    match &*error.field {
        "body" => error.at("BodyTemplate"),
        "expiry" => error.at("Expiry"),
        "headers" => error.at(list),
        field => match field.strip_prefix("headers.") {
            Some(name) => FieldError::new(list, format!("hold {name}, which {}", error.rule)),
            None => error,
        },
    }
}

/// The root element of a body that is XML; `None` when it is JSON.
fn root(body: &str) -> Result<Option<xml::Element>, FieldError> {
    let root = xml::parse_text(body).ok();
    if root.is_none() && serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return Err(FieldError::new("BodyTemplate", "must be well-formed XML or JSON"));
    }
    Ok(root)
}

fn has(template: &OneTemplate, header: &str) -> bool {
    template.template.headers.keys().any(|name| name.eq_ignore_ascii_case(header))
}

fn wns(mut it: OneTemplate) -> Result<OneTemplate, FieldError> {
    let root = root(&it.template.body)?;
    if !has(&it, WNS_TYPE) {
        let kinds = ["toast", "tile", "badge"];
        let kind = root.and_then(|root| kinds.into_iter().find(|kind| root.name.eq_ignore_ascii_case(kind)));
        let kind = kind.ok_or_else(|| FieldError::new("WnsHeaders", "Must contain WNS Header : 'X-WNS-Type'."))?;
        it.template.headers.insert(WNS_TYPE.to_owned(), format!("wns/{kind}"));
    }
    Ok(it)
}

fn mpns(mut it: OneTemplate) -> Result<OneTemplate, FieldError> {
    let root = root(&it.template.body)?;
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
