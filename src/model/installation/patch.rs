//! Changes of parts of a document: JSON Patch as the clients of the field write it (`specs/notification-hubs.md` 2.2.6).
//!
//! Not RFC 6902 as a whole: `add`, `remove` and `replace` on a fixed set of paths, tags addressed by their value, and
//! arrays and objects also as JSON text in a string, since most clients can send nothing else. A patch is read once,
//! where every path is checked; applying it works on the document's own form and reads the result like any document, so
//! that every rule and limit holds for it. Removing what is not there is no error: the caller has what it wants.

use serde_json::{Map, Value};

use super::super::field::FieldError;
use super::super::time::Timestamp;
use super::{Installation, InstallationLimits, wrong_kind};

/// Operations in one patch: each is work inside the store's only writer.
const OPERATIONS: usize = 1_000;

/// A checked list of changes, applied in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    operations: Vec<Operation>,
    /// The result ends no later, whatever the operations say; none where the hub sets no end.
    latest_end: Option<Timestamp>,
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
struct Operation {
    place: Place,
    action: Action,
}

#[derive(Clone, PartialEq, Eq)]
enum Action {
    Add(Value),
    Replace(Value),
    Remove,
}

/// Where in the document: the members on the way, and what the last one is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    way: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Text or a channel that a document must have.
    Required,
    /// Text that it may have.
    Optional,
    /// A list of tags.
    Tags,
    /// One tag of the list before it, by its value.
    Tag,
    /// An object that is set as a whole: headers, variables, one template, one tile.
    Whole,
    /// An object whose members `add` merges: templates by name, tiles by id.
    Named,
}

/// Values hold channels, which no log may show (design.md 3.10).
impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let action = match self.action {
            Action::Add(_) => "add",
            Action::Replace(_) => "replace",
            Action::Remove => "remove",
        };
        write!(f, "{action} {:?}", self.place.way)
    }
}

impl Patch {
    /// Reads a JSON array of operations. An error's field is `[N].op`, `[N].path` or `[N].value`, counted from 0.
    pub fn parse(json: &[u8]) -> Result<Self, FieldError> {
        let rule = |error| FieldError::json("body", "must be a JSON array of patch operations", &error);
        let operations: Vec<Map<String, Value>> = serde_json::from_slice(json).map_err(rule)?;
        if operations.len() > OPERATIONS {
            return Err(FieldError::new("body", format!("must not have more than {OPERATIONS} operations")));
        }
        let read = |(at, operation)| Operation::read(operation).map_err(|error| within(error, at));
        let operations = operations.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { operations, latest_end: None })
    }

    /// The same with an end that the result has at the latest.
    #[must_use]
    pub fn ending_by(self, latest_end: Option<Timestamp>) -> Self {
        Self { latest_end, ..self }
    }

    /// The document with all changes, or the first rule that one of them, or the result, breaks.
    pub fn apply(&self, to: &Installation, limits: &InstallationLimits) -> Result<Installation, FieldError> {
        let broken = |error: serde_json::Error| FieldError::json("body", "cannot be applied", &error);
        let mut document = serde_json::to_value(to.read_form(false)).map_err(broken)?;
        for (at, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut document).map_err(|error| within(error, at))?;
        }
        let document = serde_json::to_vec(&document).map_err(broken)?;
        let mut changed = Installation::parse(&document, Some(to.id.as_str()), limits)?;
        changed.expires = changed.expires.into_iter().chain(self.latest_end).min();
        Ok(changed)
    }

    /// Whether it says where the device is to be reached: a report that the channel works.
    pub fn sets_channel(&self) -> bool {
        self.operations.iter().any(|operation| operation.place.way == ["pushChannel"])
    }
}

fn within(error: FieldError, at: usize) -> FieldError {
    let field = format!("[{at}].{}", error.field);
    error.at(field)
}

impl Operation {
    fn read(mut members: Map<String, Value>) -> Result<Self, FieldError> {
        let mut text = |name: &'static str| match members.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(wrong_kind(name, "a string", &other)),
            None => Err(FieldError::new(name, "is required")),
        };
        let (op, path) = (text("op")?, text("path")?);
        let value = members.remove("value").filter(|value| !value.is_null());
        if let Some((name, _)) = members.into_iter().next() {
            return Err(FieldError::new(name, "is not a member of a patch operation"));
        }
        let place = Place::parse(&path)
            .ok_or_else(|| FieldError::new("path", format!("must be a part of an installation, not {path:?}")))?;
        let required = || FieldError::new("value", "is required");
        let action = match op.to_ascii_lowercase().as_str() {
            "add" => Action::Add(value.ok_or_else(required)?),
            "replace" => Action::Replace(value.ok_or_else(required)?),
            "remove" => Action::Remove,
            _ => return Err(FieldError::new("op", format!("must be add, remove or replace, not {op:?}"))),
        };
        match (place.kind, &action) {
            (Kind::Required, Action::Remove) => {
                Err(FieldError::new("path", format!("must not be {path:?} with remove: a document needs it")))
            }
            (Kind::Tag, Action::Add(_) | Action::Replace(_)) => {
                Err(FieldError::new("path", format!("must not be {path:?} with {op}: one tag can only be removed")))
            }
            _ => Ok(Self { place, action }),
        }
    }

    fn apply(&self, document: &mut Value) -> Result<(), FieldError> {
        let Some((last, way)) = self.place.way.split_last() else { return Ok(()) };
        if self.place.kind == Kind::Tag {
            remove_tag(document, way, last);
            return Ok(());
        }
        let value = match &self.action {
            Action::Remove => {
                if let Some(parent) = existing(document, way) {
                    parent.remove(last);
                }
                return Ok(());
            }
            Action::Add(value) | Action::Replace(value) => value,
        };
        let member = parent(document, way)?.entry(last.clone()).or_insert(Value::Null);
        let adds = matches!(self.action, Action::Add(_));
        match (self.place.kind, member) {
            (Kind::Tags, Value::Array(present)) if adds => present.extend(tags(value)?),
            (Kind::Tags, member) => *member = Value::Array(tags(value)?),
            (Kind::Named, Value::Object(present)) if adds => present.extend(object(value)?),
            (Kind::Named | Kind::Whole, member) => *member = Value::Object(object(value)?),
            (_, member) => *member = value.clone(),
        }
        Ok(())
    }
}

