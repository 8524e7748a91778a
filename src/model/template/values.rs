//! What expressions read: the properties of a message, and behind them the push variables of a device (4.6).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::field::FieldError;

/// The longest name of a property, in characters (`notification-hubs.md` section 5), and the most bytes of all together:
/// no service takes more in a message.
const LONGEST_NAME: usize = 120;
const LONGEST: usize = 65_536;

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

/// The properties of a message as its sender writes them, checked one by one.
#[derive(Debug, Default)]
pub struct Written {
    texts: BTreeMap<String, String>,
    /// In lower case.
    names: BTreeSet<String>,
    bytes: usize,
}

impl Written {
    /// Takes one more. The error's field is `within`, or below it the property.
    pub fn add(&mut self, within: &'static str, name: String, text: String) -> Result<(), FieldError> {
        if !(1..=LONGEST_NAME).contains(&name.chars().count()) {
            return Err(FieldError::new(within, format!("must have names of 1 to {LONGEST_NAME} characters")));
        }
        if !self.names.insert(name.to_ascii_lowercase()) {
            let rule = "must not stand twice: names are the same in capitals or not";
            return Err(FieldError::new(format!("{within}.{name}"), rule));
        }
        self.bytes += name.len() + text.len();
        if self.bytes > LONGEST {
            return Err(FieldError::new(within, format!("must not have more than {LONGEST} bytes together")));
        }
        self.texts.insert(name, text);
        Ok(())
    }

    /// All of them.
    pub fn texts(self) -> BTreeMap<String, String> {
        self.texts
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
