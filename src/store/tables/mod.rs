//! The apps' own tables in the store (`specs/mobile-apps.md` sections 2 and 3): each is a table of the database.
//!
//! ```text
//! data_table    one row a table: its clock and its next number. Whoever writes rows holds it until the commit, so that
//!               stamps are in the order of the commits (spec 3.3 R1) and unique (R2)
//! data_column   the columns that it has, by number
//! data_history  of tables that merge: earlier versions of rows
//! data_note     of tables that tell of changes: for each audience whether it is owed a broadcast, written with the row
//! app_NAME      id, created, updated, deleted, and c_NAME for each column. Times are in ms
//! ```
//!
//! The rules are in [`crate::tables`]; here is what is equal for the engines: the statements, by a query builder that
//! binds every value and quotes every name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};

use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::tables::definition::Definition;
use crate::tables::query::{Page, Query};
use crate::tables::row::{Row, RowId};
use crate::tables::schema::Schema;
use crate::tables::typed::Unresolved;
use crate::tables::write::{Refusal, Write, Written};

mod condition;
pub(super) mod history;
pub(super) mod names;
pub(super) mod seed;
pub(super) mod statement;

/// The apps' tables. Each call is one transaction.
#[async_trait]
pub trait TableStore: Send + Sync {
    /// Makes the table and its declared columns where they are missing. One that is made now gets `seed`, each row with a
    /// stamp of its own. Says what in the definition does not go with a table that is there.
    async fn open_table(&self, table: &Arc<Definition>, seed: Vec<Map<String, Json>>) -> Result<(), TableError>;

    /// A page of a list, of one state of the table.
    async fn list_rows(&self, table: &Arc<Definition>, query: Query) -> Result<Page, TableError>;

    /// One row, deleted or not. `owner`: whose it must be, where rows belong to users.
    async fn table_row(
        &self,
        table: &Arc<Definition>,
        id: RowId,
        owner: Option<String>,
    ) -> Result<Option<(Schema, Row)>, TableError>;

    /// Writes a row by what it is in the commit that writes it, with a stamp that is later than all that anybody has seen
    /// of this table.
    async fn write_row(&self, table: &Arc<Definition>, write: Write) -> Result<Written, TableError>;

    /// What is owed to audiences and due, the longest due first; at most `limit`.
    async fn due_notes(&self, limit: u32) -> Result<Vec<Note>, TableError>;

    /// A broadcast went out for a note. Changes since it was read stay owed, and are due after `rest`.
    async fn settle_note(&self, note: Note, rest: Duration) -> Result<(), TableError>;
}

/// That an audience is owed a broadcast about changes in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// [`Definition::key`].
    pub table: String,
    pub audience: String,
    /// The stamp of the last change that it is about.
    pub number: i64,
}

/// Why an operation on a table failed. Nothing was applied.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TableError {
    /// What the request asks for cannot be had.
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The definition does not go with the table that is there.
    #[error("{0}")]
    Definition(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unresolved> for TableError {
    /// An empty list is an answer; whoever asks for one looks at that first.
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Refused(error) => Self::Field(error),
            Unresolved::Empty => Self::Store(StoreError::Engine("an empty list was taken for an error".to_owned())),
        }
    }
}

/// A table as its catalogue row has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub number: i64,
    pub key: String,
    pub numbered: bool,
    /// The stamp of the last change.
    pub clock: Timestamp,
    pub next: i64,
    pub schema: Schema,
}

impl Entry {
    /// The stamp of a change that is made now (spec 3.4).
    pub(super) fn stamp(&self, now: Timestamp) -> Timestamp {
        now.max(self.clock.plus(Duration::from_millis(1)))
    }
}

/// A table that was configured is there: it was made when the service started.
pub(super) fn missing(table: &Definition) -> StoreError {
    StoreError::Engine(format!("table {} was not opened", table.name))
}

/// How long earlier versions are kept, and how many of each row: a device that was away longer meets a conflict.
pub(super) const HISTORY_KEPT: Duration = Duration::from_secs(30 * 86_400);
pub(super) const HISTORY_VERSIONS: i64 = 16;
