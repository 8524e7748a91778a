//! The apps' own tables in PostgreSQL. A writer locks its table's row of the catalogue until its commit: the next one
//! takes its stamp after everybody can see the row before (spec 3.3 R1).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use futures_util::TryStreamExt;
use serde_json::{Map, Value as Json};
use tokio_postgres::Row as SqlRow;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::error::{Done, Fault};
use super::pool::{Durability, begin, commit, execute, query, query_opt, retrying, snapshot};
use super::{Parts, PostgresStore, StoreError, within};
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

/// Rows of a slice of the sweep.
const SLICE: i64 = 512;

/// What an operation on a table comes to: what is refused is an answer, what failed may be tried again.
type Made<T> = Done<Result<T, TableError>>;

#[async_trait]
impl TableStore for PostgresStore {
    async fn open_table(&self, table: &Arc<Definition>, seed: Vec<Map<String, Json>>) -> Result<(), TableError> {
        within(retrying(|| flat(open(&self.parts, table, &seed)))).await?
    }

    async fn list_rows(&self, table: &Arc<Definition>, query: Query) -> Result<Page, TableError> {
        within(retrying(|| flat(list(&self.parts, table, &query)))).await?
    }

    async fn table_row(
        &self,
        table: &Arc<Definition>,
        id: RowId,
        owner: Option<String>,
    ) -> Result<Option<(Schema, Row)>, TableError> {
        let read = || async {
            let mut client = self.parts.pool.get().await?;
            let tx = snapshot(&mut client).await?;
            let entry = entry(&tx, table).await?.ok_or_else(|| missing(table))?;
            let row = row(&tx, &entry, &id).await?.filter(|row| {
                let whose = entry.schema.find(OWNER).and_then(|at| row.fields.get(at));
                !table.per_user || matches!((whose, &owner), (Some(Value::Text(a)), Some(b)) if a == b)
            });
            commit(tx).await?;
            Ok(row.map(|row| (entry.schema, row)))
        };
        Ok(within(retrying(read)).await?)
    }

    async fn write_row(&self, table: &Arc<Definition>, write: Write) -> Result<Written, TableError> {
        within(retrying(|| flat(write_row(&self.parts, table, &write)))).await?
    }

    async fn due_notes(&self, limit: u32) -> Result<Vec<Note>, TableError> {
        let read = || async {
            let client = self.parts.pool.get().await?;
            let now = self.parts.time.now(&client).await?;
            let sql = "SELECT tbl, audience, number FROM data_note WHERE due <= $1 AND number > settled \
                       ORDER BY due LIMIT $2";
            let rows = query(&client, sql, &[&now.millis(), &i64::from(limit)]).await?;
            let note =
                |row: &SqlRow| Ok(Note { table: row.try_get(0)?, audience: row.try_get(1)?, number: row.try_get(2)? });
            rows.iter().map(note).collect()
        };
        Ok(within(retrying(read)).await?)
    }

    async fn settle_note(&self, note: Note, rest: Duration) -> Result<(), TableError> {
        let settle = || async {
            let client = self.parts.pool.get().await?;
            let due = self.parts.time.now(&client).await?.plus(rest).millis();
            let sql = "UPDATE data_note SET settled = $3, due = $4 WHERE tbl = $1 AND audience = $2 AND settled < $3";
            execute(&client, sql, &[&note.table, &note.audience, &note.number, &due]).await?;
            Ok(())
        };
        Ok(within(retrying(settle)).await?)
    }
}

