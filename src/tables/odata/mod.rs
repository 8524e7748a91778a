//! The text of a query: `$filter`, `$orderby`, `$select` and the numbers (spec 2.2, 2.3).
//!
//! One grammar for all clients: the union of what each sends. Reading stops at bounds of length, depth and size, so that
//! what is read can be evaluated by any engine.

mod cursor;
mod expr;
mod literal;
mod options;
mod parser;
#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Place};
pub use expr::{Arithmetic, Comparison, Expr, Function, Literal};
pub use literal::of_name as byte_of_name;
pub use options::{AFTER, ListOptions, Order};
pub use parser::{DEEPEST, FilterError, LARGEST, LONGEST, parse};
