//! The conformance checklist (`notification-hubs.md` section 10), one test a line as far as this part of the face goes.

use loadtest::gateways::Script;
use loadtest::gateways::script::Act;
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{ADMIN, World, apple, apple_token, id_of, signed, token};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

/// What an error says: its code and its detail without the tracking.
fn refusal(answer: &crate::client::Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/xml; charset=utf-8"), "{answer:?}");
    let text = answer.text();
    let rest = text.strip_prefix(&format!("<Error><Code>{}</Code><Detail>", answer.status));
    let rest = rest.unwrap_or_else(|| panic!("{text}"));
    let (message, rest) = rest.split_once(".TrackingId:").unwrap();
    let (tracking, rest) = rest.split_once("_G0,TimeStamp:").unwrap();
    assert_eq!(Some(tracking), answer.header("trackingid"), "{text}");
    assert!(rest.ends_with("M</Detail></Error>"), "{text}");
    (answer.status, message.to_owned())
}

#[tokio::test]
async fn c02_tokens_in_every_form_are_verified() {
    let world = World::start().await;
    let address = world.address();
    let hub = world.admin.get("/v1/hubs/hub1").await.expect(200).json();
    let rule = "DefaultFullSharedAccessSignature";
    let key = |which: &str| hub["keys"][rule][which].as_str().unwrap().to_owned();
    let (primary, secondary) = (key("primary"), key("secondary"));
    let until = 4_000_000_000;
    let ask = async |authorization: String| {
        let client = Client::new(address, Some(authorization));
        client.get("/hub1/installations/none?api-version=2020-06").await
    };
    let host = format!("127.0.0.1:{}", address.port());
    for resource in [
        format!("https://{host}/"),
        format!("https://{host}"),
        "http://127.0.0.1/hub1/installations/none/".to_owned(),
        format!("https://{host}/hub1/installations/none?api-version=2020-06"),
        "sb://127.0.0.1/HUB1".to_owned(),
    ] {
        for key in [&primary, &secondary] {
            let token = token(&resource, until, rule, key);
            assert_eq!(ask(token.clone()).await.status, 404, "{resource}");
            let mut parts: Vec<_> = token.strip_prefix("SharedAccessSignature ").unwrap().split('&').collect();
            parts.reverse();
            assert_eq!(ask(format!("SharedAccessSignature {}", parts.join("&"))).await.status, 404, "{resource}");
        }
    }
    let own = format!("https://{host}/");
    for (authorization, reason) in [
        (token(&own, until, rule, "wrong"), "InvalidSignature: "),
        (token(&own, until, "NoRule", &primary), "InvalidSignature: "),
        (token(&own, 1_000_000_000, rule, &primary), "ExpiredToken: "),
        (token("https://elsewhere.test/", until, rule, &primary), "InvalidAudience: "),
        (token("https://127.0.0.1/hub2", until, rule, &primary), "InvalidAudience: "),
        ("SharedAccessSignature sr=x".to_owned(), "MalformedToken: "),
        ("Nothing".to_owned(), "the request needs"),
    ] {
        let (status, message) = refusal(&ask(authorization).await);
        assert_eq!(status, 401);
        assert!(message.starts_with(reason), "{message}");
    }
    // The namespace's rule is for every hub, and its key is the admin key. A hub's rule is for its hub alone.
    assert_eq!(world.root().get("/hub1/installations/none").await.status, 404);
    world.admin.put("/v1/hubs/hub2", &json!({})).await.expect(201);
    assert_eq!(refusal(&world.full.get("/hub2/installations/none").await).0, 401);
}

#[tokio::test]
async fn c03_paths_and_queries_are_taken_as_clients_write_them() {
    let world = World::start().await;
    world
        .install("a%2Fb".replace("%2F", ":").as_str(), &json!({"platform": "apns", "pushChannel": apple_token(1)}))
        .await;
    for path in [
        "/hub1/installations/a:b",
        "/HUB1/Installations/a%3Ab/",
        "/hub1/INSTALLATIONS/a:b?API-Version=2015-04&unknown=1&flag",
        "/hub1/installations/a:b?api-version=",
    ] {
        world.listen.get(path).await.expect(200);
    }
    for (path, flag) in
        [("/hub1/messages", "direct"), ("/hub1/Messages/", "Direct=true"), ("/hub1/messages/", "%64irect")]
    {
        let headers = [APPLE, ("ServiceBusNotification-DeviceHandle", &apple_token(1))];
        let path = format!("{path}?api-version=2020-06&{flag}");
        world.full.send("POST", &path, &headers, ALERT.as_bytes()).await.expect(201);
    }
    for version in ["latest", "2020", "2020-6", "2020-06-01"] {
        let answer = world.listen.get(&format!("/hub1/installations/a:b?api-version={version}")).await;
        let (status, message) = refusal(&answer);
        assert!(status == 400 && message.starts_with("api-version "), "{message}");
    }
}

