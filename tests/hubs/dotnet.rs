//! The .NET client (checklist 18): its requests in the shapes that the spec records of them (2.3.1, 2.5, Q19–Q30), and
//! its answers read as it reads them ([`crate::reading`]).

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};
use loadtest::gateways::Simulated;
use serde_json::json;

use crate::client::{Answer, Client};
use crate::reading::{self, Node, contract, described, document};
use crate::world::{FULL, World, apple_token, bodies, encoded, id_of, last_header, token_over, windows_channel};

const ENTRY: (&str, &str) = ("Content-Type", "application/atom+xml; charset=utf-8; type=entry");
const VERSION: &str = "api-version=2020-06";

/// The client with the key of one rule.
struct Dotnet<'a> {
    world: &'a World,
    key: String,
}

impl<'a> Dotnet<'a> {
    async fn new(world: &'a World) -> Self {
        Self { world, key: world.key(FULL).await }
    }

    /// One attempt: a tracking id of its own, and a token for twenty minutes over the request's own address, made lower
    /// case, plain http, without port and query, with a slash at its end (1.5).
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bare = path.split('?').next().unwrap().trim_end_matches('/');
        let resource = format!("http://127.0.0.1{bare}/").to_lowercase();
        let resource = resource.bytes().map(encoded).collect::<String>().to_lowercase();
        let until = SystemClock.now().plus(Duration::from_secs(1_200)).millis().unsigned_abs() / 1_000;
        let token = token_over(&resource, until, FULL, &self.key);
        let tracking = uuid::Uuid::now_v7().to_string();
        let own = [
            ("TrackingId", tracking.as_str()),
            ("User-Agent", "NHub/2020-06 (api-origin=DotNetSdk;os=Unix;os-version=5.15)"),
        ];
        let client = Client::new(self.world.address(), Some(token));
        let answer = client.send(method, path, &[&own, headers].concat(), body).await;
        if answer.status >= 400 {
            // Q27: it reports the id that it made.
            let (code, detail) = reading::error(answer.text());
            assert!(code == answer.status && detail.contains(&format!(".TrackingId:{tracking}_")), "{detail}");
        }
        answer
    }

    /// Writes a registration and reads what comes back.
    async fn write(&self, method: &str, path: &str, headers: &[(&str, &str)], entry: &str) -> Read {
        let answer = self.ask(method, path, &[&[ENTRY], headers].concat(), entry.as_bytes()).await;
        assert!(answer.status == 200 || answer.status == 201, "{}: {}", answer.status, answer.text());
        Read::of(&document(answer.text()))
    }

    /// All pages of a list; a token is put into the next address as it came.
    async fn list(&self, path: &str) -> Vec<Read> {
        let mut read = Vec::new();
        let mut token = String::new();
        loop {
            let separator = if path.contains('?') { "&" } else { "?" };
            let page = self.ask("GET", &format!("{path}{separator}{VERSION}{token}"), &[], b"").await.expect(200);
            read.extend(document(page.text()).all("entry").map(Read::of));
            match page.header("x-ms-continuationtoken") {
                Some(next) => token = format!("&continuationtoken={next}"),
                None => return read,
            }
        }
    }
}

/// A registration as the client has it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    root: String,
    members: Vec<(String, String)>,
}

impl Read {
    fn of(entry: &Node) -> Self {
        let (root, members) = described(entry);
        let text =
            |node: &Node| if node.children.is_empty() { node.text.clone() } else { format!("{:?}", node.names()) };
        let members = members.into_iter().map(|(name, node)| (name.to_owned(), text(node))).collect();
        Self { root: root.to_owned(), members }
    }

    fn get(&self, name: &str) -> &str {
        self.members.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
    }
}

/// A description as the contract serializer writes it: the base class's name with the type in an attribute, members in the
/// contract's order, those without a value as nil.
fn typed(kind: &str, members: &str) -> String {
    format!(
        "<RegistrationDescription i:type=\"{kind}RegistrationDescription\" \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">{members}</RegistrationDescription>"
    )
}

fn entry(kind: &str, members: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><entry xmlns=\"http://www.w3.org/2005/Atom\">\
         <content type=\"application/xml\">{}</content></entry>",
        typed(kind, members)
    )
}

/// Type, handle and, of its templates, the members besides the body, of every type that the client has a class for.
fn types(world: &World) -> [(&'static str, String, &'static str); 7] {
    let uri = format!("<ChannelUri>{}</ChannelUri>", windows_channel(world, 1).replace('&', "&amp;"));
    [
        (
            "Apple",
            format!("<DeviceToken>{}</DeviceToken>", apple_token(1).to_uppercase()),
            "<Expiry i:nil=\"true\"/><TemplateName>greeting</TemplateName><Priority i:nil=\"true\"/><ApnsHeaders/>",
        ),
        (
            "FcmV1",
            "<FcmV1RegistrationId>new:1</FcmV1RegistrationId>".to_owned(),
            "<TemplateName>greeting</TemplateName>",
        ),
        ("Gcm", "<GcmRegistrationId>old:1</GcmRegistrationId>".to_owned(), "<TemplateName>greeting</TemplateName>"),
        (
            "Windows",
            format!("{uri}<SecondaryTileName i:nil=\"true\"/>"),
            "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/raw</Value></WnsHeader></WnsHeaders>\
             <TemplateName>greeting</TemplateName>",
        ),
        (
            "Mpns",
            format!("{uri}<SecondaryTileName i:nil=\"true\"/>"),
            "<MpnsHeaders><MpnsHeader><Header>X-NotificationClass</Header><Value>3</Value></MpnsHeader></MpnsHeaders>\
             <TemplateName>greeting</TemplateName>",
        ),
        ("Adm", "<AdmRegistrationId>a1</AdmRegistrationId>".to_owned(), "<TemplateName>greeting</TemplateName>"),
        (
            "Baidu",
            "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId>".to_owned(),
            "<TemplateName>greeting</TemplateName><MessageType>1</MessageType>",
        ),
    ]
}

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

