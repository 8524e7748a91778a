//! What every answer and every request of the face may look like (acceptance 9, 10, 11).

use super::engines::on_both;
use super::*;

const DIALECTS: [&[(&str, &str)]; 4] = [&[V2], &[V3], &[TOOLKIT], &[]];

/// `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`
fn is_date(json: &Value) -> bool {
    let form = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    json.as_str().is_some_and(|text| form(text) == "0000-00-00T00:00:00.000Z")
}

/// The server's stamps and the dates of apps, wherever a row is shown (`send` looks at the stamps of every other test).
#[tokio::test]
async fn point_06_every_date_has_three_digits_and_a_z() {
    on_both(async |world: World| {
        let client = &world.client;
        let dates = [
            "2024-01-02T03:04:05Z",
            "2024-01-02T03:04:05.1Z",
            "2024-01-02T03:04:05.1239999+05:30",
            "2024-01-02",
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999Z",
        ];
        for (number, date) in dates.into_iter().enumerate() {
            let (id, path) = (number.to_string(), format!("/tables/types/{number}"));
            let item = json!({"id": id, "d": date});
            for headers in DIALECTS {
                let stale = [headers, &[JSON, ("if-match", "\"MQ==\"")]].concat();
                for (method, path, headers, body) in [
                    ("POST", "/tables/types", &[headers, &[JSON]].concat(), &item),
                    ("POST", "/tables/types", &[headers, &[JSON]].concat(), &item),
                    ("GET", "/tables/types", &headers.to_vec(), &Value::Null),
                    ("GET", &path, &headers.to_vec(), &Value::Null),
                    ("PATCH", &path, &[headers, &[JSON]].concat(), &json!({"d": date})),
                    ("PUT", &path, &stale, &item),
                ] {
                    let answer = send(client, method, path, headers, body).await;
                    let body = answer.json();
                    let items = body.as_array().or_else(|| body["items"].as_array()).cloned();
                    for row in items.unwrap_or_else(|| vec![body]) {
                        for name in ["d", "createdAt", "updatedAt"] {
                            assert!(is_date(&row[name]), "{method} {date} {name}: {row}");
                        }
                    }
                }
            }
        }
    })
    .await;
}

