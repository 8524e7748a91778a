//! Sends, tests and telemetry.

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use loadtest::gateways::Simulated;
use serde_json::json;

use super::{Dotnet, VERSION, entry};
use crate::reading::{contract, document};
use crate::world::{World, apple_token, bodies, id_of, last_header, windows_channel};

const DETAILS: [&str; 20] = [
    "NotificationId",
    "Location",
    "State",
    "EnqueueTime",
    "StartTime",
    "EndTime",
    "NotificationBody",
    "Tags",
    "TargetPlatforms",
    "ApnsOutcomeCounts",
    "MpnsOutcomeCounts",
    "WnsOutcomeCounts",
    "GcmOutcomeCounts",
    "AdmOutcomeCounts",
    "PnsErrorDetailsUri",
    "FcmOutcomeCounts",
    "FcmV1OutcomeCounts",
    "BaiduOutcomeCounts",
    "BrowserOutcomeCounts",
    "XiaomiOutcomeCounts",
];

impl Dotnet<'_> {
    /// Sends, waits for the end and answers the counts of its platform.
    async fn sent(&self, query: &str, headers: &[(&str, &str)], body: &str) -> Vec<(String, u64)> {
        let path = format!("/hub1/messages?{VERSION}{query}");
        let answer = self.ask("POST", &path, headers, body.as_bytes()).await;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
        let id = id_of(&answer);
        self.world.finished(&id).await;
        let details = self.ask("GET", &format!("/hub1/messages/{id}?{VERSION}"), &[], b"").await.expect(200);
        let details = document(details.text());
        let members = contract(&details, &DETAILS, &["NotificationId", "State", "EnqueueTime"]);
        assert_eq!((members["NotificationId"].text.as_str(), members["State"].text.as_str()), (&*id, "Completed"));
        let counts = members.into_iter().filter(|(name, _)| name.ends_with("OutcomeCounts"));
        let counts = counts.flat_map(|(_, counts)| counts.all("Outcome"));
        counts.map(|one| (one.child("Name").text.clone(), one.child("Count").text.parse().unwrap())).collect()
    }
}

