//! What a write makes of the row as it stands (spec 2.5, 2.7, 2.8). The engines read, call [`decide`] and write, in one
//! transaction that holds the table's clock.

use serde_json::{Map, Value as Json};

use super::definition::{Conflict, Definition, OWNER};
use super::row::{Row, RowId, is_system, stamp_of};
use super::schema::Schema;
use super::value::Value;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// A write of one row.
#[derive(Clone, Debug)]
pub struct Write {
    /// `None`: the engine numbers the new row.
    pub id: Option<RowId>,
    /// Who writes; required where rows belong to users.
    pub owner: Option<String>,
    pub seen: Seen,
    pub change: Change,
}

#[derive(Clone, Debug)]
pub enum Change {
    Insert(Map<String, Json>),
    /// Properties that are not named stay.
    Merge(Map<String, Json>),
    /// Properties that are not named become null.
    Replace(Map<String, Json>),
    /// A deleted row comes back with these properties; one that is there is changed like any other.
    Revive(Map<String, Json>, Missing),
    Delete,
    /// A deleted row comes back as it was.
    Undelete,
}

/// What a [`Change::Revive`] does with properties that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Stay,
    BecomeNull,
}

/// Which version of the row the writer has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It does not say: whatever stands is overwritten.
    Any,
    Version(String),
    /// Whatever stood then, to the second: dates of HTTP have no fraction.
    At(Timestamp),
}

/// What was written, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub schema: Schema,
    /// As it stands now; for a delete for good as it stood last.
    pub row: Row,
    pub resolved: Resolved,
}

/// What was done about another version than the writer had seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// There was none.
    NoConflict,
    ClientWins,
    ServerWins,
    /// With the names of the columns that others had changed and that stay.
    Merged(Vec<String>),
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such row, or it is somebody else's.
    #[error("the item does not exist")]
    NoRow,
    /// It is deleted, and marked so.
    #[error("the item is deleted")]
    Deleted(Box<(Schema, Row)>),
    /// The id of the new row is taken; by the row, if the writer may see it.
    #[error("an item with this id exists")]
    Exists(Option<Box<(Schema, Row)>>),
    /// Another version stands.
    #[error("the item was changed meanwhile")]
    Stale(Box<(Schema, Row)>),
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The table marks no rows as deleted, so none comes back.
    #[error("this table deletes for good")]
    NoUndelete,
}

/// What an engine is to do. The row's stamps and a number for it are the engine's.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub effect: Effect,
    pub resolved: Resolved,
    /// With the columns that the write brings.
    pub schema: Schema,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A new row; its id is the write's, or the next number.
    Insert(Vec<Value>),
    Update {
        fields: Vec<Value>,
        deleted: bool,
    },
    /// The row goes for good.
    Remove,
    /// Nothing is written.
    Keep,
}

/// The stamp of the version that must be looked up before a write can be merged into `current`.
pub fn base_wanted(definition: &Definition, write: &Write, current: Option<&Row>) -> Option<Timestamp> {
    let (Conflict::Merge, Seen::Version(version), Some(current)) = (definition.conflict, &write.seen, current) else {
        return None;
    };
    stamp_of(version).filter(|stamp| *stamp < current.updated)
}

