//! Requests as npm `@azure/notification-hubs` 2.1.0 was seen to send them (`notification-hubs.md` Appendix A), each with
//! the answer that it needs.

use serde_json::json;

use crate::world::{World, apple_token, device_token, id_of};

/// What stands on every request of that client.
const CONSTANT: [(&str, &str); 5] = [
    ("x-ms-version", "2020-06"),
    ("x-ms-azsdk-telemetry", "class=NotificationHubsServiceClient;method=send"),
    ("user-agent", "azsdk-js-notificationhubs/2.1.0 core-rest-pipeline/1.0 Node/v20"),
    ("accept-encoding", "gzip,deflate"),
    ("content-type", "application/json;charset=utf-8"),
];

#[tokio::test]
async fn each_captured_request_gets_its_answer() {
    let world = World::start().await;
    let document = json!({"installationId": "x", "platform": "apns", "pushChannel": apple_token(1)});
    world.install("x", &document).await;
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let own = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let constant = CONSTANT.into_iter().filter(|(name, _)| !own(name));
        let all: Vec<(&str, &str)> = constant.chain(headers.iter().copied()).collect();
        world.full.send(method, path, &all, body.as_bytes()).await
    };
    let apple = ("servicebusnotification-format", "apple");
    let alert = r#"{"aps":{"alert":"Hi"}}"#;
    let messages = "/hub1/messages/?api-version=2020-06";
    let tagged = [apple, ("servicebusnotification-tags", "a || b"), ("apns-push-type", "alert")];
    ask("POST", messages, &tagged, alert).await.expect(201);
    let tested = ask("POST", &format!("{messages}&test=true"), &tagged, alert).await.expect(201);
    assert!(tested.text().contains("<Results/>"), "{}", tested.text());
    let short = [apple, ("servicebusnotification-devicehandle", "AABB")];
    let direct = ask("POST", &format!("{messages}&test=true&direct=true"), &short, alert).await.expect(201);
    assert!(direct.text().contains("<Success>0</Success><Failure>1</Failure>"), "{}", direct.text());
    assert!(direct.text().contains("<PnsHandle>AABB</PnsHandle>"), "{}", direct.text());
    let boundary = "nh-boundary-0f8fad5b-d9cb-469f-a165-70867728950e";
    let multipart = format!("multipart/mixed; boundary = \"{boundary}\"");
    let body = format!(
        "--{boundary}\r\nContent-type: application/json;charset=utf-8\r\nContent-Disposition: inline; name=notification\
         \r\n\r\n{alert}\r\n--{boundary}\r\nContent-type: application/json\r\nContent-Disposition: inline; name=devices\
         \r\n\r\n[\"{}\",\"{}\"]\r\n--{boundary}--",
        apple_token(1),
        apple_token(2)
    );
    let batch = [apple, ("content-type", multipart.as_str())];
    let path = "/hub1/messages/$batch?api-version=2020-06&direct=true";
    let sent = ask("POST", path, &batch, &body).await.expect(201);
    assert_eq!(world.finished(&id_of(&sent)).await["counters"]["delivered"], 2);
    let subscription = world.browsers.subscription(&device_token(1));
    let member = |name: &str| subscription[name].as_str().unwrap();
    let browser = [
        ("servicebusnotification-format", "browser"),
        ("servicebusnotification-devicehandle", member("endpoint")),
        ("auth", member("auth")),
        ("p256dh", member("p256dh")),
    ];
    let sent = ask("POST", &format!("{messages}&direct=true"), &browser, r#"{"title":"x"}"#).await.expect(201);
    assert_eq!(world.finished(&id_of(&sent)).await["counters"]["delivered"], 1);
    let template = [("servicebusnotification-format", "template"), ("servicebusnotification-tags", "x||y")];
    ask("POST", messages, &template, r#"{"a":"1","b":"2"}"#).await.expect(201);
    let at = [apple, ("servicebusnotification-scheduletime", &tomorrow())];
    let scheduled = ask("POST", "/hub1/schedulednotifications/?api-version=2020-06", &at, alert).await.expect(201);
    let cancel = format!("/hub1/schedulednotifications/{}?api-version=2020-06", id_of(&scheduled));
    ask("DELETE", &cancel, &[], "").await.expect(200);
    let installation = "/hub1/installations/x?api-version=2020-06";
    let json = [("content-type", "application/json")];
    ask("PUT", installation, &json, &document.to_string()).await.expect(200);
    let patch = r#"[{"op":"add","path":"/tags","value":"likes_hockey"}]"#;
    ask("PATCH", installation, &json, patch).await.expect(200);
    // Content types on requests without a body are no reason to refuse them (Q15).
    let odd = [("content-type", "application/xml;type=entry;charset=utf-8")];
    ask("GET", installation, &odd, "").await.expect(200);
    ask("GET", "/hub1/feedbackcontainer?api-version=2020-06", &odd, "").await.expect(200);
    ask("GET", &format!("/hub1/messages/{}?api-version=2020-06", id_of(&sent)), &odd, "").await.expect(200);
    ask("DELETE", installation, &odd, "").await.expect(204);
}

fn tomorrow() -> String {
    use fanfare::clock::{Clock, SystemClock};
    SystemClock.now().plus(std::time::Duration::from_secs(86_400)).to_string()
}
