//! Reading an installation document: member names without case, `null` as absent, unknown members ignored.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::super::channel::Channel;
use super::super::field::FieldError;
use super::super::id::{InstallationId, UserId};
use super::super::platform::{Platform, PlatformWord};
use super::super::tag::Tag;
use super::super::template;
use super::super::time::Timestamp;
use super::{Installation, InstallationLimits, SecondaryTile, Template, wrong_kind};

/// The longest name of a template, in characters.
const TEMPLATE_NAME: usize = 200;

/// The longest name of a push variable, in characters: that of a property.
const VARIABLE_NAME: usize = 120;
/// Bytes of all push variables of an installation. They stand beside every template that reads them, and no service takes
/// more.
const VARIABLES: usize = 4_096;

/// Whether templates are looked into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Templates {
    /// A document that an app writes.
    Checked,
    /// A document of the store: its templates were checked, or were written before they were looked at.
    Stored,
}

/// A JSON object's members in their order; the value of a repeated name is the last one.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an installation object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members {
    fn of(value: Value, field: &str) -> Result<Self, FieldError> {
        match value {
            Value::Object(object) => Ok(Self(object.into_iter().collect())),
            other => Err(wrong_kind(field, "an object", &other)),
        }
    }

    /// Takes a member out by its name without case; `None` when it is absent or null.
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().rposition(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_null())
    }

    fn take_text(&mut self, name: &'static str) -> Result<Option<String>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_kind(name, "a string", &other)),
        }
    }
}

pub(super) fn document(
    json: &[u8],
    path_id: Option<&str>,
    limits: &InstallationLimits,
    checks: Templates,
) -> Result<Installation, FieldError> {
    let mut members: Members =
        serde_json::from_slice(json).map_err(|error| FieldError::json("body", "must be a JSON object", &error))?;
    let id = match (path_id, members.take_text("installationId")?) {
        (Some(path), Some(own)) if path != own => {
            return Err(FieldError::new("installationId", "must equal the id in the path"));
        }
        (Some(path), _) => InstallationId::parse(path)?,
        (None, Some(own)) => InstallationId::parse(&own)?,
        (None, None) => return Err(FieldError::new("installationId", "is required")),
    };
    let word = members.take_text("platform")?.ok_or_else(|| FieldError::new("platform", "is required"))?;
    let platform = PlatformWord::parse(&word).ok_or_else(|| {
        FieldError::new("platform", "must be one of apns, fcmv1, gcm, wns, browser, adm, baidu, xiaomi, mpns")
    })?;
    let channel = channel(&mut members, platform.platform())?;
    let user = members.take_text("userId")?.filter(|user| !user.is_empty());
    let look = Look { platform: platform.platform(), limits, checks };
    let installation = Installation {
        id,
        platform,
        channel,
        user: user.map(|user| UserId::parse(&user)).transpose()?,
        expires: expiry(&mut members)?,
        tags: tags(members.take("tags"), "tags", limits)?,
        push_variables: variables(members.take("pushVariables"), checks)?,
        templates: templates(members.take("templates"), "templates", &look)?,
        tiles: tiles(members.take("secondaryTiles"), platform, &look)?,
    };
    installation.check_tag_count(limits)?;
    Ok(installation)
}

fn channel(members: &mut Members, platform: Platform) -> Result<Channel, FieldError> {
    let written = members.take("pushChannel").ok_or_else(|| FieldError::new("pushChannel", "is required"))?;
    Channel::parse(platform, written)
}

/// `expirationTime`; the year 9999 is how "never" reads back, so it means never again.
fn expiry(members: &mut Members) -> Result<Option<Timestamp>, FieldError> {
    let Some(text) = members.take_text("expirationTime")? else { return Ok(None) };
    if text.starts_with("9999-12-31") {
        return Ok(None);
    }
    Timestamp::parse(&text).map(Some).ok_or_else(|| {
        FieldError::new("expirationTime", "must be an ISO 8601 date and time such as 2027-01-01T09:00:00Z")
    })
}

