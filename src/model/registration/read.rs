//! Reading the XML of a registration: an ATOM entry around a description, or the description alone; concrete root names
//! or `i:type`; elements in any order (2.3.1).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::form::{self, Form};
use super::rules;
use super::{OneTemplate, Registration, RegistrationId};
use crate::model::channel::{Channel, apns_token};
use crate::model::field::FieldError;
use crate::model::installation::{InstallationLimits, Template};
use crate::model::platform::PlatformWord;
use crate::model::tag::{Tag, TagError};
use crate::model::template::BAIDU_MESSAGE_TYPE;
use crate::model::time::Timestamp;
use crate::model::xml::{self, Element};

/// The longest name of a template, in characters.
const TEMPLATE_NAME: usize = 200;

/// A registration as a client wrote it, whose id its request or file line decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// `RegistrationId`, when one is written: lines of an import have it, requests repeat it.
    pub id: Option<String>,
    registration: Registration,
}

impl Draft {
    /// The registration under this id.
    pub fn named(self, id: RegistrationId) -> Registration {
        Registration { id, ..self.registration }
    }
}

/// Reads a document. `now` tells which `ExpirationTime` is in the future: one that a client merely repeats from what it
/// once read is over, and means nothing (2.3.1).
///
/// # Errors
/// Names the element and the rule.
pub fn read(document: &[u8], limits: &InstallationLimits, now: Timestamp) -> Result<Draft, FieldError> {
    let root = xml::parse(document)?;
    let description = described(&root)?;
    let (form, is_template) = form_of(description)?;
    let elements = Elements::of(description)?;
    let platform = form.platform;
    let template = if is_template { Some(template(&elements, form)?) } else { native(&elements)? };
    let template = template.map(|template| rules::checked(platform, template)).transpose()?;
    let registration = Registration {
        id: RegistrationId::random(),
        platform,
        channel: channel(&elements, form)?,
        tile: tile(&elements, form)?,
        tags: tags(elements.text("Tags").unwrap_or_default(), limits)?,
        push_variables: push_variables(elements.text("PushVariables"))?,
        expires: expiry(elements.text("ExpirationTime"), now),
        template,
    };
    let id = elements.text("RegistrationId").map(str::trim).filter(|id| !id.is_empty());
    Ok(Draft { id: id.map(str::to_owned), registration })
}

/// The id that a document names, whatever else it says: lines of an import that deletes need no more.
///
/// # Errors
/// What is no registration description.
pub fn id_of(document: &[u8]) -> Result<Option<String>, FieldError> {
    let root = xml::parse(document)?;
    let description = described(&root)?;
    form_of(description)?;
    let id = description.child("RegistrationId").map(|id| id.text.trim().to_owned());
    Ok(id.filter(|id| !id.is_empty()))
}

fn described(root: &Element) -> Result<&Element, FieldError> {
    if root.name != "entry" {
        return Ok(root);
    }
    let content = root.child("content").ok_or_else(|| FieldError::new("content", "is required in an entry"))?;
    match &content.children[..] {
        [description] => Ok(description),
        _ => Err(FieldError::new("content", "must hold one registration description")),
    }
}

fn form_of(description: &Element) -> Result<(&'static Form, bool), FieldError> {
    let name = match &description.kind {
        Some(kind) if description.name == "RegistrationDescription" => kind,
        _ => &description.name,
    };
    form::of_root(name).ok_or_else(|| {
        let rule = "must hold a registration description: Apple, FcmV1, Gcm, Windows, Mpns, Adm, Baidu, Browser or \
                    Xiaomi, then RegistrationDescription or TemplateRegistrationDescription";
        FieldError::new("content", rule)
    })
}

/// The elements of a description by their names, each once.
struct Elements<'a>(BTreeMap<&'a str, &'a Element>);

