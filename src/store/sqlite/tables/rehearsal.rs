//! Whether SQLite takes a statement, for fuzzers: it has bounds of its own on how deep and how large one is.

use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::functions::add_functions;
use crate::store::tables::Entry;
use crate::store::tables::statement::{Flavour, Statement, Statements};

/// Runs a statement over the entry's table, in memory and empty.
pub(in crate::store) fn rehearse(entry: &Entry, statement: &Statement) -> rusqlite::Result<()> {
    let connection = Connection::open_in_memory()?;
    add_functions(&connection)?;
    let statements = Statements::new(Flavour::Sqlite, entry);
    connection.execute_batch(&statements.create())?;
    for column in entry.schema.columns() {
        connection.execute_batch(&statements.add(column))?;
    }
    let mut prepared = connection.prepare(&statement.sql)?;
    let mut rows = prepared.query(params_from_iter(&statement.binds))?;
    match rows.next() {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::TooBig) => Err(error),
        _ => Ok(()),
    }
}
