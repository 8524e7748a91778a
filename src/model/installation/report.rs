//! What an app reports of its own device (`mobile-apps.md` section 5): which parts of a document are the app's to say, and
//! which stay as the server has them.
//!
//! | part | after a report |
//! |---|---|
//! | platform, channel, templates, tiles, variables, end | as reported |
//! | tags that apps may set ([`OwnTags`]) | as reported; on the device itself only where the report names tags at all |
//! | `_UserId:…` | the signed-in user's; without one as it was |
//! | all other tags | as they were, those of templates and tiles too while these last |
//! | user | the signed-in one; without one as it was |
//!
//! A device that belongs to a user is changed by that user, or by the app that shows the device's own id (5.4).

use std::fmt;

use super::super::field::FieldError;
use super::super::id::{InstallationId, UserId};
use super::super::tag::Tag;
use super::{Installation, InstallationLimits};

/// What marks the devices of a user for backends that know no other way (5.3). Unlike the system tag `$UserId:{…}` it has
/// no braces.
const USER_TAG: &str = "_UserId:";

/// A change that an app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub id: InstallationId,
    pub by: Reporter,
    /// What the device is; none when it leaves.
    pub says: Option<Box<Said>>,
}

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reporter {
    /// Who is signed in there.
    pub user: Option<UserId>,
    /// The app shows this installation's id as its own.
    pub is_device: bool,
}

/// What is said of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its tags are those that apps may set, and nothing else.
    pub installation: Installation,
    /// Whether tags of the device itself are named at all, be it none.
    pub names_tags: bool,
    pub own: OwnTags,
}

impl Reporter {
    /// Whether they may change an installation that there is.
    pub fn may_change(&self, present: &Installation) -> bool {
        present.user.is_none() || self.is_device || self.user == present.user
    }
}

impl Said {
    /// The document that comes of it where `present` stands. Held to the limits.
    pub fn over(
        &self,
        present: Option<&Installation>,
        by: &Reporter,
        limits: &InstallationLimits,
    ) -> Result<Installation, FieldError> {
        let mut made = self.installation.clone();
        let replaced = |tag: &Tag| self.own.may_set(tag) || (by.user.is_some() && is_user_tag(tag.as_str()));
        let stays = |tag: &&Tag| !replaced(tag);
        if let Some(present) = present {
            let stays_here = |tag: &&Tag| stays(tag) || (!self.names_tags && self.own.may_set(tag));
            join(&mut made.tags, present.tags.iter().filter(stays_here));
            for (name, template) in &mut made.templates {
                let before = present.templates.get(name);
                join(&mut template.tags, before.iter().flat_map(|before| &before.tags).filter(stays));
            }
            for (id, tile) in &mut made.tiles {
                let Some(before) = present.tiles.get(id) else { continue };
                join(&mut tile.tags, before.tags.iter().filter(stays));
                for (name, template) in &mut tile.templates {
                    let before = before.templates.get(name);
                    join(&mut template.tags, before.iter().flat_map(|before| &before.tags).filter(stays));
                }
            }
            made.user.clone_from(&present.user);
        }
        if let Some(user) = &by.user {
            made.user = Some(user.clone());
            // An id that is no tag is found by `$UserId:{…}` alone.
            made.tags.extend(Tag::parse(&format!("{USER_TAG}{user}"), limits.tag_length));
        }
        made.check_tag_count(limits)?;
        Ok(made)
    }
}

/// Puts what stays before what is said anew, each once.
fn join<'a>(said: &mut Vec<Tag>, stays: impl Iterator<Item = &'a Tag>) {
    let mut joined: Vec<Tag> = stays.cloned().collect();
    said.retain(|tag| !joined.contains(tag));
    joined.append(said);
    *said = joined;
}

fn is_user_tag(text: &str) -> bool {
    text.get(..USER_TAG.len()).is_some_and(|start| start.eq_ignore_ascii_case(USER_TAG))
}

/// Tags that apps may set on their own devices: tags, and beginnings of tags.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OwnTags(Vec<OwnTag>);

/// A tag, or with `*` at the end whatever begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTag {
    text: String,
    is_beginning: bool,
}

impl OwnTag {
    /// `None` when no tag could be meant.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, is_beginning) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        let is_tag = (is_beginning && start.is_empty()) || Tag::parse(start, Tag::MAX_LENGTH).is_ok();
        (is_tag && !is_user_tag(start)).then(|| Self { text: start.to_owned(), is_beginning })
    }

    fn means(&self, tag: &str) -> bool {
        if self.is_beginning { tag.starts_with(&self.text) } else { tag == self.text }
    }
}

impl OwnTags {
    /// Whether an app may set this tag. Never one that says whose the device is.
    pub fn may_set(&self, tag: impl AsRef<str>) -> bool {
        let tag = tag.as_ref();
        !is_user_tag(tag) && self.0.iter().any(|own| own.means(tag))
    }
}

impl FromIterator<OwnTag> for OwnTags {
    fn from_iter<I: IntoIterator<Item = OwnTag>>(tags: I) -> Self {
        Self(tags.into_iter().collect())
    }
}

impl fmt::Display for OwnTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_beginning { "*" } else { "" })
    }
}

impl serde::Serialize for OwnTags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn installation(extra: &Value) -> Installation {
        let mut document =
            json!({"installationId": "d", "platform": "wns", "pushChannel": "https://db5.notify.windows.com/a"});
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Installation::parse(document.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap()
    }

    fn own(patterns: &[&str]) -> OwnTags {
        patterns.iter().map(|pattern| OwnTag::parse(pattern).unwrap()).collect()
    }