fn tags(value: Option<Value>, field: &str, limits: &InstallationLimits) -> Result<Vec<Tag>, FieldError> {
    let entries = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(wrong_kind(field, "an array of strings", &other)),
    };
    let mut tags: Vec<Tag> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let Value::String(text) = entry else {
            return Err(wrong_kind(&format!("{field}[{at}]"), "a string", &entry));
        };
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let tag = Tag::parse(text, limits.tag_length)
            .map_err(|error| FieldError::new(format!("{field}[{at}]"), error.to_string()))?;
        if !tags.contains(&tag) {
            // Counted at once: looking back over a list without bound costs its square.
            if tags.len() == limits.tags {
                return Err(FieldError::new(
                    field.to_owned(),
                    format!("must not be more than {} in one installation", limits.tags),
                ));
            }
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// A template's own name is among its tags whatever it holds, and reads back there (2.2.5): it is no tag to be checked.
fn without_name(tags: Value, name: &str) -> Value {
    match tags {
        Value::Array(tags) => tags.into_iter().filter(|tag| tag.as_str() != Some(name)).collect(),
        other => other,
    }
}

fn texts(value: Option<Value>, field: &str) -> Result<BTreeMap<String, String>, FieldError> {
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let mut texts = BTreeMap::new();
    for (name, value) in Members::of(value, field)?.0 {
        match value {
            Value::String(text) => drop(texts.insert(name, text)),
            Value::Null => {}
            other => return Err(wrong_kind(&format!("{field}.{name}"), "a string", &other)),
        }
    }
    Ok(texts)
}

fn variables(value: Option<Value>, checks: Templates) -> Result<BTreeMap<String, String>, FieldError> {
    let variables = texts(value, "pushVariables")?;
    if checks == Templates::Checked {
        if variables.keys().any(|name| name.is_empty() || name.chars().count() > VARIABLE_NAME) {
            return Err(FieldError::new("pushVariables", "must have names of 1 to 120 characters"));
        }
        if variables.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>() > VARIABLES {
            return Err(FieldError::new(
                "pushVariables",
                format!("must not have more than {VARIABLES} bytes together"),
            ));
        }
    }
    Ok(variables)
}

/// How templates of a document are read.
struct Look<'a> {
    platform: Platform,
    limits: &'a InstallationLimits,
    checks: Templates,
}

fn templates(value: Option<Value>, field: &str, look: &Look<'_>) -> Result<BTreeMap<String, Template>, FieldError> {
    let Look { platform, limits, checks } = *look;
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let members = Members::of(value, field)?.0;
    if members.len() > limits.templates {
        return Err(FieldError::new(field.to_owned(), format!("must not be more than {}", limits.templates)));
    }
    let mut templates = BTreeMap::new();
    for (name, value) in members {
        if value.is_null() {
            continue;
        }
        if name.is_empty()
            || name.chars().count() > TEMPLATE_NAME
            || name.contains(|c: char| c.is_control() || c == '/')
        {
            let rule = "must have names of 1 to 200 characters, without '/' and control characters";
            return Err(FieldError::new(field.to_owned(), rule));
        }
        let within = |error: FieldError| error.within(&format!("{field}.{name}"));
        let mut members = Members::of(value, &format!("{field}.{name}"))?;
        let body = members
            .take_text("body")
            .and_then(|body| Ok(body.or(members.take_text("bodyTemplate")?)))
            .map_err(within)?
            .ok_or_else(|| within(FieldError::new("body", "is required")))?;
        let template = Template {
            body,
            headers: texts(members.take("headers"), &format!("{field}.{name}.headers"))?,
            expiry: members.take_text("expiry").map_err(within)?,
            tags: tags(
                members.take("tags").map(|tags| without_name(tags, &name)),
                &format!("{field}.{name}.tags"),
                limits,
            )?,
        };
        if checks == Templates::Checked {
            template::check(platform, &template.content(platform)).map_err(within)?;
        }
        templates.insert(name, template);
    }
    Ok(templates)
}

