//! An expression in the words of each database. What holds of both is in `tests/conformance/tables`, against an
//! evaluation in memory.

use sea_query::{BinOper, Expr, ExprTrait, Func};

use super::statement::{Flavour, Names};
use crate::tables::odata::{Arithmetic, Comparison, Function};
use crate::tables::typed::{Field, LONGEST_MADE, Node, Type, Typed};
use crate::tables::value::Value;

/// The condition, in which every value is bound.
pub(super) fn condition(names: &Names<'_>, typed: &Typed) -> Expr {
    let of = |inner: &Typed| condition(names, inner);
    match &typed.node {
        Node::Literal(value) => literal(names.flavour, value, typed.of),
        Node::Field(field) => Expr::col(names.field(*field)),
        Node::Not(inner) => Expr::cust_with_exprs(names.flavour.template("(NOT ($1))", "(NOT (?))"), [of(inner)]),
        Node::And(parts) => balanced(names, parts, BinOper::And),
        Node::Or(parts) => balanced(names, parts, BinOper::Or),
        Node::Compare(operator, left, right) => compare(names, *operator, left, right),
        Node::Differs(left, right) => {
            let template = names.flavour.template("(($1) IS DISTINCT FROM ($2))", "((?) IS DISTINCT FROM (?))");
            Expr::cust_with_exprs(template, [of(left), of(right)])
        }
        Node::IsNull(inner) => {
            Expr::cust_with_exprs(names.flavour.template("(($1) IS NULL)", "((?) IS NULL)"), [of(inner)])
        }
        Node::In(inner, values) => {
            let values = values.iter().map(|value| match inner.of {
                Type::Double => double(value).map_or_else(|| literal(names.flavour, value, Type::Exact), Expr::val),
                of => literal(names.flavour, value, of),
            });
            of(inner).is_in(values)
        }
        Node::Arithmetic(operator, left, right) => arithmetic(names.flavour, *operator, of(left), of(right)),
        Node::Negated(inner) => Expr::val(0.0_f64).sub(of(inner)),
        Node::ToDouble(inner) => match &inner.node {
            Node::Literal(value) if !value.is_null() => {
                double(value).map_or_else(|| literal(names.flavour, value, Type::Double), Expr::val)
            }
            _ => of(inner).cast_as(names.flavour.template("float8", "REAL")),
        },
        Node::FoldedCase(inner) => match names.flavour {
            Flavour::Postgres => Expr::cust_with_exprs("lower(($1) COLLATE \"C\")", [of(inner)]),
            Flavour::Sqlite => Func::lower(of(inner)).into(),
        },
        Node::Call(function, arguments) => {
            let arguments: Vec<_> = arguments.iter().map(of).collect();
            match names.flavour {
                Flavour::Sqlite => Func::cust(format!("fanfare_{}", function.name())).args(arguments).into(),
                Flavour::Postgres => Expr::cust_with_exprs(in_postgres(*function, arguments.len()), arguments),
            }
        }
    }
}

/// A chain as a tree that is as low as can be: SQLite bounds the depth.
fn balanced(names: &Names<'_>, parts: &[Typed], operator: BinOper) -> Expr {
    match parts {
        [] => Expr::val(operator == BinOper::And),
        [one] => condition(names, one),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            balanced(names, left, operator).binary(operator, balanced(names, right, operator))
        }
    }
}

