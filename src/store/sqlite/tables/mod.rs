//! The apps' own tables in the embedded store. The one writer keeps stamps in the order of the commits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value as Sql};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row as SqlRow, ToSql, params, params_from_iter};
use serde_json::{Map, Value as Json};

use super::engine::Precedence;
use super::{Parts, Result, SqliteStore, StoreError};
use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::store::tables::statement::{Bind, Flavour, Statement, Statements};
use crate::store::tables::{
    Entry, HISTORY_KEPT, HISTORY_VERSIONS, Note, TableError, TableStore, history, missing, seed,
};
use crate::tables::definition::{Conflict, Definition, OWNER};
use crate::tables::query::{LONGEST, Page, Query, Room, TOO_SLOW};
use crate::tables::row::{Row, RowId};
use crate::tables::schema::{Column, Schema};
use crate::tables::typed::{TOO_LONG, Unresolved};
use crate::tables::value::{Kind, Value};
use crate::tables::write::{Effect, Refusal, Write, Written, base_wanted, decide};

mod functions;
mod rehearsal;

pub(super) use functions::add_functions;
pub(in crate::store) use rehearsal::rehearse;

/// Rows of a slice of the sweep.
const SLICE: u32 = 512;

impl ToSql for Bind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Bool(flag) => flag.map_or(Sql::Null, |flag| Sql::Integer(flag.into())),
            Self::Int(number) => number.map_or(Sql::Null, Sql::Integer),
            Self::Double(number) => number.map_or(Sql::Null, Sql::Real),
            Self::Text(text) => return text.to_sql(),
        };
        Ok(ToSqlOutput::Owned(value))
    }
}

#[async_trait]
impl TableStore for SqliteStore {
    async fn open_table(&self, table: &Arc<Definition>, seed: Vec<Map<String, Json>>) -> Result<(), TableError> {
        let (table, clock) = (table.clone(), self.parts.clock.clone());
        let open = move |tx: &Connection| flatten(open(tx, &table, &seed, clock.now()));
        self.parts.engine.write(Precedence::Row, 1, open).await?
    }

    async fn list_rows(&self, table: &Arc<Definition>, query: Query) -> Result<Page, TableError> {
        let table = table.clone();
        self.parts.engine.read_within(LONGEST, move |connection| flatten(list(connection, &table, &query))).await?
    }

    async fn table_row(
        &self,
        table: &Arc<Definition>,
        id: RowId,
        owner: Option<String>,
    ) -> Result<Option<(Schema, Row)>, TableError> {
        let table = table.clone();
        let read = move |connection: &Connection| {
            let entry = entry(connection, &table)?.ok_or_else(|| missing(&table))?;
            let row = row(connection, &entry, &id)?.filter(|row| {
                let whose = entry.schema.find(OWNER).and_then(|at| row.fields.get(at));
                !table.per_user || matches!((whose, &owner), (Some(Value::Text(a)), Some(b)) if a == b)
            });
            Ok(row.map(|row| (entry.schema, row)))
        };
        Ok(self.parts.engine.read(read).await?)
    }

    async fn write_row(&self, table: &Arc<Definition>, write: Write) -> Result<Written, TableError> {
        let (table, clock) = (table.clone(), self.parts.clock.clone());
        let task = move |tx: &Connection| flatten(write_row(tx, &table, &write, clock.now()));
        self.parts.engine.write(Precedence::Row, 1, task).await?
    }

    async fn due_notes(&self, limit: u32) -> Result<Vec<Note>, TableError> {
        let now = self.parts.clock.now();
        let read = move |connection: &Connection| {
            let sql = "SELECT tbl, audience, number FROM data_note WHERE due <= ?1 AND number > settled \
                       ORDER BY due LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let note = |row: &SqlRow<'_>| Ok(Note { table: row.get(0)?, audience: row.get(1)?, number: row.get(2)? });
            Ok(statement.query_map(params![now.millis(), limit], note)?.collect::<rusqlite::Result<_>>()?)
        };
        Ok(self.parts.engine.read(read).await?)
    }

    async fn settle_note(&self, note: Note, rest: Duration) -> Result<(), TableError> {
        let due = self.parts.clock.now().plus(rest).millis();
        let settle = move |tx: &Connection| {
            let sql = "UPDATE data_note SET settled = ?3, due = ?4 WHERE tbl = ?1 AND audience = ?2 AND settled < ?3";
            tx.prepare_cached(sql)?.execute(params![note.table, note.audience, note.number, due])?;
            Ok(())
        };
        Ok(self.parts.engine.write(Precedence::Checkpoint, 1, settle).await?)
    }
}