/// A failure on the way to an answer.
enum Stop {
    Fault(Fault),
    Table(TableError),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A refusal.
fn refuse(error: impl Into<TableError>) -> Stop {
    match error.into() {
        TableError::Store(error) => Stop::Fault(error.into()),
        error => Stop::Table(error),
    }
}

async fn flat<T>(operation: impl Future<Output = Result<T, Stop>>) -> Made<T> {
    match operation.await {
        Ok(made) => Ok(Ok(made)),
        Err(Stop::Table(error)) => Ok(Err(error)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

impl Bind {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Bool(flag) => (flag, Type::BOOL),
            Self::Int(number) => (number, Type::INT8),
            Self::Double(number) => (number, Type::FLOAT8),
            Self::Text(text) => (text, Type::TEXT),
        }
    }
}

/// Runs a statement that is prepared for this once: apps may ask for anything, and a connection keeps what it prepares.
async fn rows(on: &Transaction<'_>, statement: &Statement) -> Result<Vec<SqlRow>, tokio_postgres::Error> {
    let binds: Vec<_> = statement.binds.iter().map(Bind::typed).collect();
    on.query_typed(&statement.sql, &binds).await
}

async fn entry(on: &impl GenericClient, table: &Definition) -> Done<Option<Entry>> {
    let key = table.key();
    let Some(row) = query_opt(on, "SELECT id, numbered, clock, next FROM data_table WHERE key = $1", &[&key]).await?
    else {
        return Ok(None);
    };
    let columns = columns(on, &key).await?;
    entry_of(&row, key, columns).map(Some)
}

/// The same, and held until the transaction ends. The columns are read by a statement of their own: it sees what those
/// wrote who held it before.
async fn held(tx: &Transaction<'_>, table: &Definition) -> Done<Option<Entry>> {
    let key = table.key();
    let sql = "SELECT id, numbered, clock, next FROM data_table WHERE key = $1 FOR UPDATE";
    let Some(row) = query_opt(tx, sql, &[&key]).await? else { return Ok(None) };
    let columns = columns(tx, &key).await?;
    entry_of(&row, key, columns).map(Some)
}

async fn columns(on: &impl GenericClient, key: &str) -> Done<Vec<SqlRow>> {
    let sql = "SELECT c.number, c.name, c.kind FROM data_column c JOIN data_table t ON t.id = c.tbl \
               WHERE t.key = $1 ORDER BY c.number";
    query(on, sql, &[&key]).await
}

fn entry_of(row: &SqlRow, key: String, columns: Vec<SqlRow>) -> Done<Entry> {
    let column = |row: &SqlRow| {
        let (number, name, code): (i32, String, i16) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let kind = Kind::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("column {name} has no type")))?;
        Ok(Column { number: number.unsigned_abs(), name, kind })
    };
    let schema = Schema::new(columns.iter().map(column).collect::<Done<_>>()?);
    let (number, numbered, next) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
    Ok(Entry { number, key, numbered, clock: Timestamp::from_millis(row.try_get(2)?), next, schema })
}

async fn row(tx: &Transaction<'_>, entry: &Entry, id: &RowId) -> Done<Option<Row>> {
    let statement = Statements::new(Flavour::Postgres, entry).row(id);
    rows(tx, &statement).await?.first().map(|row| row_of(row, entry)).transpose()
}

fn row_of(row: &SqlRow, entry: &Entry) -> Done<Row> {
    let id = if entry.numbered { RowId::Number(row.try_get(0)?) } else { RowId::Text(row.try_get(0)?) };
    let mut fields = Vec::with_capacity(entry.schema.len());
    for (at, column) in entry.schema.columns().iter().enumerate() {
        let at = 4 + at;
        let value = match column.kind {
            Kind::Text => row.try_get::<_, Option<String>>(at)?.map(Value::Text),
            Kind::Boolean => row.try_get::<_, Option<bool>>(at)?.map(Value::Bool),
            Kind::Date => row.try_get::<_, Option<i64>>(at)?.map(|ms| Value::Time(Timestamp::from_millis(ms))),
            Kind::Number => row.try_get::<_, Option<&str>>(at)?.map(number).transpose()?,
        };
        fields.push(value.unwrap_or(Value::Null));
    }
    let stamp = |at| Ok::<_, Fault>(Timestamp::from_millis(row.try_get(at)?));
    Ok(Row { id, created: stamp(1)?, updated: stamp(2)?, deleted: row.try_get(3)?, fields })
}

