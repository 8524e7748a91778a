//! 8.1 and 8.2: the JavaScript library, and Cordova's.

use super::*;

/// As the library takes a stamp apart: `^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d*))?Z$`, rounded to milliseconds.
fn is_date(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00.000Z"
}

#[tokio::test]
async fn quirk_8_1_1_and_2_every_pulled_row_says_whether_it_is_deleted_and_when_it_changed() {
    let world = world().await;
    let rows = three(&world.client).await;
    assert_eq!(ids(&rows), ["a", "c", "b"]);
    for row in rows {
        assert!(row["deleted"].is_boolean() && is_date(row["updatedAt"].as_str().unwrap()), "{row}");
    }
}

#[tokio::test]
async fn quirk_8_1_3_a_text_that_looks_like_a_date_comes_back_as_it_went() {
    let world = world().await;
    for text in ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1234567Z", "2024-01-02"] {
        let made = post(&world.client, "todoitem", json!({"text": text, "other": text})).await;
        assert_eq!((&made["text"], &made["other"]), (&json!(text), &json!(text)));
    }
}

#[tokio::test]
async fn quirk_8_1_4_the_tag_is_the_version_also_where_a_proxy_weakened_it() {
    let world = world().await;
    let client = &world.client;
    let mut version = post(client, "todoitem", json!({"id": "a", "text": "x"})).await["version"].clone();
    for text in ["1", "2", "3"] {
        // What it stored of `W/"VERSION"` it sends back in quotes, escaped.
        let sent = format!("\"W/\\\"{}\\\"\"", version.as_str().unwrap());
        let headers = [V2, JSON, ("if-match", sent.as_str())];
        let answer = send(client, "PATCH", "/tables/todoitem/a", &headers, &json!({"text": text})).await.expect(200);
        version = answer.json()["version"].clone();
        assert_eq!(answer.header("etag"), Some(format!("\"{}\"", version.as_str().unwrap()).as_str()));
    }
}

#[tokio::test]
async fn quirk_8_1_5_an_update_says_its_id_in_the_body_and_its_version_in_the_header() {
    let world = world().await;
    let client = &world.client;
    let made = post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let tag = format!("\"{}\"", made["version"].as_str().unwrap());
    let headers = [V2, JSON, ("if-match", tag.as_str()), ("x-zumo-features", "OC")];
    let body = json!({"id": "a", "text": "y", "complete": null});
    let answer = send(client, "PATCH", "/tables/todoitem/a", &headers, &body).await.expect(200).json();
    assert_eq!((&answer["text"], &answer["id"]), (&json!("y"), &json!("a")));
}

#[tokio::test]
async fn quirk_8_1_6_a_refresh_is_a_list_with_a_body_and_nothing_found_is_empty() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "O'B \"x\"", "text": "x"})).await;
    let headers = [V2, JSON, ("x-zumo-features", "RF")];
    let path = format!("/tables/todoitem?$filter={}", encoded("id eq 'O''B \"x\"'"));
    let rows = send(client, "GET", &path, &headers, &json!({"id": "O'B \"x\""})).await.expect(200).json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let none = send(client, "GET", "/tables/todoitem?$filter=id%20eq%20'b'", &headers, &json!({"id": "b"})).await;
    assert_eq!(none.expect(200).json(), json!([]));
}

#[tokio::test]
async fn quirk_8_1_8_a_conflict_of_versions_shows_the_row_that_stands() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let stale = [V2, JSON, ("if-match", "\"MQ==\""), ("x-zumo-features", "OL,OC")];
    let answer =
        send(client, "PATCH", "/tables/todoitem/a", &stale, &json!({"id": "a", "text": "y"})).await.expect(412);
    let row = answer.json();
    assert_eq!((&row["id"], &row["text"], row["deleted"].is_boolean()), (&json!("a"), &json!("x"), true));
    let taken = send(client, "POST", "/tables/todoitem", &[V2, JSON], &json!({"id": "a"})).await.expect(409).json();
    assert_eq!(taken, row);
}

#[tokio::test]
async fn quirk_8_1_12_pages_of_other_hosts_see_the_link_and_the_count() {
    let world = world().await;
    for n in 0..5 {
        post(&world.client, "smallpage", json!({"id": n.to_string()})).await;
    }
    let headers = [V2, ("origin", "http://localhost:3000")];
    let path = "/tables/smallpage?$inlinecount=allpages&$top=2";
    let answer = send(&world.client, "GET", path, &headers, &Value::Null).await.expect(200);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Link") && exposed.contains("ETag"), "{exposed}");
    assert!(answer.header("link").is_some_and(|link| link.ends_with("; rel=next")));
    assert_eq!(answer.json()["count"], json!(5));
}

#[tokio::test]
async fn quirk_8_1_13_keywords_and_names_are_matched_without_regard_to_case() {
    let world = world().await;
    three(&world.client).await;
    for query in [
        "$filter=TEXT%20EQ%20'text%20a'%20AND%20NOT%20COMPLETE",
        "$FILTER=Text%20Eq%20'text%20a'",
        "%24Filter=StartsWith(Text,'text%20a')",
    ] {
        assert_eq!(ids(&list(&world.client, &format!("/tables/TODOITEM?{query}")).await), ["a"], "{query}");
    }
}

/// The sample app inserts `text` and updates `Text`.
#[tokio::test]
async fn quirk_8_2_a_column_s_casing_is_its_first_and_a_page_of_a_file_may_call() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x", "complete": false})).await;
    for item in [json!({"id": "a", "Text": "y"}), json!({"id": "a", "Complete": true})] {
        for origin in [&[][..], &[("origin", "null")]] {
            let answer = send(client, "PATCH", "/tables/todoitem/a", &[&[V2, JSON][..], origin].concat(), &item).await;
            // Not listed here, so no page is told that it may.
            assert_eq!(answer.expect(200).header("access-control-allow-origin"), None);
        }
    }
    let row = list(client, "/tables/todoitem").await.remove(0);
    assert_eq!((&row["text"], &row["complete"], row.get("Text")), (&json!("y"), &json!(true), None));
    let world = world.restart(&format!("{USERS}{TABLES}").replace("'localhost'", "'localhost', 'null'")).await;
    let answer = send(&world.client, "GET", "/tables/todoitem", &[V2, ("origin", "null")], &Value::Null).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("null"));
}