/// The object at the end of the way, made where it is missing.
fn parent<'a>(document: &'a mut Value, way: &[String]) -> Result<&'a mut Map<String, Value>, FieldError> {
    let rule = || FieldError::new("path", "must not lead through something that is no object");
    let mut at = document.as_object_mut().ok_or_else(rule)?;
    for step in way {
        let next = at.entry(step.clone()).or_insert_with(|| Value::Object(Map::new()));
        at = next.as_object_mut().ok_or_else(rule)?;
    }
    Ok(at)
}

fn existing<'a>(document: &'a mut Value, way: &[String]) -> Option<&'a mut Map<String, Value>> {
    let start = document.as_object_mut();
    way.iter().try_fold(start?, |at, step| at.get_mut(step)?.as_object_mut())
}

/// The last tag takes its list along.
fn remove_tag(document: &mut Value, way: &[String], tag: &str) {
    let Some((list, way)) = way.split_last() else { return };
    let Some(parent) = existing(document, way) else { return };
    if let Some(Value::Array(tags)) = parent.get_mut(list) {
        tags.retain(|present| present.as_str() != Some(tag));
        if tags.is_empty() {
            parent.remove(list);
        }
    }
}

/// One tag, several, or several as JSON text.
fn tags(value: &Value) -> Result<Vec<Value>, FieldError> {
    match value {
        Value::Array(tags) => Ok(tags.clone()),
        Value::String(text) if text.trim_start().starts_with('[') => serde_json::from_str(text)
            .map_err(|error| FieldError::json("value", "must be a tag or a JSON array of tags", &error)),
        Value::String(_) => Ok(vec![value.clone()]),
        other => Err(wrong_kind("value", "a tag or an array of tags", other)),
    }
}

/// An object, or its JSON text.
fn object(value: &Value) -> Result<Map<String, Value>, FieldError> {
    match value {
        Value::Object(object) => Ok(object.clone()),
        Value::String(text) => serde_json::from_str(text)
            .map_err(|error| FieldError::json("value", "must be an object or its JSON text", &error)),
        other => Err(wrong_kind("value", "an object or its JSON text", other)),
    }
}

impl Place {
    /// A JSON pointer; fixed words match without case.
    fn parse(path: &str) -> Option<Self> {
        let mut steps = path.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let mut way = vec![word(&steps.next()?, TOP)?];
        let rest: Vec<String> = steps.collect();
        let kind = match way.first()?.as_str() {
            "pushChannel" if rest.is_empty() => Kind::Required,
            "secondaryTiles" => below_tiles(&mut way, &rest)?,
            _ => below(&mut way, &rest)?,
        };
        Some(Self { way, kind })
    }
}

const TOP: &[&str] =
    &["pushChannel", "userId", "expirationTime", "tags", "pushVariables", "templates", "secondaryTiles"];
const IN_TILE: &[&str] = &["pushChannel", "tags", "templates"];
const IN_TEMPLATE: &[&str] = &["body", "expiry", "headers", "tags"];

fn word(step: &str, known: &[&str]) -> Option<String> {
    known.iter().find(|word| word.eq_ignore_ascii_case(step)).map(|word| (*word).to_owned())
}

/// What the way ends in that has led to one of the fixed words and goes on with `rest`.
fn below(way: &mut Vec<String>, rest: &[String]) -> Option<Kind> {
    let at = way.last()?.clone();
    match (at.as_str(), rest) {
        ("userId" | "expirationTime" | "expiry", []) => Some(Kind::Optional),
        ("pushChannel" | "body", []) => Some(Kind::Required),
        ("tags", []) => Some(Kind::Tags),
        ("pushVariables" | "headers", []) => Some(Kind::Whole),
        ("templates", []) => Some(Kind::Named),
        (_, []) => None,
        (_, [name, ..]) if name.is_empty() => None,
        ("tags", [tag]) => {
            way.push(tag.clone());
            Some(Kind::Tag)
        }
        ("pushVariables" | "headers", [name]) => {
            way.push(name.clone());
            Some(Kind::Optional)
        }
        ("templates", [name]) => {
            way.push(name.clone());
            Some(Kind::Whole)
        }
        ("templates", [name, part, rest @ ..]) => {
            way.extend([name.clone(), word(part, IN_TEMPLATE)?]);
            below(way, rest)
        }
        _ => None,
    }
}

fn below_tiles(way: &mut Vec<String>, rest: &[String]) -> Option<Kind> {
    match rest {
        [] => Some(Kind::Named),
        [tile, ..] if tile.is_empty() => None,
        [tile] => {
            way.push(tile.clone());
            Some(Kind::Whole)
        }
        [tile, part, rest @ ..] => {
            way.extend([tile.clone(), word(part, IN_TILE)?]);
            below(way, rest)
        }
    }
}

#[cfg(test)]
mod tests;