fn number(digits: &str) -> Done<Value> {
    if let Ok(number) = digits.parse() {
        return Ok(Value::Int(number));
    }
    let number = digits.parse().map_err(|_| StoreError::Corrupt(format!("{digits} is no number")))?;
    Ok(Value::number(number))
}

async fn list(parts: &Parts, table: &Definition, query: &Query) -> Result<Page, Stop> {
    let mut client = parts.pool.get().await?;
    let tx = snapshot(&mut client).await?;
    // Both in one go. Every statement of this transaction is held to it.
    let hurry = format!("SET LOCAL statement_timeout = {}", LONGEST.as_millis());
    let (hurried, entry) = tokio::join!(tx.batch_execute(&hurry), entry(&tx, table));
    hurried?;
    let entry = entry?.ok_or_else(|| missing(table))?;
    // The builder's parts cannot wait with us: the statements are made before anything is asked.
    let statements = {
        let statements = Statements::new(Flavour::Postgres, &entry);
        let count = query.count.then(|| statements.count(table, query)).transpose();
        statements.page(table, query).and_then(|page| count.map(|count| (page, count)))
    };
    let (schema, clock) = (entry.schema.clone(), entry.clock);
    let mut page = Page { schema, rows: Vec::new(), more: false, count: None, clock };
    let (select, count) = match statements {
        Ok(statements) => statements,
        Err(Unresolved::Empty) => return Ok(Page { count: query.count.then_some(0), ..page }),
        Err(error) => return Err(refuse(error)),
    };
    if let Some(count) = count {
        let counted = rows(&tx, &count).await.map_err(out_of_range)?;
        page.count = counted.first().map(|row| row.try_get::<_, i64>(0)).transpose()?.map(i64::unsigned_abs);
    }
    // Row by row: there may be more than a page holds.
    let found = tx.query_typed_raw(&select.sql, select.binds.iter().map(Bind::typed)).await.map_err(out_of_range)?;
    let (mut found, mut room) = (Box::pin(found), Room::of(query));
    while let Some(row) = found.try_next().await.map_err(out_of_range)? {
        if !room.is_left() {
            page.more = true;
            break;
        }
        let row = row_of(&row, &entry)?;
        room.take(&row);
        page.rows.push(row);
    }
    drop(found);
    commit(tx).await?;
    Ok(page)
}

/// What a filter computes can leave the range of its numbers (class 22: data exceptions), what it makes be more than a text
/// may be (`condition.rs`), and what it asks for take too long: the request's fault.
fn out_of_range(error: tokio_postgres::Error) -> Stop {
    match error.code() {
        Some(code) if *code == SqlState::INVALID_TEXT_REPRESENTATION => refuse(FieldError::new("$filter", TOO_LONG)),
        Some(code) if *code == SqlState::QUERY_CANCELED => refuse(FieldError::new("$filter", TOO_SLOW)),
        Some(code) if code.code().starts_with("22") => {
            refuse(FieldError::new("$filter", "must not compute what no number can hold"))
        }
        _ => error.into(),
    }
}

