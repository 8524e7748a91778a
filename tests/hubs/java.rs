//! The Java client (checklist 18): its requests in the shapes that the spec records of them (1.1, 1.5, 2.3–2.10, Q31–Q39),
//! over HTTP/2 alone as it does, and its answers read as it reads them.

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use loadtest::gateways::Simulated;
use serde_json::json;

use crate::client::Answer;
use crate::reading::{Node, anywhere, document};
use crate::tls::Http2;
use crate::world::{ADMIN, FULL, World, apple_token, encoded, id_of, last_header, token_over};

const VERSION: &str = "api-version=2020-06";
const ATOM: (&str, &str) = ("content-type", "application/atom+xml");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The client with the key of one rule.
struct Java {
    http: Http2,
    rule: &'static str,
    key: String,
}

impl Java {
    async fn new(world: &World) -> Self {
        let port = world.running.tls_address().unwrap().port();
        let key = world.key(FULL).await;
        let string = format!("Endpoint=sb://localhost:{port}/;SharedAccessKeyName={FULL};SharedAccessKey={key}");
        Self::of(world, FULL, &string).await
    }

    /// Q39: exactly three parts; what follows `sb` is put behind `https`, so there is a slash at its end.
    async fn of(world: &World, rule: &'static str, string: &str) -> Self {
        let parts: Vec<&str> = string.split(';').collect();
        let [endpoint, name, key] = parts[..] else { panic!("{string} has {} parts", parts.len()) };
        let endpoint = endpoint.strip_prefix("Endpoint=sb").unwrap();
        assert!(endpoint.starts_with("://") && endpoint.ends_with('/'), "{endpoint}");
        assert_eq!(name.strip_prefix("SharedAccessKeyName="), Some(rule));
        let key = key.strip_prefix("SharedAccessKey=").unwrap().to_owned();
        Self { http: Http2::connect(world).await, rule, key }
    }

    /// A token over the whole address with its query, in lower case before and after it is encoded; the rule's name as it
    /// is (1.5).
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let resource = format!("https://{}{path}", self.http.authority).to_lowercase();
        let resource = resource.bytes().map(encoded).collect::<String>().to_lowercase();
        let until = SystemClock.now().plus(Duration::from_secs(3_600)).millis().unsigned_abs() / 1_000;
        let token = token_over(&resource, until, self.rule, &self.key);
        let tracking = uuid::Uuid::now_v7().to_string();
        let own = [
            ("authorization", token.as_str()),
            ("trackingid", tracking.as_str()),
            ("user-agent", "NHub/2020-06 (api-origin=JavaSDK;os=Linux)"),
        ];
        self.http.send(method, path, &[&own, headers].concat(), body.as_bytes()).await
    }
}

fn entry(kind: &str, elements: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><entry xmlns=\"http://www.w3.org/2005/Atom\">\
         <content type=\"application/xml\"><{kind} xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">{elements}</{kind}></content></entry>"
    )
}

/// A registration by its element's bare name, wherever that stands.
fn registration(node: &Node, kind: &str) -> [String; 3] {
    let found = anywhere(node, kind);
    assert_eq!(found.len(), 1, "one {kind} in {node:?}");
    ["RegistrationId", "ETag", "Tags"].map(|name| anywhere(node, name).pop().unwrap_or_default())
}

/// Q33: `(\S+)/registrationids/([^?]+).*`
fn reserved_id(location: &str) -> String {
    let (before, rest) = location.split_once("/registrationids/").unwrap_or_else(|| panic!("{location}"));
    assert!(!before.is_empty() && !before.contains(char::is_whitespace));
    rest.split('?').next().filter(|id| !id.is_empty()).unwrap().to_owned()
}

