//! Installations: one app on one device, as `specs/notification-hubs.md` 2.2 describes the document.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::channel::Channel;
use super::field::FieldError;
use super::id::{InstallationId, UserId};
use super::platform::{Platform, PlatformWord};
use super::tag::Tag;
use super::target::TargetKind;
use super::template::TemplateContent;
use super::time::Timestamp;

mod parse;
mod patch;
mod report;

pub use patch::Patch;
pub use report::{OwnTag, OwnTags, Report, Reporter, Said};

/// What bounds a document (`[limits]` of the configuration).
#[derive(Clone, Copy, Debug)]
pub struct InstallationLimits {
    pub tags: usize,
    pub tag_length: usize,
    pub templates: usize,
}

impl Default for InstallationLimits {
    fn default() -> Self {
        Self { tags: 1000, tag_length: 120, templates: 100 }
    }
}

/// A checked document. Its expiry stands apart from the rest because it changes at every start of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub id: InstallationId,
    pub platform: PlatformWord,
    pub channel: Channel,
    pub user: Option<UserId>,
    pub expires: Option<Timestamp>,
    /// In the order written, without repeats.
    pub tags: Vec<Tag>,
    pub push_variables: BTreeMap<String, String>,
    pub templates: BTreeMap<String, Template>,
    pub tiles: BTreeMap<String, SecondaryTile>,
}

/// One template of an installation or of a tile.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    /// Text of a JSON or XML document with expressions.
    pub body: String,
    pub headers: BTreeMap<String, String>,
    pub expiry: Option<String>,
    pub tags: Vec<Tag>,
}

impl Template {
    /// What of it makes a message, and is stored once however many targets share it. Only APNs knows an expiry.
    pub fn content(&self, platform: Platform) -> TemplateContent {
        TemplateContent {
            body: self.body.clone(),
            headers: self.headers.clone(),
            expiry: self.expiry.clone().filter(|_| platform == Platform::Apns),
        }
    }
}

/// A secondary tile (`wns` only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondaryTile {
    pub channel: Channel,
    pub tags: Vec<Tag>,
    pub templates: BTreeMap<String, Template>,
}

/// One target that a document stands for.
#[derive(Clone, Debug)]
pub struct TargetSpec<'a> {
    pub kind: TargetKind,
    pub channel: &'a Channel,
    pub template: Option<&'a Template>,
    /// What an audience may find it by, without repeats.
    pub tags: Vec<Tag>,
}

impl Installation {
    /// Reads a document. `path_id` is the id that the path names: the document may leave its own out, but must not
    /// contradict it. Unknown members are ignored, names match without case, `null` means absent (2.2.1). Templates are held
    /// to their language and to what their platform wants (section 4).
    pub fn parse(json: &[u8], path_id: Option<&str>, limits: &InstallationLimits) -> Result<Self, FieldError> {
        parse::document(json, path_id, limits, parse::Templates::Checked)
    }

    /// Reads what [`Installation::stored_form`] wrote, with the expiry that is kept beside it.
    pub fn from_stored(json: &[u8], expires: Option<Timestamp>) -> Result<Self, FieldError> {
        let unbounded = InstallationLimits { tags: usize::MAX, tag_length: usize::MAX, templates: usize::MAX };
        let read = parse::document(json, None, &unbounded, parse::Templates::Stored);
        read.map(|installation| Self { expires, ..installation })
    }

    /// The document as the store keeps it: everything but the expiry, in a fixed order, so that equal bytes mean that
    /// nothing but times changed.
    pub fn stored_form(&self) -> Vec<u8> {
        serde_json::to_vec(&DocumentForm { installation: self, expired: None, named: false }).unwrap_or_default()
    }

    /// The document with everything that is known of it.
    pub fn read_form(&self, channel_expired: bool) -> impl Serialize + '_ {
        DocumentForm { installation: self, expired: Some(channel_expired), named: false }
    }

    /// The document as GET answers it: the same, with each template's own name among its tags (2.2.5).
    pub fn shown_form(&self, channel_expired: bool) -> impl Serialize + '_ {
        DocumentForm { installation: self, expired: Some(channel_expired), named: true }
    }

    /// Refuses more tags than one installation may have, those of its templates and tiles included.
    fn check_tag_count(&self, limits: &InstallationLimits) -> Result<(), FieldError> {
        let count = |templates: &BTreeMap<String, Template>| templates.values().map(|t| t.tags.len()).sum::<usize>();
        let tags = self.tags.len()
            + count(&self.templates)
            + self.tiles.values().map(|tile| tile.tags.len() + count(&tile.templates)).sum::<usize>();
        if tags > limits.tags {
            return Err(FieldError::new("tags", format!("must not be more than {} in one installation", limits.tags)));
        }
        Ok(())
    }

    /// Every target this document stands for: native, templates by name, then tiles by id, each tile before its
    /// templates. The order is stable, and the store keeps the seqs in it.
    pub fn targets(&self) -> Vec<TargetSpec<'_>> {
        let native = TargetSpec {
            kind: TargetKind::Native,
            channel: &self.channel,
            template: None,
            tags: without_repeats(self.tags.iter().cloned()),
        };
        let mut targets = vec![native];
        for (name, template) in &self.templates {
            let own = self.tags.iter().chain(&template.tags).cloned().chain([Tag::from_template_name(name)]);
            targets.push(TargetSpec {
                kind: TargetKind::Template(name.as_str().into()),
                channel: &self.channel,
                template: Some(template),
                tags: without_repeats(own),
            });
        }
        for (id, tile) in &self.tiles {
            targets.push(TargetSpec {
                kind: TargetKind::Tile(id.as_str().into()),
                channel: &tile.channel,
                template: None,
                tags: without_repeats(tile.tags.iter().cloned()),
            });
            for (name, template) in &tile.templates {
                let own = tile.tags.iter().chain(&template.tags).cloned().chain([Tag::from_template_name(name)]);
                targets.push(TargetSpec {
                    kind: TargetKind::TileTemplate { tile: id.as_str().into(), template: name.as_str().into() },
                    channel: &tile.channel,
                    template: Some(template),
                    tags: without_repeats(own),
                });
            }
        }
        targets
    }
}

