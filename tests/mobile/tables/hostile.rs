//! What strangers send: it is refused with a reason or does nothing, and is never a failure of the service.

use super::engines::on_both;
use super::*;
use crate::world::session;

/// No bad input is our fault, and what is refused says why.
fn judged(answer: &Answer, what: &str) {
    let what: String = what.chars().take(120).collect();
    assert!(answer.status < 500, "{what}: {answer:?}");
    if (400..500).contains(&answer.status) && ![409, 410, 412].contains(&answer.status) {
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.len() > 5), "{what}: {answer:?}");
    }
}

fn deep(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// Texts that mean something to a database, a shell, a browser, a formatter or a parser.
const TEXTS: &[&str] = &[
    "'; DROP TABLE app_todoitem; --",
    "\"; DROP TABLE app_todoitem; --",
    "' OR '1'='1",
    "x' UNION SELECT key, id FROM data_table --",
    "$1",
    "$2::text",
    "?",
    "?1",
    ":name",
    "@name",
    "%s%n%x",
    "{0}",
    "{{userId}}",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "..",
    ".",
    "<script>alert(1)</script>",
    "\u{202e}\u{feff}",
    "\u{fffd}\u{ffff}",
    "💡é\u{301}",
    "a\tb",
    "a\r\nx-evil: 1",
    "\0",
    "NULL",
    "null",
    "undefined",
    "NaN",
    "-0",
    "1e999",
    "0x10",
    "id",
    "rowid",
    "ctid",
    "xmin",
    "tableoid",
    "sqlite_master",
    "pg_catalog.pg_user",
    "pg_sleep(10)",
    "randomblob(1000000000)",
    "load_extension('x')",
    "/* */",
    "\\",
    "'",
    "''",
    "\"",
    "`",
    "",
    " ",
];

fn filters() -> Vec<String> {
    let mut filters: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    for text in TEXTS {
        let quoted = text.replace('\'', "''");
        filters.push(format!("text eq '{quoted}'"));
        filters.push(format!("text eq '{text}'"));
        filters.push(format!("contains(text,'{quoted}') or text in ('{text}')"));
        filters.push(format!("{text} eq 1"));
        filters.push(format!("n eq {text}"));
        filters.push(format!("cast({text},Edm.String) eq text"));
    }
    filters.extend(
        [
            "n div 0 eq 1",
            "n mod 0 eq 1",
            "n mul 1e308 mul 1e308 gt 0",
            "1e308 mul 1e308 sub 1e308 mul 1e308 eq 0",
            "n add 9223372036854775807 add 9223372036854775807 gt 0",
            "n eq -9223372036854775808",
            "-(-9223372036854775807 sub 2) gt n",
            "n eq 1.7976931348623157e308",
            "n eq 4.9e-324",
            "substring(text,-1) eq 'x'",
            "substring(text,1e300) eq 'x'",
            "substring(text,n,9223372036854775807) eq 'x'",
            "substring(text,1,-5) eq ''",
            "substring(text,n div 0) eq 'x'",
            "indexof(text,'') eq 0",
            "replace(text,'','x') eq 'x'",
            "replace('','','') eq ''",
            "floor(1e300) eq 1e300",
            "round(-0.5) eq 0",
            "year(datetime'0001-01-01T00:00:00Z') eq 1",
            "year(datetime'9999-12-31T23:59:59Z') eq 9999",
            "year(datetime'99999-12-31T23:59:59Z') eq 9999",
            "createdAt gt datetime'-0001-01-01T00:00:00Z'",
            "createdAt gt datetimeoffset'2020-01-01T00:00:00+99:99'",
            "createdAt gt datetime'2020-02-30T00:00:00Z'",
            "version eq 'MQ=='",
            "version in ('MQ==','x',null)",
            "version eq null",
            "version lt updatedAt",
            "deleted",
            "deleted eq createdAt",
            "null",
            "null eq null",
            "null lt null",
            "not null",
            "null add 1 eq null",
            "length(null) eq null",
            "in in ('a')",
            "eq eq eq",
            "not eq not",
            "id in (1,2,null,true,1.5,'x',datetime'2020-01-01T00:00:00Z')",
        ]
        .map(str::to_owned),
    );
    filters.extend([
        deep("(", "n", ")", 5_000),
        deep("not ", "b", "", 8_000),
        deep("-", "n", "", 8_000),
        deep("tolower(", "text", ")", 3_000),
        deep("concat(text,", "text", ")", 60) + " eq 'x'",
        deep("replace(", "text", ",'a','aa')", 60) + " eq 'x'",
        deep("year(", "createdAt", ")", 60) + " eq 1",
        format!("n eq 1{}", " add 1".repeat(5_000)),
        format!("b{}", " and b".repeat(5_000)),
        format!("n in ({})", vec!["1"; 3_000].join(",")),
        format!("n in ({})", vec!["1"; 1_900].join(",")),
        format!("text eq '{}'", "'".repeat(30_001)),
        format!("text eq '{}'", "x".repeat(100_000)),
        "x".repeat(40_000),
        " ".repeat(30_000),
        "(".repeat(30_000),
        "'".repeat(30_000),
        format!("{} eq 1", "c".repeat(300)),
    ]);
    filters
}

#[tokio::test]
async fn hostile_filters_and_options_are_refused_or_find_nothing() {
    on_both(async |world: World| {
        let client = &world.client;
        post(client, "todoitem", json!({"id": "a", "text": "x", "n": 1, "b": true})).await;
        let filters = filters();
        let mut options: Vec<(&str, &str)> = filters.iter().map(|filter| ("$filter", filter.as_str())).collect();
        let names = [
            "$orderby",
            "$select",
            "$top",
            "$skip",
            "$inlinecount",
            "$count",
            "__includeDeleted",
            "__after",
            "$expand",
            "x",
        ];
        options.extend(names.iter().flat_map(|name| TEXTS.iter().map(move |text| (*name, *text))));
        let (keys, long) = (vec!["text"; 100].join(","), "x".repeat(50_000));
        // Cursors: not ours, of the wrong kind, of numbers that no clock reaches, of an id that is none.
        let cursors = [
            "s::1:2",
            "s::-9223372036854775808:9223372036854775807",
            "s:18446744073709551616:1:2",
            "s:::",
            "i::",
            "i::a\0b",
            "i:5:é",
            "t::1",
        ];
        let cursors = cursors.map(|text| base64(text.as_bytes()));
        options.extend(cursors.iter().map(|cursor| ("__after", cursor.as_str())));
        options.extend([
            ("$top", "9223372036854775807"),
            ("$top", "9223372036854775808"),
            ("$top", "-9223372036854775808"),
            ("$skip", "9223372036854775807"),
            ("$skip", "18446744073709551615"),
            ("$orderby", "id desc desc"),
            ("$orderby", &keys),
            ("$orderby", &long),
            ("$select", &long),
        ]);
        for headers in [V2, V3, TOOLKIT] {
            for (name, value) in &options {
                let path = format!("/tables/todoitem?{}={}", encoded(name), encoded(value));
                if path.len() > 60_000 {
                    // No request any more, whoever it is for.
                    client.send("GET", &path, &[headers], b"").await.expect(414);
                    continue;
                }
                judged(&send(client, "GET", &path, &[headers], &Value::Null).await, &format!("{name}={value}"));
                if headers != V2 {
                    continue;
                }
                let path = format!("{path}&$inlinecount=allpages&$orderby=updatedAt&$skip=1");
                judged(&send(client, "GET", &path, &[headers], &Value::Null).await, &format!("{name}={value}"));
            }
        }
        for query in [
            "$filter=%",
            "$filter=%zz",
            "%00=%00",
            "&&&",
            "=",
            "$filter",
            "$top=1&$top=x",
            "$filter=a%20eq%201&$filter=)",
        ] {
            judged(&send(client, "GET", &format!("/tables/todoitem?{query}"), &[V2], &Value::Null).await, query);
        }
        assert_eq!(list(client, "/tables/todoitem?$select=id,text").await, [json!({"id": "a", "text": "x"})]);
    })
    .await;
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Bodies that are 400, whatever they are sent with.
fn broken() -> Vec<String> {
    let mut broken: Vec<String> = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "null",
        "true",
        "5",
        "\"text\"",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":1}{\"b\":2}",
        "{\"a\":1} x",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":0x10}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":[1]}",
        "{\"a\":{\"b\":1}}",
        "{\"\":1}",
        "{\"a b\":1}",
        "{\"a;b\":1}",
        "{\"1a\":1}",
        "{\"é\":1}",
        "{\"a\\u0000\":1}",
        "{\"text\":5}",
        "{\"text\":true}",
        "{\"complete\":\"yes\"}",
        "{\"complete\":1}",
        "{\"text\":\"a\",\"TEXT\":\"b\"}",
        "{\"id\":\"a\\u0000b\"}",
        "{\"id\":\"a\\nb\"}",
        "{\"id\":true}",
        "{\"id\":[1]}",
        "{\"id\":{}}",
        "<item/>",
        "text=x&complete=true",
        "\u{feff}{}",
    ]
    .map(str::to_owned)
    .to_vec();
    broken.extend([
        deep("{\"a\":", "1", "}", 5_000),
        deep("[", "", "]", 100_000),
        format!("{{\"{}\":1}}", "c".repeat(128)),
        format!("{{\"id\":\"{}\"}}", "i".repeat(256)),
        format!("{{{}}}", (0..300).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",")),
    ]);
    broken
}

