//! One platform's payload in its service's own form, with the header fields and, for a direct send, the handles that its
//! caller gave: what the Notification Hubs face accepts (`notification-hubs.md` 2.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::channel::Channel;
use crate::model::field::FieldError;
use crate::model::platform::Platform;

/// The most handles of one broadcast (`notification-hubs.md` 2.5.5): all of them are offsets of the first chunk.
pub const MOST_HANDLES: usize = 1_000;

/// What is sent, how, and perhaps to which handles. A build that does not know it cannot read such a broadcast, and so
/// never takes one for a few handles for one to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Raw {
    pub platform: Platform,
    /// Opaque bytes for the service; for FCM the `message` without its target.
    pub body: String,
    /// Fields that the service is to be told, by their names in lower case; each stands over what would be said without
    /// it.
    pub headers: BTreeMap<String, String>,
    /// The word of `ServiceBusNotification-Format` that it was sent with, in lower case.
    pub format: String,
    /// Who gets it instead of an audience. A handle's seq is its place in the list.
    pub handles: Option<Arc<[Channel]>>,
}

/// As it rests in the store.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    platform: String,
    body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handles: Option<Vec<Value>>,
}

impl From<Raw> for Stored {
    fn from(raw: Raw) -> Self {
        let handles = raw.handles.map(|handles| handles.iter().map(|handle| handle.written().clone()).collect());
        let Raw { platform, body, headers, format, .. } = raw;
        Self { platform: platform.label().to_owned(), body, headers, format, handles }
    }
}

impl TryFrom<Stored> for Raw {
    type Error = FieldError;

    fn try_from(stored: Stored) -> Result<Self, FieldError> {
        let platform = Platform::from_label(&stored.platform)
            .ok_or_else(|| FieldError::new("platform", "must be a platform's label"))?;
        let read = |handles: Vec<Value>| {
            handles.into_iter().map(|written| Channel::handle(platform, written)).collect::<Result<Arc<[_]>, _>>()
        };
        let handles = stored.handles.map(read).transpose()?;
        let Stored { body, headers, format, .. } = stored;
        Ok(Self { platform, body, headers, format, handles })
    }
}

impl Raw {
    /// What the service is to be told in that field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::Content;
    use serde_json::json;

    #[test]
    fn a_raw_payload_rests_and_comes_back() {
        let handles = [json!("AABB"), json!("00ff")].map(|it| Channel::handle(Platform::Apns, it).unwrap());
        let raw = Raw {
            platform: Platform::Apns,
            body: "{}".to_owned(),
            headers: BTreeMap::from([("apns-priority".to_owned(), "5".to_owned())]),
            format: "apple".to_owned(),
            handles: Some(handles.into()),
        };
        let stored = serde_json::to_string(&Content::Raw(raw.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&stored).unwrap(), Content::Raw(raw.clone()));
        assert!(!format!("{raw:?}").contains("AABB"), "no handle may reach a log");
        let bad = stored.replace("AABB", "no hex");
        assert!(serde_json::from_str::<Content>(&bad).is_err());
    }
}
