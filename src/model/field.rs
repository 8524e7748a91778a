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

    /// JSON text that is not what it must be. The parser's words are kept where they say where the text breaks; about a
    /// value of another kind they would repeat the value, which may be a secret in the wrong place.
    pub fn json(field: impl Into<Cow<'static, str>>, rule: &'static str, error: &serde_json::Error) -> Self {
        let broken = !error.is_data();
        Self::new(field, if broken { format!("{rule}: {error}").into() } else { Cow::Borrowed(rule) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_json_repeats_no_value() {
        let told = |text: &str| {
            let error = serde_json::from_str::<Vec<u8>>(text).unwrap_err();
            FieldError::json("body", "must be an array", &error).to_string()
        };
        assert_eq!(told("\"hush\""), "body must be an array");
        assert_eq!(told("[1,"), "body must be an array: EOF while parsing a value at line 1 column 3");
    }
}
