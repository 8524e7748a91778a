//! Ids of registrations (2.3.4), and who is behind a target.

use std::fmt;

use serde::Serialize;

use crate::model::field::FieldError;
use crate::model::id::{InstallationId, Seq};

/// The longest id, in characters.
const LONGEST: usize = 128;

/// `[A-Za-z0-9._-]{1,128}`. Ids that we make have the form of the field, `{digits}-{digits}-1`.
///
/// `0-{seq}-0` is no registration's: it stands for the target of an installation where that is seen as a registration
/// (2.2.8). A seq is never used again, so neither is such an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RegistrationId(Box<str>);

impl RegistrationId {
    /// Checks and takes the text.
    ///
    /// # Errors
    /// Names the rule.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(allowed) {
            let rule = "must have 1 to 128 letters, digits, '.', '_' or '-'";
            return Err(FieldError::new("RegistrationId", rule));
        }
        Ok(Self(text.into()))
    }

    /// One that nobody has: 126 random bits.
    pub fn random() -> Self {
        let number = || fastrand::u64(1..=i64::MAX.cast_unsigned());
        Self(format!("{}-{}-1", number(), number()).into())
    }

    /// That of an installation's target.
    pub fn of_target(seq: Seq) -> Self {
        Self(format!("0-{seq}-0").into())
    }

    /// The target of an installation that it stands for.
    pub fn target(&self) -> Option<Seq> {
        let digits = self.0.strip_prefix("0-")?.strip_suffix("-0")?;
        let seq: u64 = digits.parse().ok()?;
        // In one spelling only.
        (seq < Seq::END && digits == seq.to_string()).then_some(Seq(seq))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the store knows it by, in the place of an installation's id: no such id has a slash.
    pub fn key(&self) -> String {
        format!("/{}", self.0)
    }

    /// The id behind a key.
    pub fn of_key(key: &str) -> Option<Self> {
        key.strip_prefix('/').and_then(|id| Self::parse(id).ok())
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who registered a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Registrant {
    Installation(InstallationId),
    Registration(RegistrationId),
}

impl Registrant {
    /// Reads the key that a stored document or a tombstone has.
    pub fn of_key(key: &str) -> Option<Self> {
        match RegistrationId::of_key(key) {
            Some(id) => Some(Self::Registration(id)),
            None => InstallationId::parse(key).ok().map(Self::Installation),
        }
    }

    /// What the store knows it by.
    pub fn key(&self) -> String {
        match self {
            Self::Installation(id) => id.as_str().to_owned(),
            Self::Registration(id) => id.key(),
        }
    }
}
