//! The columns of a table: those that the configuration declares, and with a dynamic schema those that rows brought.

use serde_json::{Map, Value as Json};

use super::definition::Definition;
use super::row::is_system;
use super::value::Kind;
use crate::model::field::FieldError;

/// A table has no more columns of its apps: each is one of the database's.
pub const MOST_COLUMNS: usize = 250;

/// The longest name of a column, in bytes (spec 2.9).
const LONGEST_NAME: usize = 127;

/// A column of the apps' own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// From 0, in the order in which they came.
    pub number: u32,
    /// As it was first written; matched without regard to case.
    pub name: String,
    pub kind: Kind,
}

/// The columns in the order of their numbers. A row's fields are in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema(Vec<Column>);

impl Schema {
    /// Columns in the order of their numbers, from 0 without a gap.
    pub fn new(columns: Vec<Column>) -> Self {
        Self(columns)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the column of that name stands.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column at that place.
    pub fn at(&self, place: usize) -> Option<&Column> {
        self.0.get(place)
    }

    /// Adds a column, which is not there yet.
    pub fn add(&mut self, name: &str, kind: Kind) {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(Column { number, name: name.to_owned(), kind });
    }

    /// This schema with what the definition declares and this one lacks; the error names a column that is there with
    /// another type.
    pub fn declared(&self, definition: &Definition) -> Result<Self, String> {
        let mut schema = self.clone();
        for (name, kind) in &definition.columns {
            match schema.find(name).map(|at| schema.0[at].kind) {
                None => schema.add(name, *kind),
                Some(there) if there == *kind => {}
                Some(there) => return Err(format!("column {name} is a {} in the store", there.word())),
            }
        }
        Ok(schema)
    }

    /// This schema with what an item brings that is new: a property that is null only brings nothing (spec 2.9).
    pub fn grown(&self, definition: &Definition, item: &Map<String, Json>) -> Result<Self, FieldError> {
        let mut schema = self.clone();
        for (name, json) in item.iter().filter(|(name, _)| !is_system(name)) {
            if schema.find(name).is_some() {
                continue;
            }
            if !definition.dynamic_schema {
                return Err(FieldError::new(name.clone(), "is no column of this table"));
            }
            check_name(name)?;
            if matches!(json, Json::Array(_) | Json::Object(_)) {
                return Err(FieldError::new(name.clone(), "must be a string, a number, true, false or null"));
            }
            let Some(kind) = Kind::of(json) else { continue };
            if schema.len() >= MOST_COLUMNS {
                let rule = format!("would be one column too many; a table has at most {MOST_COLUMNS}");
                return Err(FieldError::new(name.clone(), rule));
            }
            schema.add(name, kind);
        }
        Ok(schema)
    }
}

/// A letter or `_`, then letters, digits and `_`.
pub fn is_identifier(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn check_name(name: &str) -> Result<(), FieldError> {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let rule = "is no column name: a letter or '_', then letters, digits or '_', at most 127";
    if is_identifier(name) { Ok(()) } else { Err(FieldError::new(shown, rule)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grown(definition: &Definition, item: Json) -> Result<Schema, FieldError> {
        Schema::default().grown(definition, item.as_object().unwrap())
    }

    #[test]
    fn the_first_value_of_a_property_makes_its_column() {
        let item = json!({"id": "a", "Version": "x", "prio": 3.5, "when": "2024-01-02T03:04:05.678Z", "flag": true,
                          "nothing": null});
        let schema = grown(&Definition::named("t"), item).unwrap();
        let columns: Vec<_> = schema.columns().iter().map(|c| (c.number, c.name.as_str(), c.kind)).collect();
        let mut expected = vec![(0, "flag", Kind::Boolean), (1, "prio", Kind::Number), (2, "when", Kind::Text)];
        let sorted: Vec<_> = columns.iter().map(|c| (c.1, c.2)).collect();
        assert!(expected.drain(..).all(|(_, name, kind)| sorted.contains(&(name, kind))), "{columns:?}");
        assert_eq!(schema.len(), 3);
        assert_eq!(schema.find("PRIO"), schema.find("prio"));
    }

    #[test]
    fn what_cannot_be_a_column_is_named() {
        let fixed = Definition { dynamic_schema: false, ..Definition::named("t") };
        for (definition, item, field) in [
            (Definition::named("t"), json!({"a b": 1}), "a b"),
            (Definition::named("t"), json!({"0": 1}), "0"),
            (Definition::named("t"), json!({"list": [1]}), "list"),
            (Definition::named("t"), json!({"object": {}}), "object"),
            (fixed, json!({"other": null}), "other"),
        ] {
            assert_eq!(grown(&definition, item).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_table_has_a_bound_on_its_columns() {
        let item: Map<_, _> = (0..=MOST_COLUMNS).map(|n| (format!("c{n}"), json!(1))).collect();
        let error = grown(&Definition::named("t"), Json::Object(item)).unwrap_err();
        assert!(error.to_string().contains("at most 250"), "{error}");
    }
}
