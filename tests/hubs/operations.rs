//! Every operation with the status that satisfies all clients at once (checklist 4), and the addresses in answers
//! (checklist 5).

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};

use crate::atom;
use crate::client::{Answer, Client};
use crate::direct::{HANDLE, MULTIPART, batch};
use crate::world::{World, apple, apple_token, id_of};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;
const VERSION: &str = "api-version=2020-06";

fn soon() -> String {
    SystemClock.now().plus(Duration::from_secs(3_600)).to_string()
}

/// A request of the table, sent and held to its status.
async fn ask(client: &Client, request: &str, headers: &[(&str, &str)], body: &str, status: u16) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let path = format!("{path}{}{VERSION}", if path.contains('?') { "&" } else { "?" });
    let answer = client.send(method, &path, headers, body.as_bytes()).await;
    assert_eq!(answer.status, status, "{request}: {}", answer.text());
    answer
}

#[tokio::test]
async fn c04_every_operation_has_the_status_of_table_0_3() {
    let world = World::start().await;
    let (full, listen, root) = (&world.full, &world.listen, &world.root());

    let put = ask(listen, "PUT /hub1/installations/dev-1", &[], &apple(1).to_string(), 200).await;
    assert_eq!((put.header("content-type"), put.text()), (Some("application/xml; charset=utf-8"), ""));
    let patch = r#"[{"op":"add","path":"/tags","value":"sport"}]"#;
    assert_eq!(ask(listen, "PATCH /hub1/installations/dev-1", &[], patch, 200).await.text(), "");
    ask(listen, "GET /hub1/installations/dev-1", &[], "", 200).await;
    assert_eq!(ask(listen, "DELETE /hub1/installations/dev-1", &[], "", 204).await.text(), "");
    ask(listen, "DELETE /hub1/installations/dev-1", &[], "", 204).await;

    let reserved = id_of(&ask(listen, "POST /hub1/registrationIDs", &[], "", 201).await);
    let document = atom::fcm("t", "a");
    ask(listen, "POST /hub1/registrations", &[], &document, 200).await;
    let own = format!("/hub1/registrations/{reserved}");
    ask(listen, &format!("PUT {own}"), &[], &document, 200).await;
    ask(listen, &format!("PUT {own}"), &[("If-Match", "\"1\"")], &document, 200).await;
    ask(listen, &format!("PUT {own}"), &[("If-Match", "\"1\"")], &document, 412).await;
    ask(listen, &format!("GET {own}"), &[], "", 200).await;
    ask(full, "GET /hub1/registrations", &[], "", 200).await;
    ask(full, "GET /hub1/tags/a/registrations", &[], "", 200).await;
    ask(listen, "GET /hub1/registrations?$filter=ChannelUri+eq+'t'", &[], "", 200).await;
    let deleted = ask(listen, &format!("DELETE {own}"), &[("If-Match", "*")], "", 200).await;
    assert_eq!((deleted.header("content-length"), deleted.text()), (Some("0"), ""));
    ask(listen, &format!("DELETE {own}"), &[("If-Match", "*")], "", 404).await;
    ask(listen, &format!("GET {own}"), &[], "", 404).await;

    let sent = ask(full, "POST /hub1/messages", &[APPLE], ALERT, 201).await;
    assert_eq!(sent.text(), "");
    ask(full, "POST /hub1/messages?direct", &[APPLE, (HANDLE, &apple_token(1))], ALERT, 201).await;
    ask(full, "POST /hub1/messages?test", &[APPLE], ALERT, 201).await;
    let devices = batch(&[apple_token(1), apple_token(2)]);
    ask(full, "POST /hub1/messages/$batch?direct", &[APPLE, MULTIPART], &devices, 201).await;
    let later = [APPLE, ("ServiceBusNotification-ScheduleTime", &soon())];
    let scheduled = id_of(&ask(full, "POST /hub1/schedulednotifications/", &later, ALERT, 201).await);
    let cancel = format!("DELETE /hub1/schedulednotifications/{scheduled}");
    assert_eq!(ask(full, &cancel, &[], "", 200).await.text(), "");
    ask(full, &cancel, &[], "", 404).await;
    ask(full, &format!("GET /hub1/messages/{}", id_of(&sent)), &[], "", 200).await;
    ask(full, "GET /hub1/feedbackcontainer", &[], "", 200).await;

    let container = ask(full, "POST /hub1/jobs/containers", &[], "", 201).await;
    let job = atom::job("ExportRegistrations", container.text(), None);
    let submitted = id_of(&ask(full, "POST /hub1/jobs", &[], &job, 201).await);
    ask(full, "GET /hub1/jobs", &[], "", 200).await;
    ask(full, &format!("GET /hub1/jobs/{submitted}"), &[], "", 200).await;

    let hub = "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\"><NotificationHubDescription \
               xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\"/></content></entry>";
    ask(root, "PUT /made", &[], hub, 201).await;
    ask(root, "PUT /made", &[("If-Match", "*")], hub, 200).await;
    ask(root, "GET /made", &[], "", 200).await;
    ask(root, "GET /$Resources/NotificationHubs/", &[], "", 200).await;
    ask(root, "GET /", &[], "", 200).await;
    ask(root, "DELETE /made", &[], "", 200).await;
    ask(root, "DELETE /made", &[], "", 404).await;
    // Gone it is an empty feed.
    ask(root, "GET /made", &[], "", 200).await;
}

