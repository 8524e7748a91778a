//! Registrations: the older form of `specs/notification-hubs.md` 2.3. One channel with tags, native or with one
//! template, so one target.
//!
//! - [`id`]: their ids, and those that the targets of installations go by where installations are seen as registrations.
//! - [`form`]: the element names of every platform.
//! - [`read`], [`write`]: the XML, both ways.
//! - [`rules`]: what a platform asks of a template.
//! - [`filter`]: the `$filter` of a list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::channel::Channel;
use super::field::FieldError;
use super::installation::{Installation, TargetSpec, Template};
use super::platform::PlatformWord;
use super::tag::Tag;
use super::target::TargetKind;
use super::template::BAIDU_MESSAGE_TYPE;
use super::time::Timestamp;

pub mod filter;
mod form;
mod id;
mod read;
mod rules;
mod write;

pub use id::{Registrant, RegistrationId};
pub use read::{Draft, id_of, read};
pub(crate) use write::seconds;
pub use write::{Links, document, entry, feed, http_etag, line};

/// A checked registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub id: RegistrationId,
    pub platform: PlatformWord,
    pub channel: Channel,
    /// `SecondaryTileName`, of Windows and MPNS: the target is that tile's, and goes by the rules of tiles.
    pub tile: Option<String>,
    /// In the order written, without repeats.
    pub tags: Vec<Tag>,
    pub push_variables: BTreeMap<String, String>,
    pub expires: Option<Timestamp>,
    pub template: Option<OneTemplate>,
}

/// The template of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTemplate {
    /// Empty when it has none: then templates without a name on one channel are one target.
    pub name: String,
    /// Without tags of its own: they are the registration's.
    pub template: Template,
    /// Of Apple: a text as it was written.
    pub priority: Option<String>,
}

impl Registration {
    /// The target that it stands for. Its tags are the registration's and, as with installations, the template's name.
    pub fn target(&self) -> TargetSpec<'_> {
        let mut tags = self.tags.clone();
        if let Some(named) = self.template.as_ref().filter(|template| !template.name.is_empty()) {
            let name = Tag::from_template_name(&named.name);
            if !tags.contains(&name) {
                tags.push(name);
            }
        }
        let template = self.template.as_ref().map(|template| template.name.as_str().into());
        let kind = match (self.tile.as_deref(), template) {
            (None, None) => TargetKind::Native,
            (None, Some(name)) => TargetKind::Template(name),
            (Some(tile), None) => TargetKind::Tile(tile.into()),
            (Some(tile), Some(template)) => TargetKind::TileTemplate { tile: tile.into(), template },
        };
        TargetSpec { kind, channel: &self.channel, template: self.template.as_ref().map(|it| &it.template), tags }
    }

    /// How a target of an installation looks as a registration (2.2.8). Its tags begin with the system tags.
    pub fn of_installation(installation: &Installation, target: &TargetSpec<'_>, id: RegistrationId) -> Self {
        let mut tags = vec![Tag::from_template_name(&format!("$InstallationId:{{{}}}", installation.id))];
        if let Some(user) = &installation.user {
            tags.push(Tag::from_template_name(&format!("$UserId:{{{user}}}")));
        }
        tags.extend(target.tags.iter().cloned());
        let (tile, name) = match &target.kind {
            TargetKind::Native => (None, None),
            TargetKind::Template(name) => (None, Some(name)),
            TargetKind::Tile(tile) => (Some(tile), None),
            TargetKind::TileTemplate { tile, template } => (Some(tile), Some(template)),
        };
        let template = name.zip(target.template).map(|(name, template)| OneTemplate {
            name: name.to_string(),
            template: template.clone(),
            priority: None,
        });
        Self {
            id,
            platform: installation.platform,
            channel: target.channel.clone(),
            tile: tile.map(|tile| tile.to_string()),
            tags,
            push_variables: installation.push_variables.clone(),
            expires: installation.expires,
            template,
        }
    }

    /// The registration as the store keeps it, with the number of its version: everything but the expiry. It begins with
    /// its key in the place where an installation's document has its id, which is how either is found by it.
    pub fn stored_form(&self, etag: u64) -> Vec<u8> {
        let template = self.template.as_ref().map(|it| StoredTemplate {
            name: it.name.clone(),
            body: it.template.body.clone(),
            headers: it.template.headers.clone(),
            expiry: it.template.expiry.clone(),
            priority: it.priority.clone(),
            message_type: None,
        });
        let form = StoredForm {
            key: self.id.key(),
            push_channel: self.channel.written().clone(),
            platform: self.platform.as_str().to_owned(),
            tile: self.tile.clone(),
            tags: self.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            push_variables: self.push_variables.clone(),
            template,
            etag,
        };
        serde_json::to_vec(&form).unwrap_or_default()
    }

    /// Reads what [`Registration::stored_form`] wrote, with the expiry that is kept beside it. Answers the version, too.
    ///
    /// # Errors
    /// What no registration was stored as.
    pub fn from_stored(json: &[u8], expires: Option<Timestamp>) -> Result<(Self, u64), FieldError> {
        let form: StoredForm = serde_json::from_slice(json)
            .map_err(|error| FieldError::json("registration", "is not stored so", &error))?;
        let platform = PlatformWord::parse(&form.platform)
            .ok_or_else(|| FieldError::new("platform", "is not one that registrations have"))?;
        let id = RegistrationId::of_key(&form.key).ok_or_else(|| FieldError::new("installationId", "is no key"))?;
        let template = form.template.map(|mut it| {
            it.headers.extend(it.message_type.map(|kind| (BAIDU_MESSAGE_TYPE.to_owned(), kind)));
            OneTemplate {
                name: it.name,
                template: Template { body: it.body, headers: it.headers, expiry: it.expiry, tags: Vec::new() },
                priority: it.priority,
            }
        });
        let registration = Self {
            id,
            platform,
            channel: Channel::parse(platform.platform(), form.push_channel)?,
            tile: form.tile,
            tags: form.tags.iter().map(|tag| Tag::from_template_name(tag)).collect(),
            push_variables: form.push_variables,
            expires,
            template,
        };
        Ok((registration, form.etag))
    }
}

/// Whether a stored document is a registration's; the others are installations'.
pub fn is_stored(document: &[u8]) -> bool {
    document.starts_with(br#"{"installationId":"/"#)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredForm {
    #[serde(rename = "installationId")]
    key: String,
    push_channel: Value,
    platform: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tile: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    push_variables: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<StoredTemplate>,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredTemplate {
    name: String,
    body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    /// Of Baidu, as it was kept before it was a header.
    #[serde(default, skip_serializing)]
    message_type: Option<String>,
}

#[cfg(test)]
mod tests;