#[tokio::test]
async fn c18_dotnet_sends_in_every_format_that_it_has() {
    let world = World::start().await;
    let client = Dotnet::new(&world).await;
    let channel = windows_channel(&world, 1);
    for (id, platform, channel) in [
        ("apple", "apns", apple_token(1)),
        ("new", "fcmv1", "new:APA91b-Device_of_this_test".to_owned()),
        ("windows", "wns", channel.clone()),
        ("phone", "mpns", channel.clone()),
        ("kindle", "adm", crate::world::device_token(1).to_string()),
        ("baidu", "baidu", "1-2".to_owned()),
    ] {
        world.install(id, &json!({"platform": platform, "pushChannel": channel, "tags": [id]})).await;
    }
    let format = |word: &'static str| ("ServiceBusNotification-Format", word);
    let tags = |text: &'static str| ("ServiceBusNotification-Tags", text);
    let kind = |text: &'static str| ("Content-Type", text);
    let (json, xml) = (kind("application/json"), kind("application/xml"));
    let declared = |body: &str| format!("<?xml version=\"1.0\" encoding=\"utf-16\"?>{body}");
    let toast = declared("<toast><visual/></toast>");
    let phone = declared("<wp:Notification xmlns:wp=\"WPNotification\"><wp:Toast/></wp:Notification>");
    let success = vec![("Success".to_owned(), 1)];
    let refused = vec![("InvalidCredentials".to_owned(), 1)];
    let expiry = [("ServiceBusNotification-Apns-Expiry", "01/31/2037 21:00:00"), ("apns-push-type", "alert")];
    let alert = r#"{"aps":{"alert":"Hi"}}"#;
    for (headers, body, expected) in [
        ([&[format("apple"), tags("apple||absent"), json][..], &expiry].concat(), alert, &success),
        (vec![format("fcmV1"), json], r#"{"message":{"data":{"a":"b"}}}"#, &success),
        (vec![format("gcm"), json], r#"{"data":{"a":"b"}}"#, &success),
        (vec![format("windows"), xml, ("X-WNS-Type", "wns/toast")], &toast, &success),
        (vec![format("windows"), kind("application/octet-stream"), ("X-WNS-Type", "wns/raw")], "raw", &success),
        (
            vec![format("windowsphone"), xml, ("X-WindowsPhone-Target", "toast"), ("X-NotificationClass", "2")],
            &phone,
            &refused,
        ),
        (vec![format("adm"), json], r#"{"data":{"a":"b"}}"#, &success),
        (
            vec![format("baidu"), kind("application/x-www-form-urlencoded"), ("X-Baidu-Message-Type", "1")],
            r#"{"title":"x"}"#,
            &refused,
        ),
    ] {
        assert_eq!(&client.sent("", &headers, body).await, expected, "{headers:?}");
    }
    let seconds = fanfare::model::time::Timestamp::parse("2037-01-31T21:00:00Z").unwrap().millis() / 1_000;
    assert_eq!(last_header(&world.apns, "apns-expiration"), Some(seconds.to_string()));
    let raw = world.wns.receipts().full(world.wns.receipts().len() - 1).unwrap();
    assert_eq!((raw.header("content-type"), raw.body.as_slice()), (Some("application/octet-stream"), &b"raw"[..]));

    // One device, and several in the parts of its own writer.
    let handle = [format("apple"), json, ("ServiceBusNotification-DeviceHandle", &apple_token(2))];
    assert_eq!(client.sent("&direct", &handle, alert).await, success);
    let part = |name: &str, body: &str| {
        format!(
            "--nh-batch-multipart-boundary\r\nContent-Type: application/json\r\nContent-Disposition: inline; \
             name={name}\r\n\r\n{body}\r\n"
        )
    };
    let devices = json!([apple_token(2), apple_token(3)]).to_string();
    let batch = part("notification", alert) + &part("devices", &devices) + "--nh-batch-multipart-boundary--\r\n";
    let multipart = [format("apple"), kind("multipart/mixed; boundary=\"nh-batch-multipart-boundary\"")];
    let path = format!("/hub1/messages/$batch?{VERSION}&direct");
    // Q28: this status and no other.
    let sent = client.ask("POST", &path, &multipart, batch.as_bytes()).await.expect(201);
    assert_eq!(world.finished(&id_of(&sent)).await["counters"]["delivered"], 2);

    // A time without a zone is UTC's.
    let time = SystemClock.now().plus(Duration::from_secs(3_600)).to_string();
    let time = [format("apple"), json, ("ServiceBusNotification-ScheduleTime", &time[..19])];
    let scheduled =
        client.ask("POST", &format!("/hub1/schedulednotifications?{VERSION}"), &time, alert.as_bytes()).await;
    let cancel = format!("/hub1/schedulednotifications/{}?{VERSION}", id_of(&scheduled.expect(201)));
    client.ask("DELETE", &cancel, &[], b"").await.expect(200);
    client.ask("DELETE", &cancel, &[], b"").await.expect(404);
    let before = bodies(&world.apns).len();
    assert_eq!(before, 4, "one by tag, one to a handle, two in a batch");
}

/// Q24: a client that tests asks so in every request, and reads the outcome of direct sends, too.
#[tokio::test]
async fn c18_dotnet_tests_every_send_that_it_makes() {
    let world = World::start().await;
    let client = Dotnet::new(&world).await;
    let members =
        format!("<RegistrationId i:nil=\"true\"/><Tags>a</Tags><DeviceToken>{}</DeviceToken>", apple_token(1));
    let path = format!("/hub1/registrations?{VERSION}&test");
    let registered = client.write("POST", &path, &[], &entry("Apple", &members)).await;
    let apple = ("ServiceBusNotification-Format", "apple");
    let (handle, tags) =
        (("ServiceBusNotification-DeviceHandle", &*apple_token(2)), ("ServiceBusNotification-Tags", "a"));
    for (query, headers, count, handle, id) in [
        ("&test", vec![apple, tags], 1, apple_token(1).to_uppercase(), registered.get("RegistrationId")),
        ("&direct&test", vec![apple, handle], 1, apple_token(2), ""),
        ("&test", vec![apple, ("ServiceBusNotification-Tags", "nobody")], 0, String::new(), ""),
    ] {
        let path = format!("/hub1/messages?{VERSION}{query}");
        let answer = client.ask("POST", &path, &headers, br#"{"aps":{"alert":"Hi"}}"#).await.expect(201);
        let outcome = document(answer.text());
        let order = ["Success", "Failure", "Results"];
        let members = contract(&outcome, &order, &order);
        assert_eq!((outcome.name.as_str(), &*members["Success"].text), ("NotificationOutcome", &*count.to_string()));
        for result in members["Results"].all("RegistrationResult") {
            let order = ["ApplicationPlatform", "PnsHandle", "RegistrationId", "Outcome"];
            let result = contract(result, &order, &order);
            assert_eq!((&*result["PnsHandle"].text, &*result["RegistrationId"].text), (&*handle, id));
            assert!(result["Outcome"].text.contains("successfully sent"));
        }
        assert_eq!(members["Results"].children.len(), count);
    }
}
