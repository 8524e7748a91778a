//! 8.4 and 8.5: iOS and Android.

use super::*;

/// iOS reads `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'` and compares stamps as texts; Android takes digits for milliseconds.
#[tokio::test]
async fn quirk_8_4_1_and_8_5_3_stamps_have_three_digits_and_are_in_the_order_of_their_texts() {
    let world = world().await;
    let rows = three(&world.client).await;
    let stamps: Vec<_> = rows.iter().map(|row| row["updatedAt"].as_str().unwrap()).collect();
    assert!(
        stamps.iter().all(|stamp| stamp.len() == 24 && stamp.ends_with('Z') && &stamp[19..20] == "."),
        "{stamps:?}"
    );
    assert!(stamps.is_sorted(), "{stamps:?}");
}

#[tokio::test]
async fn quirk_8_4_2_the_row_that_stands_comes_with_412() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let stale = [V2, JSON, ("if-match", "\"MQ==\""), ("x-zumo-features", "OL,OC,TU")];
    for method in ["PATCH", "DELETE"] {
        let answer = send(client, method, "/tables/todoitem/a", &stale, &json!({"id": "a", "text": "y"})).await;
        assert_eq!(answer.expect(412).json()["text"], json!("x"));
    }
    // A queued delete that finds nothing would stay in its queue for ever.
    send(client, "DELETE", "/tables/todoitem/a", &[V2], &Value::Null).await.expect(200);
    let again = send(client, "DELETE", "/tables/todoitem/a", &stale, &Value::Null).await.expect(200);
    assert_eq!(again.json()["deleted"], json!(true));
    send(client, "DELETE", "/tables/todoitem/none", &stale, &Value::Null).await.expect(204);
}

#[tokio::test]
async fn quirk_8_5_1_android_says_only_its_own_version_and_takes_answers_as_they_are() {
    let world = world().await;
    let client = &world.client;
    let headers =
        [V2, JSON, ("x-zumo-version", "3.5.1"), ("user-agent", "ZUMO/1.0 (lang=Java)"), ("accept-encoding", "gzip")];
    let made = send(client, "POST", "/tables/todoitem", &headers, &json!({"text": "x"})).await.expect(201);
    let path = format!("/tables/todoitem/{}", made.json()["id"].as_str().unwrap());
    let read = send(client, "GET", &path, &headers, &Value::Null).await.expect(200);
    assert_eq!((read.json(), read.header("content-encoding")), (made.json(), None));
}

/// The order in which Android writes its options, and what it always sends.
#[tokio::test]
async fn quirk_8_5_2_the_options_may_come_in_any_order() {
    let world = world().await;
    let client = &world.client;
    three(client).await;
    for (query, expected) in [
        (
            "$filter=complete%20eq%20(false)&$inlinecount=allpages&$top=50&$skip=0&$orderby=id%20desc&__includeDeleted=true&mine=1&$select=id",
            json!({"results": [{"id": "c"}, {"id": "b"}, {"id": "a"}], "count": 3}),
        ),
        ("$top=50&$orderby=", json!([{}, {}])),
        ("$select=id&$orderby=id%20asc&$skip=1&$top=1&$filter=", json!([{"id": "c"}])),
    ] {
        let body =
            send(client, "GET", &format!("/tables/todoitem?{query}"), &[V2], &Value::Null).await.expect(200).json();
        match (&body, &expected) {
            (Value::Array(rows), Value::Array(expected)) if expected[0] == json!({}) => {
                assert_eq!(rows.len(), expected.len(), "{query}");
            }
            _ => assert_eq!(body, expected, "{query}"),
        }
    }
}

#[tokio::test]
async fn quirk_8_5_4_tables_are_named_in_small_letters_when_they_are_synchronised() {
    let world = world().await;
    post(&world.client, "TodoItem", json!({"id": "a", "text": "x"})).await;
    assert_eq!(list(&world.client, "/tables/todoitem?__includeDeleted=true").await.len(), 1);
}

#[tokio::test]
async fn quirk_8_5_5_and_6_an_update_answers_the_whole_row() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x", "other": 1})).await;
    let answer = send(client, "PATCH", "/tables/todoitem/a", &[V2, JSON], &json!({"complete": true})).await.expect(200);
    let row = answer.json();
    assert_eq!((&row["text"], &row["complete"], &row["other"]), (&json!("x"), &json!(true), &json!(1)));
    assert_eq!(list(client, "/tables/todoitem").await, [row]);
}
