//! The record of the original server (`mobile-apps.md` 11.1, 11.2), line by line: what is decided otherwise in 2.2, 2.5,
//! 2.7 and 7 stands with its reason.

use super::*;

/// One request in V2, its status, and what the body must hold.
struct Row(&'static str, &'static str, &'static str, Value, u16, Value);

fn holds(body: &Value, expected: &Value) -> bool {
    match (body, expected) {
        (_, Value::Null) => true,
        (Value::Object(body), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| body.get(name).is_some_and(|found| found == value))
        }
        (Value::Array(body), Value::Array(expected)) => {
            body.len() == expected.len() && body.iter().zip(expected).all(|(a, b)| holds(a, b))
        }
        (body, expected) => body == expected,
    }
}

async fn run(client: &Client, rows: Vec<Row>) {
    for Row(number, method, path, body, status, expected) in rows {
        let headers: &[_] = if body.is_null() { &[V2] } else { &[V2, JSON] };
        let answer = send(client, method, path, headers, &body).await;
        assert_eq!(answer.status, status, "OBS {number}: {answer:?}");
        let said = if answer.body.is_empty() { Value::Null } else { answer.json() };
        assert!(holds(&said, &expected), "OBS {number}: {said}\nexpected {expected}");
    }
}

fn not_found() -> Value {
    json!({"error": "The item does not exist", "message": "The item does not exist"})
}

#[tokio::test]
async fn a01_1_6_versions() {
    let world = world().await;
    let text = "An invalid API version was specified in the request, this request needs to specify a ZUMO-API-VERSION of 2.0.0.";
    for version in ["1.0.0", "4.0.0", "2.0", "x"] {
        let answer =
            send(&world.client, "GET", "/tables/todoitem", &[("ZUMO-API-VERSION", version)], &Value::Null).await;
        assert_eq!(answer.expect(400).json(), json!({"error": text, "message": text}), "OBS 2: {version}");
    }
    for (headers, path) in
        [(&[("ZUMO-API-VERSION", "2.0.7")][..], "/tables/todoitem"), (&[], "/tables/todoitem?ZUMO-api-version=2.0.0")]
    {
        let answer = send(&world.client, "GET", path, headers, &Value::Null).await;
        assert_eq!(answer.expect(200).json(), json!([]), "OBS 4, 5");
    }
    // OBS 1, 3: no version is the newest library's, and 3.0.0 Datasync's (1.4).
    let answer = send(&world.client, "GET", "/tables/todoitem", &[], &Value::Null).await;
    assert_eq!(answer.expect(200).json(), json!({"items": [], "count": null, "nextLink": null}));
}

