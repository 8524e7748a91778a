//! Telemetry of a message (checklist 14). That a cancelled one is `Canceled` is in `schedule`.

use serde_json::{Value, json};

use crate::checklist::refusal;
use crate::reading;
use crate::world::{World, apple_token, device_token, windows_channel};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

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
    world.install("phone", &json!({"platform": "baidu", "pushChannel": "u-c", "tags": ["phone"]})).await;
    let baidu = world.sent("", &[("ServiceBusNotification-Format", "baidu")], r#"{"title":"x"}"#).await;
    world.finished(&baidu).await;
    let details = world.details(&baidu).await;
    let counts =
        "<BaiduOutcomeCounts><Outcome><Name>InvalidCredentials</Name><Count>1</Count></Outcome></BaiduOutcomeCounts>";
    assert!(details.contains("<State>Completed</State>") && details.contains(counts), "{details}");
    // A template's message is for every platform: the counts of each stand in their order, and none is empty.
    let greeting = |word: &str, channel: Value, body: &str| json!({"platform": word, "pushChannel": channel, "templates": {"greeting": {"body": body}}});
    let documents = [
        greeting("apns", apple_token(9).into(), r#"{"aps":{"alert":"$(msg)"}}"#),
        greeting("fcmv1", "new:APA91b-Device_of_this_test".into(), r#"{"message":{"data":{"msg":"$(msg)"}}}"#),
        greeting("wns", windows_channel(&world, 9).into(), "<toast>$(msg)</toast>"),
        greeting("adm", device_token(9).to_string().into(), r#"{"data":{"msg":"$(msg)"}}"#),
        greeting("browser", world.browsers.subscription(&device_token(9)), r#"{"title":"$(msg)"}"#),
        greeting("baidu", "u-c".into(), r#"{"title":"$(msg)"}"#),
        greeting("xiaomi", "x".into(), r#"{"title":"$(msg)"}"#),
    ];
    for (at, document) in documents.iter().enumerate() {
        world.install(&format!("greeted-{at}"), document).await;
    }
    let id = world.sent("", &[("ServiceBusNotification-Tags", "greeting")], r#"{"msg":"x"}"#).await;
    world.finished(&id).await;
    let details = world.details(&id).await;
    let told = reading::document(&details);
    let order = [
        "ApnsOutcomeCounts",
        "WnsOutcomeCounts",
        "AdmOutcomeCounts",
        "PnsErrorDetailsUri",
        "FcmV1OutcomeCounts",
        "BaiduOutcomeCounts",
        "BrowserOutcomeCounts",
        "XiaomiOutcomeCounts",
    ];
    assert!(told.names().ends_with(&order), "{details}");
    assert_eq!(details.matches("<Outcome><Name>Success</Name><Count>1</Count></Outcome>").count(), 5, "{details}");
    for missing in ["none", "00000000-0000-0000-0000-000000000000"] {
        let answer = world.full.get(&format!("/hub1/messages/{missing}")).await;
        assert_eq!(refusal(&answer), (404, "There is no such notification".to_owned()));
    }
}
