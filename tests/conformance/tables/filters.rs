//! Filters: what an engine's database makes of one is what an evaluation in memory makes of it.

use std::cmp::Ordering;

use fanfare::model::time::Timestamp;
use fanfare::tables::odata::{Arithmetic, Comparison, Function};
use fanfare::tables::typed::{Field, Node, Type, Typed, resolve};
use fanfare::tables::value::compare_numbers;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// Rows with all that is special, and null in every column.
fn rows() -> Vec<Json> {
    let mut rows = vec![json!({}), json!({"t": null, "n": null, "b": null, "d": null})];
    let texts = ["", "a", "abc", "ABC", "O'Brien", "  x ", "5", "%_", "日本語", "abcabc", "2020-01-02T03:04:05.678Z"];
    let numbers = [json!(0), json!(1), json!(-2), json!(2.5), json!(-0.5), json!(9007199254740993_i64), json!(1e300)];
    let dates = [
        "2020-01-02T03:04:05.678Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00.000Z",
        "2024-02-29T12:00:00Z",
        "9999-12-31T23:59:59.999Z",
    ];
    for at in 0..28 {
        let (t, n) = (texts[at % texts.len()], &numbers[at % numbers.len()]);
        let (b, d) = (at % 3 == 0, dates[at % dates.len()]);
        rows.push(match at % 5 {
            0 => json!({"t": t, "n": n, "b": b, "d": d}),
            1 => json!({"t": t, "n": n, "d": d, "m": 3}),
            2 => json!({"t": t, "b": b, "m": -1.5}),
            3 => json!({"n": n, "b": b, "d": d, "u": "abc"}),
            _ => json!({"t": t, "n": n, "d": d, "u": t, "m": n}),
        });
    }
    rows
}

/// Conditions that clients' generators write, and others that the grammar allows.
fn condition() -> impl Strategy<Value = String> {
    let text = proptest::sample::select(vec![
        "t",
        "u",
        "'a'",
        "'abc'",
        "''",
        "'b'",
        "tolower(t)",
        "toupper(u)",
        "trim(t)",
        "concat(t,u)",
        "concat(t,'x')",
        "substring(t,1)",
        "substring(t,1,2)",
        "substring(u,n,2)",
        "replace(t,'a','bb')",
        "replace(t,u,'')",
        "id",
        "substring(concat(t,'xyz'),-1,length(u))",
    ]);
    let number = proptest::sample::select(vec![
        "n",
        "m",
        "0",
        "1",
        "2.5",
        "-3",
        "12L",
        "1.5f",
        "9007199254740993",
        "length(t)",
        "indexof(t,'b')",
        "indexof(t,u)",
        "(n add 1)",
        "(n sub m)",
        "(n mul 2)",
        "(n div m)",
        "(n div 0)",
        "(m mod 2)",
        "-m",
        "floor(m)",
        "ceiling(n)",
        "round(m)",
        "year(d)",
        "month(d)",
        "day(d)",
        "hour(d)",
        "minute(d)",
        "second(d)",
    ]);
    let date = proptest::sample::select(vec![
        "d",
        "createdAt",
        "updatedAt",
        "datetime'2020-01-02T03:04:05.678Z'",
        "datetimeoffset'1970-01-01T00:00:00.0000000+00:00'",
        "cast(2020-01-01,Edm.Date)",
        "2024-02-29T12:00:00Z",
    ]);
    let operator = || proptest::sample::select(vec!["eq", "ne", "gt", "ge", "lt", "le"]);
    let compare = |side: proptest::sample::Select<&'static str>| {
        (side.clone(), operator(), side).prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    };
    let fixed = proptest::sample::select(vec![
        "b",
        "deleted",
        "true",
        "(1 eq 1)",
        "(1 eq 0)",
        "(b eq true)",
        "(b eq 0)",
        "(b ne false)",
        "(t eq null)",
        "(n ne null)",
        "(null eq null)",
        "null",
        "(nothing)",
        "(null or b)",
        "(nothing eq 1)",
        "(nothing ne 1)",
        "(nothing eq null)",
        "(n gt null)",
        "(t in ('a','O'Brien','5'))",
        "(n in (1,-2,2.5,null))",
        "(length(t) in (0,3))",
        "(t eq 5)",
        "(n eq '1')",
        "(t eq datetime'2020-01-02T03:04:05.678Z')",
        "(id eq guid'00000000-0000-0000-0000-000000000000')",
        "(version eq 'MQ==')",
        "(version ne 'MQ==')",
        "(d in (2020-01-02T03:04:05.678Z))",
        "(b eq (n gt 0))",
    ])
    .prop_map(str::to_owned);
    let call = (
        proptest::sample::select(vec!["contains", "startswith", "endswith", "substringof"]),
        text.clone(),
        text.clone(),
    )
        .prop_map(|(function, a, b)| format!("{function}({a},{b})"));
    let leaf =
        proptest::prop_oneof![3 => compare(text), 3 => compare(number), 1 => compare(date), 2 => fixed, 2 => call];
    leaf.prop_recursive(4, 24, 3, |inner| {
        proptest::prop_oneof![
            inner.clone().prop_map(|a| format!("not {a}")),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            proptest::collection::vec(inner, 2..4).prop_map(|all| format!("({})", all.join(" or "))),
        ]
    })
}