#[tokio::test]
async fn a01_10_33_inserts() {
    let world = world().await;
    let answer =
        send(&world.client, "POST", "/tables/todoitem", &[V2, JSON], &json!({"text": "first", "complete": false}))
            .await;
    let item = answer.json();
    assert_eq!(
        (answer.status, answer.header("etag")),
        (201, Some(format!("\"{}\"", item["version"].as_str().unwrap()).as_str())),
        "OBS 10"
    );
    assert_eq!(
        answer.header("location"),
        Some(format!("http://{}/tables/todoitem/{}", world.running.address(), item["id"].as_str().unwrap()).as_str())
    );
    assert_eq!((item["deleted"].clone(), &item["createdAt"]), (json!(false), &item["updatedAt"]));
    let long = "x".repeat(300);
    run(
        &world.client,
        vec![
            Row(
                "11",
                "POST",
                "/tables/todoitem",
                json!({"id": "a-1", "text": "second"}),
                201,
                json!({"id": "a-1", "complete": null}),
            ),
            // The row that stands, not the client's own (2.5).
            Row(
                "12",
                "POST",
                "/tables/todoitem",
                json!({"id": "a-1", "text": "dup"}),
                409,
                json!({"id": "a-1", "text": "second"}),
            ),
            // Reserved properties are passed over (2.5).
            Row(
                "14-17",
                "POST",
                "/tables/todoitem",
                json!({"id": "a-2", "createdAt": "x", "UPDATEDAT": null, "deleted": true, "version": "zzz"}),
                201,
                json!({"id": "a-2", "deleted": false}),
            ),
            Row("18", "POST", "/tables/todoitem", json!({"id": null}), 201, json!({"complete": null})),
            Row("19", "POST", "/tables/todoitem", json!({"id": ""}), 201, Value::Null),
            Row("20", "POST", "/tables/todoitem", json!({"id": 7}), 201, json!({"id": "7"})),
            Row("21", "POST", "/tables/todoitem", json!({"id": "a/b"}), 201, json!({"id": "a/b"})),
            Row("21", "GET", "/tables/todoitem/a%2Fb", Value::Null, 200, json!({"id": "a/b"})),
            Row(
                "22",
                "POST",
                "/tables/todoitem",
                json!({"id": long}),
                400,
                json!({"error": "The id must be at most 255 characters"}),
            ),
            Row("23", "POST", "/tables/todoitem", json!({"id": "café 1"}), 201, Value::Null),
            Row("40", "GET", "/tables/todoitem/caf%C3%A9%201", Value::Null, 200, json!({"id": "café 1"})),
            Row(
                "24",
                "POST",
                "/tables/todoitem",
                json!({"id": "n", "prio": 3.5, "when": "2024-01-02T03:04:05.678Z", "flag": true, "nothing": null}),
                201,
                json!({"prio": 3.5, "when": "2024-01-02T03:04:05.678Z", "flag": true}),
            ),
            Row(
                "25",
                "POST",
                "/tables/todoitem",
                json!({"Text": "CASE", "Complete": true}),
                201,
                json!({"text": "CASE", "complete": true, "prio": null}),
            ),
            Row("26", "POST", "/tables/todoitem", json!({"list": [1]}), 400, Value::Null),
            Row("26", "POST", "/tables/todoitem", json!({"object": {}}), 400, Value::Null),
            Row("27", "POST", "/tables/todoitem", json!({"a b": 1}), 400, Value::Null),
            Row("28", "POST", "/tables/todoitem", json!("{"), 400, Value::Null),
            Row("30", "POST", "/tables/todoitem", json!([1]), 400, Value::Null),
            Row(
                "142",
                "POST",
                "/tables/types",
                json!({"d": "2024-01-02T03:04:09.123Z"}),
                201,
                json!({"d": "2024-01-02T03:04:09.123Z"}),
            ),
            Row(
                "143",
                "POST",
                "/tables/types",
                json!({"d": "2024-01-02T03:04:09Z"}),
                201,
                json!({"d": "2024-01-02T03:04:09.000Z"}),
            ),
            Row("144", "POST", "/tables/types", json!({"n": "abc"}), 400, Value::Null),
            Row("146", "POST", "/tables/autoid", json!({"t": "x"}), 201, json!({"id": 1})),
            Row("147", "POST", "/tables/autoid", json!({"id": 55}), 201, json!({"id": 2})),
            Row(
                "149",
                "POST",
                "/tables/fixed",
                json!({"other": 1}),
                400,
                json!({"error": "other is no column of this table"}),
            ),
            Row("150", "GET", "/tables/fixed?$filter=other%20eq%201", Value::Null, 400, Value::Null),
        ],
    )
    .await;
    let item = list(&world.client, "/tables/todoitem?$filter=id%20eq%20%27n%27").await.remove(0);
    assert_eq!(item.get("nothing"), None, "OBS 24");
    let plain =
        send(&world.client, "POST", "/tables/todoitem", &[V2, ("content-type", "text/plain")], &json!("{}")).await;
    assert_eq!(plain.status, 415, "OBS 31");
    let without = send(&world.client, "POST", "/tables/todoitem", &[V2], &json!({"text": "x"})).await;
    assert_eq!(without.status, 201, "OBS 32");
    let charset = [V2, ("content-type", "application/json; charset=utf-8")];
    send(&world.client, "POST", "/tables/todoitem", &charset, &json!({"text": "x"})).await.expect(201);
    let empty = send(&world.client, "POST", "/tables/todoitem", &[V2, JSON], &Value::Null).await;
    assert_eq!(empty.status, 400, "OBS 29");
    let large =
        send(&world.client, "POST", "/tables/todoitem", &[V2, JSON], &json!({"text": "x".repeat(5_000_000)})).await;
    assert_eq!(large.status, 413, "OBS 33");
}

