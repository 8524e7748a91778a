//! The JavaScript client of the field, as it is (`client/tables.mjs`), and what the others insist on (section 8).

use std::process::Command;

use super::*;
use crate::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn point_02_03_the_javascript_client_reads_writes_pushes_and_pulls() {
    let world = world().await;
    let mut node = Command::new("node");
    node.current_dir(program::folder("mobile/client", "azure-mobile-apps-client").await)
        .arg("tables.mjs")
        .env("NODE_EXTRA_CA_CERTS", world.trusted())
        .env("SERVICE", world.over_tls());
    let said = program::run(node, "node").await;
    assert!(said.lines().any(|line| line == "all tables work"), "{said}");
}

/// 3.1: what each library asks for in a pull, to the letter.
#[tokio::test]
async fn point_07_every_library_s_pull_is_understood() {
    let world = world().await;
    let client = &world.client;
    let made = post(client, "smallpage", json!({"id": "a", "n": 2})).await;
    let stamp = made["updatedAt"].as_str().unwrap();
    let seven = stamp.replace('Z', "0000%2B00:00");
    for (headers, query, rows) in [
        (
            &[V2][..],
            format!(
                "$filter=((n%20eq%202)%20and%20(updatedAt%20ge%20datetimeoffset'{stamp}'))&$orderby=updatedAt&$top=3&__includeDeleted=true"
            ),
            1,
        ),
        (
            &[V2],
            format!(
                "$filter=(updatedAt%20ge%20datetimeoffset'{stamp}')&$orderby=updatedAt&$skip=1&$top=3&__includeDeleted=true"
            ),
            0,
        ),
        (
            &[V2],
            format!(
                "$filter=((n%20eq%202L)%20and%20(updatedAt%20ge%20datetimeoffset'{seven}'))&$orderby=updatedAt&$skip=0&$top=50&__includeDeleted=true"
            ),
            1,
        ),
        (
            &[V2],
            format!(
                "$filter=updatedAt%20ge%20(datetimeoffset'{stamp}')&$top=50&$orderby=updatedAt%20asc&__includeDeleted=true"
            ),
            1,
        ),
        (&[V2], "$top=50&$orderby=updatedAt%20asc&__includeDeleted=true".to_owned(), 1),
        (
            &[V2],
            format!(
                "$filter=((n%20eq%202l)%20and%20(updatedAt%20ge%20datetimeoffset'{stamp}'))&$top=50&$skip=0&$orderby=updatedAt%20asc&__includeDeleted=true"
            ),
            1,
        ),
        (
            &[V3],
            format!(
                "$filter=(updatedAt%20gt%20cast({stamp},Edm.DateTimeOffset))&$orderby=updatedAt&$count=true&__includedeleted=true"
            ),
            0,
        ),
        (&[TOOLKIT], "$filter=(n%20eq%202)&$orderby=updatedAt&$count=true&__includedeleted=true".to_owned(), 1),
    ] {
        let body =
            send(client, "GET", &format!("/tables/smallpage?{query}"), headers, &Value::Null).await.expect(200).json();
        let items = body.as_array().or_else(|| body["items"].as_array()).unwrap();
        assert_eq!(items.len(), rows, "{query}");
        assert!(items.iter().all(|item| item["deleted"] == json!(false)), "a boolean on every row");
    }
}