/// What is refused is an answer of the transaction, what failed is its end.
fn flatten<T>(made: Result<T, TableError>) -> Result<Result<T, TableError>> {
    match made {
        Err(TableError::Store(error)) => Err(error),
        made => Ok(made),
    }
}

fn entry(connection: &Connection, table: &Definition) -> Result<Option<Entry>> {
    let key = table.key();
    let sql = "SELECT id, numbered, clock, next FROM data_table WHERE key = ?1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?, Timestamp::from_millis(row.get(2)?), row.get(3)?)));
    let Some((number, numbered, clock, next)) = found.optional()? else { return Ok(None) };
    let sql = "SELECT number, name, kind FROM data_column WHERE tbl = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.query_map([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let columns = columns.map(|column| {
        let (number, name, code): (u32, String, i16) = column?;
        let kind = Kind::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("column {name} has no type")))?;
        Ok(Column { number, name, kind })
    });
    let schema = Schema::new(columns.collect::<Result<_>>()?);
    Ok(Some(Entry { number, key, numbered, clock, next, schema }))
}

fn run(tx: &Connection, statement: &Statement) -> Result<()> {
    tx.prepare_cached(&statement.sql)?.execute(params_from_iter(&statement.binds))?;
    Ok(())
}

fn row(connection: &Connection, entry: &Entry, id: &RowId) -> Result<Option<Row>> {
    let statement = Statements::new(Flavour::Sqlite, entry).row(id);
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    let mut rows = prepared.query(params_from_iter(&statement.binds))?;
    rows.next()?.map(|row| row_of(row, entry)).transpose()
}

fn row_of(row: &SqlRow<'_>, entry: &Entry) -> Result<Row> {
    let id = if entry.numbered { RowId::Number(row.get(0)?) } else { RowId::Text(row.get(0)?) };
    let mut fields = Vec::with_capacity(entry.schema.len());
    for (at, column) in entry.schema.columns().iter().enumerate() {
        let value = match row.get(4 + at)? {
            Sql::Null => Value::Null,
            Sql::Integer(number) => match column.kind {
                Kind::Boolean => Value::Bool(number != 0),
                Kind::Date => Value::Time(Timestamp::from_millis(number)),
                Kind::Number | Kind::Text => Value::Int(number),
            },
            Sql::Real(number) => Value::number(number),
            Sql::Text(text) => Value::Text(text),
            Sql::Blob(_) => return Err(StoreError::Corrupt(format!("column {} holds bytes", column.name))),
        };
        fields.push(value);
    }
    let stamp = |at| row.get(at).map(Timestamp::from_millis);
    Ok(Row { id, created: stamp(1)?, updated: stamp(2)?, deleted: row.get(3)?, fields })
}

fn list(connection: &Connection, table: &Definition, query: &Query) -> Result<Page, TableError> {
    let entry = entry(connection, table)?.ok_or_else(|| missing(table))?;
    let statements = Statements::new(Flavour::Sqlite, &entry);
    let empty = |count: Option<u64>| Page {
        schema: entry.schema.clone(),
        rows: Vec::new(),
        more: false,
        count,
        clock: entry.clock,
    };
    let page = match (statements.page(table, query), query.count.then(|| statements.count(table, query))) {
        (Err(Unresolved::Empty), _) | (_, Some(Err(Unresolved::Empty))) => return Ok(empty(query.count.then_some(0))),
        (page, count) => (page?, count.transpose()?),
    };
    let mut made = empty(None);
    if let Some(count) = page.1 {
        // Whatever apps ask for: not kept.
        let mut prepared = connection.prepare(&count.sql).map_err(evaluating)?;
        let number = prepared.query_row(params_from_iter(&count.binds), |row| row.get::<_, i64>(0));
        made.count = Some(number.map_err(evaluating)?.unsigned_abs());
    }
    let mut prepared = connection.prepare(&page.0.sql).map_err(evaluating)?;
    let mut rows = prepared.query(params_from_iter(&page.0.binds)).map_err(evaluating)?;
    let mut room = Room::of(query);
    while let Some(row) = rows.next().map_err(evaluating)? {
        if !room.is_left() {
            made.more = true;
            break;
        }
        let row = row_of(row, &entry)?;
        room.take(&row);
        made.rows.push(row);
    }
    Ok(made)
}

