//! Every form of 2.3 as each library's generator writes it, evaluated (acceptance 7).

use super::engines::on_both;
use super::*;

const GUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

async fn filled(client: &Client) {
    for row in [
        json!({"id": "1", "text": "abc", "n": 2, "m": 1.5, "b": true, "d": "2020-01-01T00:00:00.000Z",
            "g": GUID.to_uppercase(), "at": "12:13:14.000", "bin": "Cv8="}),
        json!({"id": "2", "text": "O'Brien", "n": -3, "m": 2.0, "b": false, "d": "2024-02-29T12:34:56.789Z"}),
        json!({"id": "3", "text": null}),
        json!({"id": "4", "text": "  Milk & Eggs + ", "n": 10, "m": 9_007_199_254_740_993_i64, "b": true,
            "d": "1969-12-31T23:59:59.999Z", "note": "café 日本"}),
        json!({"id": "5", "text": "ABC", "n": 2.5, "m": 1.5e20}),
    ] {
        post(client, "corpus", row).await;
    }
}

/// Each with the ids that it finds.
const JAVASCRIPT: &[(&str, &str)] = &[
    ("((b eq false) and (text eq 'O''Brien'))", "2"),
    ("(indexof(tolower(text),'abc') eq 0)", "15"),
    ("(indexof(text,'Milk') ge 0)", "4"),
    ("(length(text) eq 3)", "15"),
    ("(toupper(text) eq 'ABC')", "15"),
    ("(trim(text) eq 'Milk & Eggs +')", "4"),
    ("(concat(concat(text,'-'),text) eq 'abc-abc')", "1"),
    ("(substring(text,1) eq 'bc')", "1"),
    ("(substring(text,1,1) eq 'b')", "1"),
    ("(replace(text,'b','xx') eq 'axxc')", "1"),
    ("(year(d) eq 2024)", "2"),
    ("((month(d) sub 1) eq 1)", "2"),
    ("(day(d) eq 29)", "2"),
    ("(hour(d) eq 12)", "2"),
    ("(minute(d) eq 34)", "2"),
    ("(second(d) eq 56)", "2"),
    ("(floor(m) eq 1)", "1"),
    ("(ceiling(m) eq 2)", "12"),
    ("(round(n) eq 3)", "5"),
    ("((n add 1) eq 3)", "1"),
    ("((n sub 1) lt 0)", "2"),
    ("((n mul 2) eq 5)", "5"),
    ("((n div 2) eq 1)", "1"),
    ("((n mod 2) eq 0)", "14"),
    ("not(b)", "2"),
    ("(not (b eq true))", "2"),
    ("(text eq null)", "3"),
    ("(text ne null)", "1245"),
    ("((text ne 'q') and (b eq false))", "2"),
    ("(d ge datetime'2020-01-01T00:00:00.000Z')", "12"),
    ("(d lt datetime'1970-01-01T00:00:00.000Z')", "4"),
    ("((n eq 2) and (d eq datetime'2020-01-01T00:00:00.000Z'))", "1"),
];

/// `2L`, doubles with their point, `f`, `M`, bytes in hex, `datetimeoffset` with seven digits.
const NET: &[(&str, &str)] = &[
    ("(n eq 2L)", "1"),
    ("(m eq 2.0)", "2"),
    ("(m eq 1.5f)", "1"),
    ("(m eq 1.5F)", "1"),
    ("(m eq 1.5M)", "1"),
    ("(m eq 1.5E+20)", "5"),
    ("(m eq 9007199254740993L)", "4"),
    ("(m eq 9007199254740992L)", ""),
    ("(n eq 0A)", "4"),
    ("(n gt -3)", "145"),
    ("substringof('bc',text)", "1"),
    ("startswith(text,'O')", "2"),
    ("endswith(text,'en')", "2"),
    ("(startswith(text,'ab') eq true)", "1"),
    ("(d eq datetime'2020-01-01T00:00:00')", "1"),
    ("(d eq datetime'2020-01-01T00:00:00.0000000Z')", "1"),
    ("(d eq datetimeoffset'2020-01-01T01:00:00.0000000+01:00')", "1"),
    ("(g eq guid'01234567-89ab-cdef-0123-456789abcdef')", "1"),
    ("((text eq 'abc') or (n gt 5))", "14"),
    ("(d lt datetime'9999-12-31T23:59:59.999Z')", "124"),
    ("(d gt datetimeoffset'0001-01-01T00:00:00.0000000+00:00')", "124"),
    ("(tolower(note) eq 'café 日本')", "4"),
];

/// Constants in parentheses.
const ANDROID: &[(&str, &str)] = &[
    ("b eq (true)", "14"),
    ("text eq ('abc')", "1"),
    ("(n) gt (2)", "45"),
    ("n gt (2) and (b eq (true))", "4"),
    ("d ge (datetimeoffset'2020-01-01T00:00:00.000Z')", "12"),
    ("d eq (datetime'2020-01-01T00:00:00.000Z')", "1"),
    ("bin eq X'0AFF'", "1"),
    ("not (b eq (true))", "2"),
    ("substringof(('bc'),text)", "1"),
    ("year(d) eq (2024)", "2"),
    ("(n add (1)) eq (3)", "1"),
    ("endswith(text,('en')) or startswith(text,('AB'))", "25"),
];

