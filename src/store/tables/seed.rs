//! Rows for a table that is made now.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{Entry, TableError};
use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::tables::definition::Definition;
use crate::tables::row::{Row, RowId};
use crate::tables::write::{Change, Effect, Seen, Write, decide};

/// The rows that a seed makes of a table without any, with the schema that they bring: each with a stamp of its own
/// (spec 3.3 R10), the first `from`. The entry's clock and next number move on behind them.
pub(in crate::store) fn rows(
    definition: &Definition,
    entry: &mut Entry,
    seed: &[Map<String, Json>],
    from: Timestamp,
) -> Result<Vec<Row>, TableError> {
    let (mut rows, mut ids) = (Vec::with_capacity(seed.len()), BTreeSet::new());
    for (at, item) in seed.iter().enumerate() {
        let within = |error: FieldError| error.within(&format!("seed[{at}]"));
        let id = id_of(definition, entry, item).map_err(within)?;
        if !ids.insert(id.clone()) {
            return Err(within(FieldError::new("id", "must be another one for each row")).into());
        }
        let owner = item.iter().find(|(name, _)| name.eq_ignore_ascii_case(crate::tables::definition::OWNER));
        let owner = owner.and_then(|(_, json)| json.as_str()).map(str::to_owned);
        let write = Write { id: Some(id.clone()), owner, seen: Seen::Any, change: Change::Insert(item.clone()) };
        let decision = decide(definition, &entry.schema, &write, None, None).map_err(|refusal| match refusal {
            crate::tables::write::Refusal::Field(error) => TableError::Field(within(error)),
            other => TableError::Refused(other),
        })?;
        entry.schema = decision.schema;
        let Effect::Insert(fields) = decision.effect else { continue };
        let stamp = from.plus(Duration::from_millis(at as u64));
        entry.clock = stamp;
        rows.push(Row { id, created: stamp, updated: stamp, deleted: false, fields });
    }
    for row in &mut rows {
        row.fields.resize(entry.schema.len(), crate::tables::value::Value::Null);
    }
    Ok(rows)
}

fn id_of(definition: &Definition, entry: &mut Entry, item: &Map<String, Json>) -> Result<RowId, FieldError> {
    if definition.auto_increment {
        let number = entry.next;
        entry.next += 1;
        return Ok(RowId::Number(number));
    }
    match item.iter().find(|(name, _)| name.eq_ignore_ascii_case("id")).map(|(_, json)| json) {
        None | Some(Json::Null) => Ok(RowId::random()),
        Some(Json::String(text)) if text.is_empty() => Ok(RowId::random()),
        Some(Json::String(text)) => RowId::given(text),
        Some(Json::Number(number)) => RowId::given(&number.to_string()),
        Some(_) => Err(FieldError::new("id", "must be a string")),
    }
}
