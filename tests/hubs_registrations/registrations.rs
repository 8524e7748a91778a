//! R1–R5 (`notification-hubs.md` 2.4): status codes of 0.3, headers, versions, and quirks of section 7.

use crate::atom::{entry, fcm};
use crate::world::{TOKEN, World, text_of};

#[tokio::test]
async fn c05_an_id_is_reserved_at_an_absolute_address() {
    let world = World::start().await;
    // Q15: a content type stands even on an empty body. Q24: an unknown parameter is ignored.
    let headers = [("content-type", "application/xml;type=entry;charset=utf-8")];
    let path = "/demo/registrationids?api-version=2020-06&test";
    let answer = world.listen.send("POST", path, &headers, b"").await.expect(201);
    assert_eq!(answer.header("content-length"), Some("0"));
    // Q3, Q25, Q33: https, four segments, the third in lower case.
    let location = answer.header("location").unwrap().to_owned();
    let path = world.path_of(&location);
    let (path, query) = path.split_once('?').unwrap();
    assert_eq!(query, "api-version=2020-06");
    let segments: Vec<&str> = path.split('/').collect();
    assert_eq!((segments.len(), &segments[..3]), (4, &["", "demo", "registrationids"][..]));
    let id = segments[3];
    let parts: Vec<&str> = id.split('-').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok()), "{id}");
    // It was kept nowhere, and serves for a PUT.
    world.listen.get(&format!("/demo/registrations/{id}")).await.expect(404);
    world.put(id, &fcm("t", "a")).await.expect(200);
    world.listen.get(&format!("/demo/registrations/{id}")).await.expect(200);
}

#[tokio::test]
async fn c08_a_registration_is_made_read_changed_and_deleted() {
    let world = World::start().await;
    let document =
        entry("Apple", &format!("<Tags>news, city.paris</Tags><DeviceToken>{}</DeviceToken>", TOKEN.to_lowercase()));
    let path = "/demo/registrations?api-version=2020-06";
    let made = world.listen.send("POST", path, &[], document.as_bytes()).await.expect(200);
    assert_eq!(made.header("content-type"), Some("application/atom+xml; type=entry; charset=utf-8"));
    assert_eq!(made.header("etag"), Some("W/\"1\""));
    let id = text_of(made.text(), "RegistrationId");
    let own = world.path_of(made.header("content-location").unwrap());
    assert_eq!(own, format!("/demo/registrations/{id}?api-version=2020-06"));
    // Q6, Q21: no declaration, nothing between the tags, tags without blanks.
    assert!(made.text().starts_with("<entry a:etag=\"W/&quot;1&quot;\" xmlns="), "{}", made.text());
    assert!(made.text().contains("<content type=\"application/xml\"><AppleRegistrationDescription xmlns="));
    assert!(made.text().contains("<Tags>news,city.paris</Tags>"));
    assert!(made.text().contains(&format!("<DeviceToken>{TOKEN}</DeviceToken>")), "in capitals");
    // Q41, Q42: three digits and a zone.
    assert!(made.text().contains("<ExpirationTime>9999-12-31T23:59:59.999Z</ExpirationTime>"));
    let read = world.listen.get(&own).await.expect(200);
    assert_eq!((read.text(), read.header("etag")), (made.text(), Some("W/\"1\"")));
    // A client that writes back what it read (Q41) changes nothing but the version.
    let again = world.put(&id, read.text()).await.expect(200);
    assert_eq!((again.header("etag"), again.header("content-location")), (Some("W/\"2\""), None));
    assert_eq!(text_of(again.text(), "ETag"), "2");
    // Another platform: the DOC's way from GCM to FCM v1.
    let gcm = entry("Gcm", "<GcmRegistrationId>g</GcmRegistrationId>");
    assert!(world.put(&id, &gcm).await.expect(200).text().contains("<GcmRegistrationDescription"));
    let deleted = world.listen.send("DELETE", &own, &[("if-match", "*")], b"").await.expect(200);
    assert_eq!((deleted.header("content-length"), deleted.text()), (Some("0"), ""));
    world.listen.get(&own).await.expect(404);
    world.listen.send("DELETE", &own, &[("if-match", "*")], b"").await.expect(404);
}