#[tokio::test]
async fn hostile_bodies_are_400_and_write_nothing() {
    on_both(async |world: World| {
        let client = &world.client;
        let made = post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
        for body in broken() {
            for (headers, method, path) in [
                (V2, "POST", "/tables/todoitem"),
                (V3, "POST", "/tables/todoitem"),
                (TOOLKIT, "POST", "/tables/todoitem"),
                (V2, "PATCH", "/tables/todoitem/a"),
                (TOOLKIT, "PUT", "/tables/todoitem/a"),
                (V2, "PATCH", "/tables/todoitem"),
            ] {
                let answer = send(client, method, path, &[headers, JSON], &Value::String(body.clone())).await;
                let shown: String = body.chars().take(60).collect();
                // An id that no row can have is no row's (2.7).
                let expected = if method == "PATCH" && !path.ends_with("/a") { 400..405 } else { 400..401 };
                assert!(expected.contains(&answer.status), "{method} {shown}: {answer:?}");
                judged(&answer, &body);
            }
        }
        let bytes: &[&[u8]] = &[b"\xff\xfe{\x00}\x00", b"{\"a\":\"\xff\"}", b"\x00", b"\x1f\x8b\x08\x00"];
        for bytes in bytes {
            let answer = client.send("POST", "/tables/todoitem", &[V2, JSON], bytes).await.expect(400);
            assert!(answer.json()["error"].is_string());
        }
        for kind in ["text/plain", "text/html", "application/xml", "multipart/form-data; boundary=x", "x", ";", "é"] {
            let headers = [V2, ("content-type", kind)];
            judged(&send(client, "POST", "/tables/todoitem", &headers, &json!({"text": "x"})).await.expect(415), kind);
        }
        let coded = [V2, JSON, ("content-encoding", "gzip")];
        judged(&client.send("POST", "/tables/todoitem", &coded, b"\x1f\x8b\x08\x00").await, "gzip");
        assert_eq!(list(client, "/tables/todoitem").await, [made]);
    })
    .await;
}

