//! An expression over the columns that a table has now: names are looked up, and what is compared is of one type.
//!
//! What clients of one language write loosely is bent where only one thing can be meant: a number written as text, a
//! text that a date is compared with, 1 for true. What compares a column with something else is refused.

use super::definition::Definition;
use super::odata::{Arithmetic, Comparison, Expr, Function, Literal, byte_of_name};
use super::row::stamp_of;
use super::schema::Schema;
use super::value::{Kind, Value, instant};
use crate::model::field::FieldError;

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

struct Resolver<'a> {
    definition: &'a Definition,
    schema: &'a Schema,
    unknown: Unknown,
    null_differs: bool,
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

impl Resolver<'_> {
    fn condition(&self, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Bool => Ok(resolved),
            // As a condition: PostgreSQL takes no other type for one.
            Type::Null => Ok(Typed { of: Type::Bool, ..null() }),
            _ => wrong("must be a condition, which is true or false"),
        }
    }

    fn conditions(&self, parts: &[Expr]) -> Resolved<Vec<Typed>> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn expr(&self, expr: &Expr) -> Resolved {
        Ok(match expr {
            Expr::Literal(literal) => constant(literal),
            Expr::Member(name) => self.member(name)?,
            Expr::Not(inner) => not(self.condition(inner)?),
            Expr::Negated(inner) => typed(Node::Negated(Box::new(self.double(inner)?)), Type::Double),
            Expr::And(parts) => typed(Node::And(self.conditions(parts)?), Type::Bool),
            Expr::Or(parts) => typed(Node::Or(self.conditions(parts)?), Type::Bool),
            Expr::Compare(operator, left, right) => self.compare(*operator, left, right)?,
            Expr::In(inner, list) => self.among(inner, list)?,
            Expr::Arithmetic(operator, left, right) => {
                let (left, right) = (Box::new(self.double(left)?), Box::new(self.double(right)?));
                typed(Node::Arithmetic(*operator, left, right), Type::Double)
            }
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
        })
    }

    fn member(&self, name: &str) -> Resolved {
        let found = field(name, self.definition, self.schema, Unknown::Null, "$filter")?;
        if found.is_none()
            && let Some(byte) = byte_of_name(name)
        {
            return Ok(constant(&byte));
        }
        let Some(found) = field(name, self.definition, self.schema, self.unknown, "$filter")? else {
            return Ok(null());
        };
        if name.eq_ignore_ascii_case("version") {
            return wrong("must compare version with a text, by eq, ne or in");
        }
        let of = match found {
            Field::Id if self.definition.auto_increment => Type::Exact,
            Field::Id => Type::Text,
            Field::Created | Field::Updated => Type::Time,
            Field::Deleted => Type::Bool,
            Field::Own(at) => match self.schema.at(at).map(|column| column.kind) {
                Some(Kind::Text) => Type::Text,
                Some(Kind::Number) => Type::Exact,
                Some(Kind::Boolean) => Type::Bool,
                Some(Kind::Date) => Type::Time,
                None => Type::Null,
            },
        };
        Ok(typed(Node::Field(found), of))
    }

    fn double(&self, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Exact | Type::Double | Type::Null => Ok(to_double(resolved)),
            _ => wrong("must compute with numbers alone"),
        }
    }

    fn text(&self, function: Function, expr: &Expr) -> Resolved {
        if let Expr::Literal(literal) = expr
            && let Some(text) = as_text(literal)
        {
            return Ok(typed(Node::Literal(Value::Text(text)), Type::Text));
        }
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Text | Type::Null => Ok(resolved),
            _ => wrong(format!("must give {} a text", function.name())),
        }
    }

    fn time(&self, function: Function, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Time | Type::Null => Ok(resolved),
            _ => wrong(format!("must give {} a date", function.name())),
        }
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> Resolved {
        use Function::*;
        let texts = || arguments.iter().map(|argument| self.text(function, argument)).collect::<Resolved<Vec<_>>>();
        let (arguments, of) = match function {
            Contains | StartsWith | EndsWith => (texts()?, Type::Bool),
            IndexOf | Length => (texts()?, Type::Double),
            ToLower | ToUpper | Trim | Concat | Replace => (texts()?, Type::Text),
            Substring => {
                let [text, numbers @ ..] = arguments else { return wrong("must give substring a text") };
                let numbers = numbers.iter().map(|number| self.double(number));
                let all = std::iter::once(self.text(function, text)).chain(numbers).collect::<Resolved<Vec<_>>>()?;
                (all, Type::Text)
            }
            Year | Month | Day | Hour | Minute | Second => {
                let [time] = arguments else { return wrong("must give the parts of a date one date") };
                (vec![self.time(function, time)?], Type::Double)
            }
            Floor | Ceiling | Round => {
                let [number] = arguments else { return wrong("must give a rounding one number") };
                (vec![self.double(number)?], Type::Double)
            }
        };
        // Nothing can be made of null.
        if arguments.iter().any(|argument| argument.of == Type::Null) {
            return Ok(Typed { of: if of == Type::Bool { Type::Bool } else { Type::Null }, ..null() });
        }
        Ok(typed(Node::Call(function, arguments), of))
    }

    fn compare(&self, operator: Comparison, left: &Expr, right: &Expr) -> Resolved {
        for (version, other) in [(left, right), (right, left)] {
            if self.is_version(version) {
                return self.version(operator, other);
            }
        }
        let (left, right) = self.alike(left, right)?;
        let (left, right) = match (left.of, right.of) {
            (Type::Null, Type::Null) | (_, Type::Null) | (Type::Null, _) if operator.is_order() => {
                return Ok(Typed { of: Type::Bool, ..null() });
            }
            (Type::Null, _) => return Ok(presence(operator, right)),
            (_, Type::Null) => return Ok(presence(operator, left)),
            (Type::Exact, Type::Double) => (to_double(left), right),
            (Type::Double, Type::Exact) => (left, to_double(right)),
            _ => (left, right),
        };
        let (left, right) = (Box::new(left), Box::new(right));
        Ok(match operator {
            Comparison::NotEqual if self.null_differs => typed(Node::Differs(left, right), Type::Bool),
            _ => typed(Node::Compare(operator, left, right), Type::Bool),
        })
    }

    /// Both sides, of one type where they are not null.
    fn alike(&self, left: &Expr, right: &Expr) -> Resolved<(Typed, Typed)> {
        let (a, b) = match (left, right) {
            (Expr::Literal(a), Expr::Literal(b)) => (constant(a), constant(b)),
            (Expr::Literal(literal), other) => {
                let other = self.expr(other)?;
                let (literal, folds) = bent(other.of, literal)?;
                (literal, folded(other, folds))
            }
            (other, Expr::Literal(literal)) => {
                let other = self.expr(other)?;
                let (literal, folds) = bent(other.of, literal)?;
                (folded(other, folds), literal)
            }
            (a, b) => (self.expr(a)?, self.expr(b)?),
        };
        let number = |of| matches!(of, Type::Exact | Type::Double);
        let same = a.of == b.of || number(a.of) && number(b.of) || a.of == Type::Null || b.of == Type::Null;
        if same { Ok((a, b)) } else { wrong(format!("must not compare {} with {}", word(a.of), word(b.of))) }
    }

    fn among(&self, inner: &Expr, list: &[Literal]) -> Resolved {
        if self.is_version(inner) {
            let stamps = list.iter().filter_map(|literal| as_text(literal).and_then(|text| stamp_of(&text)));
            let updated = typed(Node::Field(Field::Updated), Type::Time);
            return Ok(typed(Node::In(Box::new(updated), stamps.map(Value::Time).collect()), Type::Bool));
        }
        let resolved = self.expr(inner)?;
        if resolved.of == Type::Null {
            let is = list.contains(&Literal::Null);
            return Ok(flag(is));
        }
        let number = |of| matches!(of, Type::Exact | Type::Double);
        // Beside texts, which are as they are, GUIDs without regard to case.
        let (mut values, mut guids) = (Vec::with_capacity(list.len()), Vec::new());
        for literal in list.iter().filter(|literal| **literal != Literal::Null) {
            let (value, folds) = bent(resolved.of, literal)?;
            if value.of != resolved.of && !(number(value.of) && number(resolved.of)) {
                return wrong(format!("must not compare {} with {}", word(resolved.of), word(value.of)));
            }
            let Node::Literal(value) = value.node else { continue };
            if folds { guids.push(value) } else { values.push(value) }
        }
        let among = |tested: Typed, values| typed(Node::In(Box::new(tested), values), Type::Bool);
        let mut parts = Vec::new();
        if list.contains(&Literal::Null) {
            parts.push(presence(Comparison::Equal, resolved.clone()));
        }
        if !guids.is_empty() {
            parts.push(among(folded(resolved.clone(), true), guids));
        }
        if !values.is_empty() {
            parts.push(among(resolved, values));
        }
        // A list has at least one literal.
        Ok(if parts.len() == 1 { parts.remove(0) } else { typed(Node::Or(parts), Type::Bool) })
    }

    fn is_version(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Member(name) if name.eq_ignore_ascii_case("version"))
    }

    /// A version is a stamp in another form; a text that is none is no row's version.
    fn version(&self, operator: Comparison, other: &Expr) -> Resolved {
        let Expr::Literal(literal) = other else { return wrong("must compare version with a text, by eq, ne or in") };
        let stamp = match literal {
            Literal::Null => None,
            Literal::Text(text) => stamp_of(text),
            _ => return wrong("must compare version with a text, by eq, ne or in"),
        };
        let updated = Box::new(typed(Node::Field(Field::Updated), Type::Time));
        Ok(match (operator, stamp) {
            (Comparison::Equal | Comparison::NotEqual, Some(stamp)) => {
                let stamp = Box::new(typed(Node::Literal(Value::Time(stamp)), Type::Time));
                typed(Node::Compare(operator, updated, stamp), Type::Bool)
            }
            (Comparison::Equal, None) => flag(false),
            (Comparison::NotEqual, None) => flag(true),
            _ => return wrong("must compare version with a text, by eq, ne or in"),
        })
    }
}