/// A value as a bound one of that type; null has the type, too.
pub(super) fn literal(flavour: Flavour, value: &Value, of: Type) -> Expr {
    match value {
        Value::Bool(flag) => Expr::val(*flag),
        Value::Int(number) => Expr::val(*number),
        Value::Time(time) => Expr::val(time.millis()),
        Value::Text(text) => Expr::val(text.clone()),
        // By its digits: a numeric of PostgreSQL holds them all.
        Value::Float(number) => match flavour {
            Flavour::Sqlite => Expr::val(*number),
            Flavour::Postgres => Expr::val(number.to_string()).cast_as("numeric"),
        },
        Value::Null => match of {
            Type::Bool => Expr::val(None::<bool>),
            Type::Time => Expr::val(None::<i64>),
            Type::Double => Expr::val(None::<f64>),
            Type::Exact if flavour == Flavour::Postgres => Expr::val(None::<String>).cast_as("numeric"),
            Type::Exact | Type::Text | Type::Null => Expr::val(None::<String>),
        },
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        // What is computed with is in floating point.
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn compare(names: &Names<'_>, operator: Comparison, left: &Typed, right: &Typed) -> Expr {
    let stored = |side: &Typed| matches!(side.node, Node::Field(_));
    let (a, b) = (condition(names, left), condition(names, right));
    // Texts are in the order of their characters. Columns are so by themselves.
    let collated = names.flavour == Flavour::Postgres && left.of == Type::Text && !stored(left) && !stored(right);
    let a = if collated { Expr::cust_with_exprs("(($1) COLLATE \"C\")", [a]) } else { a };
    let operator = match operator {
        Comparison::Equal => BinOper::Equal,
        Comparison::NotEqual => BinOper::NotEqual,
        Comparison::Greater => BinOper::GreaterThan,
        Comparison::GreaterOrEqual => BinOper::GreaterThanOrEqual,
        Comparison::Less => BinOper::SmallerThan,
        Comparison::LessOrEqual => BinOper::SmallerThanOrEqual,
    };
    a.binary(operator, b)
}

fn arithmetic(flavour: Flavour, operator: Arithmetic, left: Expr, right: Expr) -> Expr {
    let operator = match operator {
        Arithmetic::Add => BinOper::Add,
        Arithmetic::Subtract => BinOper::Sub,
        Arithmetic::Multiply => BinOper::Mul,
        Arithmetic::Divide => {
            let template = flavour.template("(($1) / NULLIF($2, 0))", "((?) / (?))");
            return Expr::cust_with_exprs(template, [left, right]);
        }
        Arithmetic::Modulo => {
            let template = flavour.template(
                "CAST(mod(CAST(CAST($1 AS text) AS numeric), NULLIF(CAST(CAST($2 AS text) AS numeric), 0)) AS float8)",
                "fanfare_mod(?, ?)",
            );
            return Expr::cust_with_exprs(template, [left, right]);
        }
    };
    left.binary(operator, right)
}

/// Texts that are made of others are bounded by [`LONGEST_MADE`]: a cast that fails is the error beyond. The arguments
/// are named once: written twice, they would double with each level; `OFFSET 0` keeps the planner from doing so.
const CONCAT: &str = "(SELECT CASE WHEN CAST(octet_length(a) AS bigint) + octet_length(b) > 8388608 \
    THEN CAST(CAST(left(a, 0) || 'too long' AS integer) AS text) ELSE a || b END \
    FROM (SELECT ($1) AS a, ($2) AS b OFFSET 0) AS made)";
/// The same, by how often the text is replaced.
const REPLACE: &str = "(SELECT CASE WHEN octet_length(a) + (octet_length(c) - octet_length(b)) \
    * ((CAST(octet_length(a) AS bigint) - octet_length(replace(a, b, left(a, 0)))) / GREATEST(octet_length(b), 1)) > 8388608 \
    THEN CAST(CAST(left(a, 0) || 'too long' AS integer) AS text) ELSE replace(a, b, c) END \
    FROM (SELECT ($1) AS a, ($2) AS b, ($3) AS c OFFSET 0) AS made)";
const _: () = assert!(LONGEST_MADE == 8_388_608, "the texts above say so, too");

/// A function over so many arguments. A length and a place are in characters; what counts is a float8, as in
/// [`Type::Double`].
const fn in_postgres(function: Function, arguments: usize) -> &'static str {
    match function {
        Function::Contains => "(strpos($1, $2) > 0)",
        Function::StartsWith => "starts_with($1, $2)",
        Function::EndsWith => "(right($1, length($2)) = ($2))",
        Function::IndexOf => "CAST(strpos($1, $2) - 1 AS float8)",
        Function::Length => "CAST(length($1) AS float8)",
        // By the database's own rules for its language, where "C" knows ASCII alone.
        Function::ToLower => "(lower(($1) COLLATE \"default\") COLLATE \"C\")",
        Function::ToUpper => "(upper(($1) COLLATE \"default\") COLLATE \"C\")",
        Function::Trim => "btrim($1, ' ')",
        Function::Concat => CONCAT,
        Function::Substring if arguments == 3 => {
            "substr($1, CAST(LEAST(GREATEST(trunc($2), 0), 1e9) AS integer) + 1, \
             CAST(LEAST(GREATEST(trunc($3), 0), 1e9) AS integer))"
        }
        Function::Substring => "substr($1, CAST(LEAST(GREATEST(trunc($2), 0), 1e9) AS integer) + 1)",
        Function::Replace => REPLACE,
        Function::Year => "date_part('year', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000)))",
        Function::Month => "date_part('month', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000)))",
        Function::Day => "date_part('day', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000)))",
        Function::Hour => "date_part('hour', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000)))",
        Function::Minute => "date_part('minute', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000)))",
        Function::Second => "floor(date_part('second', timezone('UTC', to_timestamp(CAST($1 AS float8) / 1000))))",
        Function::Floor => "floor($1)",
        Function::Ceiling => "ceil($1)",
        // A float8 is rounded to even, a numeric away from zero.
        Function::Round => "CAST(round(CAST(CAST($1 AS text) AS numeric)) AS float8)",
    }
}

/// The field that an order is by, and whether it can be null.
pub(super) const fn can_be_null(field: Field) -> bool {
    matches!(field, Field::Own(_))
}
