//! What only the dialect changes (`mobile-apps.md` 1.3): shapes and statuses.

use super::engines::on_both;
use super::*;

#[tokio::test]
async fn lists_have_the_shape_of_their_dialect() {
    let world = world().await;
    let client = &world.client;
    for n in 0..4 {
        post(client, "smallpage", json!({"id": format!("s-{n}"), "n": n, "gone": null})).await;
    }
    let list = |headers: &'static [(&'static str, &'static str)], query: &'static str| async move {
        send(client, "GET", &format!("/tables/smallpage{query}"), headers, &Value::Null).await
    };
    let v3 = list(&[V3], "?$count=true").await.expect(200).json();
    assert_eq!((v3["items"].as_array().unwrap().len(), &v3["count"]), (3, &json!(4)));
    let last = list(&[V3, TOOLKIT], "?$top=2").await.expect(200).json();
    assert_eq!(
        (last["items"].as_array().unwrap().len(), &last["count"], &last["nextLink"]),
        (2, &Value::Null, &Value::Null)
    );
    // A count alone.
    assert_eq!(list(&[], "?$top=0&$count=true").await.json(), json!({"items": [], "count": 4, "nextLink": null}));
    assert_eq!(list(&[V3], "?$inlinecount=allpages&$top=1").await.json()["count"], json!(4));
    for query in ["?$top=-1", "?$top=x", "?$top=600000", "?$skip=-1", "?$filter=n%20eq", "?$orderby=n%20up"] {
        for headers in [&[V3][..], &[]] {
            let answer = send(client, "GET", &format!("/tables/smallpage{query}"), headers, &Value::Null).await;
            // The newest clients read any member of a refusal as one of the row's (7).
            assert_eq!(answer.expect(400).json().as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{query}");
        }
    }
    // Null differs from what is not null (2.3).
    post(client, "smallpage", json!({"id": "s-null"})).await;
    let differs = list(&[V3], "?$filter=n%20ne%201&$select=id").await.json();
    assert_eq!(ids(differs["items"].as_array().unwrap()), ["s-0", "s-2", "s-3"]);
    let more = list(&[V3], "?$filter=n%20ne%201%20and%20id%20gt%20%27s-3%27").await.json();
    assert_eq!(ids(more["items"].as_array().unwrap()), ["s-null"]);
    assert_eq!(super::list(client, "/tables/smallpage?$filter=n%20ne%201").await.len(), 3);
    // A column that no row has yet is null in each.
    assert_eq!(list(&[], "?$filter=nothing%20ne%20true&$count=true&$top=0").await.json()["count"], json!(5));
}

#[tokio::test]
async fn point_12_members_without_a_value_are_left_out_for_the_newest_clients() {
    on_both(async |world: World| {
        let client = &world.client;
        let answer = send(client, "POST", "/tables/todoitem", &[TOOLKIT, JSON], &json!({"id": "a", "text": "x"}))
            .await
            .expect(201);
        assert_eq!(answer.json().get("complete"), None);
        assert!(answer.header("last-modified").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
        assert!(answer.header("location").is_some() && answer.header("etag").is_some());
        assert_eq!(
            send(client, "GET", "/tables/todoitem/a", &[V3], &Value::Null).await.json()["complete"],
            Value::Null
        );
        let put =
            send(client, "PUT", "/tables/todoitem/a", &[JSON], &json!({"id": "a", "complete": true, "text": "x"}))
                .await;
        assert_eq!(put.expect(200).json()["complete"], json!(true));
        // What a replacement leaves out is reset: they leave out false.
        let put =
            send(client, "PUT", "/tables/todoitem/a", &[JSON], &json!({"id": "a", "text": "x"})).await.expect(200);
        assert_eq!((put.json().get("complete"), put.json()["text"].clone()), (None, json!("x")));
        assert_eq!(
            send(client, "GET", "/tables/todoitem/a", &[V2], &Value::Null).await.json()["complete"],
            Value::Null
        );
    })
    .await;
}

#[tokio::test]
async fn deleted_rows_are_gone_where_the_dialect_says_so() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let path = "/tables/todoitem/a";
    send(client, "DELETE", path, &[V3], &Value::Null).await.expect(204);
    for headers in [&[V3][..], &[TOOLKIT]] {
        for (method, body) in [
            ("GET", Value::Null),
            ("DELETE", Value::Null),
            ("PUT", json!({"id": "a"})),
            ("PATCH", json!({"text": "y"})),
        ] {
            let answer = send(client, method, path, &[headers, &[JSON][..]].concat(), &body).await;
            assert_eq!((answer.status, answer.body.len()), (410, 0), "{method}");
        }
        send(client, "DELETE", "/tables/todoitem/none", headers, &Value::Null).await.expect(404);
        send(client, "GET", "/tables/todoitem/a?__includedeleted=true", headers, &Value::Null).await.expect(200);
    }
    let back = send(client, "PATCH", path, &[V3, JSON], &json!({"deleted": false})).await.expect(200).json();
    assert_eq!((&back["deleted"], &back["text"]), (&json!(false), &json!("x")));
    send(client, "DELETE", path, &[], &Value::Null).await.expect(204);
    let put =
        send(client, "PUT", "/tables/todoitem/a?__includedeleted=true", &[JSON], &json!({"id": "a", "text": "z"}))
            .await;
    assert_eq!(
        (&put.expect(200).json()["deleted"], &list(client, "/tables/todoitem").await[0]["text"]),
        (&json!(false), &json!("z"))
    );
    // The server's properties may be said as they are, and not otherwise (2.7).
    let row = list(client, "/tables/todoitem").await.remove(0);
    let same =
        json!({"text": "q", "createdAt": row["createdAt"], "updatedAt": row["updatedAt"], "version": row["version"]});
    send(client, "PATCH", path, &[V3, JSON], &same).await.expect(200);
    send(client, "PATCH", path, &[V3, JSON], &same).await.expect(400);
}

#[tokio::test]
async fn only_the_newer_dialects_are_told_that_nothing_changed() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let path = "/tables/todoitem/a";
    let seen = send(client, "GET", path, &[V3], &Value::Null).await.expect(200);
    let tag = seen.header("etag").unwrap().to_owned();
    for (name, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", "Wed, 27 Mar 2080 00:00:00 GMT", 304),
        ("if-modified-since", "Mon, 27 Mar 1972 00:00:00 GMT", 200),
    ] {
        for headers in [[V3, (name, value)], [TOOLKIT, (name, value)]] {
            let answer = client.send("GET", path, &headers, b"").await;
            assert_eq!(answer.status, status, "{name}: {value}");
        }
        send(client, "GET", path, &[V2, (name, value)], &Value::Null).await.expect(200);
    }
    // Without a header, what the item says of its version counts for V2 alone.
    send(client, "PATCH", path, &[V3, JSON], &json!({"text": "y"})).await.expect(200);
    send(client, "PUT", path, &[V3, JSON], &json!({"id": "a", "version": "MQ==", "text": "z"})).await.expect(200);
    let stale = send(client, "PUT", path, &[V3, JSON, ("if-match", &tag)], &json!({"id": "a"})).await.expect(412);
    assert!(stale.header("etag").is_some() && stale.json()["text"] == "z");
    let taken = send(client, "POST", "/tables/todoitem", &[V3, JSON], &json!({"id": "a"})).await.expect(409);
    assert!(taken.header("etag").is_some() && taken.json()["text"] == "z");
}