impl<'a> Elements<'a> {
    fn of(description: &'a Element) -> Result<Self, FieldError> {
        let mut elements = BTreeMap::new();
        for element in description.children.iter().filter(|element| !element.nil) {
            if elements.insert(element.name.as_str(), element).is_some() {
                return Err(FieldError::new(element.name.clone(), "must not stand twice"));
            }
        }
        Ok(Self(elements))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|element| element.text.as_str())
    }

    /// Without the blanks around it; an empty one is as if it were not there.
    fn trimmed(&self, name: &str) -> Option<String> {
        self.text(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn required(&self, name: &'static str) -> Result<String, FieldError> {
        self.trimmed(name).ok_or_else(|| FieldError::new(name, "is required"))
    }
}

/// The channel from its elements; errors name the first of them.
fn channel(elements: &Elements<'_>, form: &Form) -> Result<Channel, FieldError> {
    let handles = form.handles.iter().map(|handle| elements.required(handle)).collect::<Result<Vec<_>, _>>()?;
    let field = form.handles.first().copied().unwrap_or("ChannelUri");
    // The first ends the user in the channel's text.
    if form.platform == PlatformWord::Baidu && handles.first().is_some_and(|user| user.contains('-')) {
        return Err(FieldError::new(field, "must not hold -"));
    }
    Channel::parse(form.platform.platform(), written(form.platform, &handles)).map_err(|error| error.at(field))
}

/// The channel as an installation would write it.
pub(super) fn written(platform: PlatformWord, handles: &[String]) -> Value {
    match (platform, handles) {
        (PlatformWord::Browser, [endpoint, p256dh, auth]) => {
            json!({"endpoint": endpoint, "p256dh": p256dh, "auth": auth})
        }
        // As documents show it, without what stood around it; one that is none is told of when it is parsed.
        (PlatformWord::Apns, [token]) => {
            Value::String(apns_token(token).map_or_else(|_| token.clone(), hex::encode_upper))
        }
        _ => Value::String(handles.join("-")),
    }
}

fn tile(elements: &Elements<'_>, form: &Form) -> Result<Option<String>, FieldError> {
    let Some(name) = elements.trimmed("SecondaryTileName") else { return Ok(None) };
    if !form.tiles {
        return Err(FieldError::new("SecondaryTileName", "may stand only in a Windows or Mpns registration"));
    }
    if name.chars().count() > TEMPLATE_NAME || name.contains(|c: char| c == '/' || c.is_control()) {
        let rule = "must have at most 200 characters, without '/' and control characters";
        return Err(FieldError::new("SecondaryTileName", rule));
    }
    Ok(Some(name))
}

fn tags(text: &str, limits: &InstallationLimits) -> Result<Vec<Tag>, FieldError> {
    let mut tags: Vec<Tag> = Vec::new();
    for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let tag = Tag::parse(text, limits.tag_length).map_err(|error| match error {
            TagError::Reserved => FieldError::new("Tags", "can not start with $"),
            error => FieldError::new("Tags", format!("hold what is no tag: {error}")),
        })?;
        if tags.contains(&tag) {
            continue;
        }
        if tags.len() == limits.tags {
            return Err(FieldError::new("Tags", format!("must not be more than {}", limits.tags)));
        }
        tags.push(tag);
    }
    Ok(tags)
}

fn push_variables(text: Option<&str>) -> Result<BTreeMap<String, String>, FieldError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(BTreeMap::new()) };
    serde_json::from_str(text)
        .map_err(|error| FieldError::json("PushVariables", "must be the JSON text of an object of strings", &error))
}

fn expiry(text: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let text = text.map(str::trim).filter(|text| !text.starts_with("9999-12-31"))?;
    Timestamp::parse(text).filter(|expires| *expires > now)
}

/// What only templates have must not be lost in silence.
fn native(elements: &Elements<'_>) -> Result<Option<OneTemplate>, FieldError> {
    match ["BodyTemplate", "TemplateName"].into_iter().find(|name| elements.trimmed(name).is_some()) {
        Some(name) => Err(FieldError::new(name, "may stand only in a TemplateRegistrationDescription")),
        None => Ok(None),
    }
}

fn template(elements: &Elements<'_>, form: &Form) -> Result<OneTemplate, FieldError> {
    let name = elements.trimmed("TemplateName").unwrap_or_default();
    if name.chars().count() > TEMPLATE_NAME || name.contains(|c: char| c == '/' || c.is_control()) {
        let rule = "must have at most 200 characters, without '/' and control characters";
        return Err(FieldError::new("TemplateName", rule));
    }
    let mut headers = BTreeMap::new();
    if let Some((list, one, _)) = form.headers
        && let Some(list) = elements.0.get(list)
    {
        for header in list.children.iter().filter(|child| child.name == one && !child.nil) {
            let part = |name| header.child(name).map(|part| part.text.trim().to_owned());
            let name = part("Header").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| FieldError::new(one, "must hold a Header with its name"))?;
            headers.insert(name, part("Value").unwrap_or_default());
        }
    }
    let apple = form.platform == PlatformWord::Apns;
    if let Some(kind) = elements.trimmed("MessageType").filter(|_| form.platform == PlatformWord::Baidu) {
        if !matches!(kind.as_str(), "0" | "1") {
            return Err(FieldError::new("MessageType", "must be 0 (a message to the app) or 1 (a notification)"));
        }
        headers.insert(BAIDU_MESSAGE_TYPE.to_owned(), kind);
    }
    Ok(OneTemplate {
        name,
        template: Template {
            body: elements.required("BodyTemplate")?,
            headers,
            expiry: elements.trimmed("Expiry").filter(|_| apple),
            tags: Vec::new(),
        },
        priority: elements.trimmed("Priority").filter(|_| apple),
    })
}
