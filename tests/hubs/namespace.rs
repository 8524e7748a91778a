//! Hub management (`notification-hubs.md` 2.10).

use crate::client::Client;
use crate::world::World;

fn entry(inner: &str) -> String {
    // As one client writes it: blanks around the signs of equality, no content type.
    format!(
        "<?xml version = \"1.0\"?><entry xmlns = \"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
         <NotificationHubDescription xmlns = \"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">\
         {inner}</NotificationHubDescription></content></entry>"
    )
}

async fn put(client: &Client, path: &str, headers: &[(&str, &str)], inner: &str) -> crate::client::Answer {
    client.send("PUT", path, headers, entry(inner).as_bytes()).await
}

#[tokio::test]
async fn a_hub_is_made_read_changed_and_deleted() {
    let world = World::start().await;
    let root = world.root();
    let path = "/made?api-version=2014-09";
    let missing = root.get(path).await.expect(200);
    assert_eq!(missing.header("content-type"), Some("application/atom+xml; type=feed; charset=utf-8"));
    assert!(missing.text().contains("Publicly Listed Services") && !missing.text().contains("<entry"));
    let made = put(&root, path, &[], "<UserMetadata>mine</UserMetadata>").await.expect(201);
    assert_eq!(made.header("content-type"), Some("application/atom+xml; type=entry; charset=utf-8"));
    let text = made.text();
    let parts = [
        "<id>https://127.0.0.1:",
        "<title type=\"text\">made</title><published>",
        "<updated>",
        "<author><name>127.0.0.1</name></author>",
        "<content type=\"application/xml\"><NotificationHubDescription xmlns=",
        "<RegistrationTtl>P10675199DT2H48M5.4775807S</RegistrationTtl>",
        "<AuthorizationRules><AuthorizationRule i:type=\"SharedAccessAuthorizationRule\">",
        "<AccessRights>Listen</AccessRights><AccessRights>Manage</AccessRights><AccessRights>Send</AccessRights>",
        "<KeyName>DefaultFullSharedAccessSignature</KeyName><PrimaryKey>",
        "<UserMetadata>mine</UserMetadata>",
    ];
    let places: Vec<_> =
        parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    let again = put(&root, path, &[], "").await.expect(409);
    assert!(again.text().contains("<Detail>SubCode=40900. Conflict"), "{}", again.text());
    let changed = put(&root, path, &[("If-Match", "*")], "<RegistrationTtl>P30D</RegistrationTtl>").await.expect(200);
    assert!(!changed.text().contains("<published>") && changed.text().contains("<RegistrationTtl>P30D<"));
    assert!(changed.text().contains("<UserMetadata>mine<"), "{}", changed.text());
    put(&root, "/other", &[("If-Match", "*")], "").await.expect(404);
    let list = root.get("/?api-version=2014-09").await.expect(200);
    assert!(list.text().contains("<title type=\"text\">made</title>"), "{}", list.text());
    let whole = root.get("/$Resources/NotificationHubs/?api-version=2014-09&$skip=0&$top=2147483647").await.expect(200);
    assert_eq!(whole.text().matches("<NotificationHubDescription").count(), 2, "{}", whole.text());
    // Whoever goes through them page by page sees each once, and comes to an end.
    let mut seen = Vec::new();
    for page in 0..3 {
        let path = format!("/$Resources/NotificationHubs?api-version=2016-07&$top=1&%24skip={page}");
        let list = root.get(&path).await.expect(200);
        seen.extend(["hub1", "made"].into_iter().filter(|name| list.text().contains(&format!(">{name}</title>"))));
    }
    assert_eq!(seen, ["hub1", "made"]);
    root.get("/$Resources/NotificationHubs?$top=x").await.expect(400);
    assert_eq!(root.delete(path).await.expect(200).text(), "");
    let gone = root.delete(path).await.expect(404);
    // The message has a full stop of its own.
    assert!(gone.text().contains("No service is hosted at the specified address..TrackingId:"), "{}", gone.text());
}