#[tokio::test]
async fn c18_java_registers_every_type_that_it_knows() {
    let world = World::over_tls().await;
    let client = Java::new(&world).await;
    let token = apple_token(1).to_uppercase();
    let browser = world.browsers.subscription(&crate::world::device_token(1));
    let [endpoint, p256dh, auth] = ["endpoint", "p256dh", "auth"].map(|name| browser[name].as_str().unwrap());
    let browser = format!("<Endpoint>{endpoint}</Endpoint><P256DH>{p256dh}</P256DH><Auth>{auth}</Auth>");
    for (kind, handle, value) in [
        ("Apple", format!("<DeviceToken>{token}</DeviceToken>"), token.as_str()),
        ("FcmV1", "<FcmV1RegistrationId>new:1</FcmV1RegistrationId>".to_owned(), "new:1"),
        ("Gcm", "<GcmRegistrationId>old:1</GcmRegistrationId>".to_owned(), "old:1"),
        ("Windows", "<ChannelUri>https://w.example/?a=1</ChannelUri>".to_owned(), "https://w.example/?a=1"),
        ("Mpns", "<ChannelUri>https://m.example/?a=1</ChannelUri>".to_owned(), "https://m.example/?a=1"),
        ("Adm", "<AdmRegistrationId>a1</AdmRegistrationId>".to_owned(), "a1"),
        ("Baidu", "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId>".to_owned(), "1-2"),
        ("Browser", browser, ""),
    ] {
        let root = format!("{kind}RegistrationDescription");
        let document_of = |tags: &str| entry(&root, &format!("<Tags>{tags}</Tags>{handle}"));
        // Q32: 200 and nothing else.
        let made = client.ask("POST", &format!("/hub1/registrations?{VERSION}"), &[ATOM], &document_of("a,b")).await;
        let [id, etag, tags] = registration(&document(made.expect(200).text()), &root);
        assert_eq!((etag.as_str(), tags.as_str()), ("1", "a,b"));
        let reserved = client.ask("POST", &format!("/hub1/registrationids?{VERSION}"), &[ATOM], "").await.expect(201);
        let own = format!("/hub1/registrations/{}?{VERSION}", reserved_id(reserved.header("location").unwrap()));
        client.ask("PUT", &own, &[ATOM], &document_of("c")).await.expect(200);
        let updated = client.ask("PUT", &own, &[ATOM, ("if-match", "W/\"1\"")], &document_of("d")).await.expect(200);
        assert_eq!(registration(&document(updated.text()), &root)[1..], ["2".to_owned(), "d".to_owned()]);
        client.ask("PUT", &own, &[ATOM, ("if-match", "W/\"1\"")], &document_of("d")).await.expect(412);
        client.ask("GET", &own, &[ATOM], "").await.expect(200);
        if !value.is_empty() {
            let value: String = value.bytes().map(encoded).collect();
            let path = format!("/hub1/registrations?{VERSION}&$filter=ChannelUri%20eq%20%27{value}%27");
            let listed = client.ask("GET", &path, &[], "").await.expect(200);
            assert_eq!(anywhere(&document(listed.text()), &root).len(), 2, "{}", listed.text());
        }
        client.ask("DELETE", &own, &[("if-match", "*")], "").await.expect(200);
        client.ask("DELETE", &own, &[("if-match", "*")], "").await.expect(404);
        client
            .ask("DELETE", &format!("/hub1/registrations/{id}?{VERSION}"), &[("if-match", "*")], "")
            .await
            .expect(200);
    }
    // Q38: a token comes back as it was given, under this name.
    let template = "<Tags>all</Tags><FcmV1RegistrationId>t</FcmV1RegistrationId><BodyTemplate><![CDATA[{\"data\":{}}]]></BodyTemplate>";
    for _ in 0..5 {
        let template = entry("FcmV1TemplateRegistrationDescription", template);
        client.ask("POST", &format!("/hub1/registrations?{VERSION}"), &[ATOM], &template).await.expect(200);
    }
    for path in ["/hub1/registrations", "/hub1/tags/all/registrations"] {
        let (mut sizes, mut token) = (Vec::new(), String::new());
        loop {
            let page = client.ask("GET", &format!("{path}?{VERSION}&$top=2{token}"), &[], "").await.expect(200);
            sizes.push(anywhere(&document(page.text()), "FcmV1TemplateRegistrationDescription").len());
            let Some(next) = page.header("x-ms-continuationtoken") else { break };
            token = format!("&ContinuationToken={next}");
        }
        assert_eq!(sizes, [2, 2, 1], "{path}");
    }
}

#[tokio::test]
async fn c18_java_installs_and_patches() {
    let world = World::over_tls().await;
    let client = Java::new(&world).await;
    let subscription = world.browsers.subscription(&crate::world::device_token(1)).to_string();
    for (platform, channel) in [("apns", apple_token(1)), ("fcmv1", "new:1".to_owned()), ("browser", subscription)] {
        let path = format!("/hub1/installations/dev-1?{VERSION}");
        let document = json!({
            "installationId": "dev-1", "platform": platform, "pushChannel": channel, "tags": ["a"],
            "templates": {"greeting": {"body": "{\"title\":\"$(msg)\"}"}},
        });
        client.ask("PUT", &path, &[JSON], &document.to_string()).await.expect(200);
        // Values are strings, whatever they are for.
        let template = r#"{"body":"{\"title\":\"$(other)\"}","tags":["warm"]}"#;
        let patch = json!([
            {"op": "add", "path": "/tags", "value": "b"},
            {"op": "replace", "path": "/templates/greeting", "value": template},
        ]);
        client.ask("PATCH", &path, &[JSON], &patch.to_string()).await.expect(200);
        let read = client.ask("GET", &path, &[], "").await.expect(200).json();
        assert_eq!(
            (&read["platform"], &read["pushChannel"], &read["tags"]),
            (&json!(platform), &json!(channel), &json!(["a", "b"]))
        );
        assert_eq!(read["templates"]["greeting"]["tags"], json!(["warm", "greeting"]));
        client.ask("DELETE", &path, &[], "").await.expect(204);
    }
}

