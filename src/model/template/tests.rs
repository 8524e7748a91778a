use std::collections::BTreeMap;

use proptest::prelude::*;
use quick_xml::events::Event;
use serde_json::{Value, json};

use super::expression::Expression;
use super::*;
use crate::model::id::HubId;
use crate::model::platform::Platform;

fn content(body: &str) -> TemplateContent {
    TemplateContent { body: body.to_owned(), ..TemplateContent::default() }
}

fn texts(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn rendered(body: &str, of: &[(&str, &str)]) -> String {
    let properties = Properties::new(&texts(of));
    let compiled = Compiled::new(&content(body), Mode::Strict).unwrap_or_else(|error| panic!("{body}: {error}"));
    compiled.render(&Values { properties: &properties, variables: None }).unwrap().body
}

/// The properties of the worked examples (4.7).
const EXAMPLE: &[(&str, &str)] =
    &[("msg", "He said \"hi\" & left"), ("n", "7"), ("city", "São Paulo"), ("long", "This is the title line")];

fn example(body: &str) -> String {
    rendered(body, EXAMPLE)
}

#[test]
fn worked_example_1() {
    assert_eq!(example(r#"{"aps":{"alert":"$(msg)"}}"#), r#"{"aps":{"alert":"He said \"hi\" & left"}}"#);
}

#[test]
fn worked_example_2() {
    assert_eq!(example(r#"<text id="1">$(msg)</text>"#), r#"<text id="1">He said "hi" &amp; left</text>"#);
}

#[test]
fn worked_example_3() {
    assert_eq!(example(r##"{"aps":{"badge":"#(n)"}}"##), r#"{"aps":{"badge":7}}"#);
}

#[test]
fn worked_example_4() {
    assert_eq!(example(r##"{"badge":"#(msg)"}"##), r#"{"badge":"He said \"hi\" & left"}"#);
}

#[test]
fn worked_example_5() {
    let body = r#"{"u":"{'https://e.test/?c=' + %(city)}"}"#;
    assert_eq!(example(body), r#"{"u":"https://e.test/?c=S%C3%A3o%20Paulo"}"#);
}

#[test]
fn worked_example_6() {
    assert_eq!(example(r#"{"t":".(long, 20)"}"#), r#"{"t":"This is the title..."}"#);
}

#[test]
fn worked_example_7() {
    assert_eq!(example(r#"{"t":"$(long, 4)"}"#), r#"{"t":"This"}"#);
}

#[test]
fn worked_example_8() {
    assert_eq!(example(r#"{"t":"$(nothere)"}"#), r#"{"t":""}"#);
}

#[test]
fn worked_example_9() {
    assert_eq!(example(r#"{"t":"{$(city) + ' - ' + $(n)}"}"#), r#"{"t":"São Paulo - 7"}"#);
}

#[test]
fn worked_example_10() {
    assert_eq!(example(r#"<image src="$(city)"/>"#), r#"<image src="São Paulo"/>"#);
}

#[test]
fn worked_example_11() {
    assert_eq!(example(r#"{"t":"City: $(city)"}"#), r#"{"t":"City: $(city)"}"#);
}

#[test]
fn worked_example_12() {
    assert_eq!(example(r#"{"t":"{'it''s ' + $(N)}"}"#), r#"{"t":"it's 7"}"#);
}

#[test]
fn worked_example_13() {
    assert_eq!(example(r#"{"t":"$(who:{friend})"}"#), r#"{"t":"friend"}"#);
}

#[test]
fn worked_example_14() {
    let error = Compiled::new(&content(r##"{"t":"{#(n) + 'x'}"}"##), Mode::Strict).unwrap_err();
    assert_eq!(error.field, "body");
    assert!(error.rule.contains("must not hold # in a composition"), "{error}");
}

#[test]
fn the_grammar_takes() {
    let of = &[("a", "12345"), ("b", ""), ("sum", "0")];
    for (expression, text) in [
        ("$(a)", "12345"),
        ("$( A )", "12345"),
        ("$(a,0)", ""),
        ("$(a , 99 )", "12345"),
        (".(a, 5)", "12345"),
        (".(a, 4)", "1..."),
        (".(a, 3)", "..."),
        (".(a, 2)", ".."),
        (".(a, 0)", ""),
        (".(b, 0)", ""),
        ("%(a)", "12345"),
        ("$(b:{never})", ""),
        ("$(c:{a\\}b\\\\})", "a}b\\"),
        ("$(c:{abc}, 2)", "ab"),
        (".(c:{abcdef}, 4)", "a..."),
        ("{$(a)}", "12345"),
        ("{ $(a) + $(b) + \"x\"\"y\" }", "12345x\"y"),
        ("{$(a) + ''}", "12345"),
        ("$(a) + 'x'", "12345x"),
        ("{'plain'}", "plain"),
        ("{'a + b } ' + $(a)}", "a + b } 12345"),
    ] {
        let body = json!({ "t": expression }).to_string();
        assert_eq!(rendered(&body, of), json!({ "t": text }).to_string(), "{expression}");
    }
}

#[test]
fn the_grammar_refuses() {
    for (expression, why) in [
        ("$", "( after"),
        ("$5 off", "( after"),
        ("#FF0000", "( after"),
        (".5", "( after"),
        ("%", "( after"),
        ("$()", "name a property"),
        ("$(a-b)", "close its parentheses"),
        ("$(a", "close its parentheses"),
        ("$(a,)", "whole number"),
        ("$(a,-1)", "whole number"),
        ("$(a,99999999999)", "whole number"),
        (".(a)", "a length"),
        ("%(a, 3)", "not have a length"),
        ("#(a, 3)", "not have a length"),
        ("$(a:{x)", "close its default"),
        ("$body", "$body"),
        ("{$(a)", "end with }"),
        ("{}", "operand"),
        ("{$(a) + }", "operand"),
        ("{$(a) - $(b)}", "only with +"),
        ("{$(a) $(b)}", "only with +"),
        ("{'a}", "close its quotes"),
        ("{a}", "must consist of"),
        ("{\"a\":1}", "only with +"),
        ("#(a) + 'x'", "# in a composition"),
        (&format!("$({})", "a".repeat(121)), "name a property"),
    ] {
        let error = Expression::parse(expression).unwrap_err();
        assert!(error.contains(why), "{expression}: {error}");
        let body = json!({ "t": expression }).to_string();
        assert_eq!(Compiled::new(&content(&body), Mode::Strict).unwrap_err().field, "body");
        // What was registered before it was looked at stays what it says.
        let compiled = Compiled::new(&content(&body), Mode::Lenient).unwrap();
        let nothing = Properties::default();
        let made = compiled.render(&Values { properties: &nothing, variables: None }).unwrap();
        assert_eq!(made.body, body);
    }
}

#[test]
fn numbers_are_bare_only_where_the_whole_text_is_one() {
    for (text, is_bare) in [
        ("0", true),
        ("10.50", true),
        ("1e5", true),
        ("1E-5", true),
        ("01", false),
        ("-1", false),
        ("1.", false),
        (".5", false),
        ("1e", false),
        ("1 ", false),
        ("", false),
        ("1e999", false),
        ("٣", false),
    ] {
        let expected = if is_bare { format!("{{\"n\":{text}}}") } else { json!({ "n": text }).to_string() };
        assert_eq!(rendered(r##"{"n":"#(n)"}"##, &[("n", text)]), expected, "{text}");
        assert_eq!(rendered(r##"{"n":"{#(n)}"}"##, &[("n", text)]), json!({ "n": text }).to_string(), "{text}");
        assert_eq!(rendered("<n>#(n)</n>", &[("n", text)]), format!("<n>{text}</n>"));
    }
}

#[test]
fn text_is_escaped_where_it_lands() {
    let nasty = "\"\\\n\u{1}</a>&'é\u{2028}";
    let made = rendered(r#"{"a":["$(x)",{"b":"{'q' + $(x)}"}],"$(x)":1}"#, &[("x", nasty)]);
    assert_eq!(
        serde_json::from_str::<Value>(&made).unwrap(),
        json!({"a": [nasty, {"b": format!("q{nasty}")}], "$(x)": 1})
    );
    let made = rendered("<a b='$(x)'>$(x)</a>", &[("x", "<\"'&>\u{1}\t\r\n]]>")]);
    assert_eq!(made, "<a b=\"&lt;&quot;'&amp;&gt;&#9;&#13;&#10;]]&gt;\">&lt;\"'&amp;&gt;\t&#13;\n]]&gt;</a>");
}

#[test]
fn characters_are_never_cut() {
    assert_eq!(rendered(r#"{"t":"$(x, 2)"}"#, &[("x", "é🙂a")]), r#"{"t":"é🙂"}"#);
    assert_eq!(rendered(r#"{"t":".(x, 4)"}"#, &[("x", "🙂🙂🙂🙂🙂")]), r#"{"t":"🙂..."}"#);
    assert_eq!(rendered(r#"{"t":".(x, 5)"}"#, &[("x", "🙂🙂🙂🙂🙂")]), r#"{"t":"🙂🙂🙂🙂🙂"}"#);
    assert_eq!(rendered(r#"{"t":"%(x)"}"#, &[("x", "a-._~ /🙂")]), r#"{"t":"a-._~%20%2F%F0%9F%99%82"}"#);
}

#[test]
fn a_json_body_keeps_its_order_and_loses_its_blanks() {
    let body = "{\n  \"b\" : [ 1.50, true, null, \"a \\\" b\" ],\r\n\t\"a\": \"\\u0024(x)\" , \"$(x)\" : \" $(x)\" }";
    let made = rendered(body, &[("x", "1")]);
    assert_eq!(made, r#"{"b":[1.50,true,null,"a \" b"],"a":"1","$(x)":" $(x)"}"#);
}

#[test]
fn an_xml_body_is_written_anew() {
    let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\n<!-- x -->\n<toast launch='a&amp;\"b\"'>\n  <text>$(x)</text>\
                <text>a $(x) &#x41;&lt;</text><text><![CDATA[$(x)]]></text><text><![CDATA[a<b]]></text><e/></toast>\n";
    let made = rendered(body, &[("x", "1<2")]);
    assert_eq!(
        made,
        "<toast launch=\"a&amp;&quot;b&quot;\">\n  <text>1&lt;2</text><text>a $(x) &#x41;&lt;</text>\
         <text>1&lt;2</text><text><![CDATA[a<b]]></text><e/></toast>"
    );
}

#[test]
fn xml_that_is_none_is_refused() {
    for body in [
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>text",
        "<a b=1/>",
        "<a b='1' b='2'/>",
        "<1a/>",
        "<a $='1'/>",
        "<a>&unknown;</a>",
        "<a>&#1;</a>",
        "<a b='&#0;'/>",
        "<a b='&who;'/>",
        "<a>\u{1}</a>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<!DOCTYPE a><a/>",
        "<?do it?><a/>",
        "<a>a & b</a>",
        "<",
        "<!-- -->",
    ] {
        assert_eq!(Compiled::new(&content(body), Mode::Lenient).unwrap_err().field, "body", "{body}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    assert!(Compiled::new(&content(&deep(DEEPEST)), Mode::Strict).is_ok());
    assert!(Compiled::new(&content(&deep(DEEPEST + 1)), Mode::Strict).is_err());
    assert!(Compiled::new(&content(&"[".repeat(LONGEST_BODY)), Mode::Lenient).is_err());
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert!(Compiled::new(&content(&deep(DEEPEST)), Mode::Strict).is_ok());
    assert!(Compiled::new(&content(&deep(DEEPEST + 1)), Mode::Strict).is_err());
    assert!(Compiled::new(&content(&format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST_BODY))), Mode::Strict).is_err());
    let many = format!("[{}]", vec!["\"$(x)\""; 1_000].join(","));
    let compiled = Compiled::new(&content(&many), Mode::Strict).unwrap();
    let long = Properties::new(&texts(&[("x", &"x".repeat(60_000))]));
    let error = compiled.render(&Values { properties: &long, variables: None }).unwrap_err();
    assert_eq!(error.field, "template");
}

#[test]
fn a_property_of_the_message_goes_before_a_variable() {
    let content = TemplateContent {
        headers: texts(&[("X-Who", "$(NAME)")]),
        ..content(r#"{"a":"$(name)","b":"$(Greeting)","c":"$(other:{none})"}"#)
    };
    let compiled = Compiled::new(&content, Mode::Strict).unwrap();
    let of_device = texts(&[("Name", "Anna"), ("greeting", "Salut"), ("unread", "7")]);
    let stored = compiled.variables(&of_device).unwrap();
    assert_eq!(stored, br#"{"greeting":"Salut","name":"Anna"}"#);
    assert_eq!(compiled.variables(&texts(&[("unread", "7")])), None);
    let (variables, message) = (Properties::decode(&stored), Properties::new(&texts(&[("GREETING", "Hi")])));
    let made = compiled.render(&Values { properties: &message, variables: Some(&variables) }).unwrap();
    assert_eq!(made.body, r#"{"a":"Anna","b":"Hi","c":"none"}"#);
    assert_eq!(made.headers, [("x-who".to_owned(), "Anna".to_owned())]);
    assert!(compiled.reads_beyond(&message));
    let all = texts(&[("name", ""), ("Greeting", ""), ("OTHER", "")]);
    assert!(!compiled.reads_beyond(&Properties::new(&all)));
}

#[test]
fn headers_and_expiry_follow_the_same_rule() {
    let content = TemplateContent {
        body: "{}".to_owned(),
        headers: texts(&[("a", "$(x)"), ("b", " as it is $(x) "), ("c", "$(none)"), ("d", "{'p' + $(n)}")]),
        expiry: Some("$(until)".to_owned()),
    };
    let compiled = Compiled::new(&content, Mode::Strict).unwrap();
    let values = Properties::new(&texts(&[("x", "1\r\nevil: 2"), ("n", "5"), ("until", "2027-01-01T09:00:00Z")]));
    let made = compiled.render(&Values { properties: &values, variables: None }).unwrap();
    let headers: Vec<_> = made.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("a", "1evil: 2"), ("b", "as it is $(x)"), ("d", "p5")]);
    assert_eq!(made.expiry.as_deref(), Some("2027-01-01T09:00:00Z"));
    for (headers, field) in [
        (texts(&[("a b", "")]), "headers.a b"),
        (texts(&[("A", ""), ("a", "")]), "headers.a"),
        (texts(&[("a", "$(")]), "headers.a"),
        (texts(&[("a", "b\nc: d")]), "headers.a"),
        (texts(&[("a", "b\u{7f}")]), "headers.a"),
        (texts(&[("a", &"x".repeat(LONGEST_HEADER + 1))]), "headers.a"),
        ((0..=MOST_HEADERS).map(|n| (n.to_string(), String::new())).collect(), "headers"),
    ] {
        let content = TemplateContent { headers, ..content.clone() };
        assert_eq!(Compiled::new(&content, Mode::Strict).unwrap_err().field, field);
    }
    let content = TemplateContent { headers: texts(&[("a", "b\nc: d")]), ..content };
    let old = Compiled::new(&content, Mode::Lenient).unwrap();
    let made = old.render(&Values { properties: &values, variables: None }).unwrap();
    assert_eq!(made.headers, [("a".to_owned(), "bc: d".to_owned())], "registered before it was looked at");
}

#[test]
fn each_platform_has_its_requirements() {
    const PHONE: &str =
        "<wp:Notification xmlns:wp=\"WPNotification\"><wp:Toast><wp:Text1>$(a)</wp:Text1></wp:Toast></wp:Notification>";
    let ok = "";
    for (platform, body, headers, field) in [
        (Platform::Apns, r#"{"aps":{}}"#, &[][..], ok),
        (Platform::Apns, "[]", &[], "body"),
        (Platform::Apns, "<a/>", &[], "body"),
        (Platform::Apns, "{", &[], "body"),
        (Platform::Apns, "", &[], "body"),
        (Platform::Apns, "{}", &[("Apns-Push-Type", "alert"), ("apns-expiration", "1800000000")], ok),
        (Platform::Apns, "{}", &[("apns-expiration", "$(until)")], ok),
        (Platform::Apns, "{}", &[("apns-expiration", "soon")], "headers.apns-expiration"),
        (Platform::Apns, "{}", &[("X-WNS-Type", "wns/raw")], "headers.x-wns-type"),
        (Platform::Apns, "{}", &[("apns-id", "1")], "headers.apns-id"),
        (Platform::Fcm, r#"{"message":{"data":{"a":"$(a)"}}}"#, &[], ok),
        (Platform::Fcm, "{}", &[("a", "b")], "headers"),
        (Platform::Fcm, "{}", &[("Content-Type", "application/json")], ok),
        (Platform::Apns, "{}", &[("content-type", "application/json"), ("apns-priority", "5")], ok),
        (Platform::Mpns, PHONE, &[("Content-Type", "text/xml")], ok),
        (Platform::Adm, "7", &[], "body"),
        (Platform::WebPush, "<a/>", &[], "body"),
        (Platform::Baidu, "{}", &[("X-Baidu-Message-Type", "1")], ok),
        (Platform::Baidu, "{}", &[("X-Baidu-Message-Type", "$(kind)")], ok),
        (Platform::Baidu, "{}", &[("X-Baidu-Message-Type", "2")], "headers.x-baidu-message-type"),
        (Platform::Baidu, "{}", &[("apns-topic", "a")], "headers.apns-topic"),
        (Platform::Baidu, "7", &[("X-Baidu-Message-Type", "1")], "body"),
        (Platform::Wns, "<toast/>", &[], ok),
        (Platform::Wns, "<Tile/>", &[], ok),
        (Platform::Wns, "<other/>", &[], "headers"),
        (Platform::Wns, "{}", &[], "headers"),
        (Platform::Wns, "{}", &[("X-WNS-Type", "wns/raw")], ok),
        (Platform::Wns, "[1]", &[("X-WNS-Type", "$(type)")], ok),
        (Platform::Wns, "{}", &[("X-WNS-Type", "wns/toast")], "body"),
        (Platform::Wns, "<toast/>", &[("X-WNS-Type", "toast")], "headers.x-wns-type"),
        (Platform::Wns, "<toast/>", &[("X-WNS-Tag", "a"), ("Content-Type", "text/xml")], ok),
        (Platform::Wns, "<toast/>", &[("apns-topic", "a")], "headers.apns-topic"),
        (Platform::Mpns, PHONE, &[], ok),
        (Platform::Mpns, "<Notification><Toast/></Notification>", &[], "body"),
        (Platform::Mpns, "<Notification xmlns=\"WPNotification\"><Tile/></Notification>", &[], ok),
        (Platform::Mpns, "<Notification xmlns=\"WPNotification\"><Other/></Notification>", &[], "body"),
        (Platform::Mpns, "{}", &[("X-NotificationClass", "3")], ok),
        (Platform::Mpns, "{}", &[("X-NotificationClass", "2")], "body"),
        (Platform::Mpns, PHONE, &[("apns-topic", "a")], "headers.apns-topic"),
    ] {
        let content = TemplateContent { headers: texts(headers), ..content(body) };
        let found = check(platform, &content).err().map(|error| error.field.into_owned());
        assert_eq!(found.as_deref().unwrap_or(ok), field, "{platform} {body} {headers:?}");
    }
    let expiring = |text: &str| TemplateContent { expiry: Some(text.to_owned()), ..content("{}") };
    assert_eq!(check(Platform::Apns, &expiring("tomorrow")).unwrap_err().field, "expiry");
    assert!(check(Platform::Apns, &expiring("2027-01-01T09:00:00Z")).is_ok());
    assert!(check(Platform::Apns, &expiring("$(until)")).is_ok());
}

#[test]
fn equal_content_has_one_number_in_a_hub() {
    let one = TemplateContent { headers: texts(&[("a", "b")]), expiry: Some("$(x)".to_owned()), ..content("{}") };
    let stored = one.encode();
    assert_eq!(TemplateContent::decode(&stored).unwrap(), one);
    assert_eq!(TemplateId::of(HubId(1), &stored), TemplateId::of(HubId(1), &one.clone().encode()));
    assert_ne!(TemplateId::of(HubId(1), &stored), TemplateId::of(HubId(2), &stored));
    assert_ne!(TemplateId::of(HubId(1), &stored), TemplateId::of(HubId(1), &content("{}").encode()));
    // It is stored: this number must never change.
    assert_eq!(TemplateId::of(HubId(1), content("{}").encode().as_slice()).to_string(), "efb528d313ed079d");
}

/// Text that is more often near the language than any text is.
fn near() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        "$(",
        ".(",
        "%(",
        "#(",
        ")",
        "a",
        "n1",
        " ",
        "+",
        "\\",
        "\\u0024",
        "<a>",
        "</a>",
        "<b c=\"",
        "\"/>",
        "&amp;",
        "&",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<!DOCTYPE a>",
        ":{",
        "1",
        "e9",
        "é",
        "\u{1}",
        "{\"a\":\"",
        "\"}",
        "null",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

fn is_xml_document(text: &str) -> bool {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return true,
            Ok(Event::Start(element) | Event::Empty(element)) if element.attributes().any(|found| found.is_err()) => {
                return false;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(fuzz::exercise(&bytes), Ok(()));
    }

    #[test]
    fn any_text_near_the_language_gets_an_answer(text in near()) {
        prop_assert_eq!(fuzz::exercise(text.as_bytes()), Ok(()));
        prop_assert_eq!(fuzz::exercise(format!("{{\"a\":{}}}", Value::from(text.clone())).as_bytes()), Ok(()));
        prop_assert_eq!(fuzz::exercise(format!("<a>{text}</a>").as_bytes()), Ok(()));
    }

    /// Whatever the values are, the document stays the one that was registered.
    #[test]
    fn values_cannot_leave_their_place(value in any::<String>()) {
        let of = [("x", value.as_str())];
        let made: Value = serde_json::from_str(&rendered(r#"{"a":"$(x)","b":["{'<' + $(x)}"]}"#, &of)).unwrap();
        prop_assert_eq!(made, json!({"a": value, "b": [format!("<{value}")]}));
        let made = rendered("<a b=\"$(x)\"><c>$(x)</c><d/></a>", &of);
        prop_assert!(is_xml_document(&made), "{}", made);
        prop_assert_eq!(made.matches('<').count(), 5);
    }
}