/// `send` checks each answer: JSON with its length and its headers, or nothing at all.
#[tokio::test]
async fn point_09_every_answer_is_json_with_its_length_or_nothing() {
    let world = world().await;
    let client = &world.client;
    let item = json!({"text": "x"});
    for (number, dialect) in DIALECTS.into_iter().enumerate() {
        let id = format!("row-{number}");
        let path = format!("/tables/todoitem/{id}");
        let deleted = format!("{path}?__includedeleted=true");
        let named = json!({"id": id, "text": "x"});
        for (method, path, body, full) in [
            ("POST", "/tables/todoitem", &named, true),
            ("POST", "/tables/todoitem", &named, true),
            ("GET", "/tables/todoitem", &Value::Null, true),
            ("GET", &path, &Value::Null, true),
            ("PATCH", &path, &item, true),
            ("PUT", &path, &item, true),
            ("PATCH", "/tables/todoitem", &named, true),
            ("DELETE", &path, &Value::Null, number == 0),
            ("DELETE", &path, &Value::Null, number == 0),
            ("GET", &path, &Value::Null, number == 0),
            ("GET", &deleted, &Value::Null, true),
            ("PATCH", &path, &item, number == 0),
            ("POST", &path, &Value::Null, true),
            ("GET", "/tables/todoitem/none", &Value::Null, true),
            ("DELETE", "/tables/todoitem/none", &Value::Null, true),
            ("GET", "/tables/none", &Value::Null, true),
            ("GET", "/tables", &Value::Null, true),
            ("GET", "/tables/", &Value::Null, true),
            ("GET", "/tables/a/b/c", &Value::Null, true),
            ("GET", "/tables/%ff", &Value::Null, true),
            ("GET", "/tables/todoitem/%ff", &Value::Null, true),
            ("GET", "/tables/todoitem?$filter=%ff", &Value::Null, true),
            ("DELETE", "/tables/todoitem", &Value::Null, true),
            ("PUT", "/tables/todoitem", &item, true),
            ("TRACE", "/tables/todoitem", &Value::Null, true),
            ("POST", "/tables/readonly", &item, true),
            ("POST", "/tables/hard/x", &Value::Null, true),
            ("GET", "/tables/secure", &Value::Null, true),
            ("POST", "/tables/todoitem", &Value::String("{".to_owned()), true),
            ("POST", "/tables/todoitem", &Value::String("x".repeat(5_000_000)), true),
        ] {
            let answer = send(client, method, path, &[dialect, &[JSON][..]].concat(), body).await;
            assert!(answer.status < 500, "{method} {path}: {answer:?}");
            // A body where the client parses one, and none where it must not (8.3.1, 8.3.2).
            assert_eq!(!answer.body.is_empty(), full, "{dialect:?} {method} {path}: {answer:?}");
            let body = if answer.body.is_empty() { Value::Null } else { answer.json() };
            // The version of the one row that is shown, and of nothing else (2.0).
            assert_eq!(answer.header("etag").is_some(), body.get("version").is_some(), "{method} {path}: {answer:?}");
            if answer.status >= 400 && full && body.get("version").is_none() {
                assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
                let known = |name: &String| ["error", "message"].contains(&name.as_str());
                assert!(body.as_object().unwrap().keys().all(known), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn point_10_features_of_32_kb_and_a_filter_of_32_kb_are_taken() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let features = format!("OL,{}", "TR,QS,".repeat(5_462));
    assert!(features.len() > 32 * 1024);
    let headers = [V2, JSON, ("x-zumo-features", features.as_str())];
    send(client, "GET", "/tables/todoitem", &headers, &Value::Null).await.expect(200);
    send(client, "PATCH", "/tables/todoitem/a", &headers, &json!({"text": "y"})).await.expect(200);
    send(client, "DELETE", "/tables/todoitem/a", &headers, &Value::Null).await.expect(200);
    // Still told apart by what stands in it: the delete is a queued one (2.7).
    send(client, "DELETE", "/tables/todoitem/a", &headers, &Value::Null).await.expect(200);
    // The longest filter, much of it percent-encoded. An address has at most 64 KB.
    let filter = encoded(&format!("text eq '{}{}'", "x".repeat(18_000), "é".repeat(7_000)));
    assert!(filter.len() > 59_000);
    send(client, "GET", &format!("/tables/todoitem?$filter={filter}"), &[V2], &Value::Null).await.expect(200);
}

/// A version in the form that a client or a proxy makes of it, and whether it is that version.
type Form = (fn(&str) -> String, bool);

const FORMS: [Form; 14] = [
    (|version| format!("\"{version}\""), true),
    (|version| format!("  \"{version}\" "), true),
    (|version| version.to_owned(), true),
    (|version| format!("W/\"{version}\""), true),
    (|version| format!("\"W/\\\"{version}\\\"\""), true),
    (|_| "*".to_owned(), true),
    (|_| "\"*\"".to_owned(), false),
    (|_| "\"MQ==\"".to_owned(), false),
    (|_| "garbage".to_owned(), false),
    (|_| "\"\"".to_owned(), false),
    (|_| "\"".to_owned(), false),
    (|_| "W/".to_owned(), false),
    (|version| format!("\"{version} \""), false),
    (|version| format!("\"é{version}\""), false),
];

#[tokio::test]
async fn point_11_every_form_of_if_match() {
    on_both(async |world: World| {
        let client = &world.client;
        for (number, (form, matches)) in FORMS.into_iter().enumerate() {
            for (method, body) in [
                ("PATCH", json!({"text": "y"})),
                ("PUT", json!({"text": "z"})),
                ("DELETE", Value::Null),
                ("POST", Value::Null),
            ] {
                for (dialect, headers) in [(2, V2), (3, V3)] {
                    let id = format!("{number}-{method}-{dialect}");
                    let made = post(client, "todoitem", json!({"id": id, "text": "x"})).await;
                    let tag = form(made["version"].as_str().unwrap());
                    let path = format!("/tables/todoitem/{id}");
                    let answer = send(client, method, &path, &[headers, JSON, ("if-match", &tag)], &body).await;
                    if !matches {
                        assert_eq!(answer.status, 412, "{tag} {method}: {answer:?}");
                        assert_eq!(
                            (&answer.json()["version"], &answer.json()["text"]),
                            (&made["version"], &json!("x"))
                        );
                        let current = format!("\"{}\"", made["version"].as_str().unwrap());
                        assert_eq!(answer.header("etag"), Some(current.as_str()));
                        continue;
                    }
                    assert!((200..300).contains(&answer.status), "{tag} {method}: {answer:?}");
                    if answer.status != 204 {
                        assert_ne!(answer.json()["version"], made["version"]);
                    }
                    // Seen once is seen once: with the version before, it is stale now.
                    let stale = format!("\"{}\"", made["version"].as_str().unwrap());
                    let again = send(client, method, &path, &[headers, JSON, ("if-match", &stale)], &body).await;
                    let expected = match (method, dialect) {
                        ("DELETE", 2) => 404,
                        ("DELETE", _) => 410,
                        _ => 412,
                    };
                    assert_eq!(again.status, expected, "{method} {dialect}: {again:?}");
                }
            }
        }
    })
    .await;
}