const JOB: [&str; 11] = [
    "JobId",
    "Progress",
    "Type",
    "Status",
    "OutputContainerUri",
    "ImportFileUri",
    "InputProperties",
    "Failure",
    "OutputProperties",
    "CreatedAt",
    "UpdatedAt",
];

/// Its bulk import writes one description a line, as it writes them in requests.
#[tokio::test]
async fn c18_dotnet_imports_the_lines_that_it_writes() {
    let world = World::start().await;
    let client = Dotnet::new(&world).await;
    let container = client.ask("POST", &format!("/hub1/jobs/containers?{VERSION}"), &[], b"").await.expect(201);
    let input = container.text().replacen('?', "/in.txt?", 1);
    let lines: Vec<String> = types(&world)
        .into_iter()
        .map(|(kind, handle, _)| {
            typed(kind, &format!("<RegistrationId>{kind}-1</RegistrationId><Tags>bulk</Tags>{handle}"))
        })
        .collect();
    let path = input.split_once(&world.address().to_string()).unwrap().1;
    let nobody = Client::new(world.address(), None);
    nobody.send("PUT", path, &[], lines.join("\r\n").as_bytes()).await.expect(201);
    let job = crate::atom::job("ImportCreateRegistrations", container.text(), Some(&input));
    let submitted = client.ask("POST", &format!("/hub1/jobs?{VERSION}"), &[ENTRY], job.as_bytes()).await.expect(201);
    let read = |answer: &Answer| {
        let entry = document(answer.text());
        let job = entry.child("content").child("NotificationHubJob");
        let members = contract(job, &JOB, &["JobId", "Type", "OutputContainerUri", "CreatedAt", "UpdatedAt"]);
        let text = |name: &str| members.get(name).map(|member| member.text.clone()).unwrap_or_default();
        (text("JobId"), text("Status"), text("Failure"))
    };
    let (id, ..) = read(&submitted);
    let mut state = read(&submitted);
    while !["Completed", "Failed"].contains(&&*state.1) {
        state = read(&client.ask("GET", &format!("/hub1/jobs/{id}?{VERSION}"), &[], b"").await.expect(200));
    }
    assert_eq!(state, (id, "Completed".to_owned(), String::new()));
    let listed = client.list("/hub1/tags/bulk/registrations").await;
    assert_eq!(listed.len(), 7, "{listed:?}");
}

/// Its manager of a namespace (2.10): no content type, blanks around the signs of equality.
#[tokio::test]
async fn c18_dotnet_manages_hubs() {
    const HUB: [&str; 15] = [
        "ApnsCredential",
        "RegistrationTtl",
        "WnsCredential",
        "AuthorizationRules",
        "GcmCredential",
        "MpnsCredential",
        "DailyOperations",
        "DailyMaxActiveDevices",
        "DailyMaxActiveRegistrations",
        "UserMetadata",
        "AdmCredential",
        "BaiduCredential",
        "Status",
        "FcmV1Credential",
        "BrowserCredential",
    ];
    let world = World::start().await;
    let root = world.root();
    let hub = |metadata: &str| {
        format!(
            "<entry xmlns = \"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
             <NotificationHubDescription xmlns:i = \"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns = \"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\"><ApnsCredential i:nil=\"true\"/>\
             <UserMetadata>{metadata}</UserMetadata></NotificationHubDescription></content></entry>"
        )
    };
    // Q30: the answer to "is there one?" is a feed, and none in it.
    let path = format!("/made?{VERSION}");
    assert_eq!(document(root.get(&path).await.expect(200).text()).all("entry").count(), 0);
    let made = root.send("PUT", &path, &[], hub("mine").as_bytes()).await.expect(201);
    let conflict = root.send("PUT", &path, &[], hub("mine").as_bytes()).await.expect(409);
    assert!(reading::error(conflict.text()).1.starts_with("SubCode=40900. "), "{}", conflict.text());
    let changed = root.send("PUT", &path, &[("If-Match", "*")], hub("other").as_bytes()).await.expect(200);
    for (answer, metadata) in [(made, "mine"), (changed, "other")] {
        let entry = document(answer.text());
        let description = entry.child("content").child("NotificationHubDescription");
        let members = contract(description, &HUB, &["RegistrationTtl", "AuthorizationRules"]);
        assert_eq!((&*entry.child("title").text, &*members["UserMetadata"].text), ("made", metadata));
        for rule in members["AuthorizationRules"].all("AuthorizationRule") {
            let order = [
                "ClaimType",
                "ClaimValue",
                "Rights",
                "CreatedTime",
                "ModifiedTime",
                "Revision",
                "KeyName",
                "PrimaryKey",
                "SecondaryKey",
            ];
            let rule = contract(rule, &order, &["ClaimType", "ClaimValue", "Rights", "KeyName", "PrimaryKey"]);
            assert!(rule["Rights"].all("AccessRights").count() > 0);
        }
    }
    // It lists without a version, and asks for each title.
    let feed = document(root.get("/").await.expect(200).text());
    let titles: Vec<&str> = feed.all("entry").map(|entry| entry.child("title").text.as_str()).collect();
    assert_eq!(titles, ["hub1", "made"]);
    assert_eq!(root.delete(&path).await.expect(200).text(), "");
    assert!(reading::error(root.delete(&path).await.expect(404).text()).1.starts_with("No service is hosted"));
}