/// 2.0, RFC 9110 13.1.4: a write of a row that must not have changed since. A header that says more counts before it.
#[tokio::test]
async fn a_write_may_be_bound_to_a_row_that_did_not_change_since() {
    on_both(async |world: World| {
        let client = &world.client;
        let (past, future) = ("Mon, 27 Mar 1972 00:00:00 GMT", "Wed, 27 Mar 2080 00:00:00 GMT");
        for headers in [V2, V3, TOOLKIT] {
            for (method, body) in [
                ("PATCH", json!({"text": "y"})),
                ("PUT", json!({"text": "z"})),
                ("DELETE", Value::Null),
                ("POST", Value::Null),
            ] {
                let made = post(client, "todoitem", json!({"text": "x"})).await;
                let path = format!("/tables/todoitem/{}", made["id"].as_str().unwrap());
                let read = send(client, "GET", &path, &[V3], &Value::Null).await.expect(200);
                let modified = read.header("last-modified").unwrap().to_owned();
                let tag = read.header("etag").unwrap().to_owned();
                let ask = async |conditions: &[(&str, &str)]| {
                    send(client, method, &path, &[&[headers, JSON][..], conditions].concat(), &body).await
                };
                let refused = ask(&[("if-unmodified-since", past)]).await.expect(412);
                assert_eq!((refused.json()["text"].clone(), refused.header("etag")), (json!("x"), Some(tag.as_str())));
                ask(&[("if-match", "\"MQ==\""), ("if-unmodified-since", future)]).await.expect(412);
                // The row's own date in the form that has no fraction; another form says nothing.
                let done = ask(&[("if-unmodified-since", &modified)]).await;
                assert!((200..300).contains(&done.status), "{method}: {done:?}");
                if method != "DELETE" {
                    for conditions in [
                        [("if-unmodified-since", "yesterday"), ("x-none", "")],
                        [("if-unmodified-since", past), ("if-match", "*")],
                        [("if-unmodified-since", future), ("x-none", "")],
                    ] {
                        let done = ask(&conditions).await;
                        assert!((200..300).contains(&done.status), "{method} {conditions:?}: {done:?}");
                    }
                }
            }
        }
        // What the older clients say in the item counts, too (OBS 102).
        let made = post(client, "todoitem", json!({"id": "v", "text": "x"})).await;
        let stale = json!({"text": "y", "version": "MQ=="});
        let headers = [V2, JSON, ("if-unmodified-since", future)];
        let answer = send(client, "PATCH", "/tables/todoitem/v", &headers, &stale).await.expect(409);
        assert_eq!(answer.json(), made);
    })
    .await;
}

