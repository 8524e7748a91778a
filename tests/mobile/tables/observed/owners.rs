//! OBS 165 – 170: rows of users (acceptance 15).

use super::*;

pub(super) async fn owners(world: World) {
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
    nothing_of_it_leaks(&world).await;
}

/// No way around: filters, orders, counts, cursors, deleted rows, conflicts, other dialects.
async fn nothing_of_it_leaks(world: &World) {
    let (a, b) = (world.signed_in("sid:a"), world.signed_in("sid:b"));
    for n in 0..60 {
        post(&a, "mine", json!({"id": format!("n-{n:02}"), "text": "secret", "n": n})).await;
    }
    post(&b, "mine", json!({"id": "zz", "text": "own"})).await;
    send(&a, "DELETE", "/tables/mine/m", &[V2], &Value::Null).await.expect(200);
    for query in [
        "$filter=userId%20eq%20'sid:a'",
        "$filter=text%20eq%20'secret'%20or%20(1%20eq%201)",
        "$filter=not(userId%20eq%20'sid:b')",
        "$orderby=userId%20desc,text",
        "$orderby=updatedAt&__includeDeleted=true",
        "$filter=updatedAt%20ge%20datetimeoffset'1970-01-01T00:00:00.000Z'&$orderby=updatedAt&$skip=1&__includeDeleted=true",
        "$select=id,userId&__includeDeleted=true",
    ] {
        for (headers, count) in [(V2, "&$inlinecount=allpages"), (V3, "&$count=true"), (TOOLKIT, "&$count=true")] {
            let answer = send(&b, "GET", &format!("/tables/mine?{query}{count}"), &[headers], &Value::Null).await;
            let text = answer.expect(200).text().to_owned();
            assert!(!text.contains("secret") && !text.contains("n-") && !text.contains("sid:a"), "{query}: {text}");
            let body: Value = serde_json::from_str(&text).unwrap();
            assert!(body["count"].as_u64().unwrap() <= 1, "{query}: {text}");
        }
    }
    // Where another one's list goes on, this one's does.
    let page = send(&a, "GET", "/tables/mine?$orderby=updatedAt", &[V3], &Value::Null).await.expect(200).json();
    let link = page["nextLink"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    let followed = send(&b, "GET", &format!("/tables/mine?{link}"), &[V3], &Value::Null).await.expect(200);
    assert!(!followed.text().contains("secret"), "{followed:?}");
    // A row that is deleted is as foreign as one that is not.
    for id in ["m", "n-00"] {
        let path = format!("/tables/mine/{id}");
        let deleted = format!("{path}?__includedeleted=true");
        for (headers, method, path, body) in [
            (V2, "GET", &deleted, Value::Null),
            (V3, "GET", &deleted, Value::Null),
            (V3, "GET", &path, Value::Null),
            (V3, "PATCH", &path, json!({"deleted": false})),
            (V3, "PATCH", &path, json!({"version": "MQ==", "createdAt": "2020-01-01T00:00:00.000Z"})),
            (TOOLKIT, "PUT", &deleted, json!({"id": id})),
            (TOOLKIT, "DELETE", &path, Value::Null),
            (V2, "POST", &path, Value::Null),
        ] {
            let answer = send(&b, method, path, &[headers, JSON], &body).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            assert!(!answer.text().contains("secret"));
        }
        // A queued delete of it is done, and does nothing (3.5 P13).
        send(&b, "DELETE", &path, &[V2, ("x-zumo-features", "OL")], &Value::Null).await.expect(204);
        let taken = send(&b, "POST", "/tables/mine", &[V2, JSON], &json!({"id": id})).await.expect(409);
        assert_eq!(taken.json(), json!({"id": id, "userId": "sid:b"}));
    }
    assert_eq!(list(&a, "/tables/mine?$filter=id%20eq%20'n-00'").await.len(), 1);
    // Nor is a row given away.
    let kept = send(&a, "PATCH", "/tables/mine/n-00", &[V2, JSON], &json!({"userId": "sid:b"})).await.expect(200);
    assert_eq!(kept.json()["userId"], json!("sid:a"));
    let kept = send(&a, "PUT", "/tables/mine/n-00", &[V3, JSON], &json!({"USERID": "sid:b"})).await.expect(200);
    assert_eq!(kept.json()["userId"], json!("sid:a"));
    assert_eq!(ids(&list(&b, "/tables/mine?__includeDeleted=true").await), ["zz"]);
}
