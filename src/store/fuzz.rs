//! An entry for fuzzers: any bytes as a filter, down to the statements of both engines.

use super::sqlite;
use super::tables::Entry;
use super::tables::statement::{Flavour, Statement, Statements};
use crate::model::time::Timestamp;
use crate::tables::definition::Definition;
use crate::tables::odata::parse;
use crate::tables::schema::Schema;
use crate::tables::typed::{Node, Typed, Unknown, resolve};
use crate::tables::value::{Kind, Value};

/// Takes bytes for a filter and checks what must hold of all: what [`crate::tables::fuzz::exercise`] does, and that no
/// value is part of a statement's text: with other values it is the same. SQLite must take what comes of it. The error
/// says what did not hold.
pub fn exercise_filter(bytes: &[u8]) -> Result<(), String> {
    crate::tables::fuzz::exercise(bytes)?;
    let Ok(expr) = parse(&String::from_utf8_lossy(bytes)) else { return Ok(()) };
    let definition = Definition { soft_delete: true, ..Definition::named("t") };
    let mut schema = Schema::default();
    for (name, kind) in [("t", Kind::Text), ("n", Kind::Number), ("b", Kind::Boolean), ("d", Kind::Date)] {
        schema.add(name, kind);
    }
    let (key, clock) = (definition.key(), Timestamp::default());
    let entry = Entry { number: 1, key, numbered: false, clock, next: 1, schema };
    for (unknown, null_differs) in [(Unknown::Null, true), (Unknown::Refused, false)] {
        let Ok(typed) = resolve(&expr, &definition, &entry.schema, unknown, null_differs) else { continue };
        let other = with_other_values(&typed);
        for flavour in [Flavour::Sqlite, Flavour::Postgres] {
            let statements = Statements::new(flavour, &entry);
            let made = statements.filtered(&typed);
            check(flavour, &made, &statements.filtered(&other))?;
            if flavour == Flavour::Sqlite {
                sqlite::rehearse(&entry, &made).map_err(|error| format!("SQLite: {error}: {}", made.sql))?;
            }
        }
    }
    Ok(())
}

fn check(flavour: Flavour, made: &Statement, other: &Statement) -> Result<(), String> {
    if made.sql != other.sql {
        return Err(format!("a value is part of the text: {}", made.sql));
    }
    let mark = if flavour == Flavour::Sqlite { '?' } else { '$' };
    let marks = made.sql.matches(mark).count();
    if marks != made.binds.len() {
        return Err(format!("{marks} places for {} values: {}", made.binds.len(), made.sql));
    }
    Ok(())
}

/// The same expression over other values of the same types.
fn with_other_values(typed: &Typed) -> Typed {
    let of = |inner: &Typed| Box::new(with_other_values(inner));
    let all = |parts: &[Typed]| parts.iter().map(with_other_values).collect();
    let node = match &typed.node {
        Node::Literal(value) => Node::Literal(another(value)),
        Node::Field(field) => Node::Field(*field),
        Node::Not(inner) => Node::Not(of(inner)),
        Node::And(parts) => Node::And(all(parts)),
        Node::Or(parts) => Node::Or(all(parts)),
        Node::Compare(operator, a, b) => Node::Compare(*operator, of(a), of(b)),
        Node::Differs(a, b) => Node::Differs(of(a), of(b)),
        Node::IsNull(inner) => Node::IsNull(of(inner)),
        Node::In(inner, values) => Node::In(of(inner), values.iter().map(another).collect()),
        Node::Arithmetic(operator, a, b) => Node::Arithmetic(*operator, of(a), of(b)),
        Node::Negated(inner) => Node::Negated(of(inner)),
        Node::ToDouble(inner) => Node::ToDouble(of(inner)),
        Node::FoldedCase(inner) => Node::FoldedCase(of(inner)),
        Node::Call(function, arguments) => Node::Call(*function, all(arguments)),
    };
    Typed { node, of: typed.of }
}

fn another(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(flag) => Value::Bool(!flag),
        Value::Int(number) => Value::Int(number ^ 1),
        Value::Float(number) => Value::Float(if *number > 0.5 { 0.25 } else { 0.75 }),
        Value::Text(text) => Value::Text(format!("{}'\"$1?", text.len())),
        Value::Time(time) => Value::Time(Timestamp::from_millis(time.millis() ^ 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hostile_is_bound_and_the_deepest_and_widest_are_taken() {
        let nested = |open: &str, inner: &str, close: &str, times: usize| {
            format!("{}{inner}{}", open.repeat(times), close.repeat(times))
        };
        for filter in [
            "t eq '''; DROP TABLE app_t; --'".to_owned(),
            "t in ('$1','?',null,guid'01234567-89ab-cdef-0123-456789abcdef') and n ne 0.5".to_owned(),
            nested("not (", "b", ")", 32),
            nested("tolower(", "t", ")", 62) + " eq 'x'",
            nested("replace(", "t", ",'a','b')", 62) + " eq 'x'",
            format!("n{} eq 1", " mod 1".repeat(62)),
            vec!["n eq 1"; 600].join(" or "),
            format!("n in ({})", vec!["1.5"; 1_900].join(",")),
        ] {
            assert_eq!(exercise_filter(filter.as_bytes()), Ok(()), "{filter}");
        }
    }

    #[test]
    fn a_value_in_the_text_is_found() {
        let statement = |sql: &str| Statement { sql: sql.to_owned(), binds: Vec::new() };
        assert!(check(Flavour::Sqlite, &statement("a = 1"), &statement("a = 2")).is_err());
        assert!(check(Flavour::Postgres, &statement("a = $1"), &statement("a = $1")).is_err());
    }
}