#[tokio::test]
async fn c04_every_operation_has_the_status_of_table_0_3() {
    let world = World::start().await;
    let version = "api-version=2020-06";
    let installation = format!("/hub1/installations/dev-1?{version}");
    let put = world.listen.put(&installation, &apple(1)).await.expect(200);
    assert_eq!((put.header("content-type"), put.text()), (Some("application/xml; charset=utf-8"), ""));
    let patch = br#"[{"op":"add","path":"/tags","value":"sport"}]"#;
    let patched = world.listen.send("PATCH", &installation, &[], patch).await.expect(200);
    assert_eq!(patched.text(), "");
    world.listen.get(&installation).await.expect(200);
    let sent = world.send("", &[APPLE], ALERT).await.expect(201);
    assert_eq!(sent.text(), "");
    let later = [APPLE, ("ServiceBusNotification-ScheduleTime", &soon())];
    let path = format!("/hub1/schedulednotifications/?{version}");
    let scheduled = world.full.send("POST", &path, &later, ALERT.as_bytes()).await.expect(201);
    let cancel = format!("/hub1/schedulednotifications/{}?{version}", id_of(&scheduled));
    assert_eq!(world.full.delete(&cancel).await.expect(200).text(), "");
    world.full.delete(&cancel).await.expect(404);
    world.full.get(&format!("/hub1/messages/{}?{version}", id_of(&sent))).await.expect(200);
    world.full.get(&format!("/hub1/feedbackcontainer?{version}")).await.expect(200);
    assert_eq!(world.listen.delete(&installation).await.expect(204).text(), "");
    world.listen.delete(&installation).await.expect(204);
    // H1 to H4 are in `namespace`, direct sends and batches in `direct`.
}

fn soon() -> String {
    use fanfare::clock::{Clock, SystemClock};
    SystemClock.now().plus(std::time::Duration::from_secs(3_600)).to_string()
}

#[tokio::test]
async fn c05_locations_are_absolute_and_of_the_requests_own_host() {
    let world = World::start().await;
    let host = format!("127.0.0.1:{}", world.address().port());
    let location = |answer: &crate::client::Answer| answer.header("location").unwrap().to_owned();
    let sent = location(&world.send("", &[APPLE], ALERT).await.expect(201));
    let id = sent.strip_prefix(&format!("https://{host}/hub1/messages/")).unwrap();
    let id = id.strip_suffix("?api-version=2020-06").unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{id}");
    let later = [APPLE, ("ServiceBusNotification-ScheduleTime", &soon())];
    let path = "/hub1/schedulednotifications?api-version=2016-07";
    let scheduled = location(&world.full.send("POST", path, &later, ALERT.as_bytes()).await.expect(201));
    assert!(scheduled.starts_with(&format!("https://{host}/hub1/schedulednotifications/")), "{scheduled}");
    assert!(scheduled.ends_with("?api-version=2016-07"), "{scheduled}");
}

