//! What expressions read: the properties of a message, and behind them the push variables of a device (4.6).

use std::collections::{BTreeMap, HashMap};

/// Texts by name. Names are compared without case; of two that differ in it alone the later one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(HashMap<Box<str>, String>);

impl Properties {
    /// The properties of a message.
    pub fn new(properties: &BTreeMap<String, String>) -> Self {
        Self(properties.iter().map(|(name, text)| (name.to_ascii_lowercase().into(), text.clone())).collect())
    }

    /// Reads what [`Compiled::variables`](super::Compiled::variables) wrote; nothing of what it did not write.
    pub fn decode(stored: &[u8]) -> Self {
        serde_json::from_slice(stored).map(|texts| Self::new(&texts)).unwrap_or_default()
    }

    /// Whether there is one of that name, which is in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// What one rendering has at hand. A property of the message goes before a variable of the same name.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub properties: &'a Properties,
    pub variables: Option<&'a Properties>,
}

impl Values<'_> {
    /// The text of that name, which is in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let own = self.properties.0.get(name);
        own.or_else(|| self.variables?.0.get(name)).map(String::as_str)
    }
}