#[tokio::test]
async fn only_the_namespaces_key_manages_and_a_hubs_own_reads() {
    let world = World::start().await;
    put(&world.full, "/hub1", &[("If-Match", "*")], "").await.expect(401);
    put(&world.full, "/hub9", &[], "").await.expect(401);
    world.full.delete("/hub1").await.expect(401);
    world.full.get("/?api-version=2014-09").await.expect(401);
    world.listen.get("/hub1").await.expect(401);
    let own = world.full.get("/hub1").await.expect(200);
    // What it can do everything with it may not read.
    assert!(own.text().contains("<KeyName>DefaultFull") && !own.text().contains("PrimaryKey"), "{}", own.text());
    for secret in ["PRIVATE KEY", "private_key", "Token</Name>", "SecretKey"] {
        assert!(!own.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_document_that_is_none_is_refused() {
    let world = World::start().await;
    let root = world.root();
    for (body, rule) in [
        ("", "body must be a well-formed XML document"),
        ("<entry/>", "body must be an entry with a NotificationHubDescription"),
        ("<!DOCTYPE x [<!ENTITY y 'z'>]><entry/>", "body must not have a document type"),
        (&entry("<RegistrationTtl>PT1M</RegistrationTtl>"), "RegistrationTtl must be"),
        (&entry("&y;"), "body must not have entities but those of XML itself"),
    ] {
        let answer = root.send("PUT", "/made", &[], body.as_bytes()).await.expect(400);
        assert!(answer.text().contains(&format!("<Detail>{rule}")), "{}", answer.text());
    }
    let name = root.send("PUT", "/-made", &[], entry("").as_bytes()).await.expect(400);
    assert!(name.text().contains("hub may hold only"), "{}", name.text());
}

#[tokio::test]
async fn whatever_is_registered_lives_no_longer_than_its_hub_says() {
    let world = World::start().await;
    let root = world.root();
    let made = put(&root, "/brief", &[], "<RegistrationTtl>P1D</RegistrationTtl>").await.expect(201);
    drop(made);
    let document = serde_json::json!({"platform": "apns", "pushChannel": crate::world::apple_token(1)});
    root.put("/brief/installations/dev-1", &document).await.expect(200);
    let read = root.get("/brief/installations/dev-1").await.expect(200).json();
    assert!(!read["expirationTime"].as_str().unwrap().starts_with("9999"), "{read}");

    // Neither face lets a patch say otherwise.
    let later = r#"[{"op": "replace", "path": "/expirationTime", "value": "2999-01-01T00:00:00Z"}]"#;
    let never = r#"[{"op": "remove", "path": "/expirationTime"}]"#;
    for path in ["/brief/installations/dev-1", "/v1/hubs/brief/installations/dev-1"] {
        for patch in [later, never] {
            root.send("PATCH", path, &[], patch.as_bytes()).await.expect(200);
            let read = root.get("/brief/installations/dev-1").await.expect(200).json();
            let end = read["expirationTime"].as_str().unwrap();
            assert!(!end.starts_with("2999") && !end.starts_with("9999"), "{path}: {patch}: {read}");
        }
    }

    let line = serde_json::json!({
        "installationId": "dev-2", "platform": "apns", "pushChannel": crate::world::apple_token(2),
        "expirationTime": "2999-01-01T00:00:00Z",
    });
    let imported = root.send("POST", "/v1/hubs/brief/installations:import", &[], line.to_string().as_bytes()).await;
    imported.expect(200);
    let read = root.get("/brief/installations/dev-2").await.expect(200).json();
    assert!(!read["expirationTime"].as_str().unwrap().starts_with("2999"), "{read}");

    let entry = format!(
        "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
         <AppleRegistrationDescription xmlns=\"{CONNECT}\"><Tags>a</Tags><DeviceToken>{}</DeviceToken>\
         </AppleRegistrationDescription></content></entry>",
        crate::world::apple_token(3)
    );
    let headers = [("content-type", "application/atom+xml;type=entry;charset=utf-8")];
    let path = "/brief/registrations?api-version=2020-06";
    let made = root.send("POST", path, &headers, entry.as_bytes()).await.expect(200);
    assert!(!made.text().contains("<ExpirationTime>9999"), "{}", made.text());
}

const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