#[tokio::test]
async fn a01_34_98_reads_and_queries() {
    let world = world().await;
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
            Row("42", "POST", "/tables/none", json!({}), 404, Value::Null),
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

#[tokio::test]
async fn a01_99_139_changes_and_deletes() {
    let world = world().await;
    let client = &world.client;
    let first = post(client, "todoitem", json!({"id": "a-1", "text": "first"})).await;
    let old = format!("\"{}\"", first["version"].as_str().unwrap());
    let path = "/tables/todoitem/a-1";
    let patched = send(client, "PATCH", path, &[V2, JSON], &json!({"id": "a-1", "complete": false})).await.expect(200);
    let current = patched.header("etag").unwrap().to_owned();
    assert!(current != old && patched.json()["text"] == "first", "OBS 99");
    let matched = |tag: &str, method: &'static str| {
        let (tag, client) = (tag.to_owned(), client.clone());
        async move { send(&client, method, path, &[V2, JSON, ("if-match", &tag)], &json!({"complete": true})).await }
    };
    let stale = matched(&old, "PATCH").await.expect(412);
    assert_eq!((stale.header("etag"), &stale.json()["id"]), (Some(current.as_str()), &json!("a-1")), "OBS 101");
    assert_eq!(matched("garbage", "PATCH").await.status, 412, "OBS 105");
    let in_body = send(client, "PATCH", path, &[V2, JSON], &json!({"version": first["version"], "text": "x"})).await;
    assert_eq!((in_body.status, in_body.header("etag")), (409, Some(current.as_str())), "OBS 102");
    let fresh = matched(&current, "PATCH").await.expect(200).header("etag").unwrap().to_owned();
    // A weakened tag and any row: accepted (2.7, acceptance 11).
    let weak = matched(&format!("\"W/\\\"{}\\\"\"", fresh.trim_matches('"')), "PATCH").await.expect(200);
    let weak = weak.header("etag").unwrap().to_owned();
    // Acceptance 11: each form that a proxy or a client makes of it.
    let weak = matched(&format!("W/{weak}"), "PATCH").await.expect(200).header("etag").unwrap().to_owned();
    assert_eq!(matched("*", "PATCH").await.status, 200, "OBS 103");
    assert_eq!(matched(&weak, "DELETE").await.status, 412, "OBS 117");
    run(
        client,
        vec![
            Row(
                "107",
                "PATCH",
                path,
                json!({"id": "b", "text": "x"}),
                400,
                json!({"error": "The item ID and querystring ID did not match"}),
            ),
            Row("108", "PATCH", "/tables/todoitem", json!({"id": "a-1", "text": "y"}), 200, json!({"text": "y"})),
            Row("109", "PATCH", "/tables/todoitem/none", json!({"text": "y"}), 404, not_found()),
            Row("111", "PATCH", path, json!({"deleted": true}), 200, json!({"deleted": false})),
            Row("112", "PATCH", path, json!({}), 200, json!({"text": "y"})),
            Row("113", "PATCH", path, json!({"text": null}), 200, json!({"text": null})),
            Row("114", "PATCH", path, json!({"fresh": 1}), 200, json!({"fresh": 1})),
            Row("115", "PATCH", path, json!({"TEXT": "z"}), 200, json!({"text": "z"})),
            Row("44", "PUT", path, json!({"text": "only"}), 200, json!({"text": "only", "fresh": null})),
            Row("141", "DELETE", "/tables/todoitem", Value::Null, 405, Value::Null),
            Row("118", "DELETE", path, Value::Null, 200, json!({"deleted": true, "text": "only"})),
            Row("119", "DELETE", path, Value::Null, 404, not_found()),
            Row("121", "DELETE", "/tables/todoitem/none", Value::Null, 404, not_found()),
            Row("122", "GET", path, Value::Null, 404, not_found()),
            // Honoured for one row as well (2.6).
            Row("123", "GET", "/tables/todoitem/a-1?__includeDeleted=true", Value::Null, 200, json!({"deleted": true})),
            Row(
                "124",
                "GET",
                "/tables/todoitem?__includeDeleted=true&$filter=id%20eq%20%27a-1%27",
                Value::Null,
                200,
                json!([{"deleted": true}]),
            ),
            Row("125", "GET", "/tables/todoitem?__includeDeleted=false", Value::Null, 200, json!([])),
            Row("126", "GET", "/tables/todoitem?__includedeleted=true", Value::Null, 200, json!([{}])),
            Row("128", "PATCH", path, json!({"text": "x"}), 404, not_found()),
            Row("130", "POST", "/tables/todoitem", json!({"id": "a-1"}), 409, json!({"deleted": true})),
            Row("132", "POST", path, Value::Null, 201, json!({"deleted": false, "text": "only"})),
            Row("133", "POST", path, json!({"text": "passed over"}), 201, json!({"text": "only"})),
            Row("135", "POST", "/tables/todoitem/none", Value::Null, 404, not_found()),
            Row("138", "POST", "/tables/hard", json!({"id": "h"}), 201, Value::Null),
            Row("136", "POST", "/tables/hard/h", Value::Null, 405, Value::Null),
            Row("138", "DELETE", "/tables/hard/h", Value::Null, 200, json!({"id": "h"})),
            Row("139", "DELETE", "/tables/hard/h", Value::Null, 404, not_found()),
        ],
    )
    .await;
    assert_eq!(matched(&old, "POST").await.status, 412, "OBS 131");
    // A queued delete that finds nothing to delete is done (2.7).
    let queued = [V2, ("x-zumo-features", "TU,OL"), ("if-match", old.as_str())];
    send(client, "DELETE", path, &[V2], &Value::Null).await.expect(200);
    let again = send(client, "DELETE", path, &queued, &Value::Null).await.expect(200);
    assert_eq!(again.json()["deleted"], json!(true));
    send(client, "DELETE", "/tables/todoitem/none", &queued, &Value::Null).await.expect(204);
}