/// Q35: its words for the state of a message; any other is an exception.
const STATES: [&str; 8] =
    ["Abandoned", "Canceled", "Completed", "Enqueued", "NoTargetFound", "Processing", "Scheduled", "Unknown"];

#[tokio::test]
async fn c18_java_sends_and_reads_its_telemetry() {
    let world = World::over_tls().await;
    let client = Java::new(&world).await;
    for (id, document) in [
        ("apple", json!({"platform": "apns", "pushChannel": apple_token(1), "tags": ["a"]})),
        (
            "greeted",
            json!({"platform": "apns", "pushChannel": apple_token(2), "templates": {"greeting": {"body": "{\"aps\":{\"alert\":\"$(msg)\"}}"}}}),
        ),
    ] {
        world.install(id, &document).await;
    }
    let telemetry = async |answer: &Answer| {
        let id = id_of(answer);
        world.finished(&id).await;
        let read = client.ask("GET", &format!("/hub1/messages/{id}?{VERSION}"), &[], "").await.expect(200);
        let read = document(read.text());
        let state = anywhere(&read, "State").pop().unwrap();
        assert!(STATES.contains(&&*state), "{state}");
        // Q34: any element of these names is one of an outcome.
        let (names, counts) = (anywhere(&read, "Name"), anywhere(&read, "Count"));
        assert_eq!((names.len(), counts.len()), (anywhere(&read, "Outcome").len(), names.len()));
        (state, names.into_iter().zip(counts).collect::<Vec<_>>())
    };
    let format = |word: &'static str| ("servicebusnotification-format", word);
    let messages = format!("/hub1/messages?{VERSION}");
    let alert = r#"{"aps":{"alert":"Hi"}}"#;
    let one = ("Completed".to_owned(), vec![("Success".to_owned(), "1".to_owned())]);
    // 2.5: a clock of twelve hours without its half.
    let expiry =
        [("servicebusnotification-apns-expiry", "01/31/2037 09:00:00"), ("servicebusnotification-tags", "a || absent")];
    let headers = [&[JSON, format("apple")][..], &expiry].concat();
    let sent = client.ask("POST", &messages, &headers, alert).await.expect(201);
    assert_eq!(telemetry(&sent).await, one);
    let seconds = fanfare::model::time::Timestamp::parse("2037-01-31T09:00:00Z").unwrap().millis() / 1_000;
    assert_eq!(last_header(&world.apns, "apns-expiration"), Some(seconds.to_string()));
    let direct = [JSON, format("apple"), ("servicebusnotification-devicehandle", &apple_token(3))];
    let sent = client.ask("POST", &format!("{messages}&direct"), &direct, alert).await.expect(201);
    assert_eq!(telemetry(&sent).await, one);
    let template = [JSON, format("template"), ("servicebusnotification-tags", "greeting")];
    let sent = client.ask("POST", &messages, &template, r#"{"msg":"Hi"}"#).await.expect(201);
    assert_eq!(telemetry(&sent).await, one);
    // Q37: what it does not escape is no JSON.
    client.ask("POST", &messages, &template, r#"{"msg":"He said "hi""}"#).await.expect(400);
    let nobody = [JSON, format("apple"), ("servicebusnotification-tags", "nobody")];
    let sent = client.ask("POST", &messages, &nobody, alert).await.expect(201);
    assert_eq!(telemetry(&sent).await, ("NoTargetFound".to_owned(), vec![]));

    let boundary = "nh-batch-multipart-boundary";
    let part = |name: &str, body: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/json\r\nContent-Disposition: inline; name={name}\r\n\r\n{body}\r\n"
        )
    };
    let devices = json!([apple_token(3), apple_token(4)]).to_string();
    let batch = format!("{}{}--{boundary}--\r\n", part("notification", alert), part("devices", &devices));
    let kind = format!("multipart/mixed; boundary=\"{boundary}\"");
    let headers = [("content-type", kind.as_str()), format("apple")];
    let sent =
        client.ask("POST", &format!("/hub1/messages/$batch?{VERSION}&direct"), &headers, &batch).await.expect(201);
    assert_eq!(telemetry(&sent).await.1, [("Success".to_owned(), "2".to_owned())]);

    let time = SystemClock.now().plus(Duration::from_secs(3_600)).to_string();
    let headers = [JSON, format("apple"), ("servicebusnotification-scheduletime", &time[..19])];
    let later =
        client.ask("POST", &format!("/hub1/schedulednotifications?{VERSION}"), &headers, alert).await.expect(201);
    let read = client.ask("GET", &format!("/hub1/messages/{}?{VERSION}", id_of(&later)), &[], "").await.expect(200);
    assert_eq!(anywhere(&document(read.text()), "State"), ["Scheduled"]);
    client
        .ask("DELETE", &format!("/hub1/schedulednotifications/{}?{VERSION}", id_of(&later)), &[], "")
        .await
        .expect(200);
    assert_eq!(telemetry(&later).await.0, "Canceled");
    assert_eq!(world.apns.receipts().accepted(), 5);
}

