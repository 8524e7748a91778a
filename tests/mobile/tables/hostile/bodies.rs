//! Bodies, and what they say they are.

use super::*;

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
        "{\"id\":\"a\",\"ID\":\"a\"}",
        "{\"id\":\"a\",\"version\":\"a\",\"Version\":\"b\"}",
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

/// A page ends before it is too much to hold, and the list goes on (2.2).
#[tokio::test]
async fn large_rows_come_in_short_pages() {
    on_both(async |world: World| {
        let client = &world.client;
        let large = "x".repeat(3_000_000);
        for n in 0..8 {
            post(client, "todoitem", json!({"id": n.to_string(), "text": large})).await;
        }
        let first = list(client, "/tables/todoitem?$top=50").await;
        assert_eq!(ids(&first).concat(), "012", "three exceed eight MiB");
        for (headers, query) in
            [(V2, "$top=50"), (V2, "$orderby=updatedAt&$top=50"), (V3, "$orderby=updatedAt"), (TOOLKIT, "$top=7")]
        {
            let (mut seen, mut path) = (String::new(), format!("/tables/todoitem?{query}"));
            loop {
                let page = send(client, "GET", &path, &[headers], &Value::Null).await.expect(200);
                let body = page.json();
                seen += &ids(body.as_array().or_else(|| body["items"].as_array()).unwrap()).concat();
                let link = page.header("link").and_then(|link| link.strip_suffix("; rel=next"));
                let Some(link) = link.or_else(|| body["nextLink"].as_str()) else { break };
                path = format!("/tables/todoitem?{}", link.split_once('?').map_or(link, |(_, query)| query));
            }
            let expected = if headers == TOOLKIT { "0123456" } else { "01234567" };
            assert_eq!(seen, expected, "{headers:?} {query}");
        }
    })
    .await;
}