/// Tags in their order, each once. Lists are short, so looking back beats hashing.
fn without_repeats(tags: impl Iterator<Item = Tag>) -> Vec<Tag> {
    let mut kept: Vec<Tag> = Vec::with_capacity(tags.size_hint().0);
    for tag in tags {
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}

/// Writes the document in the order of 2.2.5. `expired: None` leaves out what the store keeps elsewhere.
struct DocumentForm<'a> {
    installation: &'a Installation,
    expired: Option<bool>,
    /// Whether templates have their names among their tags.
    named: bool,
}

/// An installation that never expires reads back with this expiry (2.2.1).
const NEVER: &str = "9999-12-31T23:59:59.9999999Z";

impl Serialize for DocumentForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let it = self.installation;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("installationId", &it.id)?;
        map.serialize_entry("pushChannel", it.channel.written())?;
        if let Some(expired) = self.expired {
            map.serialize_entry("pushChannelExpired", &expired)?;
        }
        map.serialize_entry("platform", it.platform.as_str())?;
        if self.expired.is_some() {
            match it.expires {
                Some(expires) => map.serialize_entry("expirationTime", &expires)?,
                None => map.serialize_entry("expirationTime", NEVER)?,
            }
        }
        entry_unless_empty(&mut map, "tags", &it.tags, it.tags.is_empty())?;
        entry_unless_empty(&mut map, "pushVariables", &it.push_variables, it.push_variables.is_empty())?;
        if !self.named {
            entry_unless_empty(&mut map, "templates", &it.templates, it.templates.is_empty())?;
            entry_unless_empty(&mut map, "secondaryTiles", &it.tiles, it.tiles.is_empty())?;
        } else {
            let templates = named(&it.templates);
            entry_unless_empty(&mut map, "templates", &templates, templates.is_empty())?;
            let tile = |tile: &SecondaryTile| SecondaryTile { templates: named(&tile.templates), ..tile.clone() };
            let tiles: BTreeMap<&String, SecondaryTile> = it.tiles.iter().map(|(id, it)| (id, tile(it))).collect();
            entry_unless_empty(&mut map, "secondaryTiles", &tiles, tiles.is_empty())?;
        }
        if let Some(user) = &it.user {
            map.serialize_entry("userId", user)?;
        }
        map.end()
    }
}

/// Templates as they read back: each with its own name among its tags (2.2.5).
fn named(templates: &BTreeMap<String, Template>) -> BTreeMap<String, Template> {
    let with_name = |(name, template): (&String, &Template)| {
        let tags = template.tags.iter().cloned().chain([Tag::from_template_name(name)]);
        (name.clone(), Template { tags: without_repeats(tags), ..template.clone() })
    };
    templates.iter().map(with_name).collect()
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("body", &self.body)?;
        entry_unless_empty(&mut map, "headers", &self.headers, self.headers.is_empty())?;
        if let Some(expiry) = &self.expiry {
            map.serialize_entry("expiry", expiry)?;
        }
        entry_unless_empty(&mut map, "tags", &self.tags, self.tags.is_empty())?;
        map.end()
    }
}

impl Serialize for SecondaryTile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("pushChannel", self.channel.written())?;
        entry_unless_empty(&mut map, "tags", &self.tags, self.tags.is_empty())?;
        entry_unless_empty(&mut map, "templates", &self.templates, self.templates.is_empty())?;
        map.end()
    }
}

fn entry_unless_empty<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: &impl Serialize,
    empty: bool,
) -> Result<(), M::Error> {
    if empty { Ok(()) } else { map.serialize_entry(name, value) }
}

/// Whether a document holds something other than a JSON value of the wanted kind.
fn wrong_kind(field: &str, wanted: &'static str, got: &Value) -> FieldError {
    let kind = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    FieldError::new(field.to_owned(), format!("must be {wanted}, not {kind}"))
}
