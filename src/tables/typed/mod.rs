//! An expression over the columns that a table has now: names are looked up, and what is compared is of one type.
//!
//! What clients of one language write loosely is bent where only one thing can be meant: a number written as text, a
//! text that a date is compared with, 1 for true. What compares a column with something else is refused.
//!
//! Here is what comes of it; `resolver` is how, `literal` what is bent.

use super::definition::Definition;
use super::odata::{Arithmetic, Comparison, Expr, Function};
use super::schema::Schema;
use super::value::Value;
use crate::model::field::FieldError;

mod literal;
mod resolver;

use resolver::Resolver;

/// What is done with a name that no column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is null in every row: rows may bring the column later (V3, CT).
    Null,
    /// The whole list is empty (V2 with a dynamic schema: OBS 58, 60, 66).
    Empty,
    /// The query is refused: no row ever has it.
    Refused,
}

/// Why an expression is not evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The list is empty ([`Unknown::Empty`]).
    #[error("the list is empty")]
    Empty,
    #[error(transparent)]
    Refused(#[from] FieldError),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    Created,
    Updated,
    Deleted,
    /// A column of the apps' own, by its place in the schema.
    Own(usize),
}

/// What a part of an expression makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    /// A number as it is stored.
    Exact,
    /// A number that was computed, in 64-bit floating point.
    Double,
    Text,
    Time,
    /// Null in every row.
    Null,
}

/// A part of an expression, with the type of what it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub node: Node,
    pub of: Type,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Of the type beside it, or null.
    Literal(Value),
    Field(Field),
    Not(Box<Typed>),
    And(Vec<Typed>),
    Or(Vec<Typed>),
    /// Both sides are of one type.
    Compare(Comparison, Box<Typed>, Box<Typed>),
    /// Whether they differ, null being like null and unlike all else.
    Differs(Box<Typed>, Box<Typed>),
    IsNull(Box<Typed>),
    /// None of the values is null.
    In(Box<Typed>, Vec<Value>),
    /// Both are [`Type::Double`].
    Arithmetic(Arithmetic, Box<Typed>, Box<Typed>),
    Negated(Box<Typed>),
    /// A number as a [`Type::Double`].
    ToDouble(Box<Typed>),
    /// A text in small letters, ASCII alone: for GUIDs.
    FoldedCase(Box<Typed>),
    Call(Function, Vec<Typed>),
}

type Resolved<T = Typed> = Result<T, Unresolved>;

/// The longest text that a filter makes of others, in bytes: twice the longest body. Short filters could ask for texts
/// that no memory holds.
pub const LONGEST_MADE: usize = 8 << 20;

/// What is said of a filter that asks for a longer one.
pub(crate) const TOO_LONG: &str = "must not make a text of more than 8388608 bytes";

/// Looks up the names of a filter. The result is of type [`Type::Bool`].
pub fn resolve(
    expr: &Expr,
    definition: &Definition,
    schema: &Schema,
    unknown: Unknown,
    null_differs: bool,
) -> Resolved {
    let resolver = Resolver { definition, schema, unknown, null_differs };
    resolver.condition(expr)
}

/// The field of that name; `None` where it is null or the policy says so.
pub fn field(
    name: &str,
    definition: &Definition,
    schema: &Schema,
    unknown: Unknown,
    option: &'static str,
) -> Resolved<Option<Field>> {
    let known = [("id", Field::Id), ("createdAt", Field::Created), ("updatedAt", Field::Updated)];
    // In the order of the versions, which are stamps.
    let known = known.into_iter().chain([("version", Field::Updated)]);
    let known = known.chain(definition.soft_delete.then_some(("deleted", Field::Deleted)));
    if let Some((_, field)) = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Ok(Some(field));
    }
    if let Some(at) = schema.find(name) {
        return Ok(Some(Field::Own(at)));
    }
    match unknown {
        Unknown::Null => Ok(None),
        Unknown::Empty => Err(Unresolved::Empty),
        Unknown::Refused => {
            let shown: String = name.chars().take(64).collect();
            Err(FieldError::new(option, format!("names {shown}, which is no column of this table")).into())
        }
    }
}

fn wrong<T>(rule: impl Into<std::borrow::Cow<'static, str>>) -> Resolved<T> {
    Err(FieldError::new("$filter", rule).into())
}

fn typed(node: Node, of: Type) -> Typed {
    Typed { node, of }
}

fn null() -> Typed {
    typed(Node::Literal(Value::Null), Type::Null)
}

fn flag(flag: bool) -> Typed {
    typed(Node::Literal(Value::Bool(flag)), Type::Bool)
}

fn not(inner: Typed) -> Typed {
    typed(Node::Not(Box::new(inner)), Type::Bool)
}

fn folded(text: Typed, folds: bool) -> Typed {
    if folds { typed(Node::FoldedCase(Box::new(text)), Type::Text) } else { text }
}

fn presence(operator: Comparison, of: Typed) -> Typed {
    let is_null = if of.of == Type::Null && matches!(of.node, Node::Literal(_)) {
        flag(true)
    } else {
        typed(Node::IsNull(Box::new(of)), Type::Bool)
    };
    if operator == Comparison::NotEqual { not(is_null) } else { is_null }
}

fn to_double(number: Typed) -> Typed {
    match number.of {
        Type::Double => number,
        _ => typed(Node::ToDouble(Box::new(number)), Type::Double),
    }
}