#[tokio::test]
async fn c06_installations_read_back_as_they_are() {
    let world = World::start().await;
    let document = json!({
        "installationId": "dev-1", "platform": "APNS", "pushChannel": apple_token(1).to_uppercase(), "userId": null,
        "tags": ["news", "", " city.paris "], "pushVariables": {"v": "1"}, "unknown": {"x": 1},
        "templates": {"Template Name": {"name": "x", "body": "{\"aps\":{\"alert\":\"$(msg)\"}}", "tags": ["alert"]}},
    });
    world.install("dev-1", &document).await;
    let read = world.listen.get("/hub1/installations/dev-1?api-version=2020-06").await.expect(200);
    assert_eq!(read.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(
        read.json(),
        json!({
            "installationId": "dev-1", "pushChannel": apple_token(1).to_uppercase(), "pushChannelExpired": false,
            "platform": "apns", "expirationTime": "9999-12-31T23:59:59.9999999Z", "tags": ["news", "city.paris"],
            "pushVariables": {"v": "1"},
            "templates": {"Template Name": {
                "body": "{\"aps\":{\"alert\":\"$(msg)\"}}", "tags": ["alert", "Template Name"],
            }},
        })
    );
    // What was read can be written: a template's own name, whatever it holds, is no tag to be checked.
    world.install("dev-1", &read.json()).await;
    assert_eq!(world.listen.get("/hub1/installations/dev-1").await.json(), read.json());
    // Members that are not sent are gone; each rule is named.
    world.install("dev-1", &json!({"platform": "apns", "pushChannel": apple_token(1)})).await;
    assert!(world.listen.get("/hub1/installations/dev-1").await.json().get("tags").is_none());
    for (body, field) in [
        (json!({"installationId": "other", "platform": "apns", "pushChannel": apple_token(1)}), "installationId "),
        (json!({"platform": "pager", "pushChannel": "x"}), "platform "),
        (json!({"platform": "apns", "pushChannel": "no hex"}), "pushChannel "),
        (json!({"platform": "apns", "pushChannel": apple_token(1), "tags": ["a b"]}), "tags[0] "),
        (json!([]), "body "),
    ] {
        let (status, message) = refusal(&world.listen.put("/hub1/installations/dev-1", &body).await);
        assert!(status == 400 && message.starts_with(field), "{body}: {message}");
    }
    let missing = world.listen.get("/hub1/installations/none").await;
    assert_eq!(refusal(&missing), (404, "Installation not found".to_owned()));
    let missing = world.listen.send("PATCH", "/hub1/installations/none", &[], b"[]").await;
    assert_eq!(refusal(&missing), (404, "Installation not found".to_owned()));
}

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
    // Without a format it is a template send.
    let id = world.sent("", &[], r#"{"msg":"x"}"#).await;
    assert!(world.details(&id).await.contains("<NotificationBody>{\"msg\":\"x\"}</NotificationBody>"));
    let large = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(5_000));
    let (status, message) = refusal(&world.send("", &[APPLE], &large).await);
    assert!(status == 400 && message.starts_with("body must have at most 4096 bytes"), "{message}");
    assert_eq!(refusal(&world.send("", &[APPLE], &"x".repeat(70_000)).await).0, 413);
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
    // The registration that the installation is seen as.
    let listed = world.full.get("/hub1/registrations?api-version=2020-06").await.expect(200);
    let id = listed.text().split_once("<RegistrationId>").unwrap().1.split_once('<').unwrap().0.to_owned();
    let bad = world.send("&test=true", &[APPLE, ("ServiceBusNotification-Tags", "bad")], ALERT).await.expect(201);
    let result = format!(
        "<Success>0</Success><Failure>1</Failure><Results><RegistrationResult><ApplicationPlatform>apple\
         </ApplicationPlatform><PnsHandle>{}</PnsHandle><RegistrationId>{id}</RegistrationId><Outcome>The Push \
         Notification System handle for the registration is invalid</Outcome></RegistrationResult></Results>",
        apple_token(0xfe)
    );
    assert_eq!(bad.text(), outcome(&result));
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
}

