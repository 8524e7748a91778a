//! Broadcasts: what was asked for, and how it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::field::FieldError;
use super::id::{BroadcastId, HubId};
use super::outcome::Counters;
use super::platform::Platform;
use super::target::AudienceKind;
use super::time::Timestamp;

mod raw;

pub use raw::{MOST_HANDLES, Raw};

/// Which work goes first. Bulk never makes transactional wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    Transactional,
    #[default]
    Bulk,
}

impl Lane {
    /// Both lanes, the first served first.
    pub const ALL: [Self; 2] = [Self::Transactional, Self::Bulk];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Bulk => "bulk",
        }
    }
}

/// How soon a device should be woken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Normal,
    #[default]
    High,
}

/// A notification in no service's own words, rendered for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

/// What is sent. Raw payloads are opaque bytes in their service's own form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Rendered for every platform; a raw payload overrides one.
    Notification {
        notification: Notification,
        #[serde(default, skip_serializing_if = "Payloads::is_empty")]
        payloads: Payloads,
    },
    /// Only the platforms named.
    Payloads(Payloads),
    /// The installations' own templates, with these properties.
    Template(BTreeMap<String, String>),
    /// One platform's own, with header fields, to an audience or to bare handles.
    Raw(Raw),
}

/// What native targets of one platform get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native<'a> {
    /// In the service's own form.
    Payload(&'a str),
    /// To be rendered for the service.
    Portable(&'a Notification),
}

/// Raw payloads by platform label.
pub type Payloads = BTreeMap<String, String>;

impl Content {
    /// Which targets this content is for.
    pub const fn kind(&self) -> AudienceKind {
        match self {
            Self::Notification { .. } | Self::Payloads(_) | Self::Raw(_) => AudienceKind::Native,
            Self::Template(_) => AudienceKind::Template,
        }
    }

    /// The platforms that are targeted at all; `None`: every one.
    pub fn platforms(&self) -> Option<Vec<Platform>> {
        match self {
            Self::Payloads(payloads) => Some(payloads.keys().filter_map(|label| Platform::from_label(label)).collect()),
            Self::Raw(raw) => Some(vec![raw.platform]),
            Self::Notification { .. } | Self::Template(_) => None,
        }
    }

    /// What it says to one platform's native targets: a payload in the service's own form, with the field of the native
    /// API that holds it, or what is still to be rendered for it.
    pub fn native(&self, platform: Platform) -> Result<Native<'_>, FieldError> {
        let label = platform.label();
        let payload = match self {
            Self::Notification { notification, payloads } => {
                return Ok(payloads
                    .get(label)
                    .map_or(Native::Portable(notification), |payload| Native::Payload(payload)));
            }
            Self::Payloads(payloads) => payloads.get(label),
            Self::Raw(raw) => (raw.platform == platform).then_some(&raw.body),
            Self::Template(_) => return Err(FieldError::new("template", "must be rendered to a payload first")),
        };
        let missing = || FieldError::new(format!("payloads.{label}"), "must be given");
        payload.map(|payload| Native::Payload(payload)).ok_or_else(missing)
    }

    /// One platform's own payload for `platform`, when this is one.
    pub fn raw(&self, platform: Platform) -> Option<&Raw> {
        match self {
            Self::Raw(raw) if raw.platform == platform => Some(raw),
            _ => None,
        }
    }

    /// The bare handles that it goes to instead of an audience, in the order of their seqs.
    pub fn handles(&self) -> Option<&[Channel]> {
        match self {
            Self::Raw(raw) => raw.handles.as_deref(),
            _ => None,
        }
    }
}

/// The longest life a message may be given: APNs keeps none longer than 30 days.
pub const LONGEST_TTL_SECONDS: u32 = 30 * 86_400;

/// A broadcast as it was asked for, checked. The store keeps it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastRequest {
    /// Text of the tag expression; empty means everyone.
    pub audience: String,
    pub content: Content,
    /// Counted from when the broadcast becomes due.
    pub ttl_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    pub priority: Priority,
    pub lane: Lane,
    pub weight: u32,
    /// Over all platforms and nodes together; 0 is unpaced.
    pub rate_per_second: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_at: Option<Timestamp>,
}

