//! OBS 44, 99 – 141, 189.

use super::*;

pub(super) async fn changes(world: World) {
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
            Row("106", "PATCH", path, json!({"text": "y"}), 200, json!({"id": "a-1", "text": "y"})),
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
    for (number, method, body) in [("110", "PATCH", json!({"text": "y"})), ("120", "DELETE", Value::Null)] {
        let seen = [V2, JSON, ("if-match", old.as_str())];
        let answer = send(client, method, "/tables/todoitem/none", &seen, &body).await;
        assert_eq!((answer.status, answer.json()), (404, not_found()), "OBS {number}");
    }
    let overridden = [V2, ("x-http-method-override", "DELETE")];
    let answer = send(client, "GET", path, &overridden, &Value::Null).await.expect(200);
    assert_eq!(answer.json()["deleted"], json!(false), "OBS 189: passed over");
    assert_eq!(matched(&old, "POST").await.status, 412, "OBS 131");
    send(client, "DELETE", path, &[V2], &Value::Null).await.expect(200);
    let gone = matched(&old, "PATCH").await;
    assert_eq!((gone.status, gone.json()), (404, not_found()), "OBS 129");
    send(client, "POST", path, &[V2], &Value::Null).await.expect(201);
    // A queued delete that finds nothing to delete is done (2.7).
    let queued = [V2, ("x-zumo-features", "TU,OL"), ("if-match", old.as_str())];
    send(client, "DELETE", path, &[V2], &Value::Null).await.expect(200);
    let again = send(client, "DELETE", path, &queued, &Value::Null).await.expect(200);
    assert_eq!(again.json()["deleted"], json!(true));
    send(client, "DELETE", "/tables/todoitem/none", &queued, &Value::Null).await.expect(204);
}