const IOS: &[(&str, &str)] = &[
    ("(1 eq 1)", "12345"),
    ("(1 eq 0)", ""),
    ("(m eq 1.5f)", "1"),
    ("(m eq 2d)", "2"),
    ("(m eq 1.5D)", "1"),
    ("(n eq 10l)", "4"),
    ("(m eq 1.5m)", "1"),
    ("(n eq -3)", "2"),
    ("(g eq guid'01234567-89AB-CDEF-0123-456789ABCDEF')", "1"),
    ("substringof('Eggs',text)", "4"),
    ("((n ge 2) and (n le 3))", "15"),
    ("((d ge datetimeoffset'2020-01-01T00:00:00.000Z') and (1 eq 1))", "12"),
];

/// Both Datasync and the Community Toolkit; null is unlike all else there.
const DATASYNC: &[(&str, &str)] = &[
    ("contains(text,'bc')", "1"),
    ("(d gt cast(2020-01-01T00:00:00.000Z,Edm.DateTimeOffset))", "2"),
    ("(d eq cast(2020-01-01,Edm.Date))", "1"),
    ("(d eq cast('2020-01-01T00:00:00.000Z','Edm.DateTimeOffset'))", "1"),
    ("(at eq cast(12:13:14.000,Edm.TimeOfDay))", "1"),
    ("(g eq cast(01234567-89ab-cdef-0123-456789abcdef,Edm.Guid))", "1"),
    ("(text in ('abc','O'Brien'))", "12"),
    ("(text in ('O''Brien'))", "2"),
    ("(n in (2,10L,-3))", "124"),
    ("(text in ('abc', null))", "13"),
    ("(g in ('x',guid'01234567-89ab-cdef-0123-456789abcdef'))", "1"),
    ("(n ne 2L)", "2345"),
    ("(b ne true)", "235"),
    ("not (contains(text,'b'))", "245"),
    ("not contains(text,'b')", "245"),
    ("(2020-01-01T00:00:00Z eq d)", "1"),
    ("(d ge 2020-01-01T01:00:00.000+01:00)", "12"),
    ("(g eq 01234567-89ab-cdef-0123-456789abcdef)", "1"),
    ("(m eq 2.0) or (n eq 0A)", "24"),
    ("TEXT EQ 'abc' AND N GT 1 OR CONTAINS(text,'Milk')", "14"),
    ("-n eq 3", "2"),
    ("(n mul 2) eq (m add 2.5)", "1"),
];

#[tokio::test]
async fn point_07_every_form_of_each_library_finds_what_it_should() {
    on_both(async |world: World| {
        let client = &world.client;
        filled(client).await;
        for (headers, corpus) in [
            (V2, JAVASCRIPT),
            (V2, NET),
            (V2, ANDROID),
            (V2, IOS),
            (V3, DATASYNC),
            (TOOLKIT, DATASYNC),
            (V2, &DATASYNC[..11]),
        ] {
            for (filter, expected) in corpus {
                let path = format!("/tables/corpus?$filter={}&$top=50", encoded(filter));
                let body = send(client, "GET", &path, &[headers], &Value::Null).await.expect(200).json();
                let items = body.as_array().or_else(|| body["items"].as_array()).unwrap();
                assert_eq!(ids(items).concat(), *expected, "{headers:?} {filter}");
            }
        }
    })
    .await;
}

/// Each is refused on every engine in every dialect, with words about where and why.
const MALFORMED: &[&str] = &[
    "complete eq",
    "b eq eq true",
    "(year - 1900) ge 100",
    "foo(text) eq 'x'",
    "(text eq 'x'",
    "text eq 'x'))",
    "text eq 'x",
    "text eq \"x\"",
    "text = 'x'",
    "text eq 'x';",
    "text eq 'x' --",
    "text eq datetime'soon'",
    "d eq datetime'2020-13-01T00:00:00Z'",
    "d eq datetimeoffset'2020-01-01'x",
    "d eq cast(soon,Edm.DateTimeOffset)",
    "d eq cast(2020-01-01T00:00:00Z,Edm.Nothing)",
    "d eq cast(2020-01-01T00:00:00Z)",
    "d eq cast(text,Edm.DateTimeOffset)",
    "d eq cast(2020-01-01T00:00:00Z",
    "g eq guid'1234'",
    "bin eq X'0AF'",
    "bin eq Y'00'",
    "text in ()",
    "text in 'a'",
    "text in (b)",
    "text in ('a'",
    "length(text,text) eq 1",
    "substring(text) eq 'a'",
    "contains(text)",
    "substringof('a')",
    "replace(text,'a') eq 'b'",
    "isof(text,'Edm.String')",
    "geo.distance(a,b) lt 3",
    "text/length eq 3",
    "text",
    "n add 1",
    "not n",
    "n eq 'abc'",
    "b eq 5",
    "d eq 'soon'",
    "text add 1 eq 2",
    "length(n) eq 1",
    "year(text) eq 2020",
    "version gt 'a'",
    "version eq 5",
    "n eq 99999999999999999999L",
    "n eq 1e999",
    "n eq 1.2.3",
    "n eq 1_000",
    "n eq - ",
    "text eq 'a\0b'",
    "text eq cast(a\0b,Edm.String)",
    "()",
    "💡",
];

