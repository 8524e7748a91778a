//! An entry for fuzzers and property tests: any bytes as a filter.

use super::definition::Definition;
use super::odata::{DEEPEST, Expr, LARGEST, parse};
use super::schema::Schema;
use super::typed::{Unknown, resolve};
use super::value::Kind;

/// Takes bytes for a filter and checks what must hold of all: an answer, an expression within the bounds, and one that
/// is told apart by its types or refused. The error says what did not.
pub fn exercise(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let expr = match parse(&text) {
        Ok(expr) => expr,
        Err(error) if error.at > text.chars().count() => return Err(format!("an error behind the end: {error}")),
        Err(_) => return Ok(()),
    };
    let (size, depth) = measure(&expr);
    if size > 2 * LARGEST || depth > 4 * DEEPEST {
        return Err(format!("an expression of {size} parts, {depth} deep"));
    }
    let mut schema = Schema::default();
    for (name, kind) in [("t", Kind::Text), ("n", Kind::Number), ("b", Kind::Boolean), ("d", Kind::Date)] {
        schema.add(name, kind);
    }
    for unknown in [Unknown::Null, Unknown::Refused, Unknown::Empty] {
        // Refused or not: it must only end.
        drop(resolve(&expr, &Definition::named("t"), &schema, unknown, true));
    }
    Ok(())
}

fn measure(expr: &Expr) -> (usize, usize) {
    let parts: Vec<&Expr> = match expr {
        Expr::Literal(_) | Expr::Member(_) => Vec::new(),
        Expr::In(inner, list) => return (1 + list.len() + measure(inner).0, 1 + measure(inner).1),
        Expr::Not(inner) | Expr::Negated(inner) => vec![inner],
        Expr::And(parts) | Expr::Or(parts) | Expr::Call(_, parts) => parts.iter().collect(),
        Expr::Compare(_, a, b) | Expr::Arithmetic(_, a, b) => vec![a, b],
    };
    let (sizes, depths): (Vec<_>, Vec<_>) = parts.into_iter().map(measure).unzip();
    (1 + sizes.iter().sum::<usize>(), 1 + depths.into_iter().max().unwrap_or(0))
}
