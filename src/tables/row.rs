//! A row of a table.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::definition::Definition;
use super::value::Value;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// The longest id, in characters (spec 2.5).
const LONGEST_ID: usize = 255;

/// The properties that are the server's, in every dialect (spec 0.3). `id` is named by the client.
pub const SYSTEM: [&str; 5] = ["id", "createdAt", "updatedAt", "version", "deleted"];

/// Whether it names one of [`SYSTEM`]; names are matched without regard to case.
pub fn is_system(name: &str) -> bool {
    SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What a row is addressed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowId {
    Text(String),
    /// Of a table whose rows the server numbers.
    Number(i64),
}

impl RowId {
    /// The id that a path names; `None` when no row of that table can have it.
    pub fn of_path(definition: &Definition, text: &str) -> Option<Self> {
        match definition.auto_increment {
            true => text.parse().ok().map(Self::Number),
            false => check(text).is_ok().then(|| Self::Text(text.to_owned())),
        }
    }

    /// The id that a client gives a new row.
    pub fn given(text: &str) -> Result<Self, FieldError> {
        check(text).map(|()| Self::Text(text.to_owned())).map_err(|rule| FieldError::new("id", rule))
    }

    /// An id for a row that came without: one that every client takes (spec 2.5).
    pub fn random() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
        Self::Text(id.as_hyphenated().to_string())
    }

    /// As a value.
    pub fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.clone()),
            Self::Number(number) => Value::Int(*number),
        }
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

fn check(id: &str) -> Result<(), &'static str> {
    if id.chars().count() > LONGEST_ID {
        return Err("must be at most 255 characters");
    }
    if id.is_empty() || id.contains(char::is_control) {
        return Err("must have at least one character and no control characters");
    }
    Ok(())
}

/// A row as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: RowId,
    pub created: Timestamp,
    /// The stamp of its last change: unique in its table and in the order of the commits (spec 3.3).
    pub updated: Timestamp,
    pub deleted: bool,
    /// In the order of the schema's columns.
    pub fields: Vec<Value>,
}

impl Row {
    /// Its version, as clients see it: its stamp in another form, so it never comes back for an id, not even after a
    /// delete for good (spec 3.3 R8). Base64 of digits, which is legal in every client and in an entity tag.
    pub fn version(&self) -> String {
        version_of(self.updated)
    }
}

/// The version of a row that was last changed then.
pub fn version_of(updated: Timestamp) -> String {
    STANDARD.encode(updated.millis().to_string())
}

/// The stamp that a version stands for; `None` for a text that is no version of ours.
pub fn stamp_of(version: &str) -> Option<Timestamp> {
    let digits = String::from_utf8(STANDARD.decode(version).ok()?).ok()?;
    let stamp = Timestamp::from_millis(digits.parse().ok()?);
    (version_of(stamp) == version).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_for_one_stamp() {
        let stamp = Timestamp::from_millis(1_769_941_800_000);
        assert_eq!(version_of(stamp), "MTc2OTk0MTgwMDAwMA==");
        assert_eq!(stamp_of("MTc2OTk0MTgwMDAwMA=="), Some(stamp));
        for other in ["", "MQ", "garbage", "enp6", "MDE="] {
            assert_eq!(stamp_of(other), None, "{other}");
        }
    }

    #[test]
    fn ids_are_texts_of_bounded_length() {
        assert!(RowId::given("a/b").is_ok() && RowId::given("café 1").is_ok());
        assert!(RowId::given(&"é".repeat(255)).is_ok());
        for wrong in ["", "a\nb", &"x".repeat(256)] {
            assert!(RowId::given(wrong).is_err());
        }
        let numbered = Definition { auto_increment: true, ..Definition::named("t") };
        assert_eq!(RowId::of_path(&numbered, "7"), Some(RowId::Number(7)));
        assert_eq!(RowId::of_path(&numbered, "a"), None);
    }

    #[test]
    fn a_made_id_is_a_random_uuid_in_small_letters() {
        let RowId::Text(id) = RowId::random() else { unreachable!() };
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_eq!(id, id.to_lowercase());
    }
}
