//! Sends (checklist 12): whom their headers name, in one request or a batch. Tests of one (checklist 13).

use loadtest::gateways::Script;
use loadtest::gateways::script::Act;
use serde_json::{Value, json};

use crate::atom::entry;
use crate::checklist::refusal;
use crate::direct::{MULTIPART, batch};
use crate::world::{World, apple, apple_token, bodies, device_token, id_of};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

#[tokio::test]
async fn c12_a_send_reaches_whom_its_headers_name() {
    let world = World::start().await;
    world.apples(4).await;
    let tags = |text: &'static str| ("ServiceBusNotification-Tags", text);
    for (audience, reached) in [(Some("even"), 2), (Some("odd && !all || $InstallationId:{dev-0}"), 1), (None, 4)] {
        let headers: Vec<_> = std::iter::once(APPLE).chain(audience.map(tags)).collect();
        let id = world.sent("", &headers, ALERT).await;
        assert_eq!(world.finished(&id).await["counters"]["delivered"], reached, "{audience:?}");
    }
    for blank in ["", "  "] {
        let (status, message) = refusal(&world.send("", &[APPLE, tags(blank)], ALERT).await);
        assert!(status == 400 && message.starts_with("ServiceBusNotification-Tags must not be blank"), "{message}");
    }
    for (headers, body, rule) in [
        (vec![APPLE, tags("a ||")], ALERT, "ServiceBusNotification-Tags is no tag expression"),
        (vec![("ServiceBusNotification-Format", "nokiax")], ALERT, "ServiceBusNotification-Format must be"),
        (vec![APPLE], "{", "body must be a JSON object"),
        (vec![APPLE], "", "body must not be empty"),
        (vec![APPLE, ("apns-priority", "7")], ALERT, "apns-priority must be"),
        (vec![], r#"{"a":{}}"#, "body.a must be a string"),
        (
            vec![APPLE, ("ServiceBusNotification-DeviceHandle", "aabb")],
            ALERT,
            "ServiceBusNotification-DeviceHandle must",
        ),
    ] {
        let (status, message) = refusal(&world.send("", &headers, body).await);
        assert!(status == 400 && message.starts_with(rule), "{headers:?}: {message}");
    }
    // Without a format it is a template send, and goes to templates alone.
    let mut greeted = apple(0);
    greeted["templates"] = json!({"greeting": {"body": r#"{"aps":{"alert":"$(msg)"}}"#}});
    world.install("dev-0", &greeted).await;
    let id = world.sent("", &[], r#"{"msg":"x","n":7,"yes":true,"none":null}"#).await;
    assert_eq!(world.finished(&id).await["counters"]["delivered"], 1);
    assert_eq!(bodies(&world.apns).pop(), Some(json!({"aps": {"alert": "x"}})));
    assert!(world.details(&id).await.contains("<TargetPlatforms>appletemplate</TargetPlatforms>"));
    // And with a platform's it goes to none of them.
    let id = world.sent("", &[APPLE, tags("dev || even")], ALERT).await;
    assert_eq!(world.finished(&id).await["counters"]["targeted"], 2);
    let large = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(5_000));
    let (status, message) = refusal(&world.send("", &[APPLE], &large).await);
    assert!(status == 400 && message.starts_with("body must have at most 4096 bytes"), "{message}");
    assert_eq!(refusal(&world.send("", &[APPLE], &"x".repeat(70_000)).await).0, 413);
}

/// The tolerances of 2.5.5.
#[tokio::test]
async fn c12_a_batch_is_taken_as_every_client_writes_it() {
    let world = World::start().await;
    let js = batch(&[apple_token(1), apple_token(2)]);
    let part = |name: &str, kind: &str, body: &str| {
        format!("--B\r\nContent-Type: {kind}\r\nContent-Disposition: inline; name={name}\r\n\r\n{body}\r\n")
    };
    let devices = format!("['{}', '{}']", apple_token(1), apple_token(2));
    let turned = [part("devices", "application/json", &devices), part("notification", "application/json", ALERT)];
    let quoted = [
        part("\"notification\"", "application/json; charset=utf-8", ALERT),
        part("\"devices\"", "application/json; charset=utf-8", &devices.replace('\'', "\"")),
    ];
    for (path, boundary, body) in [
        ("$batch?api-version=2020-06&direct=true", "boundary = \"nh-boundary-1\"", js.clone()),
        ("%24batch?direct", "boundary=nh-boundary-1", format!("{js}\r\n")),
        ("$BATCH/?Direct", "boundary=\"B\"", turned.concat() + "--B--"),
        ("$batch?direct", "Boundary=B", quoted.concat() + "--B--\r\n"),
    ] {
        let kind = format!("multipart/mixed; {boundary}");
        let headers = [APPLE, ("Content-Type", kind.as_str())];
        let sent = world.full.send("POST", &format!("/hub1/messages/{path}"), &headers, body.as_bytes()).await;
        let counters = world.finished(&id_of(&sent.expect(201))).await["counters"].clone();
        assert_eq!((&counters["targeted"], &counters["delivered"]), (&json!(2), &json!(2)), "{path} {boundary}");
    }
    // A batch of browsers: each is an object.
    let browsers: Vec<Value> = [1, 2].map(|n| world.browsers.subscription(&device_token(n))).to_vec();
    let body = [
        part("notification", "application/json", r#"{"title":"x"}"#),
        part("devices", "application/json", &json!(browsers).to_string()),
    ];
    let headers = [("ServiceBusNotification-Format", "browser"), ("Content-Type", "multipart/mixed; boundary=B")];
    let sent =
        world.full.send("POST", "/hub1/messages/$batch?direct", &headers, (body.concat() + "--B--").as_bytes()).await;
    assert_eq!(world.finished(&id_of(&sent.expect(201))).await["counters"]["delivered"], 2);
}

#[tokio::test]
async fn c13_a_test_tells_what_became_of_each_device() {
    let dead = Script::new()
        .token("00000000000000000000000000000000000000000000000000000000000000ff", Act::refuse(400, "BadDeviceToken"));
    let world = World::with(dead, &[]).await;
    let nobody = world.send("&test", &[APPLE, ("ServiceBusNotification-Tags", "nobody")], ALERT).await.expect(201);
    let outcome = |inner: &str| {
        format!(
            "<NotificationOutcome xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
             xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">{inner}</NotificationOutcome>"
        )
    };
    assert_eq!(nobody.text(), outcome("<Success>0</Success><Failure>0</Failure><Results/>"));
    assert!(nobody.header("location").is_some());
    world.install("bad", &json!({"platform": "apns", "pushChannel": apple_token(0xfe), "tags": ["bad"]})).await;
    let bad = world.send("&test=true", &[APPLE, ("ServiceBusNotification-Tags", "bad")], ALERT).await.expect(201);
    let result = format!(
        "<Success>0</Success><Failure>1</Failure><Results><RegistrationResult><ApplicationPlatform>apple\
         </ApplicationPlatform><PnsHandle>{}</PnsHandle><RegistrationId>0-0-0</RegistrationId><Outcome>The Push \
         Notification System handle for the registration is invalid</Outcome></RegistrationResult></Results>",
        apple_token(0xfe)
    );
    assert_eq!(bad.text(), outcome(&result));
    // A registration is known by its own id, that of an installation's target leads to it.
    let registered = entry("Apple", &format!("<Tags>old</Tags><DeviceToken>{}</DeviceToken>", apple_token(0xfd)));
    world.listen.send("PUT", "/hub1/registrations/1-2-3", &[], registered.as_bytes()).await.expect(200);
    let old = world.send("&test", &[APPLE, ("ServiceBusNotification-Tags", "old")], ALERT).await.expect(201);
    let handle = apple_token(0xfd).to_uppercase();
    let known = format!("<PnsHandle>{handle}</PnsHandle><RegistrationId>1-2-3</RegistrationId>");
    assert!(old.text().contains(&known), "{}", old.text());
    let read = world.listen.get("/hub1/registrations/0-0-0").await.expect(200);
    assert!(read.text().contains("$InstallationId:{bad}"), "{}", read.text());
    // At most ten, whoever matches.
    world.apples(25).await;
    let many = world.send("&test", &[APPLE, ("ServiceBusNotification-Tags", "all")], ALERT).await.expect(201);
    assert!(many.text().contains("<Success>10</Success><Failure>0</Failure>"), "{}", many.text());
    assert_eq!(many.text().matches("was successfully sent").count(), 10);
    // Direct ones too: a client that tests asks every send so.
    let handle = apple_token(3);
    let headers = [APPLE, ("ServiceBusNotification-DeviceHandle", handle.as_str())];
    let direct = world.send("&test=true&direct=true", &headers, ALERT).await.expect(201);
    assert!(direct.text().contains(&format!("<PnsHandle>{handle}</PnsHandle>")), "{}", direct.text());
    let body = batch(&[apple_token(3), apple_token(4)]);
    let path = "/hub1/messages/$batch?test&direct";
    let both = world.full.send("POST", path, &[APPLE, MULTIPART], body.as_bytes()).await.expect(201);
    assert!(both.text().contains("<Success>2</Success><Failure>0</Failure><Results>"), "{}", both.text());
}

#[tokio::test]
async fn a_call_that_is_repeated_sends_once() {
    let world = World::start().await;
    world.apples(1).await;
    let call = ("x-ms-client-request-id", "6a1c2b7e-0000-4000-8000-000000000001");
    let one = id_of(&world.send("", &[APPLE, call], ALERT).await.expect(201));
    let again = id_of(&world.send("", &[APPLE, call], ALERT).await.expect(201));
    let other = id_of(&world.send("", &[APPLE, call], r#"{"aps":{"alert":"other"}}"#).await.expect(201));
    assert_eq!(one, again);
    assert_ne!(one, other);
}
