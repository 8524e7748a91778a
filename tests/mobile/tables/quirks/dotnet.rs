//! 8.3: the .NET and Xamarin library, and Datasync.

use super::*;

#[tokio::test]
async fn quirk_8_3_1_bodies_have_a_length_and_8_3_2_an_answer_without_one_has_no_tag() {
    let world = world().await;
    let client = &world.client;
    for headers in [V2, V3] {
        let item = json!({"id": "a", "text": "x"});
        let length = |answer: &Answer| answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        for (method, path, body) in [
            ("POST", "/tables/hard", &item),
            ("GET", "/tables/hard/a", &Value::Null),
            ("GET", "/tables/hard", &Value::Null),
            ("PATCH", "/tables/hard/a", &item),
            ("PUT", "/tables/hard/a", &item),
        ] {
            let answer = send(client, method, path, &[headers, JSON, ("accept-encoding", "gzip, br")], body).await;
            assert!(length(&answer).is_some_and(|length| length > 0), "{method} {path}: {answer:?}");
            assert_eq!(answer.header("content-encoding"), None, "{method} {path}");
        }
        let deleted = send(client, "DELETE", "/tables/hard/a", &[headers], &Value::Null).await;
        if headers == V3 {
            assert_eq!((deleted.status, deleted.header("etag"), length(&deleted)), (204, None, None));
        }
    }
}

#[tokio::test]
async fn quirk_8_3_2_the_tag_of_a_row_is_its_version() {
    let world = world().await;
    let client = &world.client;
    for (headers, method) in [(V2, "PATCH"), (V3, "PUT")] {
        let id = method.to_lowercase();
        let path = format!("/tables/todoitem/{id}");
        let item = json!({"id": id, "text": "x"});
        let made = send(client, "POST", "/tables/todoitem", &[headers, JSON], &item).await.expect(201);
        let changed = send(client, method, &path, &[headers, JSON], &item).await.expect(200);
        let read = send(client, "GET", &path, &[headers], &Value::Null).await.expect(200);
        for answer in [made, changed, read] {
            let version = answer.json()["version"].as_str().unwrap().to_owned();
            assert_eq!(answer.header("etag"), Some(format!("\"{version}\"").as_str()));
        }
    }
}

#[tokio::test]
async fn quirk_8_3_4_a_table_is_named_as_the_type_is_written() {
    let world = world().await;
    let client = &world.client;
    let made = post(client, "TodoItem", json!({"id": "a", "Text": "x"})).await;
    assert_eq!(made["text"], json!("x"), "the declared casing");
    for name in ["todoitem", "TodoItem", "TODOITEM"] {
        assert_eq!(list(client, &format!("/tables/{name}")).await.len(), 1);
    }
}

#[tokio::test]
async fn quirk_8_3_5_and_9_a_delete_of_what_is_gone_says_404_or_410() {
    let world = world().await;
    let client = &world.client;
    three(client).await;
    for (headers, deleted) in [(V2, 404), (V3, 410), (TOOLKIT, 410)] {
        for (path, status) in [("/tables/todoitem/b", deleted), ("/tables/todoitem/none", 404)] {
            send(client, "DELETE", path, &[headers, ("if-match", "\"MQ==\"")], &Value::Null).await.expect(status);
        }
    }
}

#[tokio::test]
async fn quirk_8_3_6_and_9_the_body_of_a_conflict_is_an_object_with_an_id() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    for headers in [V2, V3, TOOLKIT] {
        let stale = [headers, JSON, ("if-match", "\"MQ==\"")];
        for (method, path, headers, body, status) in [
            ("POST", "/tables/todoitem", &[headers, JSON][..], json!({"id": "a"}), 409),
            ("PATCH", "/tables/todoitem/a", &stale, json!({"text": "y"}), 412),
            ("PUT", "/tables/todoitem/a", &stale, json!({"id": "a", "text": "y"}), 412),
            ("DELETE", "/tables/todoitem/a", &stale, Value::Null, 412),
        ] {
            let answer = send(client, method, path, headers, &body).await.expect(status);
            assert_eq!((&answer.json()["id"], &answer.json()["text"]), (&json!("a"), &json!("x")), "{method}");
            assert!(answer.header("etag").is_some());
        }
    }
}

/// UTC with three digits, also where the client sends another zone or other digits.
#[tokio::test]
async fn quirk_8_3_7_dates_have_one_form() {
    let world = world().await;
    for (sent, shown) in [
        ("2026-11-23T03:01:56.706Z", "2026-11-23T03:01:56.706Z"),
        ("2026-11-23T04:01:56.7060000+01:00", "2026-11-23T03:01:56.706Z"),
        ("2026-11-23T03:01:56", "2026-11-23T03:01:56.000Z"),
    ] {
        let made = post(&world.client, "types", json!({"d": sent})).await;
        assert_eq!(made["d"], json!(shown));
    }
}

#[tokio::test]
async fn quirk_8_3_9_datasync_puts_and_undeletes_and_leaves_ids_as_they_are() {
    let world = world().await;
    let client = &world.client;
    let headers = [V3, JSON, ("user-agent", "Datasync/6.1 (lang=Managed)"), ("x-zumo-options", "nextLink=path")];
    // Unescaped in the path, as it writes them.
    let id = "a:b|c.d-e_f";
    let made = send(client, "POST", "/tables/todoitem", &headers, &json!({"id": id, "text": "x"})).await.expect(201);
    let path = format!("/tables/todoitem/{id}");
    let mut item = made.json();
    item["text"] = json!("y");
    let put = send(client, "PUT", &path, &headers, &item).await.expect(200).json();
    assert_eq!(
        (&put["text"], put["version"] != item["version"]),
        (&json!("y"), true),
        "the version in the body is none"
    );
    send(client, "DELETE", &path, &headers, &Value::Null).await.expect(204);
    let back = send(client, "PATCH", &path, &headers, &json!({"deleted": false})).await.expect(200).json();
    assert_eq!((&back["deleted"], &back["text"]), (&json!(false), &json!("y")));
}

#[tokio::test]
async fn quirk_8_3_10_the_last_row_of_a_page_has_the_latest_stamp() {
    let world = world().await;
    let client = &world.client;
    for n in 0..9 {
        post(client, "smallpage", json!({"id": format!("{}", 9 - n)})).await;
    }
    send(client, "PATCH", "/tables/smallpage/5", &[V2, JSON], &json!({"n": 1})).await.expect(200);
    let mut path = "/tables/smallpage?$orderby=updatedAt&$count=true&__includedeleted=true".to_owned();
    let (mut last, mut rows) = (String::new(), 0);
    loop {
        let page = send(client, "GET", &path, &[V3, ("x-zumo-options", "nextLink=path")], &Value::Null).await.json();
        for row in page["items"].as_array().unwrap() {
            let stamp = row["updatedAt"].as_str().unwrap().to_owned();
            assert!(stamp > last);
            (last, rows) = (stamp, rows + 1);
        }
        match page["nextLink"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(rows, 9);
}
