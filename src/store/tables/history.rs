//! Earlier versions of rows, as they are kept for merging: fields by the names of their columns.

use serde_json::{Map, Value as Json};

use crate::store::StoreError;
use crate::tables::row::Row;
use crate::tables::schema::Schema;
use crate::tables::value::Value;

/// What is kept of a row's version.
pub(in crate::store) fn stored(schema: &Schema, row: &Row) -> String {
    let fields = schema.columns().iter().zip(&row.fields);
    let named = fields.filter(|(_, value)| !value.is_null());
    let map: Map<_, _> = named.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
    Json::Object(map).to_string()
}

/// The fields of a kept version, in the order of the columns now; columns that came later are null.
pub(in crate::store) fn read(schema: &Schema, stored: &str) -> Result<Vec<Value>, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt(format!("an earlier version of a row: {why}"));
    let map: Map<String, Json> = serde_json::from_str(stored).map_err(|error| corrupt(error.to_string()))?;
    let fields = schema.columns().iter().map(|column| match map.get(&column.name) {
        None => Ok(Value::Null),
        Some(json) => Value::from_json(column.kind, json).map_err(|rule| corrupt(format!("{} {rule}", column.name))),
    });
    fields.collect()
}