/// What is legal, however odd, comes back as it went.
#[tokio::test]
async fn odd_ids_and_texts_are_kept_as_they_are() {
    on_both(async |world: World| {
        let client = &world.client;
        let odd = TEXTS.iter().filter(|text| !text.is_empty() && !text.contains(char::is_control));
        for id in
            odd.copied().chain([&"é".repeat(255)[..], "a/b", "a?b", "a#b", "a%2Fb", "a+b", "a&b=c", ";", "a|b:c.d"])
        {
            let made = post(client, "todoitem", json!({"id": id, "text": id})).await;
            assert_eq!((&made["id"], &made["text"]), (&json!(id), &json!(id)));
            let path = format!("/tables/todoitem/{}", encoded(id).replace('.', "%2E"));
            let read = send(client, "GET", &path, &[V2], &Value::Null).await.expect(200);
            assert_eq!(read.json(), made, "{path}");
            let location = format!("/tables/todoitem?$filter=id%20eq%20'{}'", encoded(&id.replace('\'', "''")));
            assert_eq!(list(client, &location).await, [made], "{id}");
            send(client, "DELETE", &path, &[V2], &Value::Null).await.expect(200);
        }
        for id in ["%00", "a%0Ab", "%7F", &"x".repeat(256), &"%C3%A9".repeat(256), "%ff", "%C3", "none"] {
            for (method, body) in [
                ("GET", Value::Null),
                ("DELETE", Value::Null),
                ("POST", Value::Null),
                ("PATCH", json!({})),
                ("PUT", json!({})),
            ] {
                for headers in [V2, V3, TOOLKIT] {
                    let path = format!("/tables/todoitem/{id}");
                    let answer = send(client, method, &path, &[headers, JSON], &body).await;
                    assert!(matches!(answer.status, 400 | 404), "{method} {path}: {answer:?}");
                    judged(&answer, &path);
                }
            }
        }
        for name in [
            "app_todoitem",
            "data_table",
            "sqlite_master",
            "pg_user",
            "todoitem%20",
            "todoitem;",
            "%22todoitem%22",
            "..",
            ".",
        ] {
            let path = format!("/tables/{name}");
            send(client, "GET", &path, &[V2], &Value::Null).await.expect(404);
        }
    })
    .await;
}