/// What a filter makes can be more than a text may be, and what it asks for take too long: the request's fault.
fn evaluating(error: rusqlite::Error) -> TableError {
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig) => FieldError::new("$filter", TOO_LONG).into(),
        Some(ErrorCode::OperationInterrupted) => FieldError::new("$filter", TOO_SLOW).into(),
        _ => StoreError::from(error).into(),
    }
}

fn open(tx: &Connection, table: &Definition, rows: &[Map<String, Json>], now: Timestamp) -> Result<(), TableError> {
    let found = entry(tx, table)?;
    if let Some(found) = &found
        && found.numbered != table.auto_increment
    {
        let what = "auto_increment cannot change while the table is there";
        return Err(TableError::Definition(what.to_owned()));
    }
    let before = found.as_ref().map(|found| found.schema.clone()).unwrap_or_default();
    let schema = before.declared(table).map_err(TableError::Definition)?;
    let is_new = found.is_none();
    let mut made = match found {
        Some(found) => found,
        None => {
            let (key, numbered, clock) = (table.key(), table.auto_increment, Timestamp::default());
            Entry { number: 0, key, numbered, clock, next: 1, schema: Schema::default() }
        }
    };
    made.schema = schema;
    let seeded = if is_new { seed::rows(table, &mut made, rows, now)? } else { Vec::new() };
    if is_new {
        let sql = "INSERT INTO data_table (key, numbered) VALUES (?1, ?2)";
        tx.execute(sql, params![made.key, made.numbered]).map_err(StoreError::from)?;
        made.number = tx.last_insert_rowid();
        tx.execute_batch(&Statements::new(Flavour::Sqlite, &made).create()).map_err(StoreError::from)?;
    }
    add_columns(tx, &made, before.len())?;
    let statements = Statements::new(Flavour::Sqlite, &made);
    if table.per_user
        && let Some(sql) = statements.index_owner()
    {
        tx.execute_batch(&sql).map_err(StoreError::from)?;
    }
    for row in &seeded {
        run(tx, &statements.insert(row))?;
    }
    Ok(write_clock(tx, &made)?)
}

/// Adds the columns of the entry's schema from that one on.
fn add_columns(tx: &Connection, entry: &Entry, from: usize) -> Result<()> {
    for column in entry.schema.columns().iter().skip(from) {
        tx.execute_batch(&Statements::new(Flavour::Sqlite, entry).add(column))?;
        let sql = "INSERT INTO data_column (tbl, number, name, kind) VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute(params![entry.number, column.number, column.name, column.kind.code()])?;
    }
    Ok(())
}

fn write_clock(tx: &Connection, entry: &Entry) -> Result<()> {
    let sql = "UPDATE data_table SET clock = ?2, next = ?3 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![entry.number, entry.clock.millis(), entry.next])?;
    Ok(())
}

fn write_row(tx: &Connection, table: &Definition, write: &Write, now: Timestamp) -> Result<Written, TableError> {
    let mut entry = entry(tx, table)?.ok_or_else(|| missing(table))?;
    let current = match &write.id {
        Some(id) => row(tx, &entry, id)?,
        None => None,
    };
    let base = match base_wanted(table, write, current.as_ref()).zip(write.id.as_ref()) {
        Some((stamp, id)) => version(tx, &entry, id, stamp)?,
        None => None,
    };
    let decision = decide(table, &entry.schema, write, current.as_ref(), base.as_deref())?;
    let columns = entry.schema.len();
    entry.schema = decision.schema;
    let stamp = entry.stamp(now);
    let row = match (decision.effect, &current) {
        (Effect::Keep, Some(row)) => {
            let (schema, row, resolved) = (entry.schema, row.clone(), decision.resolved);
            return Ok(Written { schema, row, resolved });
        }
        (Effect::Insert(fields), _) => {
            let id = write.id.clone().unwrap_or(RowId::Number(entry.next));
            if write.id.is_none() {
                entry.next += 1;
            }
            add_columns(tx, &entry, columns)?;
            let row = Row { id, created: stamp, updated: stamp, deleted: false, fields };
            run(tx, &Statements::new(Flavour::Sqlite, &entry).insert(&row))?;
            row
        }
        (Effect::Update { fields, deleted }, Some(before)) => {
            add_columns(tx, &entry, columns)?;
            keep(tx, table, &entry, before)?;
            let row = Row { id: before.id.clone(), created: before.created, updated: stamp, deleted, fields };
            run(tx, &Statements::new(Flavour::Sqlite, &entry).update(&row))?;
            row
        }
        (Effect::Remove, Some(row)) => {
            run(tx, &Statements::new(Flavour::Sqlite, &entry).remove(&row.id))?;
            let sql = "DELETE FROM data_history WHERE tbl = ?1 AND id = ?2";
            let forget = params![entry.number, row.id.to_string()];
            tx.prepare_cached(sql).and_then(|mut sql| sql.execute(forget)).map_err(StoreError::from)?;
            row.clone()
        }
        (_, None) => return Err(Refusal::NoRow.into()),
    };
    entry.clock = stamp;
    write_clock(tx, &entry)?;
    if let Some(notice) = &table.notice {
        for audience in notice.audiences(&entry.schema, current.as_ref(), Some(&row)) {
            note(tx, &entry, &audience, now)?;
        }
    }
    Ok(Written { schema: entry.schema, row, resolved: decision.resolved })
}

