//! What the configuration says of a table, as far as its rows are concerned.

use super::notice::Notice;
use super::value::Kind;

/// The column that names whose a row is.
pub const OWNER: &str = "userId";

#[derive(Clone, Debug)]
pub struct Definition {
    /// As configured; tables are told apart without regard to case (spec 2.0).
    pub name: String,
    /// A deleted row stays, marked, so that devices learn of it.
    pub soft_delete: bool,
    /// A row is its writer's and nobody else's.
    pub per_user: bool,
    /// Properties that are new become columns.
    pub dynamic_schema: bool,
    /// The server numbers rows; else ids are texts.
    pub auto_increment: bool,
    pub conflict: Conflict,
    /// Declared columns, [`OWNER`] among them where rows belong to users.
    pub columns: Vec<(String, Kind)>,
    /// Whom a change is news to.
    pub notice: Option<Notice>,
}

/// What becomes of a write that was made over another version than stands (spec 2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is refused with the row that stands.
    Fail,
    /// It is written all the same.
    ClientWins,
    /// What stands stays, and is the answer.
    ServerWins,
    /// What only one side changed is taken from that side; a field that both changed refuses the write.
    Merge,
}

impl Definition {
    /// A table with a dynamic schema, without anything else.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            soft_delete: false,
            per_user: false,
            dynamic_schema: true,
            auto_increment: false,
            conflict: Conflict::Fail,
            columns: Vec::new(),
            notice: None,
        }
    }

    /// By what the store knows it.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}
