//! The one line that refuses a configuration.

use crate::identity::secret::MASK;
use std::fmt;

/// The longest value that is shown; a certificate pasted into the wrong key should not fill the screen.
const SHOWN: usize = 200;

/// A key, the rule it breaks and its value, as exactly one line. Secret values are masked when this is made, so it may
/// be shown and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted path of the key, such as `hubs.demo.apns.topic`.
    pub key: String,
    /// What holds for the key, beginning with "must" or "unknown key".
    pub rule: String,
    /// The value as written, `nothing` where there is none, `***` for a secret.
    pub got: String,
}

impl ConfigError {
    pub(super) fn new(key: impl Into<String>, rule: impl Into<String>, got: &str) -> Self {
        Self { key: one_line(&key.into()), rule: one_line(&rule.into()), got: shown(got) }
    }

    pub(super) fn masked(key: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::new(key, rule, MASK)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config: {}: {} (got {})", self.key, self.rule, self.got)
    }
}

impl std::error::Error for ConfigError {}

fn shown(value: &str) -> String {
    if value.is_empty() {
        return "\"\"".into();
    }
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => one_line(&value[..end]) + "…",
        None => one_line(value),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_whatever_the_value() {
        let error = ConfigError::new("a.b", "must be one", &format!("x\ny\u{1b}{}", "z".repeat(500)));
        let line = error.to_string();
        assert!(line.starts_with(r"config: a.b: must be one (got x\ny\u{1b}zzz"), "{line}");
        assert!(line.ends_with("z…)") && !line.contains('\n') && line.len() < 300, "{line}");
        assert_eq!(ConfigError::new("a", "must be given", "").to_string(), r#"config: a: must be given (got "")"#);
    }
}
