//! OBS 10 – 33, 142 – 150.

use super::*;

pub(super) async fn inserts(world: World) {
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
            Row("20", "POST", "/tables/todoitem", json!({"id": 8.0}), 201, json!({"id": "8"})),
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
    // What the client has seen of a row that it makes anew changes nothing.
    let seen = [V2, JSON, ("if-match", "\"MQ==\"")];
    let taken = send(&world.client, "POST", "/tables/todoitem", &seen, &json!({"id": "a-1", "text": "dup"})).await;
    assert_eq!((taken.status, &taken.json()["text"]), (409, &json!("second")), "OBS 13");
    assert!(taken.header("etag").is_some(), "OBS 12: with what stands");
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
