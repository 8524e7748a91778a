//! One row of spec 2.3, one case.

use proptest::prelude::*;

use super::*;
use crate::model::time::Timestamp;

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

fn literal(text: &str) -> Literal {
    match parse(&format!("a eq {text}")) {
        Ok(Expr::Compare(Comparison::Equal, _, right)) => match *right {
            Expr::Literal(literal) => literal,
            other => panic!("{text}: {other:?}"),
        },
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn every_form_of_a_literal() {
    let time = |millis| Literal::Time(Timestamp::from_millis(millis));
    let start = 1_577_836_800_000;
    let guid = || Literal::Guid("01234567-89ab-cdef-0123-456789abcdef".into());
    for (form, expected) in [
        ("null", Literal::Null),
        ("true", Literal::Bool(true)),
        ("FALSE", Literal::Bool(false)),
        ("'text'", text("text")),
        ("'O''Brien'", text("O'Brien")),
        ("''", text("")),
        ("'+ &%'", text("+ &%")),
        ("12", Literal::Int(12)),
        ("-3", Literal::Int(-3)),
        ("12L", Literal::Int(12)),
        ("12l", Literal::Int(12)),
        ("9223372036854775807L", Literal::Int(i64::MAX)),
        ("1.5", Literal::Float(1.5)),
        ("1.5E+20", Literal::Float(1.5e20)),
        ("1.5E-3", Literal::Float(0.0015)),
        ("2.0", Literal::Int(2)),
        ("1.5f", Literal::Float(1.5)),
        ("1.5F", Literal::Float(1.5)),
        ("2d", Literal::Int(2)),
        ("1.5D", Literal::Float(1.5)),
        ("1.5m", Literal::Float(1.5)),
        ("3.5M", Literal::Float(3.5)),
        ("0A", Literal::Int(10)),
        ("10", Literal::Int(10)),
        ("X'0AFF'", text("Cv8=")),
        ("datetime'2020-01-01T00:00:00.000Z'", time(start)),
        ("datetime'2020-01-01T00:00:00'", time(start)),
        ("datetime'2020-01-01T00:00:00.1230000Z'", time(start + 123)),
        ("datetimeoffset'2020-01-01T01:00:00.0000000+01:00'", time(start)),
        ("datetimeoffset'1969-12-31T00:00:00.000Z'", time(-86_400_000)),
        ("(datetimeoffset'2020-01-01T00:00:00.000Z')", time(start)),
        ("cast(2020-01-01T00:00:00.000Z,Edm.DateTimeOffset)", time(start)),
        ("cast(2020-01-01T00:00:00.000Z, Edm.DateTimeOffset)", time(start)),
        ("cast('2020-01-01T00:00:00.000Z','Edm.DateTimeOffset')", time(start)),
        ("cast(2020-01-01,Edm.Date)", Literal::Day(Timestamp::from_millis(start))),
        ("cast(12:13:14.000,Edm.TimeOfDay)", text("12:13:14.000")),
        ("cast(01234567-89AB-cdef-0123-456789abcdef,Edm.Guid)", guid()),
        ("guid'01234567-89ab-cdef-0123-456789abcdef'", guid()),
        ("01234567-89ab-cdef-0123-456789abcdef", guid()),
        ("2020-01-01T00:00:00Z", time(start)),
        ("2020-01-01T01:00:00+01:00", time(start)),
        ("2020-01-01", Literal::Day(Timestamp::from_millis(start))),
    ] {
        assert_eq!(literal(form), expected, "{form}");
    }
}

#[test]
fn every_function() {
    for (name, function, least, most) in Function::ALL {
        for count in least..=most {
            let arguments = vec!["a"; count].join(", ");
            let parsed = parse(&format!("{}( {arguments} )", name.to_uppercase())).unwrap();
            assert_eq!(parsed, Expr::Call(function, vec![Expr::Member("a".into()); count]), "{name}");
        }
        let arguments = vec!["a"; most + 1].join(",");
        assert!(parse(&format!("{name}({arguments})")).unwrap_err().rule.contains("arguments"), "{name}");
    }
    let needle_first = parse("substringof('x',text)").unwrap();
    assert_eq!(needle_first, parse("contains(text,'x')").unwrap());
    for refused in
        ["foo(text) eq 'x'", "isof(text,'Edm.String')", "geo.distance(a,b) lt 3", "cast(a,Edm.String) eq 'x'"]
    {
        if let Ok(parsed) = parse(refused) {
            assert!(matches!(parsed, Expr::Compare(..)) && refused.starts_with("cast"), "{refused}: {parsed:?}");
        }
    }
}

#[test]
fn operators_bind_as_they_should() {
    let member = |name: &str| Expr::Member(name.into());
    let equal =
        |a: Expr, b: i64| Expr::Compare(Comparison::Equal, Box::new(a), Box::new(Expr::Literal(Literal::Int(b))));
    let (a, b, c) = (equal(member("a"), 1), equal(member("b"), 2), equal(member("c"), 3));
    for (filter, expected) in [
        ("a eq 1 or b eq 2 and c eq 3", Expr::Or(vec![a.clone(), Expr::And(vec![b.clone(), c.clone()])])),
        ("(a eq 1 OR b EQ 2) AND c eq 3", Expr::And(vec![Expr::Or(vec![a.clone(), b]), c])),
        ("not (a eq 1)", Expr::Not(Box::new(a.clone()))),
        ("not(a eq 1)", Expr::Not(Box::new(a))),
        ("not complete", Expr::Not(Box::new(member("complete")))),
        ("-a", Expr::Negated(Box::new(member("a")))),
        ("notes", member("notes")),
        ("a in (1, -2,'x')", Expr::In(Box::new(member("a")), vec![Literal::Int(1), Literal::Int(-2), text("x")])),
        (
            "a add 2 mul b sub 1 eq 1",
            equal(
                Expr::Arithmetic(
                    Arithmetic::Subtract,
                    Box::new(Expr::Arithmetic(
                        Arithmetic::Add,
                        Box::new(member("a")),
                        Box::new(Expr::Arithmetic(
                            Arithmetic::Multiply,
                            Box::new(Expr::Literal(Literal::Int(2))),
                            Box::new(member("b")),
                        )),
                    )),
                    Box::new(Expr::Literal(Literal::Int(1))),
                ),
                1,
            ),
        ),
    ] {
        assert_eq!(parse(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn a_list_of_the_community_toolkit_doubles_no_quotes() {
    let list = |filter: &str| match parse(filter) {
        Ok(Expr::In(_, list)) => list,
        other => panic!("{filter}: {other:?}"),
    };
    assert_eq!(list("t in ('O'Brien','b')"), [text("O'Brien"), text("b")]);
    assert_eq!(list("t in ('O''Brien', '')"), [text("O'Brien"), text("")]);
    assert_eq!(list("t in (cast(2020-01-01,Edm.Date),null)").len(), 2);
}

#[test]
fn what_is_malformed_says_where_and_why() {
    for (filter, at, rule) in [
        ("complete eq", 11, "an expression was expected"),
        ("", 0, "an expression was expected"),
        ("(year - 1900) ge 100", 6, "')' or an operator was expected"),
        ("foo(text) eq 'x'", 0, "foo is no function that can be asked for"),
        ("(text eq 'x'", 12, "')' or an operator was expected"),
        ("text eq 'x", 8, "a closing quote was expected"),
        ("é eq 1", 0, "an expression was expected"),
        ("a eq datetime'soon'", 5, "a date and time such as 2020-01-01T00:00:00.000Z was expected"),
        ("a in 1", 5, "'(' was expected"),
        ("a in (b)", 6, "a literal was expected"),
        ("a/b eq 1", 1, "members of members cannot be asked for"),
        ("a eq 1 1", 7, "an operator or the end was expected"),
        ("a eq cast(x,Edm.Point)", 10, "this type cannot be cast to"),
        ("length(a,b)", 0, "length takes 1 arguments"),
        ("a eq 'x\0'", 5, "a text must not contain U+0000"),
        ("a eq cast(x\0,Edm.String)", 10, "a text must not contain U+0000"),
    ] {
        assert_eq!(parse(filter), Err(FilterError { at, rule: rule.to_owned() }), "{filter}");
    }
}

#[test]
fn length_depth_and_size_are_bounded() {
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&deep(DEEPEST)).is_ok() && parse(&deep(DEEPEST + 1)).is_err());
    assert!(parse(&deep(10_000)).is_err());
    assert!(parse(&format!("{}a", "not ".repeat(8_000))).is_err());
    assert!(parse(&format!("{}a", "- ".repeat(8_000))).is_err());
    assert!(parse(&format!("a eq 1{}", " add 1".repeat(70))).is_err());
    let many = |n: usize| vec!["a eq 1"; n].join(" or ");
    assert!(parse(&many(600)).is_ok() && parse(&many(700)).is_err());
    assert!(parse(&"a".repeat(LONGEST + 1)).is_err());
}

#[test]
fn options_are_matched_without_regard_to_case() {
    let options = ListOptions::read([
        ("$FILTER", "a eq 1"),
        ("$OrderBy", "updatedAt desc, text"),
        ("$select", "id, text,ID"),
        ("$top", "abc"),
        ("$inlinecount", "AllPages"),
        ("$count", "true"),
        ("__includedeleted", "TRUE"),
        ("mine", "x"),
    ])
    .unwrap();
    assert!(options.filter.is_some() && options.inline_count && options.count && options.deleted);
    let keys: Vec<_> = options.order.iter().map(|key| (key.column.as_str(), key.descending)).collect();
    assert_eq!(keys, [("updatedAt", true), ("text", false)]);
    assert_eq!(options.select, Some(vec!["id".into(), "text".into()]));
    assert_eq!(options.top.as_deref(), Some("abc"));
    assert!(!ListOptions::read([("__includeDeleted", "false")]).unwrap().deleted);
    for (name, value) in [
        ("$orderby", "id fizz"),
        ("$orderby", "id,,text"),
        ("$filter", "a eq"),
        ("$inlinecount", "some"),
        ("$expand", "x"),
        (AFTER, "x"),
    ] {
        assert_eq!(ListOptions::read([(name, value)]).unwrap_err().field, name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_gets_an_answer(text in ".{0,80}") {
        prop_assert_eq!(crate::tables::fuzz::exercise(text.as_bytes()), Ok(()));
    }

    #[test]
    fn any_words_of_the_grammar_get_an_answer(words in proptest::collection::vec(proptest::sample::select(vec![
        "t", "n", "b", "d", "id", "version", "eq", "ne", "gt", "in", "and", "or", "not", "(", ")", ",", "'x'", "1", "1.5f",
        "null", "true", "-", "add", "mod", "contains(", "substring(", "year(", "datetime'2020-01-01T00:00:00Z'", "cast(", "guid'",
        ",Edm.Date)", "  ", "'", "AF", "0A",
    ]), 0..24)) {
        let text = words.join(" ");
        prop_assert_eq!(crate::tables::fuzz::exercise(text.as_bytes()), Ok(()));
    }
}