fn version(tx: &Connection, entry: &Entry, id: &RowId, stamp: Timestamp) -> Result<Option<Vec<Value>>> {
    let sql = "SELECT fields FROM data_history WHERE tbl = ?1 AND id = ?2 AND stamp = ?3";
    let bind = params![entry.number, id.to_string(), stamp.millis()];
    let stored: Option<String> = tx.prepare_cached(sql)?.query_row(bind, |row| row.get(0)).optional()?;
    stored.map(|stored| history::read(&entry.schema, &stored)).transpose()
}

/// Keeps a version that is being overwritten, of a table that merges.
fn keep(tx: &Connection, table: &Definition, entry: &Entry, row: &Row) -> Result<()> {
    if table.conflict != Conflict::Merge {
        return Ok(());
    }
    let (id, stored) = (row.id.to_string(), history::stored(&entry.schema, row));
    let sql = "INSERT INTO data_history (tbl, id, stamp, fields) VALUES (?1, ?2, ?3, ?4)";
    tx.prepare_cached(sql)?.execute(params![entry.number, id, row.updated.millis(), stored])?;
    let sql = "DELETE FROM data_history WHERE tbl = ?1 AND id = ?2 AND stamp <= (SELECT stamp FROM data_history \
               WHERE tbl = ?1 AND id = ?2 ORDER BY stamp DESC LIMIT 1 OFFSET ?3)";
    tx.prepare_cached(sql)?.execute(params![entry.number, id, HISTORY_VERSIONS])?;
    Ok(())
}

/// Owes the audience a broadcast. The stamp is the number: no other change of the table ever has it.
fn note(tx: &Connection, entry: &Entry, audience: &str, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO data_note (tbl, audience, number, due) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (tbl, audience) DO UPDATE SET number = excluded.number";
    tx.prepare_cached(sql)?.execute(params![entry.key, audience, entry.clock.millis(), now.millis()])?;
    Ok(())
}

/// One slice of what is over: versions that nobody merges any more, notes of audiences that are at rest. Answers whether
/// it was full.
pub(super) async fn sweep(parts: &Parts) -> Result<bool> {
    let now = parts.clock.now();
    let old = now.millis() - i64::try_from(HISTORY_KEPT.as_millis()).unwrap_or(i64::MAX);
    let any = move |connection: &Connection| {
        let sql = "SELECT 1 FROM data_history WHERE stamp < ?1 UNION ALL \
                   SELECT 1 FROM data_note WHERE due <= ?2 AND settled = number LIMIT 1";
        Ok(connection.prepare_cached(sql)?.exists([old, now.millis()])?)
    };
    if !parts.engine.read(any).await? {
        return Ok(false);
    }
    let slice = move |tx: &Connection| {
        let sql = "DELETE FROM data_history WHERE (tbl, id, stamp) IN \
                   (SELECT tbl, id, stamp FROM data_history WHERE stamp < ?1 LIMIT ?2)";
        let versions = tx.prepare_cached(sql)?.execute(params![old, SLICE])?;
        let sql = "DELETE FROM data_note WHERE (tbl, audience) IN \
                   (SELECT tbl, audience FROM data_note WHERE due <= ?1 AND settled = number LIMIT ?2)";
        let notes = tx.prepare_cached(sql)?.execute(params![now.millis(), SLICE])?;
        Ok(versions.max(notes) == SLICE as usize)
    };
    parts.engine.write(Precedence::Sweep, SLICE as usize, slice).await
}