async fn open(parts: &Parts, table: &Definition, rows_of: &[Map<String, Json>]) -> Result<(), Stop> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Synced).await?;
    // Nodes that start at once make the table one after the other.
    execute(&tx, "SELECT pg_advisory_xact_lock(hashtext('fanfare:' || $1))", &[&table.key()]).await?;
    let found = held(&tx, table).await?;
    if found.as_ref().is_some_and(|found| found.numbered != table.auto_increment) {
        let what = "auto_increment cannot change while the table is there";
        return Err(refuse(TableError::Definition(what.to_owned())));
    }
    let before = found.as_ref().map(|found| found.schema.clone()).unwrap_or_default();
    let schema = before.declared(table).map_err(|error| refuse(TableError::Definition(error)))?;
    let is_new = found.is_none();
    let mut made = match found {
        Some(found) => found,
        None => {
            let (key, numbered, clock) = (table.key(), table.auto_increment, Timestamp::default());
            Entry { number: 0, key, numbered, clock, next: 1, schema: Schema::default() }
        }
    };
    made.schema = schema;
    let mut seeded = Vec::new();
    if is_new {
        let now = parts.time.now(&tx).await?;
        seeded = seed::rows(table, &mut made, rows_of, now).map_err(refuse)?;
        let sql = "INSERT INTO data_table (key, numbered) VALUES ($1, $2) RETURNING id";
        made.number = tx.query_one(sql, &[&made.key, &made.numbered]).await?.try_get(0)?;
        let create = Statements::new(Flavour::Postgres, &made).create();
        tx.batch_execute(&create).await?;
    }
    add_columns(&tx, &made, before.len()).await?;
    let index = Statements::new(Flavour::Postgres, &made).index_owner().filter(|_| table.per_user);
    if let Some(sql) = index {
        tx.batch_execute(&sql).await?;
    }
    for row in &seeded {
        let insert = Statements::new(Flavour::Postgres, &made).insert(row);
        rows(&tx, &insert).await?;
    }
    write_clock(&tx, &made).await?;
    Ok(commit(tx).await?)
}

/// Adds the columns of the entry's schema from that one on.
async fn add_columns(tx: &Transaction<'_>, entry: &Entry, from: usize) -> Done<()> {
    for column in entry.schema.columns().iter().skip(from) {
        let add = Statements::new(Flavour::Postgres, entry).add(column);
        tx.batch_execute(&add).await?;
        let sql = "INSERT INTO data_column (tbl, number, name, kind) VALUES ($1, $2, $3, $4)";
        let number = column.number.cast_signed();
        execute(tx, sql, &[&entry.number, &number, &column.name, &column.kind.code()]).await?;
    }
    Ok(())
}

async fn write_clock(tx: &Transaction<'_>, entry: &Entry) -> Done<()> {
    let sql = "UPDATE data_table SET clock = $2, next = $3 WHERE id = $1";
    execute(tx, sql, &[&entry.number, &entry.clock.millis(), &entry.next]).await?;
    Ok(())
}

async fn write_row(parts: &Parts, table: &Definition, write: &Write) -> Result<Written, Stop> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Synced).await?;
    let mut entry = held(&tx, table).await?.ok_or_else(|| missing(table))?;
    let now = parts.time.now(&tx).await?;
    let current = match &write.id {
        Some(id) => row(&tx, &entry, id).await?,
        None => None,
    };
    let base = match base_wanted(table, write, current.as_ref()).zip(write.id.as_ref()) {
        Some((stamp, id)) => version(&tx, &entry, id, stamp).await?,
        None => None,
    };
    let decision = decide(table, &entry.schema, write, current.as_ref(), base.as_deref()).map_err(refuse)?;
    let columns = entry.schema.len();
    entry.schema = decision.schema;
    let stamp = entry.stamp(now);
    let (statement, row) = match (decision.effect, &current) {
        (Effect::Keep, Some(row)) => {
            let (schema, row, resolved) = (entry.schema, row.clone(), decision.resolved);
            return Ok(Written { schema, row, resolved });
        }
        (Effect::Insert(fields), _) => {
            let id = write.id.clone().unwrap_or(RowId::Number(entry.next));
            if write.id.is_none() {
                entry.next += 1;
            }
            let row = Row { id, created: stamp, updated: stamp, deleted: false, fields };
            (Statements::new(Flavour::Postgres, &entry).insert(&row), row)
        }
        (Effect::Update { fields, deleted }, Some(before)) => {
            keep(&tx, table, &entry, before).await?;
            let row = Row { id: before.id.clone(), created: before.created, updated: stamp, deleted, fields };
            (Statements::new(Flavour::Postgres, &entry).update(&row), row)
        }
        (Effect::Remove, Some(row)) => {
            let sql = "DELETE FROM data_history WHERE tbl = $1 AND id = $2";
            execute(&tx, sql, &[&entry.number, &row.id.to_string()]).await?;
            (Statements::new(Flavour::Postgres, &entry).remove(&row.id), row.clone())
        }
        (_, None) => return Err(refuse(Refusal::NoRow)),
    };
    add_columns(&tx, &entry, columns).await?;
    rows(&tx, &statement).await?;
    entry.clock = stamp;
    write_clock(&tx, &entry).await?;
    if let Some(notice) = &table.notice {
        for audience in notice.audiences(&entry.schema, current.as_ref(), Some(&row)) {
            note(&tx, &entry, &audience, now).await?;
        }
    }
    commit(tx).await?;
    Ok(Written { schema: entry.schema, row, resolved: decision.resolved })
}