#[test]
fn a_filter_finds_what_an_evaluation_in_memory_finds() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let conditions = condition();
    let filters: Vec<String> = (0..400).map(|_| conditions.new_tree(&mut runner).unwrap().current()).collect();
    for bench in benches() {
        let tables = bench.store().tables();
        let columns = vec![("d".into(), Kind::Date)];
        let table = open(tables, Definition { columns, soft_delete: true, ..Definition::named("t") });
        for (at, row) in rows().into_iter().enumerate() {
            wait(tables.write_row(&table, insert(&format!("r{at:02}"), row))).unwrap();
        }
        wait(tables.write_row(&table, write("r05", Change::Delete))).unwrap();
        let all = wait(tables.list_rows(&table, everything())).unwrap();
        for filter in &filters {
            for null_differs in [true, false] {
                let query = Query { null_differs, ..asked(filter, "") };
                let expr = query.filter.clone().unwrap();
                let found = match wait(tables.list_rows(&table, query)) {
                    Ok(page) => ids(&page),
                    // A sum beyond all numbers is an error in one database and infinite in the other.
                    Err(TableError::Field(error)) if error.rule.contains("no number can hold") => continue,
                    Err(error) => panic!("{filter}: {error:?}"),
                };
                let typed = resolve(&expr, &table, &all.schema, Unknown::Null, null_differs).unwrap();
                let holds = |row: &&Row| matches!(value(&typed, row), Value::Bool(true));
                let expected: Vec<_> = all.rows.iter().filter(holds).map(|row| row.id.to_string()).collect();
                assert_eq!(found, expected, "{filter} {null_differs}");
            }
        }
    }
}

#[test]
fn what_compares_apples_with_pears_is_refused() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, Definition { columns: vec![("d".into(), Kind::Date)], ..Definition::named("t") });
        wait(tables.write_row(&table, insert("a", json!({"t": "x", "n": 1, "b": true})))).unwrap();
        for filter in [
            "t",
            "n add 1",
            "t eq true",
            "n eq 'x'",
            "n gt t",
            "d eq 'soon'",
            "length(n) eq 1",
            "year(t) eq 1",
            "t add 1 eq 2",
            "version gt 'x'",
            "n in ('x')",
            "not n",
            "b eq 5",
            "substring(t,'x') eq 'x'",
        ] {
            let refused = wait(tables.list_rows(&table, asked(filter, "")));
            assert!(matches!(refused, Err(TableError::Field(_))), "{filter}: {refused:?}");
        }
        // Whatever is bound is no part of the statement.
        let hostile = "t eq '''; DROP TABLE app_t; --' or t eq '\"' or t eq '$1' or t eq '?'";
        assert!(ids(&wait(tables.list_rows(&table, asked(hostile, ""))).unwrap()).is_empty());
        let many = (0..600).map(|n| format!("n eq {n}")).collect::<Vec<_>>().join(" or ");
        assert_eq!(ids(&wait(tables.list_rows(&table, asked(&many, ""))).unwrap()), ["a"]);
    }
}

fn value(typed: &Typed, row: &Row) -> Value {
    let of = |inner: &Typed| value(inner, row);
    match &typed.node {
        Node::Literal(value) => value.clone(),
        Node::Field(field) => match field {
            Field::Id => row.id.value(),
            Field::Created => Value::Time(row.created),
            Field::Updated => Value::Time(row.updated),
            Field::Deleted => Value::Bool(row.deleted),
            Field::Own(at) => row.fields[*at].clone(),
        },
        Node::Not(inner) => match of(inner) {
            Value::Bool(flag) => Value::Bool(!flag),
            _ => Value::Null,
        },
        Node::And(parts) => junction(parts.iter().map(of), false),
        Node::Or(parts) => junction(parts.iter().map(of), true),
        Node::Compare(operator, a, b) => match order(&of(a), &of(b)) {
            None => Value::Null,
            Some(order) => Value::Bool(match operator {
                Comparison::Equal => order.is_eq(),
                Comparison::NotEqual => order.is_ne(),
                Comparison::Greater => order.is_gt(),
                Comparison::GreaterOrEqual => order.is_ge(),
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
            }),
        },
        Node::Differs(a, b) => match (of(a), of(b)) {
            (Value::Null, Value::Null) => Value::Bool(false),
            (a, b) => Value::Bool(order(&a, &b).is_none_or(Ordering::is_ne)),
        },
        Node::IsNull(inner) => Value::Bool(of(inner).is_null()),
        Node::In(inner, values) => match of(inner) {
            Value::Null if !values.is_empty() => Value::Null,
            tested => Value::Bool(values.iter().any(|value| order(&tested, value) == Some(Ordering::Equal))),
        },
        Node::Negated(inner) => real(&of(inner)).map_or(Value::Null, |number| Value::Float(0.0 - number)),
        Node::ToDouble(inner) => real(&of(inner)).map_or(Value::Null, Value::Float),
        Node::FoldedCase(inner) => match of(inner) {
            Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
            other => other,
        },
        Node::Arithmetic(operator, a, b) => match (real(&of(a)), real(&of(b))) {
            (Some(a), Some(b)) => match operator {
                Arithmetic::Add => Value::Float(a + b),
                Arithmetic::Subtract => Value::Float(a - b),
                Arithmetic::Multiply => Value::Float(a * b),
                Arithmetic::Divide | Arithmetic::Modulo if b == 0.0 => Value::Null,
                Arithmetic::Divide => Value::Float(a / b),
                Arithmetic::Modulo => Value::Float(a % b),
            },
            _ => Value::Null,
        },
        Node::Call(function, arguments) => {
            let arguments: Vec<_> = arguments.iter().map(of).collect();
            call(*function, &arguments).unwrap_or(Value::Null)
        }
    }
    .normal(typed.of)
}

