//! The tables of mobile apps (`specs/mobile-apps.md`), as far as they are rules: no SQL, no HTTP.
//!
//! - [`value`]: what a field holds, and its type.
//! - [`schema`]: the columns of a table, as declared and as rows brought them.
//! - [`definition`]: what the configuration says of a table.
//! - [`row`]: a row, its id, its version.
//! - [`odata`]: the text of a query → its expression.
//! - [`query`]: a list as an engine is asked for it; how a pull is told from other lists, and where it goes on.
//! - [`typed`]: an expression over the columns that a table has now.
//! - [`write`]: what a write makes of the row as it stands; conflicts.
//! - [`notice`]: whom a change of a row is news to.
//! - [`fuzz`]: any text as a filter.
//!
//! The store's engines call these inside their transactions, so both keep the same rules.

pub mod definition;
pub mod fuzz;
pub mod notice;
pub mod odata;
pub mod query;
pub mod row;
pub mod schema;
pub mod typed;
pub mod value;
pub mod write;