/// A literal in the type of what it is compared with, where only that can be meant, and whether the comparison is without
/// regard to case.
fn bent(of: Type, literal: &Literal) -> Resolved<(Typed, bool)> {
    let text = |text: String| typed(Node::Literal(Value::Text(text)), Type::Text);
    let made = match (of, literal) {
        (Type::Text, Literal::Guid(guid)) => return Ok((text(guid.clone()), true)),
        (Type::Text, Literal::Int(number)) => text(number.to_string()),
        (Type::Text, Literal::Time(_) | Literal::Day(_)) => text(as_text(literal).unwrap_or_default()),
        (Type::Exact | Type::Double, Literal::Text(digits)) => match digits.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let exact = digits.trim().parse().map_or(Value::number(number), Value::Int);
                typed(Node::Literal(exact), Type::Exact)
            }
            _ => return wrong("must not compare a number with a text"),
        },
        (Type::Bool, Literal::Int(0 | 1)) => flag(*literal == Literal::Int(1)),
        (Type::Time, Literal::Text(date)) => match instant(date) {
            Some(time) => typed(Node::Literal(Value::Time(time)), Type::Time),
            None => return wrong("must not compare a date with a text that is none"),
        },
        _ => constant(literal),
    };
    Ok((made, false))
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

fn constant(literal: &Literal) -> Typed {
    match literal {
        Literal::Null => null(),
        Literal::Bool(value) => flag(*value),
        Literal::Int(number) => typed(Node::Literal(Value::Int(*number)), Type::Exact),
        Literal::Float(number) => typed(Node::Literal(Value::Float(*number)), Type::Exact),
        Literal::Text(text) | Literal::Guid(text) => typed(Node::Literal(Value::Text(text.clone())), Type::Text),
        Literal::Time(time) | Literal::Day(time) => typed(Node::Literal(Value::Time(*time)), Type::Time),
    }
}

/// What a literal is where a text stands.
fn as_text(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Text(text) | Literal::Guid(text) => Some(text.clone()),
        Literal::Time(time) => Some(time.to_string()),
        Literal::Day(time) => time.to_string().get(..10).map(str::to_owned),
        Literal::Int(number) => Some(number.to_string()),
        Literal::Null | Literal::Bool(_) | Literal::Float(_) => None,
    }
}

const fn word(of: Type) -> &'static str {
    match of {
        Type::Bool => "a boolean",
        Type::Exact | Type::Double => "a number",
        Type::Text => "a text",
        Type::Time => "a date",
        Type::Null => "null",
    }
}
