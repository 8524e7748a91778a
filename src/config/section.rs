//! Reading one section of the tree: typed values, defaults, and errors that name key, rule and value.

use super::{error::ConfigError, source::Tree};
use crate::identity::{
    key_file,
    secret::{MASK, Secret},
};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// A section, present or not: an absent one has only defaults.
#[derive(Debug)]
pub(super) struct Section<'a> {
    tree: &'a Tree,
    path: Vec<String>,
    table: Option<&'a Table>,
}

/// A secret and, where it came from one, its file.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: Secret,
    pub(super) file: Option<PathBuf>,
}

impl<'a> Section<'a> {
    pub(super) fn root(tree: &'a Tree) -> Self {
        Self { tree, path: Vec::new(), table: Some(&tree.values) }
    }

    /// The last part of the section's path, such as the name of a hub.
    pub(super) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Refuses a key that is none of these, naming the one that was probably meant.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        let Some(unknown) = self.table.and_then(|t| t.keys().find(|key| !known.contains(&key.as_str()))) else {
            return Ok(());
        };
        let nearest = known.iter().min_by_key(|k| distance(k, unknown)).copied().unwrap_or_default();
        let rule = match distance(nearest, unknown) * 2 <= nearest.len().max(unknown.len()) {
            true => format!("unknown key; the nearest known one is {nearest}"),
            false => format!("unknown key; known ones are {}", known.join(", ")),
        };
        // What was meant to be a secret is one, however it is spelt.
        let secret = looks_secret(unknown) || looks_secret(nearest) || self.path.iter().any(|part| looks_secret(part));
        let got = if secret { MASK.into() } else { self.shown(unknown) };
        Err(ConfigError::new(self.dotted(unknown), rule, &got))
    }

    /// An error about the value of a key; a secret's is masked.
    pub(super) fn fail(&self, key: &str, rule: impl Into<String>) -> ConfigError {
        let got = if self.has(key) && looks_secret(key) { MASK.into() } else { self.shown(key) };
        ConfigError::new(self.dotted(key), rule, &got)
    }

    /// An error about the section's own name.
    pub(super) fn fail_name(&self, rule: impl Into<String>) -> ConfigError {
        ConfigError::new(dotted(&self.path), rule, self.name())
    }

    pub(super) fn section(&self, key: &str) -> Result<Section<'a>, ConfigError> {
        let table = match self.value(key) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            // A key put where its rule belongs is still a key.
            Some(_) if self.path.iter().any(|part| looks_secret(part)) => {
                return Err(ConfigError::masked(self.dotted(key), "must be a section"));
            }
            Some(_) => return Err(self.fail(key, "must be a section")),
        };
        Ok(Section { tree: self.tree, path: self.below(key), table })
    }

    pub(super) fn optional_section(&self, key: &str) -> Result<Option<Section<'a>>, ConfigError> {
        if self.has(key) { self.section(key).map(Some) } else { Ok(None) }
    }

    /// Every sub-section, by name.
    pub(super) fn sections(&self) -> Result<Vec<Section<'a>>, ConfigError> {
        self.keys().map(|key| self.section(key)).collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.table.into_iter().flat_map(Table::keys)
    }

    /// A whole number within `range`.
    pub(super) fn integer<T>(&self, key: &str, default: T, range: std::ops::RangeInclusive<T>) -> Result<T, ConfigError>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let Some(value) = self.value(key) else { return Ok(default) };
        value
            .as_integer()
            .and_then(|n| T::try_from(n).ok())
            .filter(|n| range.contains(n))
            .ok_or_else(|| self.fail(key, format!("must be a whole number from {} to {}", range.start(), range.end())))
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.fail(key, "must be true or false")),
        }
    }

    /// Text, as written; for a variable of the environment even where it reads as a number.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => match self.tree.texts.get(&self.below(key)) {
                Some(text) => Ok(Some(text.clone())),
                None => Err(self.fail(key, "must be text in quotes")),
            },
        }
    }

    /// Text that `parse` accepts; `rule` says what it accepts.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.text(key)? {
            None => Ok(None),
            Some(text) => parse(&text).map(Some).ok_or_else(|| self.fail(key, rule)),
        }
    }

    /// The same for a key that has no default.
    pub(super) fn required<T>(
        &self,
        key: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.parsed(key, rule, parse)?
            .ok_or_else(|| self.fail(key, format!("must be given and {}", rule_after_must(rule))))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, default: T, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let rule = format!("must be one of {}", words.join(", "));
        let pick = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        Ok(self.parsed(key, &rule, pick)?.unwrap_or(default))
    }

    /// A list of texts that `parse` accepts each.
    pub(super) fn list<T>(
        &self,
        key: &str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        value
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().and_then(&parse)).collect::<Option<Vec<T>>>())
            .map(Some)
            .ok_or_else(|| self.fail(key, rule))
    }

    /// A path; relative ones are taken from the configuration file's folder.
    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        self.parsed(key, "must be a path", |text| self.resolve(text))
    }

    pub(super) fn required_path(&self, key: &str) -> Result<PathBuf, ConfigError> {
        self.required(key, "must be a path", |text| self.resolve(text))
    }

    /// Where relative paths begin.
    pub(super) fn base(&self) -> &Path {
        &self.tree.base
    }

    pub(super) fn resolve(&self, path: &str) -> Option<PathBuf> {
        (!path.is_empty() && !path.contains('\0')).then(|| self.tree.base.join(Path::new(path)))
    }

    /// A secret given as it is. Never empty.
    pub(super) fn secret_text(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        match self.text(key)? {
            Some(text) if text.is_empty() => Err(self.fail(key, "must not be empty")),
            text => Ok(text.map(Secret::new)),
        }
    }

    /// A secret `key`, given as it is or as `key_file`, whose text it is without one trailing newline. Never empty.
    pub(super) fn secret(&self, key: &str) -> Result<Option<Given>, ConfigError> {
        let file_key = format!("{key}_file");
        match (self.secret_text(key)?, self.path(&file_key)?) {
            (Some(_), Some(_)) => Err(self.fail(&file_key, format!("must not stand beside {key}"))),
            (Some(text), None) => Ok(Some(Given { text, file: None })),
            (None, Some(file)) => {
                let text = key_file::read(&file)
                    .map_err(|e| self.fail(&file_key, format!("must name a readable file; {}", e.source)))?;
                match text.expose().is_empty() {
                    true => Err(self.fail(&file_key, "must name a file that is not empty")),
                    false => Ok(Some(Given { text, file: Some(file) })),
                }
            }
            (None, None) => Ok(None),
        }
    }

    /// A secret that travels in a header, and so has no white space.
    pub(super) fn secret_word(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        match self.secret(key)? {
            Some(Given { text, file }) if text.expose().contains(char::is_whitespace) => Err(match file {
                None => self.fail(key, "must be text without white space"),
                Some(_) => self.fail(&format!("{key}_file"), "must name a file without white space in its text"),
            }),
            given => Ok(given.map(|given| given.text)),
        }
    }

    pub(super) fn required_secret(&self, key: &str) -> Result<Given, ConfigError> {
        self.secret(key)?.ok_or_else(|| self.fail(key, format!("must be given, or {key}_file")))
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.table?.get(key)
    }

    fn below(&self, key: &str) -> Vec<String> {
        [self.path.as_slice(), &[key.to_owned()]].concat()
    }

    /// The dotted path of a key, as errors show it.
    pub(super) fn dotted(&self, key: &str) -> String {
        dotted(&self.below(key))
    }

    fn shown(&self, key: &str) -> String {
        match self.value(key) {
            None => "nothing".into(),
            Some(Value::String(text)) => super::url::mask_passwords(text),
            Some(Value::Table(_)) => "a section".into(),
            Some(value) => super::url::mask_passwords(&value.to_string()),
        }
    }
}

