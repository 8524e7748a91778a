//! Links to the next page (`mobile-apps.md` 2.4).

use super::*;

async fn filled(world: &World) {
    for n in 0..8 {
        post(&world.client, "smallpage", json!({"id": format!("s-{n}"), "n": n})).await;
    }
}

/// As the .NET and iOS libraries take a link apart: an address, `; rel=next`, no brackets.
fn of_header(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let address = link.strip_suffix("; rel=next").unwrap_or_else(|| panic!("{link}"));
    assert!(!address.contains(['<', '>', '"', ';']), "{link}");
    Some(address.to_owned())
}

/// The path of an address on this service.
fn path<'a>(world: &World, address: &'a str) -> &'a str {
    let host = format!("http://{}", world.running.address());
    address.strip_prefix(&host).unwrap_or_else(|| panic!("{address}"))
}

#[tokio::test]
async fn point_08_v2_has_absolute_links_that_go_on() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    let get = |path: String| async move { send(client, "GET", &path, &[V2], &Value::Null).await.expect(200) };
    let first = get("/tables/smallpage?x=a%20b&__includeDeleted=true".into()).await;
    let link = of_header(&first).unwrap();
    assert!(link.ends_with("?x=a%20b&__includeDeleted=true&$top=3&$skip=3"), "OBS 94, 98: {link}");
    let (mut seen, mut next) = (ids(first.json().as_array().unwrap()).join(","), Some(link));
    while let Some(link) = next {
        let page = get(path(&world, &link).to_owned()).await;
        seen = format!("{seen},{}", ids(page.json().as_array().unwrap()).join(","));
        next = of_header(&page);
    }
    assert_eq!(seen, (0..8).map(|n| format!("s-{n}")).collect::<Vec<_>>().join(","));
    let top = get("/tables/smallpage?$top=5&$skip=0".into()).await;
    assert!(of_header(&top).unwrap().ends_with("?$top=5&$skip=5"), "OBS 95");
    let counted = get("/tables/smallpage?$top=2&$inlinecount=allpages".into()).await;
    assert!(counted.json()["count"] == json!(8) && of_header(&counted).is_some(), "OBS 97");
    // More than a page holds: what is left is asked for behind it.
    let clamped = get("/tables/smallpage?$top=7".into()).await;
    assert_eq!(
        (clamped.json().as_array().unwrap().len(), of_header(&clamped).unwrap().ends_with("?$top=2&$skip=5")),
        (5, true),
        "OBS 96"
    );
    let rest = get(path(&world, &of_header(&clamped).unwrap()).to_owned()).await;
    assert_eq!(rest.json().as_array().unwrap().len(), 2);
    // Android reads a link beside a count as part of the result.
    let android = [V2, ("x-zumo-version", "3.5.1")];
    let answer = send(client, "GET", "/tables/smallpage?$top=2&$inlinecount=allpages", &android, &Value::Null).await;
    assert_eq!(answer.header("link"), None);
}

#[tokio::test]
async fn point_08_each_newer_client_gets_the_form_that_it_reads() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    let host = format!("http://{}", world.running.address());
    for (headers, begins) in [
        (vec![V3], format!("{host}/tables/smallpage?")),
        (vec![V3, ("x-zumo-options", "nextLink=path,include:deleted")], "/tables/smallpage?".to_owned()),
        (vec![TOOLKIT], "$count=true&".to_owned()),
        (vec![V3, TOOLKIT], "$count=true&".to_owned()),
    ] {
        for (order, top, expected) in
            [("", "", 8), ("&$orderby=updatedAt", "", 8), ("&$orderby=n%20desc", "", 8), ("", "&$top=5", 5)]
        {
            let mut target = format!("/tables/smallpage?$count=true{order}{top}");
            let mut seen = Vec::new();
            loop {
                let page = send(client, "GET", &target, &headers, &Value::Null).await.expect(200).json();
                assert_eq!(page["count"], json!(8), "{target}");
                seen.extend(ids(page["items"].as_array().unwrap()).into_iter().map(str::to_owned));
                let Some(link) = page["nextLink"].as_str() else { break };
                assert!(link.starts_with(&begins), "{link} {begins}");
                let query = link.split_once('?').map_or(link, |(_, query)| query);
                assert!(query.contains("__after=") != order.contains("desc"), "{link}");
                target = format!("/tables/smallpage?{query}");
            }
            let mut distinct = seen.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!((seen.len(), distinct.len()), (expected, expected), "{order}{top}");
        }
    }
}

