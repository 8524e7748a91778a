//! R6 and R7: lists, filters and pages.

use crate::client::Client;
use crate::world::{TOKEN, World, entry, fcm, texts_of};

/// Ids of a whole list, and how many pages it had.
async fn all(client: &Client, path: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut token) = (Vec::new(), 0, None::<String>);
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let asked = token.map_or(path.to_owned(), |token| format!("{path}{separator}ContinuationToken={token}"));
        let answer = client.get(&asked).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/atom+xml; type=feed; charset=utf-8"));
        assert!(answer.text().starts_with("<feed xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">"));
        ids.extend(texts_of(answer.text(), "RegistrationId"));
        pages += 1;
        token = answer.header("x-ms-continuationtoken").map(str::to_owned);
        assert_eq!(token.is_some(), answer.text().contains("<link rel=\"next\" "));
        let Some(token) = &token else { return (ids, pages) };
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
}

#[tokio::test]
async fn lists_are_pages_of_what_there_is() {
    let world = World::start().await;
    assert_eq!(all(&world.full, "/demo/registrations?api-version=2020-06").await, (Vec::new(), 1));
    for n in 0..205 {
        let tags = if n % 2 == 0 { "all,even" } else { "all" };
        world.put(&format!("r-{n:03}"), &fcm(&format!("t{n}"), tags)).await.expect(200);
    }
    let (ids, pages) = all(&world.full, "/demo/registrations").await;
    assert_eq!((ids.len(), pages, ids.is_sorted()), (205, 3, true), "a hundred a page");
    assert_eq!(all(&world.full, "/demo/registrations?%24top=1000").await.1, 3);
    let (ids, pages) = all(&world.full, "/demo/tags/even/registrations?api-version=2020-06&%24top=50").await;
    assert_eq!((ids.len(), pages), (103, 3));
    // The client that knows no tokens (SB).
    let (ids, _) = all(&world.full, "/demo/registrations?$skip=200&$top=2").await;
    assert_eq!(ids, ["r-200", "r-201", "r-202", "r-203", "r-204"]);
    assert_eq!(all(&world.full, "/demo/registrations?$skip=205").await.0, Vec::<String>::new());
    assert_eq!(all(&world.full, "/demo/tags/none/registrations").await.0, Vec::<String>::new());
    for bad in ["$top=0", "$top=x", "$skip=x", "$skip=100001", "continuationtoken=x"] {
        world.full.get(&format!("/demo/registrations?{bad}")).await.expect(400);
    }
    // Q11: a token that was encoded once more.
    let first = world.full.get("/demo/registrations").await;
    let token: String =
        first.header("x-ms-continuationtoken").unwrap().bytes().map(|b| format!("%25{b:02X}")).collect();
    let second = world.full.get(&format!("/demo/registrations?continuationtoken={token}")).await.expect(200);
    assert_eq!(texts_of(second.text(), "RegistrationId")[0], "r-100");
}

#[tokio::test]
async fn tags_of_every_kind_are_listed() {
    let world = World::start().await;
    world.put("r", &fcm("t", "a#b,ä")).await.expect(200);
    let named =
        "<FcmV1RegistrationId>t</FcmV1RegistrationId><BodyTemplate>{}</BodyTemplate><TemplateName>My T</TemplateName>";
    world.put("n", &entry("FcmV1Template", named)).await.expect(200);
    let document =
        serde_json::json!({"installationId": "dev-1", "platform": "apns", "pushChannel": TOKEN, "userId": "u 1"});
    world.admin.put("/v1/hubs/demo/installations/dev-1", &document).await.expect(201);
    for (tag, ids) in [
        ("a%23b", ["r"]),
        ("%C3%A4", ["r"]),
        ("My%20T", ["n"]),
        ("%24InstallationId%3A%7Bdev-1%7D", ["0-2-0"]),
        ("$UserId:%7Bu%201%7D", ["0-2-0"]),
        ("$UserId:u%201", ["0-2-0"]),
    ] {
        assert_eq!(all(&world.full, &format!("/demo/tags/{tag}/registrations")).await.0, ids, "{tag}");
    }
}

#[tokio::test]
async fn a_channel_is_found_as_every_client_asks_for_it() {
    let world = World::start().await;
    world.put("apple", &entry("Apple", &format!("<DeviceToken>{TOKEN}</DeviceToken>"))).await.expect(200);
    world.put("wns", &entry("Windows", "<ChannelUri>https://w.example/?a=1%2b</ChannelUri>")).await.expect(200);
    let browser = "<Endpoint>https://p.example/x</Endpoint><P256DH>BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4</P256DH><Auth>BTBZMqHH6r4Tts7J_aSIgg</Auth>";
    world.put("browser", &entry("Browser", browser)).await.expect(200);
    let baidu = "<BaiduUserId>u</BaiduUserId><BaiduChannelId>c</BaiduChannelId>";
    world.put("baidu", &entry("Baidu", baidu)).await.expect(200);
    for (filter, id) in [
        (format!("DeviceToken+eq+%27{TOKEN}%27"), "apple"),
        (format!("ChannelUri%20eq%20'{}'", TOKEN.to_lowercase()), "apple"),
        (format!("deviceToken+eq+'{TOKEN}'"), "apple"),
        ("ChannelUri eq 'https://w.example/?a=1%252b'".replace(' ', "+"), "wns"),
        (
            "Endpoint+eq+%27https%253A%252F%252Fp.example%252Fx%27+and+P256DH+eq+%27BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4%27+and+Auth+eq+%27BTBZMqHH6r4Tts7J_aSIgg%27"
                .to_owned(),
            "browser",
        ),
        ("BaiduChannelId+eq+c%27+and+BaiduUserId+eq+%27u%27".to_owned(), "baidu"),
        ("BaiduUserId-BaiduChannelId+eq+'u-c'".to_owned(), "baidu"),
    ] {
        let path = format!("/demo/registrations?api-version=2020-06&%24filter={filter}");
        assert_eq!(all(&world.listen, &path).await.0, [id], "{filter}");
    }
    world.listen.get("/demo/registrations?$filter=Tags+eq+'a'").await.expect(400);
}

/// Q26: the .NET client deletes the first page again and again until it is empty.
#[tokio::test]
async fn a_list_shrinks_as_its_registrations_are_deleted() {
    let world = World::start().await;
    for n in 0..5 {
        world.put(&format!("r-{n}"), &fcm("same", "a")).await.expect(200);
    }
    let path = "/demo/registrations?$filter=ChannelUri+eq+'same'&$top=2";
    let mut deleted = 0;
    loop {
        let page = texts_of(world.listen.get(path).await.expect(200).text(), "RegistrationId");
        if page.is_empty() {
            break;
        }
        for id in page {
            world
                .listen
                .send("DELETE", &format!("/demo/registrations/{id}"), &[("if-match", "*")], b"")
                .await
                .expect(200);
            deleted += 1;
        }
    }
    assert_eq!(deleted, 5);
}