/// The table of `If-Match` in 2.4, in the spellings of the clients.
#[tokio::test]
async fn if_match_is_taken_in_every_spelling() {
    let world = World::start().await;
    let path = "/demo/registrations/123-234-1?api-version=2020-06";
    let put = async |matches: Option<&str>| {
        let headers: Vec<_> = matches.map(|value| ("if-match", value)).into_iter().collect();
        world.listen.send("PUT", path, &headers, fcm("t", "a").as_bytes()).await.status
    };
    for missing in ["*", "\"1\"", "1"] {
        assert_eq!(put(Some(missing)).await, 404, "{missing}");
    }
    assert_eq!(put(None).await, 200);
    for (version, spelling) in [(1, "\"1\""), (2, "W/\"2\""), (3, "3"), (4, "*")] {
        assert_eq!(put(Some(spelling)).await, 200, "{version}");
    }
    for other in ["\"1\"", "W/\"6\"", "junk", "\"\""] {
        assert_eq!(put(Some(other)).await, 412, "{other}");
        assert_eq!(world.listen.send("DELETE", path, &[("if-match", other)], b"").await.status, 412, "{other}");
    }
    // The old SDK leaves the header out (R5).
    assert_eq!(world.listen.send("DELETE", path, &[], b"").await.status, 200);
}

#[tokio::test]
async fn what_is_broken_is_refused_with_its_element() {
    let world = World::start().await;
    for (document, words) in [
        ("junk".to_owned(), "XML"),
        (entry("Apple", "<DeviceToken>zz</DeviceToken>"), "DeviceToken"),
        (fcm("t", "$UserId:{u}"), "Tags can not start with $"),
        (
            entry("WindowsTemplate", "<ChannelUri>https://w.example/x</ChannelUri><BodyTemplate>{}</BodyTemplate>"),
            "Must contain WNS Header : 'X-WNS-Type'.",
        ),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>".to_owned(), "document type"),
    ] {
        let answer = world.put("x", &document).await.expect(400);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    world.put("a%20b", &fcm("t", "a")).await.expect(400);
    // Nothing can be registered under such an id, so there is nothing there.
    world.listen.get("/demo/registrations/a%20b").await.expect(404);
    world.listen.send("DELETE", "/demo/registrations/a%20b", &[("if-match", "*")], b"").await.expect(404);
    world.put("a", &fcm(&"x".repeat(5_000_000), "a")).await.expect(413);
    world.listen.get("/demo/registrations/x").await.expect(404);
}

#[tokio::test]
async fn every_operation_asks_for_its_right() {
    let world = World::start().await;
    let send = crate::client::Client::bearer(world.running.address(), "no-key");
    assert_eq!(send.get("/demo/registrations/x").await.status, 401);
    for path in ["/demo/registrations", "/demo/tags/a/registrations", "/demo/jobs", "/demo/jobs/x"] {
        let status = world.listen.get(path).await.status;
        assert!(status == 401 || status == 403, "{path} {status}");
    }
    for path in ["/demo/jobs", "/demo/jobs/containers"] {
        let status = world.listen.send("POST", path, &[], b"<x/>").await.status;
        assert!(status == 401 || status == 403, "{path} {status}");
    }
    world.listen.get("/demo/registrations?%24filter=GcmRegistrationId+eq+'x'").await.expect(200);
}

#[tokio::test]
async fn targets_of_installations_are_written_through_their_installation() {
    let world = World::start().await;
    let document = serde_json::json!({
        "installationId": "dev-1", "platform": "apns", "pushChannel": TOKEN, "tags": ["a"],
        "templates": {"My Alert": {"body": "{}"}},
    });
    world.admin.put("/v1/hubs/demo/installations/dev-1", &document).await.expect(201);
    let read = world.listen.get("/demo/registrations/0-1-0?api-version=2020-06").await.expect(200);
    assert_eq!(text_of(read.text(), "Tags"), "$InstallationId:{dev-1},a,My Alert");
    assert_eq!(text_of(read.text(), "TemplateName"), "My Alert");
    assert_eq!(read.header("etag"), Some(&*format!("W/\"{}\"", text_of(read.text(), "ETag"))));
    world.put("0-1-0", &fcm("t", "a")).await.expect(409);
    let etag = text_of(read.text(), "ETag");
    let path = "/demo/registrations/0-1-0";
    world.listen.send("DELETE", path, &[("if-match", "\"1\"")], b"").await.expect(412);
    world.listen.send("DELETE", path, &[("if-match", &format!("\"{etag}\""))], b"").await.expect(200);
    world.admin.get("/v1/hubs/demo/installations/dev-1").await.expect(404);
    // Its other target went with it: whoever deletes all of a channel goes on.
    world.listen.send("DELETE", "/demo/registrations/0-0-0", &[("if-match", "*")], b"").await.expect(200);
}

#[tokio::test]
async fn registrations_outlive_the_process() {
    let world = World::start().await;
    let id = world.create(&fcm("t", "a")).await;
    let world = world.restart().await;
    assert!(world.listen.get(&format!("/demo/registrations/{id}")).await.expect(200).text().contains("<Tags>a</Tags>"));
}
