//! What is said of bad input: the field, and the rule that it breaks.

use std::borrow::Cow;
use std::fmt;

/// A field of a document or request that breaks a rule. Prints as `FIELD RULE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// Where: a member's name, with a path below it where there is one (`templates.alert.body`).
    pub field: Cow<'static, str>,
    /// The rule, so that it reads on after the field: `must be …`, `may hold only …`.
    pub rule: Cow<'static, str>,
}

impl FieldError {
    /// The rule that the field breaks.
    pub fn new(field: impl Into<Cow<'static, str>>, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }

    /// The same rule for the field `prefix.field`.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        Self { field: format!("{prefix}.{}", self.field).into(), rule: self.rule }
    }

    /// The same rule under another field's name.
    #[must_use]
    pub fn at(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), rule: self.rule }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}