/// The date of a row has no fraction: a change within that second must not be taken for none (2.6).
#[tokio::test]
async fn a_read_since_the_row_s_own_date_shows_the_row() {
    let world = world().await;
    let client = &world.client;
    post(client, "todoitem", json!({"id": "a", "text": "x"})).await;
    let read = send(client, "GET", "/tables/todoitem/a", &[V3], &Value::Null).await.expect(200);
    let since = read.header("last-modified").unwrap().to_owned();
    for _ in 0..3 {
        let changed = send(client, "PATCH", "/tables/todoitem/a", &[V2, JSON], &json!({"n": 1})).await.expect(200);
        let whole = changed.json()["updatedAt"].as_str().unwrap().ends_with(".000Z");
        let again = send(client, "GET", "/tables/todoitem/a", &[V3, ("if-modified-since", &since)], &Value::Null).await;
        assert!(whole || again.status == 200, "{again:?}");
    }
}

#[tokio::test]
async fn conflicts_are_settled_as_the_table_says() {
    let world = world().await;
    let client = &world.client;
    for (table, by_update, status) in [
        ("lenient", Some("client_wins"), 200),
        ("firm", Some("server_wins"), 200),
        ("merged", Some("merge; kept=complete"), 200),
        ("todoitem", None, 412),
    ] {
        let first = post(client, table, json!({"id": "a", "text": "x", "complete": false})).await;
        let tag = format!("\"{}\"", first["version"].as_str().unwrap());
        let path = format!("/tables/{table}/a");
        send(client, "PATCH", &path, &[V2, JSON], &json!({"complete": true})).await.expect(200);
        let stale = [V2, JSON, ("if-match", tag.as_str())];
        let answer =
            send(client, "PATCH", &path, &stale, &json!({"text": "y", "complete": false})).await.expect(status);
        assert_eq!(answer.header("x-fanfare-conflict"), by_update, "{table}");
        let row = list(client, &format!("/tables/{table}")).await.remove(0);
        let expected = match table {
            "lenient" => json!(["y", false]),
            "merged" => json!(["y", true]),
            _ => json!(["x", true]),
        };
        assert_eq!(json!([row["text"], row["complete"]]), expected, "{table}");
        let deleted = send(client, "DELETE", &path, &stale, &Value::Null).await;
        match table {
            "lenient" => assert_eq!(deleted.expect(200).json()["deleted"], json!(true)),
            // It comes back to the device with the next pull.
            "firm" => {
                let kept = deleted.expect(200).json();
                assert!(kept["deleted"] == json!(false) && kept["updatedAt"] != row["updatedAt"], "{kept}");
            }
            _ => assert_eq!(deleted.status, 412, "{table}"),
        }
    }
}