/// `^(.*?);\s*rel\s*=\s*(\w+)\s*$` of the .NET and iOS libraries: address and relation.
fn by_expression(link: &str) -> Option<(&str, &str)> {
    link.match_indices(';').find_map(|(at, _)| {
        let rest = link[at + 1..].trim_start().strip_prefix("rel")?;
        let relation = rest.trim_start().strip_prefix('=')?.trim();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!relation.is_empty() && relation.chars().all(is_word)).then_some((&link[..at], relation))
    })
}

#[tokio::test]
async fn point_08_each_older_library_takes_the_header_apart() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    for query in [
        "",
        "?$filter=n%20ge%200%20and%20id%20ne%20'x;%20rel=next'&$orderby=n%20desc",
        "?$orderby=updatedAt&__includeDeleted=true&$top=2",
        "?x=a;b&y=%3B%20rel%3Dnext",
    ] {
        let answer = send(client, "GET", &format!("/tables/smallpage{query}"), &[V2], &Value::Null).await.expect(200);
        let link = answer.header("link").unwrap();
        let android = link.replace("; rel=next", "");
        let (address, relation) = by_expression(link).unwrap();
        assert_eq!(relation, "next", "{link}");
        // JavaScript: the text before the first semicolon, when the relation behind it is `next`.
        if !query.contains(';') {
            let (text, relation) = link.split_once(';').unwrap();
            assert_eq!((text, relation.trim()), (address, "rel=next"));
            assert_eq!(android, address);
        }
        let next = send(client, "GET", path(&world, address), &[V2], &Value::Null).await.expect(200).json();
        let (seen, next) = (answer.json(), next);
        let (seen, next) = (ids(seen.as_array().unwrap()), ids(next.as_array().unwrap()));
        assert!(!next.is_empty() && next.iter().all(|id| !seen.contains(id)), "{link}: {seen:?} {next:?}");
    }
}

/// Of a proxy that keeps the host and says over which scheme it was asked.
#[tokio::test]
async fn point_08_links_behind_a_proxy_lead_to_the_proxy() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    for (headers, begins) in [
        (
            &[("host", "api.example.com"), ("x-forwarded-proto", "https")][..],
            "https://api.example.com/tables/smallpage?",
        ),
        (&[("host", "api.example.com:8443"), ("x-forwarded-proto", "https")], "https://api.example.com:8443/tables/"),
        (&[("host", "api.example.com"), ("x-forwarded-proto", "http")], "http://api.example.com/tables/smallpage?"),
        (&[("host", "localhost:3000"), ("x-forwarded-proto", "https, http")], "https://localhost:3000/tables/"),
        (&[("host", "localhost:3000"), ("x-forwarded-proto", "http, http")], "http://localhost:3000/tables/"),
        (&[("host", "[2001:db8::1]:80"), ("x-forwarded-proto", "http")], "http://[2001:db8::1]:80/tables/"),
    ] {
        let v2 = send(client, "GET", "/tables/smallpage", &[headers, &[V2]].concat(), &Value::Null).await.expect(200);
        assert!(v2.header("link").unwrap().starts_with(begins), "{headers:?}: {v2:?}");
        let v3 = send(client, "GET", "/tables/smallpage", &[headers, &[V3]].concat(), &Value::Null).await.expect(200);
        assert!(v3.json()["nextLink"].as_str().unwrap().starts_with(begins), "{headers:?}: {v3:?}");
        let made = send(client, "POST", "/tables/hard", &[headers, &[V2, JSON]].concat(), &json!({})).await.expect(201);
        let host = begins.split("/tables").next().unwrap();
        assert!(made.header("location").unwrap().starts_with(&format!("{host}/tables/hard/")), "{made:?}");
    }
}