async fn version(tx: &Transaction<'_>, entry: &Entry, id: &RowId, stamp: Timestamp) -> Done<Option<Vec<Value>>> {
    let sql = "SELECT fields FROM data_history WHERE tbl = $1 AND id = $2 AND stamp = $3";
    let row = query_opt(tx, sql, &[&entry.number, &id.to_string(), &stamp.millis()]).await?;
    let Some(row) = row else { return Ok(None) };
    let stored: String = row.try_get(0)?;
    Ok(Some(history::read(&entry.schema, &stored)?))
}

/// Keeps a version that is being overwritten, of a table that merges.
async fn keep(tx: &Transaction<'_>, table: &Definition, entry: &Entry, row: &Row) -> Done<()> {
    if table.conflict != Conflict::Merge {
        return Ok(());
    }
    let (id, stored) = (row.id.to_string(), history::stored(&entry.schema, row));
    let sql = "INSERT INTO data_history (tbl, id, stamp, fields) VALUES ($1, $2, $3, $4)";
    execute(tx, sql, &[&entry.number, &id, &row.updated.millis(), &stored]).await?;
    let sql = "DELETE FROM data_history WHERE tbl = $1 AND id = $2 AND stamp <= (SELECT stamp FROM data_history \
               WHERE tbl = $1 AND id = $2 ORDER BY stamp DESC LIMIT 1 OFFSET $3)";
    execute(tx, sql, &[&entry.number, &id, &HISTORY_VERSIONS]).await?;
    Ok(())
}

/// Owes the audience a broadcast. The stamp is the number: no other change of the table ever has it.
async fn note(tx: &Transaction<'_>, entry: &Entry, audience: &str, now: Timestamp) -> Done<()> {
    let sql = "INSERT INTO data_note (tbl, audience, number, due) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (tbl, audience) DO UPDATE SET number = excluded.number";
    execute(tx, sql, &[&entry.key, &audience, &entry.clock.millis(), &now.millis()]).await?;
    Ok(())
}

/// One slice of what is over: versions that nobody merges any more, notes of audiences that are at rest. Answers whether
/// it was full. Every node sweeps; a row that another has taken is simply gone.
pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    let client = parts.pool.get().await?;
    let now = parts.time.now(&client).await?.millis();
    let old = now - i64::try_from(HISTORY_KEPT.as_millis()).unwrap_or(i64::MAX);
    let sql = "DELETE FROM data_history WHERE ctid = ANY (ARRAY (SELECT ctid FROM data_history \
               WHERE stamp < $1 LIMIT $2)) AND stamp < $1";
    let versions = execute(&client, sql, &[&old, &SLICE]).await?;
    // A change that is just being noted makes the row another one, which this leaves.
    let sql = "DELETE FROM data_note WHERE ctid = ANY (ARRAY (SELECT ctid FROM data_note \
               WHERE due <= $1 AND settled = number LIMIT $2)) AND due <= $1 AND settled = number";
    let notes = execute(&client, sql, &[&now, &SLICE]).await?;
    Ok(versions.max(notes).cast_signed() == SLICE)
}