fn tiles(
    value: Option<Value>,
    platform: PlatformWord,
    look: &Look<'_>,
) -> Result<BTreeMap<String, SecondaryTile>, FieldError> {
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let members = Members::of(value, "secondaryTiles")?.0;
    if platform != PlatformWord::Wns && !members.is_empty() {
        return Err(FieldError::new("secondaryTiles", "may stand only in an installation of platform wns"));
    }
    let mut tiles = BTreeMap::new();
    for (id, value) in members {
        if id.is_empty() || id.contains('/') || id.chars().any(char::is_control) {
            return Err(FieldError::new("secondaryTiles", "must have ids without '/' and control characters"));
        }
        let field = format!("secondaryTiles.{id}");
        let mut members = Members::of(value, &field)?;
        let tile = SecondaryTile {
            channel: channel(&mut members, Platform::Wns).map_err(|error| error.within(&field))?,
            tags: tags(members.take("tags"), &format!("{field}.tags"), look.limits)?,
            templates: templates(members.take("templates"), &format!("{field}.templates"), look)?,
        };
        tiles.insert(id, tile);
    }
    Ok(tiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Installation, FieldError> {
        Installation::parse(json.as_bytes(), None, &InstallationLimits { tags: 3, tag_length: 5, templates: 1 })
    }

    const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

    fn document(extra: &str) -> String {
        format!(r#"{{"installationId":"dev-1","platform":"apns","pushChannel":"{TOKEN}"{extra}}}"#)
    }

    #[test]
    fn names_match_without_case_and_unknown_members_are_ignored() {
        let json = format!(
            r#"{{"InstallationID":"d","PLATFORM":"Apns","pushchannel":"{TOKEN}","userID":"u","x":[1],"tags":null}}"#
        );
        let installation = parse(&json).unwrap();
        assert_eq!(installation.user.unwrap().as_str(), "u");
        assert!(installation.tags.is_empty());
    }

    #[test]
    fn every_broken_document_names_its_field() {
        for (extra, field) in [
            (r#","tags":["a","b","c","d"]"#, "tags"),
            (r#","tags":["abcdef"]"#, "tags[0]"),
            (r#","tags":["a b"]"#, "tags[0]"),
            (r#","tags":"a""#, "tags"),
            (r#","tags":[1]"#, "tags[0]"),
            (r#","expirationTime":"soon""#, "expirationTime"),
            (r#","expirationTime":7"#, "expirationTime"),
            (r#","userId":"a}""#, "userId"),
            (r#","templates":[]"#, "templates"),
            (r#","templates":{"a":{"body":"{}"},"b":{"body":"{}"}}"#, "templates"),
            (r#","templates":{"a":{}}"#, "templates.a.body"),
            (r#","templates":{"a":{"body":{}}}"#, "templates.a.body"),
            (r#","templates":{"a":{"body":"{"}}"#, "templates.a.body"),
            (r#","templates":{"a":{"body":"{\"a\":\"$(b\"}"}}"#, "templates.a.body"),
            (r#","templates":{"a":{"body":"<x/>"}}"#, "templates.a.body"),
            (
                r#","templates":{"a":{"body":"{}","headers":{"x-wns-type":"wns/raw"}}}"#,
                "templates.a.headers.x-wns-type",
            ),
            (r#","templates":{"a":{"body":"{}","expiry":"soon"}}"#, "templates.a.expiry"),
            (r#","pushVariables":{"":"1"}"#, "pushVariables"),
            (r#","pushVariables":{"a":1}"#, "pushVariables.a"),
            (r#","secondaryTiles":{"a":{"pushChannel":"https://x/"}}"#, "secondaryTiles"),
        ] {
            assert_eq!(parse(&document(extra)).unwrap_err().field, field, "{extra}");
        }
        for (json, field) in [
            ("{}".to_owned(), "installationId"),
            (r#"{"installationId":"d"}"#.to_owned(), "platform"),
            (r#"{"installationId":"d","platform":"pager"}"#.to_owned(), "platform"),
            (r#"{"installationId":"d","platform":"apns"}"#.to_owned(), "pushChannel"),
            (r#"{"installationId":"d e","platform":"apns"}"#.to_owned(), "installationId"),
            ("[]".to_owned(), "body"),
            ("{".to_owned(), "body"),
        ] {
            assert_eq!(parse(&json).unwrap_err().field, field, "{json}");
        }
        let other = Installation::parse(document("").as_bytes(), Some("dev-2"), &InstallationLimits::default());
        assert_eq!(other.unwrap_err().field, "installationId");
    }

    #[test]
    fn stored_form_reads_back_the_same() {
        let json = document(
            r#","tags":["b","a","b"],"userId":"u42","expirationTime":"2027-01-01T00:00:00Z",
               "templates":{"t":{"body":"{}","headers":{"apns-priority":"5"},"tags":["x"]}},"pushVariables":{"v":"1"}"#,
        );
        let written = Installation::parse(json.as_bytes(), Some("dev-1"), &InstallationLimits::default()).unwrap();
        let read = Installation::from_stored(&written.stored_form(), written.expires).unwrap();
        assert_eq!(written, read);
        assert_eq!(written.tags.len(), 2);
        let kinds: Vec<_> = written.targets().iter().map(|target| target.kind.to_string()).collect();
        assert_eq!(kinds, ["native", "template:t"]);
        let tags: Vec<_> = written.targets()[1].tags.iter().map(|tag| tag.as_str().to_owned()).collect();
        assert_eq!(tags, ["b", "a", "x", "t"]);
    }

    #[test]
    fn never_reads_back_as_never() {
        let installation = parse(&document("")).unwrap();
        let shown = serde_json::to_value(installation.read_form(false)).unwrap();
        assert_eq!(shown["expirationTime"], super::super::NEVER);
        assert_eq!(parse(&shown.to_string()).unwrap().expires, None);
    }
}