#[tokio::test]
async fn c18_java_exports_by_a_job() {
    let world = World::over_tls().await;
    let client = Java::new(&world).await;
    let registered = entry("GcmRegistrationDescription", "<GcmRegistrationId>g</GcmRegistrationId>");
    client.ask("POST", &format!("/hub1/registrations?{VERSION}"), &[ATOM], &registered).await.expect(200);
    let container = client.ask("POST", &format!("/hub1/jobs/containers?{VERSION}"), &[], "").await.expect(201);
    let entry_type = "application/atom+xml;type=entry;charset=utf-8";
    let job = crate::atom::job("ExportRegistrations", container.text(), None)
        .replace("<content type=\"application/xml\">", &format!("<content type=\"{entry_type}\">"));
    let submitted =
        client.ask("POST", &format!("/hub1/jobs?{VERSION}"), &[("content-type", entry_type)], &job).await.expect(201);
    let id = anywhere(&document(submitted.text()), "JobId").pop().unwrap();
    let done = loop {
        let job = client.ask("GET", &format!("/hub1/jobs/{id}?{VERSION}"), &[], "").await.expect(200);
        let job = document(job.text());
        if anywhere(&job, "Status") == ["Completed"] {
            break job;
        }
        assert_eq!(anywhere(&job, "Failure"), Vec::<String>::new());
    };
    assert_eq!(anywhere(&done, "d3p1:Key"), ["OutputFilePath"]);
    let path = anywhere(&done, "d3p1:Value").pop().unwrap();
    let (_, address) = container.text().split_once(&client.http.authority).unwrap();
    let output = client.http.send("GET", &address.replacen('?', &format!("/{path}?"), 1), &[], b"").await.expect(200);
    assert!(output.text().contains("<GcmRegistrationId>g</GcmRegistrationId>"), "{}", output.text());
    let all = client.ask("GET", &format!("/hub1/jobs?{VERSION}"), &[], "").await.expect(200);
    assert_eq!(anywhere(&document(all.text()), "JobId"), [id]);
}

/// Its manager of a namespace (2.10).
#[tokio::test]
async fn c18_java_manages_hubs() {
    let world = World::over_tls().await;
    let port = world.running.tls_address().unwrap().port();
    let rule = "RootManageSharedAccessKey";
    let string = format!("Endpoint=sb://localhost:{port}/;SharedAccessKeyName={rule};SharedAccessKey={ADMIN}");
    let client = Java::of(&world, rule, &string).await;
    let kind = [("content-type", "application/atom+xml;type=entry;charset=utf-8")];
    let made = entry("NotificationHubDescription", "<UserMetadata>mine</UserMetadata>");
    // Exactly these.
    client.ask("PUT", "/made?api-version=2014-09", &kind, &made).await.expect(201);
    let change = [kind[0], ("if-match", "*")];
    client.ask("PUT", "/made?api-version=2014-09", &change, &made).await.expect(200);
    let read = client.ask("GET", "/made?api-version=2014-09", &[], "").await.expect(200);
    assert_eq!(anywhere(&document(read.text()), "UserMetadata"), ["mine"]);
    let path = "/$Resources/NotificationHubs/?api-version=2014-09&$skip=0&$top=2147483647";
    let listed = document(client.ask("GET", path, &[], "").await.expect(200).text());
    let titles: Vec<&str> = listed.all("entry").map(|entry| entry.child("title").text.as_str()).collect();
    assert_eq!(titles, ["hub1", "made"]);
    client.ask("DELETE", "/made?api-version=2014-09", &[], "").await.expect(200);
    client.ask("DELETE", "/made?api-version=2014-09", &[], "").await.expect(404);
}
