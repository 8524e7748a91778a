//! File and environment as one tree of values.

use super::{error::ConfigError, section::looks_secret};
use crate::identity::secret::MASK;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

const PREFIX: &str = "FANFARE__";

/// What was written, before anyone asked what it means.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) values: Table,
    /// Relative paths are relative to this folder: the file's, or the working directory as "".
    pub(super) base: PathBuf,
    /// The text of environment variables by their path in the tree. A variable is read by TOML's rules where it can be,
    /// but a key that wants text takes `1234567890` as it stands.
    pub(super) texts: BTreeMap<Vec<String>, String>,
}

pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Tree, ConfigError> {
    let mut tree = Tree::default();
    if let Some(file) = file {
        tree.values = read_file(file)?;
        tree.base = file.parent().map(Path::to_owned).unwrap_or_default();
    }
    // In the order of their names, so that one that sets a whole section does not depend on the process's order.
    let overrides: BTreeMap<OsString, OsString> = environment.into_iter().filter(|(name, _)| is_ours(name)).collect();
    for (name, value) in overrides {
        overlay(&mut tree, &name, value)?;
    }
    Ok(tree)
}

fn read_file(file: &Path) -> Result<Table, ConfigError> {
    let shown = file.display().to_string();
    let text = fs::read_to_string(file)
        .map_err(|e| ConfigError::new("--config", format!("must be a readable file; {e}"), &shown))?;
    text.parse::<Table>().map_err(|e| {
        // Of the file only the position is shown: the line at fault may hold a key.
        let at = e.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ConfigError::new(shown, format!("must be TOML; {}", e.message()), &format!("line {line}, column {column}"))
    })
}

fn is_ours(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

fn overlay(tree: &mut Tree, name: &OsString, value: OsString) -> Result<(), ConfigError> {
    let shown = name.to_string_lossy();
    let (Some(named), Ok(text)) = (name.to_str(), value.into_string()) else {
        return Err(ConfigError::new(shown, "must be UTF-8", MASK));
    };
    let segments: Vec<&str> = named[PREFIX.len()..].split("__").collect();
    if segments.iter().any(|s| s.is_empty()) {
        return Err(ConfigError::new(shown, "must be FANFARE__SECTION__KEY", MASK));
    }
    let mut table = &mut tree.values;
    let mut path = Vec::new();
    let (last, sections) = segments.split_last().unwrap_or((&"", &[]));
    for segment in sections {
        let key = key_in(table, segment);
        path.push(key.clone());
        let entry = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(Table::new());
        }
        match entry {
            Value::Table(inner) => table = inner,
            _ => return Ok(()),
        }
    }
    let key = key_in(table, last);
    // The environment has the last word, also where the file gives a secret the other way.
    let stem = key.strip_suffix("_file").unwrap_or(&key);
    let twin = if stem == key { format!("{key}_file") } else { stem.to_owned() };
    if looks_secret(stem) && !tree.texts.contains_key(&[path.as_slice(), std::slice::from_ref(&twin)].concat()) {
        table.remove(&twin);
    }
    path.push(key.clone());
    table.insert(key, text.parse::<Value>().unwrap_or_else(|_| Value::String(text.clone())));
    tree.texts.insert(path, text);
    Ok(())
}

/// The key that a segment of a variable's name means: the one that is there, in any case; else, as variables are
/// written in capitals and keys are not, its lower case.
fn key_in(table: &Table, segment: &str) -> String {
    if table.contains_key(segment) {
        return segment.to_owned();
    }
    if let Some(key) = table.keys().find(|key| key.eq_ignore_ascii_case(segment)) {
        return key.clone();
    }
    if segment.bytes().any(|b| b.is_ascii_lowercase()) { segment.to_owned() } else { segment.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(variables: &[(&str, &str)]) -> Tree {
        read(None, variables.iter().map(|(k, v)| ((*k).into(), (*v).into()))).unwrap()
    }

    #[test]
    fn variables_are_read_by_the_rules_of_toml() {
        let tree = tree(&[
            ("FANFARE__A__NUMBER", "7"),
            ("FANFARE__A__YES", "true"),
            ("FANFARE__A__LIST", r#"["x", "y"]"#),
            ("FANFARE__A__QUOTED", "\"7\""),
            ("FANFARE__A__TEXT", "127.0.0.1:80"),
            ("FANFARE__A__LINES", "1\nb = 2"),
            ("FANFARE_KEY", "not ours"),
        ]);
        let expected = "[a]\nnumber = 7\nyes = true\nlist = ['x', 'y']\nquoted = '7'\ntext = '127.0.0.1:80'\nlines = \"1\\nb = 2\"";
        assert_eq!(tree.values, expected.parse().unwrap());
    }

    #[test]
    fn names_match_what_is_there_in_any_case() {
        let table: Table = "Demo = 1\nother = 2".parse().unwrap();
        for (segment, key) in
            [("DEMO", "Demo"), ("Demo", "Demo"), ("OTHER", "other"), ("NEW", "new"), ("DefaultFull", "DefaultFull")]
        {
            assert_eq!(key_in(&table, segment), key);
        }
    }
}
