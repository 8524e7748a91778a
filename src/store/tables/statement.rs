//! The statements over an app's table: text, and what is bound in it.

use sea_query::{
    Alias, DynIden, Expr, ExprTrait, IntoIden, NullOrdering, Order, PostgresQueryBuilder, Query as Build,
    QueryStatementBuilder, SelectStatement, SqliteQueryBuilder,
};

use super::condition::{can_be_null, condition, literal};
use super::{Entry, names};
use crate::tables::definition::{Definition, OWNER};
use crate::tables::odata::Place;
use crate::tables::query::Query;
use crate::tables::row::{Row, RowId};
use crate::tables::schema::Column;
use crate::tables::typed::{self, Field, Type, Typed, Unresolved};
use crate::tables::value::{Kind, Value};

/// Whose words a statement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Flavour {
    Sqlite,
    Postgres,
}

impl Flavour {
    pub(super) const fn template(self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    fn built(self, statement: &impl QueryStatementBuilder) -> Statement {
        let (sql, values) = match self {
            Self::Sqlite => statement.build_any(&SqliteQueryBuilder),
            Self::Postgres => statement.build_any(&PostgresQueryBuilder),
        };
        Statement { sql, binds: values.0.into_iter().map(Bind::of).collect() }
    }
}

/// A statement, and what is bound in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Statement {
    pub sql: String,
    pub binds: Vec<Bind>,
}

/// A value that is bound, with its type where it is null.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Bind {
    Bool(Option<bool>),
    Int(Option<i64>),
    Double(Option<f64>),
    Text(Option<String>),
}

impl Bind {
    fn of(value: sea_query::Value) -> Self {
        match value {
            sea_query::Value::Bool(flag) => Self::Bool(flag),
            sea_query::Value::BigInt(number) => Self::Int(number),
            sea_query::Value::BigUnsigned(number) => Self::Int(number.and_then(|number| number.try_into().ok())),
            sea_query::Value::Double(number) => Self::Double(number),
            sea_query::Value::String(text) => Self::Text(text),
            // The statements here bind nothing else.
            _ => Self::Text(None),
        }
    }
}

/// The names of a table and its columns in the database.
pub(super) struct Names<'a> {
    pub flavour: Flavour,
    entry: &'a Entry,
}

impl Names<'_> {
    fn table(&self) -> DynIden {
        Alias::new(names::table(self.entry)).into_iden()
    }

    pub(super) fn field(&self, field: Field) -> DynIden {
        let name = match field {
            Field::Id => "id".to_owned(),
            Field::Created => "created".to_owned(),
            Field::Updated => "updated".to_owned(),
            Field::Deleted => "deleted".to_owned(),
            Field::Own(at) => self.entry.schema.at(at).map(names::column).unwrap_or_default(),
        };
        Alias::new(name).into_iden()
    }

    fn column(&self, column: &Column) -> DynIden {
        Alias::new(names::column(column)).into_iden()
    }

    fn value(&self, column: &Column, value: &Value) -> Expr {
        let of = match column.kind {
            Kind::Text => Type::Text,
            Kind::Number => Type::Exact,
            Kind::Boolean => Type::Bool,
            Kind::Date => Type::Time,
        };
        literal(self.flavour, value, of)
    }

    fn id(&self, id: &RowId) -> Expr {
        literal(self.flavour, &id.value(), Type::Text)
    }
}

/// What is written of an entry's rows.
pub(in crate::store) struct Statements<'a>(Names<'a>);

impl<'a> Statements<'a> {
    pub(in crate::store) const fn new(flavour: Flavour, entry: &'a Entry) -> Self {
        Self(Names { flavour, entry })
    }

    /// `id, created, updated, deleted` and the columns in their order. PostgreSQL's numbers come as texts, with all their
    /// digits.
    fn rows(&self) -> SelectStatement {
        let mut select = Build::select();
        select.from(self.0.table());
        for field in [Field::Id, Field::Created, Field::Updated, Field::Deleted] {
            select.column(self.0.field(field));
        }
        for column in self.0.entry.schema.columns() {
            let name = Expr::col(self.0.column(column));
            match (column.kind, self.0.flavour) {
                (Kind::Number, Flavour::Postgres) => select.expr(name.cast_as("text")),
                _ => select.expr(name),
            };
        }
        select
    }