trait Normal {
    fn normal(self, of: Type) -> Self;
}

impl Normal for Value {
    /// Computed numbers are compared as they are, whole or not.
    fn normal(self, of: Type) -> Self {
        match (&self, of) {
            (Self::Int(_), Type::Double) => real(&self).map_or(Self::Null, Self::Float),
            _ => self,
        }
    }
}

fn junction(parts: impl Iterator<Item = Value>, decides: bool) -> Value {
    let mut made = Value::Bool(!decides);
    for part in parts {
        match part {
            Value::Bool(flag) if flag == decides => return Value::Bool(decides),
            Value::Bool(_) => {}
            _ => made = Value::Null,
        }
    }
    made
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        // What was computed is a float also where it is whole.
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Float(a), b @ Value::Int(_)) if a.fract() == 0.0 => a.partial_cmp(&real(b)?),
        (a @ Value::Int(_), Value::Float(b)) if b.fract() == 0.0 => real(a)?.partial_cmp(b),
        (a, b) => compare_numbers(a, b),
    }
}

fn call(function: Function, arguments: &[Value]) -> Option<Value> {
    let text = |at: usize| match arguments.get(at)? {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let number = || real(arguments.first()?);
    let time = || match arguments.first()? {
        Value::Time(time) => Some(parts(*time)),
        _ => None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "held within the bounds")]
    let place = |at: usize| arguments.get(at).and_then(real).unwrap_or(0.0).clamp(0.0, 1e9) as usize;
    let count = |n: usize| Value::Float(n as f64);
    Some(match function {
        Function::Contains => Value::Bool(text(0)?.contains(text(1)?)),
        Function::StartsWith => Value::Bool(text(0)?.starts_with(text(1)?)),
        Function::EndsWith => Value::Bool(text(0)?.ends_with(text(1)?)),
        Function::IndexOf => {
            let (hay, needle) = (text(0)?, text(1)?);
            hay.find(needle).map_or(Value::Float(-1.0), |at| count(hay[..at].chars().count()))
        }
        Function::Length => count(text(0)?.chars().count()),
        Function::ToLower => Value::Text(text(0)?.to_lowercase()),
        Function::ToUpper => Value::Text(text(0)?.to_uppercase()),
        Function::Trim => Value::Text(text(0)?.trim_matches(' ').to_owned()),
        Function::Concat => Value::Text(format!("{}{}", text(0)?, text(1)?)),
        Function::Replace => {
            let (from, to) = (text(1)?, text(2)?);
            Value::Text(if from.is_empty() { text(0)?.to_owned() } else { text(0)?.replace(from, to) })
        }
        Function::Substring => {
            let most = if arguments.len() == 3 { place(2) } else { usize::MAX };
            Value::Text(text(0)?.chars().skip(place(1)).take(most).collect())
        }
        Function::Year => Value::Float(time()?[0]),
        Function::Month => Value::Float(time()?[1]),
        Function::Day => Value::Float(time()?[2]),
        Function::Hour => Value::Float(time()?[3]),
        Function::Minute => Value::Float(time()?[4]),
        Function::Second => Value::Float(time()?[5]),
        Function::Floor => Value::Float(number()?.floor()),
        Function::Ceiling => Value::Float(number()?.ceil()),
        Function::Round => Value::Float(number()?.round()),
    })
}

/// From the text that clients see.
fn parts(time: Timestamp) -> [f64; 6] {
    let text = time.to_string();
    let mut parts = text.split(['-', 'T', ':', '.']).map(|part| part.trim_end_matches('Z').parse::<f64>().unwrap());
    std::array::from_fn(|_| parts.next().unwrap())
}
