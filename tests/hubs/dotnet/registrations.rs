//! Registrations and installations.

use serde_json::json;

use super::{Dotnet, ENTRY, Read, VERSION, entry, types};
use crate::reading::document;
use crate::world::{World, apple_token, encoded, windows_channel};

#[tokio::test]
async fn c18_dotnet_registers_every_type_that_it_knows() {
    let world = World::start().await;
    let client = Dotnet::new(&world).await;
    for (kind, handle, template) in types(&world) {
        let base = "<ETag i:nil=\"true\"/><RegistrationId i:nil=\"true\"/><Tags>news,city.paris</Tags>\
                    <PushVariables>{\"who\":\"Anna\"}</PushVariables>";
        let path = format!("/hub1/registrations?{VERSION}");
        let native = client.write("POST", &path, &[], &entry(kind, &format!("{base}{handle}"))).await;
        assert_eq!(native.root, format!("{kind}RegistrationDescription"));
        assert_eq!((native.get("ETag"), native.get("Tags")), ("1", "news,city.paris"));
        assert_eq!(native.get("PushVariables"), "{\"who\":\"Anna\"}");
        // An id of its own, for the same device with a template.
        let reserved = client.ask("POST", &format!("/hub1/registrationids?{VERSION}"), &[], b"").await.expect(201);
        let id = reserved_id(reserved.header("location").unwrap());
        let own = format!("/hub1/registrations/{id}?{VERSION}");
        let body = format!("{base}{handle}<BodyTemplate><![CDATA[{{\"a\":\"$(b)\"}}]]></BodyTemplate>{template}");
        let made = client.write("PUT", &own, &[], &entry(&format!("{kind}Template"), &body)).await;
        assert_eq!(
            (made.root.as_str(), made.get("RegistrationId")),
            (&*format!("{kind}TemplateRegistrationDescription"), &*id)
        );
        assert_eq!((made.get("BodyTemplate"), made.get("TemplateName")), ("{\"a\":\"$(b)\"}", "greeting"));
        let updated =
            client.write("PUT", &own, &[("If-Match", "\"1\"")], &entry(kind, &format!("{base}{handle}"))).await;
        assert_eq!(updated.get("ETag"), "2");
        client.ask("PUT", &own, &[ENTRY, ("If-Match", "\"1\"")], entry(kind, &handle).as_bytes()).await.expect(412);
        let read = client.ask("GET", &own, &[], b"").await.expect(200);
        assert_eq!(Read::of(&document(read.text())), updated);
        // Q26: whatever the platform, a channel is asked for by this one name.
        let value = handle.split('>').nth(1).unwrap().split('<').next().unwrap().replace("&amp;", "&");
        let value = if kind == "Baidu" { "1-2".to_owned() } else { value };
        let value: String = value.bytes().map(encoded).collect();
        let listed = client.list(&format!("/hub1/registrations?$filter=ChannelUri%20eq%20'{value}'&$top=1")).await;
        let of_kind: Vec<_> =
            listed.iter().filter(|one| one.root == native.root).map(|one| one.get("RegistrationId")).collect();
        assert_eq!(of_kind, [native.get("RegistrationId"), &id], "{listed:?}");
        for one in &of_kind {
            let path = format!("/hub1/registrations/{one}?{VERSION}");
            let deleted = client.ask("DELETE", &path, &[("If-Match", "*")], b"").await.expect(200);
            assert!(deleted.text().is_empty());
        }
        client.ask("DELETE", &own, &[("If-Match", "*")], b"").await.expect(404);
        client.ask("GET", &own, &[], b"").await.expect(404);
    }
    assert_eq!(client.list("/hub1/registrations").await, []);
}

/// Q25: an address of four segments, whose third is `registrationids/`.
fn reserved_id(location: &str) -> String {
    let uri: http::Uri = location.parse().unwrap();
    let mut segments: Vec<String> = uri.path().split_inclusive('/').map(str::to_owned).collect();
    assert_eq!((segments.len(), segments[2].as_str()), (4, "registrationids/"), "{location}");
    segments.pop().unwrap()
}

#[tokio::test]
async fn c18_dotnet_installs_with_nulls_and_patches_with_strings() {
    let world = World::start().await;
    let client = Dotnet::new(&world).await;
    let browser = world.browsers.subscription(&crate::world::device_token(1)).to_string();
    for (word, shown, channel) in [
        ("apns", "apns", apple_token(1)),
        ("fcmV1", "fcmv1", "new:1".to_owned()),
        ("gcm", "gcm", "old:1".to_owned()),
        ("wns", "wns", windows_channel(&world, 1)),
        ("mpns", "mpns", windows_channel(&world, 2)),
        ("adm", "adm", "a1".to_owned()),
        ("baidu", "baidu", "1-2".to_owned()),
        // A string that holds the subscription: both ways.
        ("browser", "browser", browser),
    ] {
        let document = json!({
            "installationId": "dev-1", "userId": null, "pushChannel": channel, "pushChannelExpired": null,
            "platform": word, "expirationTime": null, "tags": ["news"], "pushVariables": null, "templates": null,
        });
        let path = format!("/hub1/installations/dev-1?{VERSION}");
        let json = [("Content-Type", "application/json")];
        client.ask("PUT", &path, &json, document.to_string().as_bytes()).await.expect(200);
        let patch = json!([{"op": "add", "path": "/tags", "value": "sport"}, {"op": "remove", "path": "/tags/news"}]);
        let kind = [("Content-Type", "application/json-patch+json")];
        client.ask("PATCH", &path, &kind, patch.to_string().as_bytes()).await.expect(200);
        let read = client.ask("GET", &path, &[], b"").await.expect(200).json();
        assert_eq!((&read["platform"], &read["pushChannel"]), (&json!(shown), &json!(channel)));
        assert_eq!((&read["tags"], read.get("userId")), (&json!(["sport"]), None));
        assert_eq!(client.ask("DELETE", &path, &[], b"").await.status, 204);
        // Its test whether there is one.
        client.ask("GET", &path, &[], b"").await.expect(404);
    }
}
