//! Tags: what installations carry and audiences ask for (`notification-hubs.md` 3.1).
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A tag's text, checked. Compared case-sensitively: merging `uid:AbC` with `uid:abC` would deliver one person's
/// message to another. A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The length limit that a hub has unless its configuration says otherwise, in characters.
    pub const MAX_LENGTH: usize = 120;

    /// Takes 1 to `max_length` characters of the tag alphabet.
    ///
    /// # Errors
    /// [`TagError`] with the rule that is broken and where.
    pub fn parse(text: &str, max_length: usize) -> Result<Self, TagError> {
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        if text.starts_with('$') {
            return Err(TagError::Reserved);
        }
        // One walk, so the leftmost fault is the one that is named.
        for (index, character) in text.chars().enumerate() {
            if index == max_length {
                return Err(TagError::TooLong { max_length });
            }
            if !is_tag_char(character) {
                return Err(TagError::Character { character, position: index + 1 });
            }
        }
        Ok(Self(text.into()))
    }

    /// The tag that a template's name becomes on its target. Names may hold characters that tags may not, such as
    /// blanks; an audience reaches only those names that are tags as well.
    #[must_use]
    pub fn from_template_name(name: &str) -> Self {
        Self(name.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters and digits of any script, and `_ @ # . : -`.
pub(in crate::model) fn is_tag_char(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '@' | '#' | '.' | ':' | '-')
        || (!character.is_ascii() && character.is_alphanumeric())
}

/// Why a text is no tag. Positions count characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("a tag has at least one character")]
    Empty,
    #[error("a tag has at most {max_length} characters; character {} is one too many", max_length + 1)]
    TooLong { max_length: usize },
    #[error("`$` at the start of a tag is reserved")]
    Reserved,
    #[error("{character:?} at character {position} is not allowed in a tag: letters, digits and _ @ # . : - are")]
    Character { character: char, position: usize },
}

impl TagError {
    /// The first character at fault, counted from 1.
    #[must_use]
    pub const fn position(&self) -> usize {
        match self {
            Self::Empty | Self::Reserved => 1,
            Self::TooLong { max_length } => *max_length + 1,
            Self::Character { position, .. } => *position,
        }
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Look-ups by text, in maps that key on tags.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_taken_as_it_is_written() {
        for text in ["a", "news", "uid:AbC", "a_b@c#d.e:f-9", "-", "日本", "Größe", "٣"] {
            assert_eq!(Tag::parse(text, 120).unwrap().as_str(), text);
        }
        assert_ne!(Tag::parse("News", 120), Tag::parse("news", 120));
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let cases = [
            ("", TagError::Empty, 1),
            ("$UserId:{x}", TagError::Reserved, 1),
            ("a b", TagError::Character { character: ' ', position: 2 }, 2),
            ("ößt=", TagError::Character { character: '=', position: 4 }, 4),
            ("a$", TagError::Character { character: '$', position: 2 }, 2),
            ("ab,cdefgh", TagError::Character { character: ',', position: 3 }, 3),
            ("ößtñe,", TagError::TooLong { max_length: 4 }, 5),
            ("a\u{301}", TagError::Character { character: '\u{301}', position: 2 }, 2),
        ];
        for (text, error, position) in cases {
            assert_eq!(Tag::parse(text, 4), Err(error), "{text:?}");
            assert_eq!(error.position(), position);
        }
        assert!(Tag::parse(&"ö".repeat(120), Tag::MAX_LENGTH).is_ok());
        assert!(Tag::parse(&"ö".repeat(121), Tag::MAX_LENGTH).is_err());
    }

    #[test]
    fn errors_say_the_rule() {
        assert_eq!(TagError::Reserved.to_string(), "`$` at the start of a tag is reserved");
        assert_eq!(
            TagError::TooLong { max_length: 120 }.to_string(),
            "a tag has at most 120 characters; character 121 is one too many"
        );
        assert_eq!(
            Tag::parse("a b", 120).unwrap_err().to_string(),
            "' ' at character 2 is not allowed in a tag: letters, digits and _ @ # . : - are"
        );
    }

    #[test]
    fn a_template_name_is_a_tag_whatever_it_holds() {
        assert_eq!(Tag::from_template_name("Template Name").as_str(), "Template Name");
        assert_eq!(Tag::from_template_name("alert"), Tag::parse("alert", 120).unwrap());
    }
}
