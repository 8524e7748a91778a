//! Texts to trees and back, and what is said about texts that are none.
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::audience::{Audience, AudienceError, AudienceFault, AudienceLimits, Expr, Term};
use crate::model::tag::Tag;

fn parse(text: &str) -> Result<Audience, AudienceError> {
    Audience::parse(text, &AudienceLimits::default())
}

fn tag(text: &str) -> Expr {
    Expr::Term(Term::Tag(Tag::parse(text, 120).unwrap()))
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

#[test]
fn precedence_and_flattening() {
    let (a, b, c, d) = (tag("a"), tag("b"), tag("c"), tag("d"));
    let cases = [
        ("a", a.clone()),
        (" ( ( a ) ) ", a.clone()),
        ("!a", not(a.clone())),
        ("! ! a", not(not(a.clone()))),
        ("a||b&&c", Expr::Or(vec![a.clone(), Expr::And(vec![b.clone(), c.clone()])])),
        ("a && b || c && d", {
            Expr::Or(vec![Expr::And(vec![a.clone(), b.clone()]), Expr::And(vec![c.clone(), d.clone()])])
        }),
        ("!a && b", Expr::And(vec![not(a.clone()), b.clone()])),
        ("!(a && b) || c", Expr::Or(vec![not(Expr::And(vec![a.clone(), b.clone()])), c.clone()])),
        ("(a || b) && c", Expr::And(vec![Expr::Or(vec![a.clone(), b.clone()]), c.clone()])),
        ("(a || b) || (c || d)", Expr::Or(vec![a.clone(), b.clone(), c.clone(), d.clone()])),
        ("a && ((b && c) && d)", Expr::And(vec![a.clone(), b.clone(), c.clone(), d.clone()])),
        ("a\t||\n((b))", Expr::Or(vec![a, b])),
    ];
    for (text, expr) in cases {
        assert_eq!(parse(text), Ok(Audience::Expr(expr)), "{text:?}");
    }
}

#[test]
fn blank_means_everyone() {
    for text in ["", " ", "\t\n "] {
        assert_eq!(parse(text), Ok(Audience::Everyone));
    }
    assert_eq!(Audience::Everyone.to_string(), "");
    assert_eq!(Audience::Everyone.terms().count(), 0);
}

#[test]
fn system_terms_with_and_without_braces() {
    let user = |id: &str| Ok(Audience::Expr(Expr::Term(Term::User(id.into()))));
    let installation = |id: &str| Ok(Audience::Expr(Expr::Term(Term::Installation(id.into()))));
    assert_eq!(parse("$UserId:{u42}"), user("u42"));
    assert_eq!(parse("$userid:{U 4/2 && (x)}"), user("U 4/2 && (x)"));
    assert_eq!(parse("$USERID:a=b:c@d"), user("a=b:c@d"));
    assert_eq!(parse("($InstallationId:{8b3e-…})"), installation("8b3e-…"));
    assert_eq!(parse("$installationID:dev-1"), installation("dev-1"));
    assert_eq!(parse("$UserId:Ann").unwrap().to_string(), "$UserId:{Ann}");
}

#[test]
fn naming_a_user() {
    for (text, named) in [
        ("", false),
        ("a && !b", false),
        ("$InstallationId:{x}", false),
        ("$UserId:{x}", true),
        ("a || !(b && !$UserId:{x})", true),
    ] {
        assert_eq!(parse(text).unwrap().names_user(), named, "{text:?}");
    }
    let audience = parse("b && (a || !c) && b").unwrap();
    let terms: Vec<_> = audience.terms().map(Term::to_string).collect();
    assert_eq!(terms, ["b", "a", "c", "b"]);
}

#[test]
fn errors_point_at_the_character_and_say_what_was_expected() {
    let cases = [
        ("a && b &", r#"at character 8: expected "&&", "||" or end of text, found "&""#),
        ("a && b &&", r#"at character 10: expected a tag, "(" or "!", found end of text"#),
        ("a || ", r#"at character 6: expected a tag, "(" or "!", found end of text"#),
        ("|| a", r#"at character 1: expected a tag, "(" or "!", found "|""#),
        ("a b", r#"at character 3: expected "&&", "||" or end of text, found "b""#),
        ("größe,b", r#"at character 6: expected "&&", "||" or end of text, found ",""#),
        ("a | b", r#"at character 3: expected "&&", "||" or end of text, found "|""#),
        ("a)", r#"at character 2: expected "&&", "||" or end of text, found ")""#),
        ("()", r#"at character 2: expected a tag, "(" or "!", found ")""#),
        ("a!", r#"at character 2: expected "&&", "||" or end of text, found "!""#),
        (
            "é && (a || b",
            r#"at character 13: expected "&&", "||" or the ")" for the "(" at character 6, found end of text"#,
        ),
        ("(a b)", r#"at character 4: expected "&&", "||" or the ")" for the "(" at character 1, found "b""#),
        ("(a))", r#"at character 4: expected "&&", "||" or end of text, found ")""#),
        ("a = b", r#"at character 3: expected "&&", "||" or end of text, found "=""#),
        ("\"a\"", r#"at character 1: expected a tag, "(" or "!", found '"'"#),
        ("a\0", r#"at character 2: expected "&&", "||" or end of text, found "\0""#),
        ("a && $platform:apns", r#"at character 6: expected "$UserId:" or "$InstallationId:" after "$""#),
        ("$UserId", r#"at character 1: expected "$UserId:" or "$InstallationId:" after "$""#),
        ("$UserId:", r#"at character 9: expected an id, as in "$UserId:{ann}", found end of text"#),
        ("$UserId: ann", r#"at character 9: expected an id, as in "$UserId:{ann}", found " ""#),
        ("$UserId:{}", r#"at character 10: expected an id, as in "$UserId:{ann}", found "}""#),
        ("ü || $UserId:{ann", r#"at character 18: expected the "}" for the "{" at character 14, found end of text"#),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), message, "{text:?}");
    }
}

#[test]
fn limits_are_exact() {
    let limits = AudienceLimits { terms: 3, depth: 4, tag_length: 5 };
    let fault = |text: &str| Audience::parse(text, &limits).map_err(|error| (error.position, error.fault));
    assert!(fault("a || a && $UserId:{x}").is_ok());
    assert_eq!(fault("a || a && a || a"), Err((16, AudienceFault::TooManyTerms { limit: 3 })));
    assert_eq!(fault("a || a && a || $UserId:x"), Err((16, AudienceFault::TooManyTerms { limit: 3 })));
    for deep in ["((((a))))", "!!!!a", "(!(!a))", "!(a) && !(((a)))", "(((a))) || !!!!a"] {
        assert!(fault(deep).is_ok(), "{deep:?}");
    }
    assert_eq!(fault("(((((a)))))"), Err((5, AudienceFault::TooDeep { limit: 4 })));
    assert_eq!(fault("!!!!!a"), Err((5, AudienceFault::TooDeep { limit: 4 })));
    assert_eq!(fault("a || !(!(!a))"), Err((10, AudienceFault::TooDeep { limit: 4 })));
    assert!(fault("a12ü5 || $UserId:longer_than_a_tag").is_ok());
    assert_eq!(fault("ü || a12ü56 && b"), Err((11, AudienceFault::TagTooLong { limit: 5 })));
    let long = "(".repeat(1_000_000);
    assert_eq!(fault(&long), Err((5, AudienceFault::TooDeep { limit: 4 })));
}

#[test]
fn ten_thousand_terms_are_taken() {
    let text = (0..10_000).map(|n| format!("$UserId:{{u{n}}}")).collect::<Vec<_>>().join("||");
    let audience = parse(&text).unwrap();
    assert_eq!(audience.terms().count(), 10_000);
    assert_eq!(parse(&format!("{text}||a")).unwrap_err().fault, AudienceFault::TooManyTerms { limit: 10_000 });
}

#[test]
fn a_caret_stands_under_the_fault() {
    let rendered = |text: &str| parse(text).unwrap_err().render(text);
    assert_eq!(
        rendered("a && b &"),
        "a && b &\n       ^\nat character 8: expected \"&&\", \"||\" or end of text, found \"&\""
    );
    assert!(rendered("a\n&& ").starts_with("a && \n     ^\n"));
    let long = format!("{}, {}", "x || ".repeat(30) + "x", "y".repeat(60));
    let rendered = rendered(&long);
    let [text, caret, _] = rendered.lines().collect::<Vec<_>>()[..] else { panic!("three lines: {rendered}") };
    assert_eq!(text.chars().position(|character| character == ','), caret.chars().position(|c| c == '^'));
    assert!(text.starts_with('…') && text.ends_with('…'));
}

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-c]",
        2 => Just(" ".to_owned()),
        3 => Just("&&".to_owned()),
        3 => Just("||".to_owned()),
        2 => Just("!".to_owned()),
        2 => Just("(".to_owned()),
        2 => Just(")".to_owned()),
        1 => Just("$UserId:{u}".to_owned()),
        1 => Just("$installationid:".to_owned()),
        1 => "\\PC",
        1 => "[&|${}:é]",
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Trees as the parser makes them: n-ary, flat.
fn trees() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        4 => "[\\w_@#.:-]{1,6}".prop_filter_map("a tag", |text| Tag::parse(&text, 120).ok()).prop_map(Term::Tag),
        1 => "[^}]{1,8}".prop_map(|id| Term::User(id.into())),
        1 => "[^}]{1,8}".prop_map(|id| Term::Installation(id.into())),
    ]
    .prop_map(Expr::Term);
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(not),
            vec(inner.clone(), 2..4).prop_map(|members| Expr::And(flat(members, true))),
            vec(inner, 2..4).prop_map(|members| Expr::Or(flat(members, false))),
        ]
    })
}

fn flat(members: Vec<Expr>, and: bool) -> Vec<Expr> {
    let mut out = Vec::new();
    for member in members {
        match member {
            Expr::And(inner) if and => out.extend(inner),
            Expr::Or(inner) if !and => out.extend(inner),
            member => out.push(member),
        }
    }
    out
}

proptest! {
    #[test]
    fn any_text_is_answered(text in texts(), junk in ".{0,40}") {
        for text in [text, junk] {
            match parse(&text) {
                Ok(audience) => prop_assert_eq!(parse(&audience.to_string()), Ok(audience)),
                Err(error) => {
                    prop_assert!((1..=text.chars().count() + 1).contains(&error.position));
                    prop_assert!(error.render(&text).contains('^'));
                }
            }
        }
    }

    #[test]
    fn a_tree_survives_its_text(tree in trees()) {
        let audience = Audience::Expr(tree);
        let text = audience.to_string();
        prop_assert_eq!(parse(&text), Ok(audience), "{}", text);
    }
}