#[cfg(test)]
impl BroadcastRequest {
    /// An everyday one to everyone: urgent, for a minute.
    pub fn everyday(content: Content) -> Self {
        Self {
            audience: String::new(),
            content,
            ttl_seconds: 60,
            collapse_key: None,
            priority: Priority::High,
            lane: Lane::Bulk,
            weight: 1,
            rate_per_second: 0,
            schedule_at: None,
        }
    }
}

/// What its owner wants of a broadcast; the holders of its shards carry it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Wish {
    #[default]
    Run,
    Pause,
    Cancel,
}

impl Wish {
    /// The number that the store keeps; never changes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The wish of a stored number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Run),
            1 => Some(Self::Pause),
            2 => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// Where a broadcast stands, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastState {
    Scheduled,
    Queued,
    Running,
    Paused,
    Completed,
    Cancelled,
    Expired,
    Failed,
}

/// The times of a broadcast's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Milestones {
    pub accepted: Timestamp,
    /// When it becomes due: the schedule's time, or that of acceptance.
    pub due: Timestamp,
    /// The end of the message's life.
    pub expires: Timestamp,
    pub planned: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

/// A broadcast's row as readers get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub hub: HubId,
    pub request: BroadcastRequest,
    pub times: Milestones,
    pub wish: Wish,
    /// Why no plan could be made, when none could.
    pub failure: Option<String>,
    /// Sums over all its targets, by platform.
    pub platforms: BTreeMap<Platform, Counters>,
}

impl Broadcast {
    /// The sums over all platforms.
    pub fn counters(&self) -> Counters {
        self.platforms.values().fold(Counters::default(), |sum, counters| sum + *counters)
    }

    /// The state at `now`. A wish shows at once; the broadcast is over when it is finished.
    pub fn state(&self, now: Timestamp) -> BroadcastState {
        let counters = self.counters();
        match self.wish {
            _ if self.failure.is_some() => BroadcastState::Failed,
            Wish::Cancel => BroadcastState::Cancelled,
            _ if self.times.finished.is_some() => {
                if counters.expired > 0 && counters.expired == counters.targeted - counters.skipped {
                    BroadcastState::Expired
                } else {
                    BroadcastState::Completed
                }
            }
            _ if self.times.expires <= now => BroadcastState::Expired,
            Wish::Pause => BroadcastState::Paused,
            Wish::Run if self.times.started.is_some() => BroadcastState::Running,
            Wish::Run if self.times.due > now => BroadcastState::Scheduled,
            Wish::Run => BroadcastState::Queued,
        }
    }

    /// Whether its unfinished targets must be closed rather than sent, and as what.
    pub fn closing(&self, now: Timestamp) -> Option<super::outcome::Outcome> {
        closing(self.wish, self.times.expires, now)
    }
}

/// What becomes of unfinished targets: cancelled, expired, or nothing yet.
pub fn closing(wish: Wish, expires: Timestamp, now: Timestamp) -> Option<super::outcome::Outcome> {
    match wish {
        Wish::Cancel => Some(super::outcome::Outcome::Cancelled),
        _ if expires <= now => Some(super::outcome::Outcome::Expired),
        _ => None,
    }
}

impl BroadcastRequest {
    /// The life of a message from when it is due.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.ttl_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast() -> Broadcast {
        Broadcast {
            id: BroadcastId::new(0),
            hub: HubId(1),
            request: BroadcastRequest::everyday(Content::Payloads(Payloads::new())),
            times: Milestones { expires: Timestamp::from_millis(60_000), ..Milestones::default() },
            wish: Wish::Run,
            failure: None,
            platforms: BTreeMap::new(),
        }
    }

    #[test]
    fn a_wish_shows_at_once_and_the_end_is_final() {
        let at = Timestamp::from_millis;
        let mut it = broadcast();
        assert_eq!(it.state(at(0)), BroadcastState::Queued);
        it.times.due = at(10);
        assert_eq!(it.state(at(0)), BroadcastState::Scheduled);
        it.times.started = Some(at(10));
        assert_eq!(it.state(at(11)), BroadcastState::Running);
        it.wish = Wish::Pause;
        assert_eq!(it.state(at(11)), BroadcastState::Paused);
        assert_eq!(it.state(at(60_000)), BroadcastState::Expired);
        it.wish = Wish::Cancel;
        assert_eq!(it.state(at(12)), BroadcastState::Cancelled);
        it.wish = Wish::Run;
        it.times.finished = Some(at(70_000));
        assert_eq!(it.state(at(80_000)), BroadcastState::Completed);
    }
}