#[tokio::test]
async fn c05_addresses_are_absolute_and_of_the_requests_own_host() {
    let world = World::start().await;
    let full = &world.full;
    let handle = apple_token(1);
    let later = [APPLE, ("ServiceBusNotification-ScheduleTime", &soon())];
    let container = world.full.send("POST", "/hub1/jobs/containers", &[], b"").await.expect(201);
    let job = atom::job("ExportRegistrations", container.text(), None);
    let devices = batch(std::slice::from_ref(&handle));
    for (request, headers, body, place, end) in [
        ("/hub1/messages/", &[APPLE][..], ALERT, "messages", ""),
        ("/HUB1/Messages?direct=true", &[APPLE, (HANDLE, &handle)], ALERT, "messages", "&direct"),
        ("/hub1/messages/$batch?direct", &[APPLE, MULTIPART], &devices, "messages", "&direct"),
        ("/hub1/messages?test=true", &[APPLE], ALERT, "messages", ""),
        ("/hub1/schedulednotifications/", &later, ALERT, "schedulednotifications", ""),
        ("/hub1/registrationIDs/", &[], "", "registrationids", ""),
        ("/hub1/jobs", &[], &job, "jobs", ""),
    ] {
        // Whatever host and port the caller took, a load balancer's among them.
        for host in [world.address().to_string(), "push.example.net:8443".to_owned(), "push.example.net".to_owned()] {
            let own = [("host", host.as_str())];
            let client = Client::new(world.address(), Some(world.token(&format!("https://{host}/")).await));
            let headers = [headers, &own].concat();
            let location = ask(&client, &format!("POST {request}"), &headers, body, 201).await;
            let location = location.header("location").unwrap().to_owned();
            let id = location.strip_prefix(&format!("https://{host}/hub1/{place}/"));
            let id = id.unwrap_or_else(|| panic!("{location} of {request}"));
            let id = id.strip_suffix(&format!("?{VERSION}{end}")).unwrap_or_else(|| panic!("{location} of {request}"));
            // No slash at its end, and nothing that a client would have to encode.
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert!(!id.is_empty() && id.bytes().all(is_plain), "{location}");
        }
    }
    // The version is the caller's.
    let sent = full.send("POST", "/hub1/messages?api-version=2016-07", &[APPLE], ALERT.as_bytes()).await.expect(201);
    assert!(sent.header("location").unwrap().ends_with("?api-version=2016-07"));
    // A registration's stands in another header, on POST alone.
    let made = ask(&world.listen, "POST /hub1/registrations", &[], &atom::fcm("t", "a"), 200).await;
    let own = made.header("content-location").unwrap();
    assert!(own.starts_with(&format!("https://{}/hub1/registrations/", world.address())), "{own}");
    assert_eq!((made.header("location"), own.ends_with(&format!("?{VERSION}"))), (None, true));
}
