//! Jobs and hubs.

use super::{Dotnet, ENTRY, VERSION, typed, types};
use crate::client::{Answer, Client};
use crate::reading::{self, contract, document};
use crate::world::World;

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
