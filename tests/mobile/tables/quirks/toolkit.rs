//! 8.6: the Community Toolkit.

use super::*;

const OWN: [(&str, &str); 2] = [TOOLKIT, JSON];

#[tokio::test]
async fn quirk_8_6_1_what_succeeds_is_200_201_or_204_and_nothing_else() {
    let world = world().await;
    let client = &world.client;
    let path = "/tables/todoitem/a";
    for (method, path, body, status) in [
        ("POST", "/tables/todoitem", json!({"id": "a", "text": "x"}), 201),
        ("GET", "/tables/todoitem", Value::Null, 200),
        ("GET", path, Value::Null, 200),
        ("PUT", path, json!({"id": "a", "text": "y"}), 200),
        ("DELETE", path, Value::Null, 204),
        ("PUT", "/tables/todoitem/a?__includedeleted=true", json!({"id": "a", "text": "z"}), 200),
    ] {
        send(client, method, path, &OWN, &body).await.expect(status);
    }
}

/// Whatever the status, a body is read as the row: none of its members may be of another type than a row's.
#[tokio::test]
async fn quirk_8_6_2_a_refusal_is_an_object_or_nothing() {
    let world = world().await;
    let client = &world.client;
    three(client).await;
    for (method, path, body, status) in [
        ("GET", "/tables/todoitem/none", Value::Null, 404),
        ("GET", "/tables/todoitem/b", Value::Null, 410),
        ("GET", "/tables/todoitem?$filter=)", Value::Null, 400),
        ("GET", "/tables/secure", Value::Null, 401),
        ("POST", "/tables/readonly", json!({}), 405),
        ("POST", "/tables/todoitem", json!({"text": 5}), 400),
    ] {
        let answer = send(client, method, path, &OWN, &body).await.expect(status);
        if !answer.body.is_empty() {
            assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{path}");
        }
    }
}

#[tokio::test]
async fn quirk_8_6_3_nothing_that_has_no_null_is_null() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": null, "other": 1})).await;
    let made =
        send(client, "POST", "/tables/todoitem", &OWN, &json!({"id": "b", "TEXT": "x"})).await.expect(201).json();
    let listed = send(client, "GET", "/tables/todoitem", &[TOOLKIT], &Value::Null).await.json();
    for row in listed["items"].as_array().unwrap().iter().chain([&made]) {
        assert!(row.as_object().unwrap().values().all(|value| !value.is_null()), "{row}");
    }
}

#[tokio::test]
async fn quirk_8_6_4_a_count_alone_and_a_link_that_is_a_query() {
    let world = world().await;
    let client = &world.client;
    for n in 0..7 {
        post(client, "smallpage", json!({"id": n.to_string()})).await;
    }
    let count = send(client, "GET", "/tables/smallpage?$top=0&$count=true", &[TOOLKIT], &Value::Null).await.json();
    assert_eq!(count, json!({"items": [], "count": 7, "nextLink": null}));
    let first = send(client, "GET", "/tables/smallpage?$count=true", &[TOOLKIT], &Value::Null).await.json();
    let link = first["nextLink"].as_str().unwrap();
    assert!(!link.starts_with(['?', '/']) && !link.contains("://"), "{link}");
    let second = send(client, "GET", &format!("/tables/smallpage?{link}"), &[TOOLKIT], &Value::Null).await.json();
    assert_eq!((ids(second["items"].as_array().unwrap()).concat(), &second["count"]), ("345".to_owned(), &json!(7)));
}

/// A version may be bytes for the client, and must be legal within an entity tag (RFC 9110 8.8.3).
#[tokio::test]
async fn quirk_8_6_5_and_6_versions_are_base64() {
    use base64::Engine as _;
    let world = world().await;
    for row in three(&world.client).await {
        let version = row["version"].as_str().unwrap();
        assert!(base64::engine::general_purpose::STANDARD.decode(version).is_ok(), "{version}");
        assert!(version.bytes().all(|byte| byte == 0x21 || (0x23..=0x7e).contains(&byte)), "{version}");
    }
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.|:-]{0,126}$`
#[tokio::test]
async fn quirk_8_6_7_ids_that_are_made_here_are_ones_that_it_takes() {
    let world = world().await;
    for _ in 0..20 {
        let made = post(&world.client, "todoitem", json!({"text": "x"})).await;
        let id = made["id"].as_str().unwrap();
        assert!((1..=127).contains(&id.len()) && id.as_bytes()[0].is_ascii_alphanumeric(), "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.|:-".contains(&byte)), "{id}");
    }
}

#[tokio::test]
async fn quirk_8_6_8_what_a_put_leaves_out_is_reset_and_one_that_is_forced_overwrites() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x", "complete": true, "n": 5})).await;
    let stale = [TOOLKIT, JSON, ("if-match", "\"MQ==\"")];
    let item = json!({"id": "a", "text": "y"});
    let taken = send(client, "PUT", "/tables/todoitem/a", &stale, &item).await.expect(412);
    assert_eq!(taken.json()["n"], json!(5));
    // The client wins: without a condition (3.2).
    let put = send(client, "PUT", "/tables/todoitem/a", &OWN, &item).await.expect(200).json();
    assert_eq!((&put["text"], put.get("complete"), put.get("n")), (&json!("y"), None, None));
    send(client, "DELETE", "/tables/todoitem/a", &OWN, &Value::Null).await.expect(204);
    send(client, "PUT", "/tables/todoitem/a", &OWN, &item).await.expect(410);
}