/// "must be X" as the second half of "must be given and be X".
fn rule_after_must(rule: &str) -> &str {
    rule.strip_prefix("must ").unwrap_or(rule)
}

/// A dotted path; names that would not stand bare in TOML are quoted.
pub(super) fn dotted(path: &[impl AsRef<str>]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let parts = path.iter().map(AsRef::as_ref).map(|part: &str| match !part.is_empty() && part.chars().all(bare) {
        true => part.to_owned(),
        false => format!("{part:?}"),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Whether a key of this name holds a secret, or could be meant to; the path of one is none.
pub(super) fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if ["_file", "_files", "_id", "_endpoint"].iter().any(|tail| key.ends_with(tail)) {
        return false;
    }
    let words = ["key", "secret", "primary", "secondary", "passw", "token", "account", "credential"];
    words.iter().any(|word| key.contains(word))
}

/// Levenshtein distance, adjacent letters swapped counting as one change.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changes() {
        for (a, b, n) in [
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("litsen", "listen", 1),
            ("url", "uri", 1),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (n, n), "{a} {b}");
        }
    }

    #[test]
    fn odd_names_are_quoted_in_a_path() {
        assert_eq!(dotted(&["hubs", "my.hub", "weight"]), r#"hubs."my.hub".weight"#);
    }
}
