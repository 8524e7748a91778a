//! Ids in bodies and paths, and names of tables.

use super::*;

/// What is legal, however odd, comes back as it went.
#[tokio::test]
async fn odd_ids_and_texts_are_kept_as_they_are() {
    on_both(async |world: World| {
        let client = &world.client;
        let odd = TEXTS.iter().filter(|text| !text.is_empty() && !text.contains(char::is_control));
        for id in
            odd.copied().chain([&"é".repeat(255)[..], "a/b", "a?b", "a#b", "a%2Fb", "a+b", "a&b=c", ";", "a|b:c.d"])
        {
            let made = post(client, "todoitem", json!({"id": id, "text": id})).await;
            assert_eq!((&made["id"], &made["text"]), (&json!(id), &json!(id)));
            let path = format!("/tables/todoitem/{}", encoded(id).replace('.', "%2E"));
            let read = send(client, "GET", &path, &[V2], &Value::Null).await.expect(200);
            assert_eq!(read.json(), made, "{path}");
            let location = format!("/tables/todoitem?$filter=id%20eq%20'{}'", encoded(&id.replace('\'', "''")));
            assert_eq!(list(client, &location).await, [made], "{id}");
            send(client, "DELETE", &path, &[V2], &Value::Null).await.expect(200);
        }
        for id in ["%00", "a%0Ab", "%7F", &"x".repeat(256), &"%C3%A9".repeat(256), "%ff", "%C3", "none"] {
            for (method, body) in [
                ("GET", Value::Null),
                ("DELETE", Value::Null),
                ("POST", Value::Null),
                ("PATCH", json!({})),
                ("PUT", json!({})),
            ] {
                for headers in [V2, V3, TOOLKIT] {
                    let path = format!("/tables/todoitem/{id}");
                    let answer = send(client, method, &path, &[headers, JSON], &body).await;
                    assert!(matches!(answer.status, 400 | 404), "{method} {path}: {answer:?}");
                    judged(&answer, &path);
                }
            }
        }
        for name in [
            "app_todoitem",
            "data_table",
            "sqlite_master",
            "pg_user",
            "todoitem%20",
            "todoitem;",
            "%22todoitem%22",
            "..",
            ".",
        ] {
            let path = format!("/tables/{name}");
            send(client, "GET", &path, &[V2], &Value::Null).await.expect(404);
        }
    })
    .await;
}
