//! What a template says, as it was written and as the store keeps it.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::model::field::FieldError;
use crate::model::id::HubId;

/// The number of a template's content in its hub: the first 8 bytes of the SHA-256 of the hub's number and its stored
/// form. It is stored, so it never changes. Whoever may register could look for two contents with one number; the store compares contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub u64);

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Body, headers and expiry of a template; each may hold expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateContent {
    /// Text of a JSON or XML document.
    pub body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// An APNs expiry: a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
}

impl TemplateContent {
    /// As the store keeps it: JSON in a fixed order.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`TemplateContent::encode`] wrote.
    pub fn decode(stored: &[u8]) -> Result<Self, FieldError> {
        serde_json::from_slice(stored).map_err(|error| FieldError::json("template", "must be a stored one", &error))
    }
}

impl TemplateId {
    /// The number of a content in its stored form.
    pub fn of(hub: HubId, encoded: &[u8]) -> Self {
        let mut hasher = digest::Context::new(&digest::SHA256);
        hasher.update(&hub.0.to_le_bytes());
        hasher.update(encoded);
        let hash = hasher.finish();
        let first = hash.as_ref().first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first))
    }
}