    fn said(extra: &Value, names_tags: bool) -> Said {
        Said { installation: installation(extra), names_tags, own: own(&["topic:*"]) }
    }

    fn signed_in(user: &str) -> Reporter {
        Reporter { user: Some(UserId::parse(user).unwrap()), is_device: false }
    }

    fn tags(tags: &[Tag]) -> Vec<&str> {
        tags.iter().map(Tag::as_str).collect()
    }

    fn over(said: &Said, present: Option<&Installation>, by: &Reporter) -> Installation {
        said.over(present, by, &InstallationLimits::default()).unwrap()
    }

    #[test]
    fn the_users_tag_is_added_replaced_and_kept() {
        let first = over(&said(&json!({}), false), None, &signed_in("sid:a"));
        assert_eq!((tags(&first.tags), first.user.as_ref().unwrap().as_str()), (vec!["_UserId:sid:a"], "sid:a"));
        let server = installation(&json!({"tags": ["vip", "_UserId:sid:a", "_userid:old"], "userId": "sid:a"}));
        let other = over(&said(&json!({}), false), Some(&server), &signed_in("sid:b"));
        assert_eq!((tags(&other.tags), other.user.as_ref().unwrap().as_str()), (vec!["vip", "_UserId:sid:b"], "sid:b"));
        let nobody = over(&said(&json!({}), false), Some(&server), &Reporter::default());
        assert_eq!((&nobody.tags, &nobody.user), (&server.tags, &server.user));
        // An id that is no tag takes the earlier user's away all the same.
        let odd = over(&said(&json!({}), false), Some(&server), &signed_in("auth0|7"));
        assert_eq!((tags(&odd.tags), odd.user.as_ref().unwrap().as_str()), (vec!["vip"], "auth0|7"));
    }

    #[test]
    fn tags_that_apps_set_are_replaced_where_any_are_named() {
        let present = installation(&json!({"tags": ["topic:a", "vip"]}));
        let anew = said(&json!({"tags": ["topic:b"]}), true);
        assert_eq!(tags(&over(&anew, Some(&present), &Reporter::default()).tags), ["vip", "topic:b"]);
        let none = said(&json!({}), true);
        assert_eq!(tags(&over(&none, Some(&present), &Reporter::default()).tags), ["vip"]);
        let silent = said(&json!({}), false);
        assert_eq!(tags(&over(&silent, Some(&present), &Reporter::default()).tags), ["topic:a", "vip"]);
    }

    #[test]
    fn templates_and_tiles_keep_the_servers_tags_while_they_last() {
        let template =
            |tags: Value| json!({"t": {"body": "<toast/>", "headers": {"X-WNS-Type": "wns/toast"}, "tags": tags}});
        let tile = |tags: Value| json!({"tile": {"pushChannel": "https://db5.notify.windows.com/b", "tags": tags, "templates": template(tags.clone())}});
        let server = json!(["vip", "topic:a", "_UserId:sid:a"]);
        let present = installation(&json!({"templates": template(server.clone()), "secondaryTiles": tile(server)}));
        let anew = said(&json!({"templates": template(json!(["topic:b"])), "secondaryTiles": tile(json!([]))}), false);
        let made = over(&anew, Some(&present), &signed_in("sid:b"));
        assert_eq!(tags(&made.templates["t"].tags), ["vip", "topic:b"]);
        assert_eq!(tags(&made.tiles["tile"].tags), ["vip"]);
        assert_eq!(tags(&made.tiles["tile"].templates["t"].tags), ["vip"]);
        let nobody = over(&anew, Some(&present), &Reporter::default());
        assert_eq!(tags(&nobody.templates["t"].tags), ["vip", "_UserId:sid:a", "topic:b"]);
        assert!(over(&said(&json!({}), false), Some(&present), &Reporter::default()).templates.is_empty());
    }

    #[test]
    fn a_users_device_is_that_users_and_its_own() {
        let bound = installation(&json!({"userId": "sid:a"}));
        let device = Reporter { user: None, is_device: true };
        for (by, may) in [
            (signed_in("sid:a"), true),
            (device, true),
            (Reporter { is_device: true, ..signed_in("sid:b") }, true),
            (signed_in("sid:b"), false),
            (Reporter::default(), false),
        ] {
            assert_eq!(by.may_change(&bound), may, "{by:?}");
            assert!(by.may_change(&installation(&json!({}))), "one that is nobody's is anybody's who knows its id");
        }
    }

    #[test]
    fn own_tags_are_tags_and_beginnings_and_never_a_users() {
        let own = own(&["news", "topic:*"]);
        for (tag, may) in [("news", true), ("news2", false), ("topic:", true), ("topic:a", true), ("Topic:a", false)] {
            assert_eq!(own.may_set(tag), may, "{tag}");
        }
        let any: OwnTags = [OwnTag::parse("*").unwrap()].into_iter().collect();
        assert!(any.may_set("vip") && !any.may_set("_UserId:sid:a") && !any.may_set("_userid:x"));
        for text in ["", "a b", "$x", "_UserId:*", "_userid:x", "a*b"] {
            assert_eq!(OwnTag::parse(text), None, "{text}");
        }
        assert_eq!(serde_json::to_value(own).unwrap(), json!(["news", "topic:*"]));
    }

    #[test]
    fn the_result_is_held_to_the_limits() {
        let present = installation(&json!({"tags": ["a", "b"]}));
        let limits = InstallationLimits { tags: 2, ..InstallationLimits::default() };
        assert!(said(&json!({}), false).over(Some(&present), &Reporter::default(), &limits).is_ok());
        let refused = said(&json!({}), false).over(Some(&present), &signed_in("sid:a"), &limits).unwrap_err();
        assert_eq!(refused.field, "tags");
    }
}
