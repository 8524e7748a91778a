//! Literals: what clients write loosely is bent to the type of what it is compared with, where only one thing can be meant.

use super::{Node, Resolved, Type, Typed, flag, null, typed, wrong};
use crate::tables::odata::Literal;
use crate::tables::value::{Value, instant};

/// A literal in the type of what it is compared with, where only that can be meant, and whether the comparison is without
/// regard to case.
pub(super) fn bent(of: Type, literal: &Literal) -> Resolved<(Typed, bool)> {
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

pub(super) fn constant(literal: &Literal) -> Typed {
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
pub(super) fn as_text(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Text(text) | Literal::Guid(text) => Some(text.clone()),
        Literal::Time(time) => Some(time.to_string()),
        Literal::Day(time) => time.to_string().get(..10).map(str::to_owned),
        Literal::Int(number) => Some(number.to_string()),
        Literal::Null | Literal::Bool(_) | Literal::Float(_) => None,
    }
}