#[tokio::test]
async fn hostile_tokens_versions_and_headers_are_refused() {
    let world = world().await;
    let client = &world.client;
    let good = session("sid:a");
    let (begun, _) = good.rsplit_once('.').unwrap();
    let long = "a".repeat(60_000);
    for token in [
        "a",
        "a.b",
        "a.b.c",
        "...",
        "....",
        "a.b.c.d",
        "bm9uZQ.e30.",
        "é",
        "\u{ff}",
        &long,
        begun,
        &format!("{begun}."),
        &format!("{good}x"),
        &format!("{good}.x"),
        &good.to_uppercase(),
        "'; DROP TABLE app_mine; --",
        "null",
        "{}",
        "Bearer",
        "Bearer a.b.c",
        "Basic eDp5",
    ] {
        for (name, value) in [("x-zumo-auth", token.to_owned()), ("authorization", format!("Bearer {token}"))] {
            for path in ["/tables/mine", "/tables/secure", "/tables/todoitem"] {
                for dialect in [V2, V3, TOOLKIT] {
                    let answer = send(client, "GET", path, &[dialect, (name, &value)], &Value::Null).await;
                    let shown: String = value.chars().take(40).collect();
                    assert_eq!(answer.status, 401, "{name}: {shown}: {answer:?}");
                    judged(&answer, &value);
                }
            }
        }
    }
    for text in TEXTS.iter().filter(|text| !text.contains(['\r', '\n', '\0'])) {
        for name in [
            "x-zumo-features",
            "x-zumo-options",
            "x-zumo-installation-id",
            "x-zumo-version",
            "user-agent",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "x-forwarded-proto",
            "accept",
            "prefer",
            "cookie",
        ] {
            for dialect in [V2, V3] {
                judged(&send(client, "GET", "/tables/todoitem", &[dialect, (name, text)], &Value::Null).await, text);
                judged(
                    &send(client, "DELETE", "/tables/todoitem/x", &[dialect, (name, text)], &Value::Null).await,
                    text,
                );
            }
        }
        let version = [("zumo-api-version", *text)];
        judged(&send(client, "GET", "/tables/todoitem", &version, &Value::Null).await, text);
    }
    for host in ["", "a b", "x@y", "é", "a:b:c", "[", "evil.example:99999", "../x"] {
        let answer = client.send("GET", "/tables/todoitem", &[V2, ("host", host)], b"").await;
        assert!(answer.status < 500, "{host}: {answer:?}");
    }
}