#[tokio::test]
async fn point_07_malformed_ones_are_400_in_json() {
    on_both(async |world: World| {
        let client = &world.client;
        filled(client).await;
        let deep = format!("{}b{}", "(".repeat(100), ")".repeat(100));
        let wide = vec!["n eq 1"; 1_000].join(" or ");
        let long = format!("text eq '{}'", "x".repeat(33_000));
        let more = [deep.as_str(), &wide, &long];
        for filter in MALFORMED.iter().copied().chain(more) {
            for (headers, members) in [(V2, &["error", "message"][..]), (V3, &["error"]), (TOOLKIT, &["error"])] {
                let path = format!("/tables/corpus?$filter={}", encoded(filter));
                let answer = send(client, "GET", &path, &[headers], &Value::Null).await;
                let shown: String = filter.chars().take(60).collect();
                assert_eq!(answer.status, 400, "{shown}: {answer:?}");
                let body = answer.json();
                assert!(body.as_object().unwrap().keys().all(|name| members.contains(&name.as_str())), "{body}");
                assert!(body["error"].as_str().unwrap().starts_with("$filter "), "{shown}: {body}");
            }
        }
        // The longest that are taken.
        let wide = vec!["n eq 2"; 600].join(" or ");
        let deep = format!("{}n eq 2{}", "not (".repeat(32), ")".repeat(32));
        let long = format!("text eq 'abc' or text eq '{}'", "x".repeat(32_000));
        for filter in [wide, deep, long] {
            let path = format!("/tables/corpus?$filter={}", encoded(&filter));
            let rows = send(client, "GET", &path, &[V2], &Value::Null).await.expect(200).json();
            assert_eq!(ids(rows.as_array().unwrap()), ["1"]);
        }
    })
    .await;
}

/// A text that a filter makes of others is bounded, so that a short filter cannot fill the memory.
#[tokio::test]
async fn texts_that_a_filter_makes_are_bounded() {
    on_both(async |world: World| {
        let client = &world.client;
        post(client, "corpus", json!({"id": "a", "text": "a".repeat(3_000_000)})).await;
        let (many, ten) = ("b".repeat(10_000), "b".repeat(10));
        let doubled = "concat(concat(text,text),concat(text,text))";
        for filter in [
            format!("replace(text,'a','{many}') eq 'x'"),
            format!("length(replace(text,'a','{ten}')) gt 5"),
            "length(replace(text,'a',text)) gt 5".to_owned(),
            format!("length({doubled}) gt 5"),
            format!("length(concat({doubled},{doubled})) gt 5"),
        ] {
            let path = format!("/tables/corpus?$filter={}", encoded(&filter));
            let answer = send(client, "GET", &path, &[V2], &Value::Null).await.expect(400).json();
            let rule = "$filter must not make a text of more than 8388608 bytes";
            assert_eq!(answer["error"], json!(rule), "{:.60}", filter);
        }
        for filter in ["length(concat(text,text)) eq 6000000", "length(replace(text,'a','bb')) eq 6000000"] {
            let path = format!("/tables/corpus?$filter={}&$select=id", encoded(filter));
            assert_eq!(list(client, &path).await, [json!({"id": "a"})], "{filter}");
        }
    })
    .await;
}

/// By their value, whole or not, and null first (OBS 57).
#[tokio::test]
async fn numbers_are_in_one_order_on_each_engine() {
    on_both(async |world: World| {
        let client = &world.client;
        let numbers = [
            json!(null),
            json!(-1e300),
            json!(i64::MIN),
            json!(-10),
            json!(-1.5),
            json!(-1),
            json!(0),
            json!(1e-300),
            json!(0.1),
            json!(1.5),
            json!(2),
            json!(10),
            json!(9_007_199_254_740_993_i64),
            json!(1e300),
        ];
        let names = || (b'a'..).map(|letter| char::from(letter).to_string());
        // Not as they come.
        for (name, number) in names().zip(&numbers).collect::<Vec<_>>().into_iter().rev() {
            post(client, "types", json!({"id": name, "n": number})).await;
        }
        let ordered: String = names().take(numbers.len()).collect();
        let backwards: String = ordered.chars().rev().collect();
        for (order, expected) in [("n", &ordered), ("N%20desc", &backwards), ("b,n", &ordered), ("n,id", &ordered)] {
            let found = list(client, &format!("/tables/types?$orderby={order}")).await;
            assert_eq!(&ids(&found).concat(), expected, "{order}");
        }
    })
    .await;
}