/// Only the oldest dialect means "behind the row at the bound" by it; elsewhere a row is skipped (3.4).
#[tokio::test]
async fn to_skip_one_row_of_a_pull_has_its_meaning_in_v2_alone() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    let rows = list(client, "/tables/smallpage?$orderby=updatedAt&$top=5").await;
    let bound = rows[0]["updatedAt"].as_str().unwrap();
    // The row at the bound moves: nothing is to be skipped any more.
    send(client, "PATCH", "/tables/smallpage/s-0", &[V2, JSON], &json!({"n": 9})).await.expect(200);
    let path =
        format!("/tables/smallpage?$filter=updatedAt%20ge%20datetimeoffset'{bound}'&$orderby=updatedAt&$skip=1&$top=2");
    assert_eq!(ids(&list(client, &path).await), ["s-1", "s-2"]);
    let plain = send(client, "GET", &path, &[V3], &Value::Null).await.expect(200).json();
    assert_eq!(ids(plain["items"].as_array().unwrap()), ["s-2", "s-3"]);
}

#[tokio::test]
async fn point_08_a_chain_of_links_shows_no_row_twice_and_loses_none() {
    let world = world().await;
    filled(&world).await;
    let client = &world.client;
    let pull = |token: String| {
        let filter = encoded(&format!("(updatedAt gt cast({token},Edm.DateTimeOffset))"));
        format!("$filter={filter}&$orderby=updatedAt&$count=true&__includedeleted=true")
    };
    let mut copy = std::collections::BTreeMap::new();
    let (mut query, mut token, mut pages) = (pull("1970-01-01T00:00:00.000Z".into()), String::new(), 0);
    loop {
        let page = send(client, "GET", &format!("/tables/smallpage?{query}"), &[TOOLKIT], &Value::Null)
            .await
            .expect(200)
            .json();
        for item in page["items"].as_array().unwrap() {
            token = token.max(item["updatedAt"].as_str().unwrap().to_owned());
            let before = copy.insert(item["id"].to_string(), item["n"].clone());
            assert!(before.is_none() || pages > 2, "{item} came twice in one chain");
        }
        pages += 1;
        if pages == 1 {
            send(client, "PATCH", "/tables/smallpage/s-0", &[V2, JSON], &json!({"n": 100})).await.expect(200);
            send(client, "PATCH", "/tables/smallpage/s-7", &[V2, JSON], &json!({"n": 107})).await.expect(200);
        }
        match page["nextLink"].as_str() {
            Some(link) => query = link.to_owned(),
            None if page["items"].as_array().unwrap().is_empty() => break,
            None => (query, pages) = (pull(token.clone()), pages.max(3)),
        }
    }
    assert_eq!((copy.len(), &copy["\"s-0\""], &copy["\"s-7\""]), (8, &json!(100), &json!(107)));
}

#[tokio::test]
async fn point_08_links_name_the_host_that_the_configuration_names() {
    let world = World::with(
        &format!("{}{TABLES}", USERS.replace("[mobile]", "[mobile]\npublic_url = 'https://api.example.com/app'"))
            .replace("seed_file = 'readonly.json'\n", ""),
    )
    .await;
    filled(&world).await;
    let answer = send(&world.client, "GET", "/tables/smallpage", &[V2], &Value::Null).await;
    assert!(of_header(&answer).unwrap().starts_with("https://api.example.com/app/tables/smallpage?"));
}
