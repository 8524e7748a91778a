//! R6 and R7: lists, filters and pages.

use crate::atom::{entry, fcm};
use crate::client::Client;
use crate::world::{TOKEN, World, texts_of};

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
async fn c10_lists_are_pages_whose_tokens_every_client_can_send_back() {
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
    let own = first.header("x-ms-continuationtoken").unwrap();
    let second = world.full.get(&format!("/demo/registrations?ContinuationToken={own}&api-version=2020-06")).await;
    assert_eq!(texts_of(second.expect(200).text(), "RegistrationId")[0], "r-100");
    let token: String =
        first.header("x-ms-continuationtoken").unwrap().bytes().map(|b| format!("%25{b:02X}")).collect();
    let second = world.full.get(&format!("/demo/registrations?continuationtoken={token}")).await.expect(200);
    assert_eq!(texts_of(second.text(), "RegistrationId")[0], "r-100");
}

#[tokio::test]
async fn c07_installations_are_listed_as_registrations_with_their_system_tags_first() {
    let world = World::start().await;
    let document = serde_json::json!({
        "installationId": "dev-1", "platform": "wns", "pushChannel": "https://w.example/1", "userId": "u42",
        "tags": ["news", "city.paris"], "pushVariables": {"who": "Anna"}, "expirationTime": "2999-01-01T00:00:00Z",
        "templates": {
            "Template Name": {"body": "<toast>$(msg)</toast>", "headers": {"X-WNS-Type": "wns/toast"}, "tags": ["warm"]},
            "other": {"body": "<tile/>"},
        },
        "secondaryTiles": {"tile1": {
            "pushChannel": "https://w.example/2", "tags": ["tiled"], "templates": {"own": {"body": "<tile/>"}},
        }},
    });
    world.admin.put("/v1/hubs/demo/installations/dev-1", &document).await.expect(201);
    let bare =
        serde_json::json!({"installationId": "dev-2", "platform": "apns", "pushChannel": TOKEN, "tags": ["news"]});
    world.admin.put("/v1/hubs/demo/installations/dev-2", &bare).await.expect(201);
    let (own, user) = ("$InstallationId:{dev-1}", "$UserId:{u42}");
    let mut expected = vec![
        ("WindowsRegistrationDescription", format!("{own},{user},news,city.paris"), "".to_owned()),
        (
            "WindowsTemplateRegistrationDescription",
            format!("{own},{user},news,city.paris,warm,Template Name"),
            "Template Name".to_owned(),
        ),
        ("WindowsTemplateRegistrationDescription", format!("{own},{user},news,city.paris,other"), "other".to_owned()),
        ("WindowsRegistrationDescription", format!("{own},{user},tiled"), "".to_owned()),
        ("WindowsTemplateRegistrationDescription", format!("{own},{user},tiled,own"), "own".to_owned()),
        ("AppleRegistrationDescription", "$InstallationId:{dev-2},news".to_owned(), "".to_owned()),
    ];
    let feed = world.full.get("/demo/registrations?api-version=2020-06").await.expect(200);
    let mut shown: Vec<_> = feed
        .text()
        .split("<entry ")
        .skip(1)
        .map(|entry| {
            let root = entry.split("<content type=\"application/xml\"><").nth(1).unwrap().split(' ').next().unwrap();
            (root, texts_of(entry, "Tags").concat(), texts_of(entry, "TemplateName").concat())
        })
        .collect();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
    assert_eq!(feed.text().matches("<ExpirationTime>2999-01-01T00:00:00.000Z</ExpirationTime>").count(), 5);
    assert_eq!(feed.text().matches("<PushVariables>{\"who\":\"Anna\"}</PushVariables>").count(), 5);
    assert_eq!(feed.text().matches("<SecondaryTileName>tile1</SecondaryTileName>").count(), 2);
    // By each of its system tags, by a template's name, by its channel.
    for (path, count) in [
        ("tags/$InstallationId:%7Bdev-1%7D/registrations?", 5),
        ("tags/$UserId:%7Bu42%7D/registrations?", 5),
        ("tags/Template%20Name/registrations?", 1),
        ("registrations?$filter=ChannelUri+eq+'https://w.example/1'", 3),
        ("registrations?$filter=ChannelUri+eq+'https://w.example/2'", 2),
    ] {
        assert_eq!(all(&world.full, &format!("/demo/{path}")).await.0.len(), count, "{path}");
    }
    // Whatever is written grows its version.
    let etag = |text: &str| texts_of(text, "ETag").concat().parse::<u64>().unwrap();
    let id = all(&world.full, "/demo/tags/other/registrations").await.0.remove(0);
    let before = etag(world.full.get(&format!("/demo/registrations/{id}")).await.expect(200).text());
    let patch = br#"[{"op":"add","path":"/tags","value":"more"}]"#;
    world.admin.send("PATCH", "/v1/hubs/demo/installations/dev-1", &[], patch).await.expect(200);
    let after = world.full.get(&format!("/demo/registrations/{id}")).await.expect(200);
    assert!(etag(after.text()) > before && after.text().contains("city.paris,more,other"), "{}", after.text());
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
async fn c11_a_channel_is_found_as_every_client_asks_for_it() {
    let world = World::start().await;
    for (id, kind, handles) in HANDLES {
        let handles: String =
            handles.iter().map(|(name, value)| format!("<{name}>{}</{name}>", value.replace('&', "&amp;"))).collect();
        world.put(id, &entry(kind, &handles)).await.expect(200);
    }
    let found = async |filter: &str, id: &str| {
        let path = format!("/demo/registrations?api-version=2020-06&%24filter={filter}");
        assert_eq!(all(&world.listen, &path).await.0, [id], "{filter}");
    };
    let url = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for (id, _, handles) in HANDLES {
        // .NET and Java: one name for all platforms.
        let whole = match handles {
            [(_, user), ("BaiduChannelId", channel)] => Some(format!("{user}-{channel}")),
            [(_, handle)] => Some((*handle).to_owned()),
            _ => None,
        };
        if let Some(whole) = whole {
            let asked = url(&format!("ChannelUri eq '{}'", whole.replace('\'', "''")));
            found(&asked, id).await;
            found(&asked.replace('+', "%20"), id).await;
            found(&url(&format!("channeluri EQ  '{}'", url(&whole))), id).await;
        }
        // JavaScript and Android: the elements' own names, in any case; some values encoded once more.
        for encodes in [false, true] {
            let value = |text: &str| if encodes { url(text) } else { text.replace('\'', "''") };
            let each: Vec<String> = handles.iter().map(|(name, text)| format!("{name} eq '{}'", value(text))).collect();
            found(&url(&each.join(" and ")), id).await;
            let each: Vec<String> = handles
                .iter()
                .rev()
                .map(|(name, text)| format!("{} eq '{}'", name.to_lowercase(), value(text)))
                .collect();
            found(&url(&each.join(" AND ")), id).await;
        }
    }
    for (filter, id) in [
        (format!("DeviceToken+eq+%27{TOKEN}%27"), "apple"),
        (format!("ChannelUri%20eq%20'{}'", TOKEN.to_lowercase()), "apple"),
        // iOS.
        (format!("deviceToken+eq+'{TOKEN}'"), "apple"),
        // JavaScript leaves out a quote.
        ("BaiduChannelId+eq+c%27+and+BaiduUserId+eq+%27u%27".to_owned(), "baidu"),
        // Android.
        ("BaiduUserId-BaiduChannelId+eq+'u-c'".to_owned(), "baidu"),
        // Quotes within are doubled.
        ("GcmRegistrationId+eq+'o''ld'".to_owned(), "gcm"),
    ] {
        found(&filter, id).await;
    }
    for other in
        ["Tags+eq+'a'", "GcmRegistrationId+ne+'x'", "GcmRegistrationId+eq+'x'+or+GcmRegistrationId+eq+'y'", "junk"]
    {
        let refused = world.listen.get(&format!("/demo/registrations?$filter={other}")).await.expect(400);
        assert!(refused.text().contains("Notification hubs do not support this query"), "{}", refused.text());
    }
}

/// Elements of a handle with their texts.
type Handle = &'static [(&'static str, &'static str)];

/// A device of every platform: its id here, its type and its handle.
const HANDLES: [(&str, &str, Handle); 9] = [
    ("apple", "Apple", &[("DeviceToken", TOKEN)]),
    ("fcm", "FcmV1", &[("FcmV1RegistrationId", "new:1_x")]),
    ("gcm", "Gcm", &[("GcmRegistrationId", "o'ld")]),
    ("wns", "Windows", &[("ChannelUri", "https://w.example/?a=1%2b&b=2")]),
    ("mpns", "Mpns", &[("ChannelUri", "https://m.example/?a=1")]),
    ("adm", "Adm", &[("AdmRegistrationId", "amzn1.adm-registration.v3.x")]),
    ("baidu", "Baidu", &[("BaiduUserId", "u"), ("BaiduChannelId", "c")]),
    (
        "browser",
        "Browser",
        &[
            ("Endpoint", "https://p.example/x"),
            ("P256DH", "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            ("Auth", "BTBZMqHH6r4Tts7J_aSIgg"),
        ],
    ),
    ("xiaomi", "Xiaomi", &[("XiaomiRegistrationId", "xm")]),
];

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