#[tokio::test]
async fn a01_151_174_who_may_do_what() {
    let world = world().await;
    let nobody = &world.client;
    for (number, method, path) in [("151", "POST", "/tables/readonly"), ("152", "DELETE", "/tables/readonly/r-1")] {
        let answer = send(nobody, method, path, &[V2, JSON], &json!({"x": 1})).await;
        assert_eq!(answer.status, 405, "OBS {number}");
    }
    let refused = send(nobody, "GET", "/tables/secure", &[V2], &Value::Null).await.expect(401);
    assert_eq!(refused.json()["error"], "You must be logged in to use this application", "OBS 154");
    for path in ["/tables/todoitem", "/tables/secure"] {
        let answer = send(&world.showing("a.b.c"), "GET", path, &[V2], &Value::Null).await;
        assert_eq!(answer.status, 401, "OBS 155, 156");
    }
    // Who it is comes before what it says (2.10).
    send(nobody, "POST", "/tables/secure", &[V2, JSON], &json!("{")).await.expect(401);
    let session = crate::world::session("sid:a");
    send(nobody, "GET", "/tables/secure", &[V2, ("x-zumo-auth", &session)], &Value::Null).await.expect(200);
    send(&world.signed_in("sid:a"), "GET", "/tables/secure", &[V2], &Value::Null).await.expect(200);
}

#[tokio::test]
async fn a15_rows_of_users_are_theirs_alone() {
    let world = world().await;
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    send(&world.client, "GET", "/tables/mine", &[V2], &Value::Null).await.expect(401);
    let made = post(&a, "mine", json!({"id": "m", "text": "secret", "userId": "spoof"})).await;
    assert_eq!(made["userId"], "sid:a", "OBS 165");
    assert!(list(&b, "/tables/mine").await.is_empty(), "OBS 167");
    let counted =
        send(&b, "GET", "/tables/mine?$inlinecount=allpages&__includeDeleted=true", &[V2], &Value::Null).await;
    assert_eq!(counted.json(), json!({"results": [], "count": 0}));
    for (method, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({"text": "x"})),
        ("PUT", json!({})),
        ("DELETE", Value::Null),
        ("POST", Value::Null),
    ] {
        let answer = send(&b, method, "/tables/mine/m", &[V2, JSON, ("if-match", "\"x\"")], &body).await;
        assert_eq!((answer.status, answer.json()), (404, not_found()), "OBS 168, 169: {method}");
    }
    let taken = send(&b, "POST", "/tables/mine", &[V2, JSON], &json!({"id": "m", "text": "mine"})).await.expect(409);
    assert_eq!(taken.json(), json!({"id": "m", "text": "mine", "userId": "sid:b"}), "OBS 170");
    let taken = send(&b, "POST", "/tables/mine", &[V3, JSON], &json!({"id": "m"})).await.expect(400);
    assert!(taken.body.is_empty());
    assert_eq!(list(&a, "/tables/mine").await, [made]);
}