#[tokio::test]
async fn c14_telemetry_is_there_at_once_and_to_the_end() {
    let world = World::start().await;
    world.apples(3).await;
    let id = world.sent("", &[APPLE, ("ServiceBusNotification-Tags", "all")], ALERT).await;
    assert!(world.details(&id).await.contains(&format!("<NotificationId>{id}</NotificationId>")));
    world.finished(&id).await;
    let details = world.details(&id).await;
    let parts = [
        "<State>Completed</State>",
        "<EnqueueTime>",
        "<StartTime>",
        "<EndTime>",
        "<NotificationBody>",
        "<Tags>all</Tags>",
        "<TargetPlatforms>apple</TargetPlatforms>",
        "<ApnsOutcomeCounts><Outcome><Name>Success</Name><Count>3</Count></Outcome></ApnsOutcomeCounts></NotificationDetails>",
    ];
    let places: Vec<_> =
        parts.iter().map(|part| details.find(part).unwrap_or_else(|| panic!("{part} in {details}"))).collect();
    assert!(places.is_sorted(), "{details}");
    let nobody = world.sent("", &[APPLE, ("ServiceBusNotification-Tags", "nobody")], ALERT).await;
    let details = world.details(&nobody).await;
    assert!(details.contains("<State>NoTargetFound</State>") && !details.contains("OutcomeCounts"), "{details}");
    // A platform without credentials: accepted, and it says why nobody got it.
    world.install("kindle", &json!({"platform": "adm", "pushChannel": "x", "tags": ["kindle"]})).await;
    let adm = world.sent("", &[("ServiceBusNotification-Format", "adm")], r#"{"data":{"a":"b"}}"#).await;
    world.finished(&adm).await;
    let details = world.details(&adm).await;
    let counts =
        "<AdmOutcomeCounts><Outcome><Name>InvalidCredentials</Name><Count>1</Count></Outcome></AdmOutcomeCounts>";
    assert!(details.contains("<State>Completed</State>") && details.contains(counts), "{details}");
    for missing in ["none", "00000000-0000-0000-0000-000000000000"] {
        let answer = world.full.get(&format!("/hub1/messages/{missing}")).await;
        assert_eq!(refusal(&answer), (404, "There is no such notification".to_owned()));
    }
}

#[tokio::test]
async fn c16_errors_have_the_one_form_and_say_why() {
    let world = World::start().await;
    // A missing right is a 401 that says so, without Retry-After: a 403 would be tried again.
    let answer = world.listen.send("POST", "/hub1/messages", &[APPLE], ALERT.as_bytes()).await;
    let (status, message) = refusal(&answer);
    assert!(status == 401 && message.starts_with("Send claim is required for this operation"), "{message}");
    assert!(answer.header("retry-after").is_none());
    let (status, message) = refusal(&world.listen.get("/hub1/feedbackcontainer").await);
    assert!(status == 401 && message.starts_with("Manage claim is required for this operation"), "{message}");
    // An unknown hub is one only for who may know.
    let gone = "No service is hosted at the specified address.".to_owned();
    assert_eq!(refusal(&world.root().get("/nowhere/installations/x").await), (404, gone.clone()));
    assert_eq!(refusal(&world.full.get("/nowhere/installations/x").await).0, 401);
    assert_eq!(refusal(&Client::new(world.address(), None).get("/hub1/installations/x").await).0, 401);
    assert_eq!(refusal(&world.full.get("/hub1/something/else").await), (404, gone));
    let wrong = world.full.send("POST", "/hub1/installations/x", &[], b"").await;
    assert_eq!(refusal(&wrong).0, 405);
    assert!(wrong.header("allow").is_some_and(|methods| methods.contains("PATCH")));
    // The caller's own id is the one that is reported.
    let own = [("TrackingId", "0f8fad5b-d9cb-469f-a165-70867728950e")];
    let answer = world.full.send("GET", "/hub1/installations/none", &own, b"").await;
    assert!(answer.text().contains("TrackingId:0f8fad5b-d9cb-469f-a165-70867728950e_"), "{}", answer.text());
    assert_eq!(answer.header("trackingid"), Some("0f8fad5b-d9cb-469f-a165-70867728950e"));
    assert!(answer.header("x-ms-correlation-request-id").is_some());
    let odd = world.full.send("GET", "/hub1/installations/none", &[("TrackingId", "x\"<")], b"").await;
    assert_eq!(odd.header("trackingid").map(str::len), Some(36));
    // Other faces speak their own language.
    let native = world.full.get("/v1/none").await.expect(404);
    assert_eq!(native.json()["error"]["code"], "no_route");
    let page: Value = Client::new(world.address(), None).get("/favicon.ico").await.expect(404).json();
    assert_eq!(page["error"]["code"], "no_route");
}

#[tokio::test]
async fn c16_who_comes_too_often_is_told_when_to_come_back() {
    let settings = [("LIMITS__BROADCASTS_PER_SECOND", "1"), ("LIMITS__BROADCASTS_BURST", "1")];
    let world = World::with(Script::default(), &settings).await;
    world.send("", &[APPLE], ALERT).await.expect(201);
    let answer = world.send("", &[APPLE], ALERT).await;
    assert_eq!(refusal(&answer).0, 429);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().is_ok(), "whole seconds");
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

#[tokio::test]
async fn the_printed_connection_string_is_all_that_is_needed() {
    let world = World::start().await;
    let hub = world.admin.put("/v1/hubs/hub3", &json!({})).await.expect(201).json();
    for (rule, keys) in hub["keys"].as_object().unwrap() {
        for which in ["primary", "secondary"] {
            let client = signed(world.address(), rule, keys[which].as_str().unwrap());
            client.put("/hub3/installations/dev-1", &apple(1)).await.expect(200);
        }
    }
    assert_eq!(signed(world.address(), "RootManageSharedAccessKey", ADMIN).get("/hub3").await.status, 200);
}