/// Decides on a write. `current` is the row as it stands and `base` the fields that it had in the version that the writer
/// has seen, both over `schema`.
pub fn decide(
    definition: &Definition,
    schema: &Schema,
    write: &Write,
    current: Option<&Row>,
    base: Option<&[Value]>,
) -> Result<Decision, Refusal> {
    let item = match &write.change {
        Change::Insert(item) | Change::Merge(item) | Change::Replace(item) | Change::Revive(item, _) => Some(item),
        Change::Delete | Change::Undelete => None,
    };
    let grown = item.map_or_else(|| Ok(schema.clone()), |item| schema.grown(definition, item))?;
    let visible = |row: &&Row| owns(definition, schema, write, row);
    if let Change::Insert(item) = &write.change {
        if let Some(row) = current {
            let seen = Some(row).filter(visible).map(|row| Box::new((schema.clone(), row.clone())));
            return Err(Refusal::Exists(seen));
        }
        let fields = fields(definition, &grown, write, item, vec![Value::Null; grown.len()])?;
        return Ok(Decision { effect: Effect::Insert(fields), resolved: Resolved::NoConflict, schema: grown });
    }
    let row = current.filter(visible).ok_or(Refusal::NoRow)?;
    let stands = || Box::new((schema.clone(), row.clone()));
    let (back, revives) = match write.change {
        Change::Undelete => (true, true),
        Change::Revive(..) => (true, row.deleted),
        _ => (false, false),
    };
    if back && !definition.soft_delete {
        return Err(Refusal::NoUndelete);
    }
    if row.deleted && !back {
        return Err(Refusal::Deleted(stands()));
    }
    let mut kept = row.fields.clone();
    kept.resize(grown.len(), Value::Null);
    let wanted = match &write.change {
        Change::Merge(item) | Change::Revive(item, Missing::Stay) => {
            fields(definition, &grown, write, item, kept.clone())?
        }
        Change::Replace(item) | Change::Revive(item, Missing::BecomeNull) => {
            let mut empty = vec![Value::Null; grown.len()];
            if definition.per_user
                && let Some(at) = grown.find(OWNER)
            {
                empty[at] = kept[at].clone();
            }
            fields(definition, &grown, write, item, empty)?
        }
        Change::Insert(_) | Change::Delete | Change::Undelete => kept.clone(),
    };
    let decided = |effect, resolved| Ok(Decision { effect, resolved, schema: grown.clone() });
    let goes = matches!(write.change, Change::Delete);
    let effect = |fields| match goes && !definition.soft_delete {
        true => Effect::Remove,
        false => Effect::Update { fields, deleted: goes },
    };
    let stale = match &write.seen {
        Seen::Any => false,
        Seen::Version(version) => *version != row.version(),
        Seen::At(time) => row.updated.millis().div_euclid(1_000) > time.millis().div_euclid(1_000),
    };
    if !stale {
        return decided(effect(wanted), Resolved::NoConflict);
    }
    match definition.conflict {
        Conflict::ClientWins => decided(effect(wanted), Resolved::ClientWins),
        // The device takes the row out of its own store after a delete that succeeded: only a new stamp brings it back.
        Conflict::ServerWins if goes => {
            decided(Effect::Update { fields: kept, deleted: row.deleted }, Resolved::ServerWins)
        }
        Conflict::ServerWins => decided(Effect::Keep, Resolved::ServerWins),
        Conflict::Merge if !goes && !revives && !row.deleted => {
            let merged = base.and_then(|base| merge(base, &kept, &wanted, item, &write.change, &grown));
            let (fields, stayed) = merged.ok_or_else(|| Refusal::Stale(stands()))?;
            decided(effect(fields), Resolved::Merged(stayed))
        }
        Conflict::Fail | Conflict::Merge => Err(Refusal::Stale(stands())),
    }
}

/// Whether the writer may see the row.
fn owns(definition: &Definition, schema: &Schema, write: &Write, row: &Row) -> bool {
    if !definition.per_user {
        return true;
    }
    let owner = schema.find(OWNER).and_then(|at| row.fields.get(at));
    matches!((owner, &write.owner), (Some(Value::Text(owner)), Some(writer)) if owner == writer)
}

/// `fields` with what an item says. The server's own properties are passed over; the owner is the writer, whatever the
/// item says (OBS 165).
fn fields(
    definition: &Definition,
    schema: &Schema,
    write: &Write,
    item: &Map<String, Json>,
    mut fields: Vec<Value>,
) -> Result<Vec<Value>, FieldError> {
    let mut named: Vec<usize> = Vec::new();
    for (name, json) in item.iter().filter(|(name, _)| !is_system(name)) {
        let Some(at) = schema.find(name) else { continue };
        if named.contains(&at) {
            return Err(FieldError::new(name.clone(), "must be given once; names are matched without regard to case"));
        }
        named.push(at);
        let column = &schema.columns()[at];
        let wrong = |rule| FieldError::new(name.clone(), format!("is a column that {rule}"));
        fields[at] = Value::from_json(column.kind, json).map_err(wrong)?;
    }
    if definition.per_user
        && let (Some(at), Some(owner)) = (schema.find(OWNER), &write.owner)
    {
        fields[at] = Value::Text(owner.clone());
    }
    Ok(fields)
}

/// Merges by field, three ways: what the writer left as it was stays as it stands, what only the writer changed is taken.
/// `None` when both changed a field, each to something else.
fn merge(
    base: &[Value],
    stands: &[Value],
    wanted: &[Value],
    item: Option<&Map<String, Json>>,
    change: &Change,
    schema: &Schema,
) -> Option<(Vec<Value>, Vec<String>)> {
    let replaces = matches!(change, Change::Replace(_) | Change::Revive(_, Missing::BecomeNull));
    let item = item?;
    let names = |name: &str| replaces || item.keys().any(|key| key.eq_ignore_ascii_case(name));
    let (mut merged, mut stayed) = (stands.to_vec(), Vec::new());
    for (at, column) in schema.columns().iter().enumerate() {
        let base = base.get(at).unwrap_or(&Value::Null);
        let (stood, wants) = (&stands[at], &wanted[at]);
        if !names(&column.name) || wants == base || wants == stood {
            if stood != base {
                stayed.push(column.name.clone());
            }
        } else if stood == base {
            merged[at] = wants.clone();
        } else {
            return None;
        }
    }
    Some((merged, stayed))
}

#[cfg(test)]
mod tests;
