//! The worked examples of the template language (`notification-hubs.md` 4.7, checklist 17) from the registration of a
//! template to what the push service receives.

use loadtest::gateways::Simulated;
use serde_json::{Value, json};

use crate::atom::entry;
use crate::world::{World, apple_token, device_token, windows_channel};

const PROPERTIES: &str =
    r#"{"msg":"He said \"hi\" & left","n":"7","city":"São Paulo","long":"This is the title line"}"#;

/// Template and what is sent, of those that a device of Apple can have.
const OF_JSON: [(u64, &str, &str); 11] = [
    (1, r#"{"aps":{"alert":"$(msg)"}}"#, r#"{"aps":{"alert":"He said \"hi\" & left"}}"#),
    (3, r##"{"aps":{"badge":"#(n)"}}"##, r#"{"aps":{"badge":7}}"#),
    (4, r##"{"badge":"#(msg)"}"##, r#"{"badge":"He said \"hi\" & left"}"#),
    (5, r#"{"u":"{'https://e.test/?c=' + %(city)}"}"#, r#"{"u":"https://e.test/?c=S%C3%A3o%20Paulo"}"#),
    (6, r#"{"t":".(long, 20)"}"#, r#"{"t":"This is the title..."}"#),
    (7, r#"{"t":"$(long, 4)"}"#, r#"{"t":"This"}"#),
    (8, r#"{"t":"$(nothere)"}"#, r#"{"t":""}"#),
    (9, r#"{"t":"{$(city) + ' - ' + $(n)}"}"#, r#"{"t":"São Paulo - 7"}"#),
    (11, r#"{"t":"City: $(city)"}"#, r#"{"t":"City: $(city)"}"#),
    (12, r#"{"t":"{'it''s ' + $(N)}"}"#, r#"{"t":"it's 7"}"#),
    (13, r#"{"t":"$(who:{friend})"}"#, r#"{"t":"friend"}"#),
];

/// The same of those that are XML.
const OF_XML: [(u64, &str, &str); 2] = [
    (2, r#"<text id="1">$(msg)</text>"#, r#"<text id="1">He said "hi" &amp; left</text>"#),
    (10, r#"<image src="$(city)"/>"#, r#"<image src="São Paulo"/>"#),
];

fn templates(body: &str, headers: &Value) -> Value {
    json!({"example": {"body": body, "headers": headers}})
}

#[tokio::test]
async fn c17_each_worked_example_reaches_its_device_as_the_page_says() {
    let world = World::start().await;
    for (number, body, _) in OF_JSON {
        let document = json!({
            "platform": "apns", "pushChannel": apple_token(number), "templates": templates(body, &json!({})),
        });
        world.install(&format!("example-{number}"), &document).await;
    }
    for (number, body, _) in OF_XML {
        let document = json!({
            "platform": "wns", "pushChannel": windows_channel(&world, number),
            "templates": templates(body, &json!({"X-WNS-Type": "wns/raw"})),
        });
        world.install(&format!("example-{number}"), &document).await;
    }
    // One message for all of them: each gets it in the words of its own template.
    let template = [("ServiceBusNotification-Format", "template"), ("ServiceBusNotification-Tags", "example")];
    let id = world.sent("", &template, PROPERTIES).await;
    let counters = world.finished(&id).await["counters"].clone();
    assert_eq!((&counters["targeted"], &counters["delivered"]), (&json!(13), &json!(13)), "{counters}");
    for (number, _, expected) in OF_JSON {
        let token = hex::decode(apple_token(number)).unwrap();
        assert_eq!(only(&world.apns, &token), expected, "example {number}");
    }
    for (number, _, expected) in OF_XML {
        assert_eq!(only(&world.wns, device_token(number).as_bytes()), expected, "example {number}");
    }
}

/// The body of the one message that a device got.
fn only(service: &impl Simulated, token: &[u8]) -> String {
    let got: Vec<_> = service.receipts().all().into_iter().filter(|got| got.token.as_bytes() == token).collect();
    assert_eq!(got.len(), 1, "{got:?}");
    String::from_utf8(service.receipts().full(got[0].order).unwrap().body).unwrap()
}

/// Example 14 is no template: it is refused when it is registered, in each of the forms.
#[tokio::test]
async fn c17_the_example_that_is_wrong_is_refused_when_it_is_registered() {
    const BODY: &str = r##"{"t":"{#(n) + 'x'}"}"##;
    let world = World::start().await;
    let document =
        json!({"platform": "apns", "pushChannel": apple_token(14), "templates": templates(BODY, &json!({}))});
    let path = "/hub1/installations/example-14?api-version=2020-06";
    let refused = world.listen.put(path, &document).await.expect(400);
    assert!(refused.text().contains("must not hold # in a composition"), "{}", refused.text());
    world.listen.get(path).await.expect(404);
    let elements =
        format!("<DeviceToken>{}</DeviceToken><BodyTemplate><![CDATA[{BODY}]]></BodyTemplate>", apple_token(14));
    let document = entry("AppleTemplate", &elements);
    let refused = world.listen.send("POST", "/hub1/registrations", &[], document.as_bytes()).await.expect(400);
    let text = refused.text();
    assert!(text.contains("<Detail>BodyTemplate ") && text.contains("must not hold # in a composition"), "{text}");
}