    /// The row of an id.
    pub(in crate::store) fn row(&self, id: &RowId) -> Statement {
        let mut select = self.rows();
        select.and_where(Expr::col(self.0.field(Field::Id)).eq(self.0.id(id)));
        self.0.flavour.built(&select)
    }

    fn scope(&self, definition: &Definition, query: &Query, select: &mut SelectStatement) -> Result<(), Unresolved> {
        if !query.deleted && definition.soft_delete {
            select.and_where(Expr::col(self.0.field(Field::Deleted)).eq(false));
        }
        if definition.per_user {
            let owner = query.owner.clone().map_or(Value::Null, Value::Text);
            let at = self.0.entry.schema.find(OWNER).ok_or(Unresolved::Empty)?;
            let owner = literal(self.0.flavour, &owner, Type::Text);
            select.and_where(Expr::col(self.0.field(Field::Own(at))).eq(owner));
        }
        if let Some(filter) = &query.filter {
            let schema = &self.0.entry.schema;
            let filter = typed::resolve(filter, definition, schema, query.unknown, query.null_differs)?;
            select.and_where(condition(&self.0, &filter));
        }
        Ok(())
    }

    /// A page of a list and one row more, which says whether rows follow.
    pub(in crate::store) fn page(&self, definition: &Definition, query: &Query) -> Result<Statement, Unresolved> {
        let mut select = self.rows();
        self.scope(definition, query, &mut select)?;
        let (id, updated) = (self.0.field(Field::Id), self.0.field(Field::Updated));
        match &query.after {
            None => {}
            Some(Place::Stamp { after, upto }) => {
                select.and_where(Expr::col(updated.clone()).gt(after.millis()));
                select.and_where(Expr::col(updated).lte(upto.millis()));
            }
            Some(Place::Id(text)) => {
                let after = RowId::of_path(definition, text).ok_or(Unresolved::Empty)?;
                select.and_where(Expr::col(id.clone()).gt(self.0.id(&after)));
            }
        }
        let mut by_id = false;
        for key in &query.order {
            let schema = &self.0.entry.schema;
            let Some(field) = typed::field(&key.column, definition, schema, query.unknown, "$orderby")? else {
                continue;
            };
            by_id |= field == Field::Id;
            let order = if key.descending { Order::Desc } else { Order::Asc };
            // Null is the smallest, as it was with the originals (OBS 57).
            let nulls = if key.descending { NullOrdering::Last } else { NullOrdering::First };
            // Of the table: by its bare name PostgreSQL would order a number by the text that is read of it.
            let of_table = (self.0.table(), self.0.field(field));
            match can_be_null(field) {
                true => select.order_by_with_nulls(of_table, order, nulls),
                false => select.order_by(of_table, order),
            };
        }
        if !by_id {
            select.order_by(id, Order::Asc);
        }
        select.limit(u64::from(query.limit) + 1);
        if query.skip > 0 {
            select.offset(query.skip);
        }
        Ok(self.0.flavour.built(&select))
    }

    /// The rows of which a condition holds, whosever they are.
    pub(in crate::store) fn filtered(&self, filter: &Typed) -> Statement {
        let mut select = self.rows();
        select.and_where(condition(&self.0, filter));
        self.0.flavour.built(&select)
    }

    /// How many rows the whole list has.
    pub(in crate::store) fn count(&self, definition: &Definition, query: &Query) -> Result<Statement, Unresolved> {
        let mut select = Build::select();
        select.from(self.0.table()).expr(Expr::col(self.0.field(Field::Id)).count());
        self.scope(definition, query, &mut select)?;
        Ok(self.0.flavour.built(&select))
    }

