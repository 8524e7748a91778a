//! OBS 34 – 98, 194, 195.

use super::*;

pub(super) async fn queries(world: World) {
    let client = &world.client;
    for (id, text, complete) in
        [("a-1", "first", json!(false)), ("a-2", "second", json!(true)), ("a-3", "O'Brien", json!(null))]
    {
        post(client, "todoitem", json!({"id": id, "text": text, "complete": complete, "prio": 3.5})).await;
    }
    let known = [V2, ("if-none-match", "*"), ("if-modified-since", "Wed, 27 Mar 2080 00:00:00 GMT")];
    send(client, "GET", "/tables/TodoItem/a-1", &known, &Value::Null).await.expect(200);
    run(
        client,
        vec![
            Row("35", "GET", "/tables/TodoItem/a-1", Value::Null, 200, json!({"id": "a-1"})),
            Row("38", "GET", "/tables/todoitem/none", Value::Null, 404, not_found()),
            Row("39", "GET", "/tables/todoitem/A-1", Value::Null, 404, not_found()),
            Row("41", "GET", "/tables/none", Value::Null, 404, json!({"error": "The table does not exist"})),
            Row("42", "POST", "/tables/none", json!({}), 404, json!({"error": "The table does not exist"})),
            Row("43", "PATCH", "/tables/none/a", json!({}), 404, json!({"error": "The table does not exist"})),
            Row("43", "DELETE", "/tables/none/a", Value::Null, 404, json!({"error": "The table does not exist"})),
            Row("43", "GET", "/tables/none/a", Value::Null, 404, json!({"error": "The table does not exist"})),
            // A head without a body instead of a failure.
            Row("45", "HEAD", "/tables/todoitem", Value::Null, 200, Value::Null),
            Row(
                "55",
                "GET",
                "/tables/todoitem?$skip=1&$top=2&$orderby=id&$select=id",
                Value::Null,
                200,
                json!([{"id": "a-2"}, {"id": "a-3"}]),
            ),
            Row("194", "GET", "/tables", Value::Null, 404, Value::Null),
            Row("195", "GET", "/tables/todoitem/?$top=1", Value::Null, 200, json!([{"id": "a-1"}])),
            Row(
                "47",
                "GET",
                "/tables/todoitem?$inlinecount=allpages&$top=1&$select=id",
                Value::Null,
                200,
                json!({"results": [{"id": "a-1"}], "count": 3}),
            ),
            Row("48", "GET", "/tables/todoitem?$inlinecount=none&$top=1", Value::Null, 200, json!([{}])),
            Row("49", "GET", "/tables/todoitem?$count=true&$top=1", Value::Null, 200, json!([{}])),
            Row("50", "GET", "/tables/todoitem?$top=0", Value::Null, 200, json!([{}, {}, {}])),
            Row("53", "GET", "/tables/todoitem?$top=abc", Value::Null, 200, json!([{}, {}, {}])),
            Row("54", "GET", "/tables/todoitem?$top=-1", Value::Null, 200, json!([{}, {}, {}])),
            // No rows are asked for (2.2).
            Row(
                "51",
                "GET",
                "/tables/todoitem?$top=0&$inlinecount=allpages",
                Value::Null,
                200,
                json!({"results": [], "count": 3}),
            ),
            // Held to the largest page instead of refused (2.2).
            Row("52", "GET", "/tables/todoitem?$top=20000", Value::Null, 200, json!([{}, {}, {}])),
            Row("56", "GET", "/tables/todoitem?$skip=-1", Value::Null, 200, json!([{}, {}, {}])),
            Row(
                "57",
                "GET",
                "/tables/todoitem?$orderby=complete%20desc,id&$select=id",
                Value::Null,
                200,
                json!([{"id": "a-2"}, {"id": "a-1"}, {"id": "a-3"}]),
            ),
            Row("58", "GET", "/tables/todoitem?$orderby=nothing", Value::Null, 200, json!([])),
            Row("60", "GET", "/tables/todoitem?$select=nothing", Value::Null, 200, json!([])),
            Row("66", "GET", "/tables/todoitem?$filter=nothing%20eq%201", Value::Null, 200, json!([])),
            // A direction that is none (2.2).
            Row("59", "GET", "/tables/todoitem?$orderby=id%20fizz", Value::Null, 400, Value::Null),
            Row("68", "GET", "/tables/todoitem?$filter=complete+eq+null", Value::Null, 200, json!([{"id": "a-3"}])),
            Row("82", "GET", "/tables/todoitem?%24filter=not(complete)", Value::Null, 200, json!([{"id": "a-1"}])),
        ],
    )
    .await;
    let only = list(client, "/tables/todoitem?$select=version,updatedAt").await;
    assert!(only.iter().all(|item| item.as_object().unwrap().len() == 2), "OBS 61");
    for (number, filter, expected) in [
        ("46", "(complete eq true)", &["a-2"][..]),
        ("67", "text eq 'O''Brien'", &["a-3"]),
        ("69", "complete ne null", &["a-1", "a-2"]),
        ("70", "prio eq 3.5m", &["a-1", "a-2", "a-3"]),
        ("71", "prio gt 3L", &["a-1", "a-2", "a-3"]),
        ("72", "updatedAt ge datetime'2020-01-01T00:00:00.000Z'", &["a-1", "a-2", "a-3"]),
        ("73", "updatedAt ge datetimeoffset'2020-01-01T00:00:00.0000000+00:00'", &["a-1", "a-2", "a-3"]),
        ("74", "updatedAt lt datetime'2020-01-01T00:00:00.0000000Z'", &[]),
        ("75", "updatedAt ge cast(2020-01-01T00:00:00.000Z,Edm.DateTimeOffset)", &["a-1", "a-2", "a-3"]),
        ("85", "contains(text,'con')", &["a-2"]),
        ("86", "text in ('first','second')", &["a-1", "a-2"]),
        ("76", "id eq guid'00000000-0000-0000-0000-000000000000'", &[]),
        ("77", "startswith(text,'fi')", &["a-1"]),
        ("78", "substringof('Bri',text)", &["a-3"]),
        ("79", "length(text) eq 6", &["a-2"]),
        ("84", "year(createdAt) gt 2020", &["a-1", "a-2", "a-3"]),
        ("80", "tolower(text) eq 'o''brien'", &["a-3"]),
        ("83", "(1 eq 1)", &["a-1", "a-2", "a-3"]),
        ("83", "(1 eq 0)", &[]),
    ] {
        let found = list(client, &format!("/tables/todoitem?$filter={}", encoded(filter))).await;
        assert_eq!(ids(&found), expected, "OBS {number}: {filter}");
    }
    for (number, filter) in
        [("62", "complete eq"), ("63", "(year - 1900) ge 100"), ("64", "foo(text) eq 'x'"), ("65", "(text eq 'x'")]
    {
        let path = format!("/tables/todoitem?$filter={}", encoded(filter));
        let answer = send(client, "GET", &path, &[V2], &Value::Null).await;
        assert_eq!(answer.status, 400, "OBS {number}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("$filter is wrong at index"), "{answer:?}");
    }
}