    /// Writes a new row.
    pub(in crate::store) fn insert(&self, row: &Row) -> Statement {
        let columns = self.0.entry.schema.columns();
        let fields = [Field::Id, Field::Created, Field::Updated, Field::Deleted].map(|field| self.0.field(field));
        let mut insert = Build::insert();
        insert.into_table(self.0.table());
        insert.columns(fields.into_iter().chain(columns.iter().map(|column| self.0.column(column))));
        let stamps = [row.created, row.updated].map(|stamp| Expr::val(stamp.millis()));
        let own = std::iter::once(self.0.id(&row.id)).chain(stamps).chain([Expr::val(row.deleted)]);
        let values = columns.iter().zip(&row.fields).map(|(column, value)| self.0.value(column, value));
        // As many values as columns: it cannot fail.
        drop(insert.values(own.chain(values)).map(drop));
        self.0.flavour.built(&insert)
    }

    /// Writes all of a row that is there but its id and its creation.
    pub(in crate::store) fn update(&self, row: &Row) -> Statement {
        let mut update = Build::update();
        update.table(self.0.table());
        update.value(self.0.field(Field::Updated), row.updated.millis());
        update.value(self.0.field(Field::Deleted), row.deleted);
        for (column, value) in self.0.entry.schema.columns().iter().zip(&row.fields) {
            update.value(self.0.column(column), self.0.value(column, value));
        }
        update.and_where(Expr::col(self.0.field(Field::Id)).eq(self.0.id(&row.id)));
        self.0.flavour.built(&update)
    }

    /// Takes a row away for good.
    pub(in crate::store) fn remove(&self, id: &RowId) -> Statement {
        let mut delete = Build::delete();
        delete.from_table(self.0.table()).and_where(Expr::col(self.0.field(Field::Id)).eq(self.0.id(id)));
        self.0.flavour.built(&delete)
    }

    /// Makes the table without columns of the apps' own. What is pulled lies in the order of the stamps.
    pub(in crate::store) fn create(&self) -> String {
        let (table, flavour) = (names::table(self.0.entry), self.0.flavour);
        let (int, flag) = (flavour.template("bigint", "INTEGER"), flavour.template("boolean", "INTEGER"));
        let id = if self.0.entry.numbered { int } else { kind(flavour, Kind::Text) };
        format!(
            "CREATE TABLE {name} (id {id} PRIMARY KEY NOT NULL, created {int} NOT NULL, updated {int} NOT NULL, \
             deleted {flag} NOT NULL); CREATE UNIQUE INDEX {index} ON {name} (updated, id)",
            name = quoted(&table),
            index = quoted(&index(&table, "stamp", self.0.entry)),
        )
    }

    /// Adds a column.
    pub(in crate::store) fn add(&self, column: &Column) -> String {
        let table = names::table(self.0.entry);
        let name = names::column(column);
        format!("ALTER TABLE {} ADD COLUMN {} {}", quoted(&table), quoted(&name), kind(self.0.flavour, column.kind))
    }

    /// Has one user's rows lie together, in the order of the stamps.
    pub(in crate::store) fn index_owner(&self) -> Option<String> {
        let entry = self.0.entry;
        let column = entry.schema.at(entry.schema.find(OWNER)?)?;
        let table = names::table(entry);
        let (name, column) = (index(&table, "owner", entry), names::column(column));
        Some(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} ({}, updated, id)",
            quoted(&name),
            quoted(&table),
            quoted(&column)
        ))
    }
}

fn index(table: &str, of: &str, entry: &Entry) -> String {
    format!("{}_{of}_{}", table.get(..40).unwrap_or(table), entry.number)
}

/// A checked name, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column's type. SQLite's numbers have none: whole ones and others are stored as they are.
const fn kind(flavour: Flavour, kind: Kind) -> &'static str {
    match kind {
        Kind::Text => flavour.template("text COLLATE \"C\"", "TEXT"),
        Kind::Number => flavour.template("numeric", ""),
        Kind::Boolean => flavour.template("boolean", "INTEGER"),
        Kind::Date => flavour.template("bigint", "INTEGER"),
    }
}
