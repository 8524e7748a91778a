use std::collections::BTreeMap;

use super::*;
use crate::model::broadcast::{Content, Payloads, Raw};

const TOPIC_ID: &str = "com.example.app";
const EXPIRES: Timestamp = Timestamp::from_millis(1_800_000_060_999);

fn asked(content: Content) -> BroadcastRequest {
    BroadcastRequest::everyday(content)
}

fn raw(payload: &str) -> BroadcastRequest {
    asked(Content::Payloads(Payloads::from([("apns".to_owned(), payload.to_owned())])))
}

fn notification(title: Option<&str>, body: Option<&str>, data: &[(&str, &str)]) -> BroadcastRequest {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let notification = Notification { title: title.map(str::to_owned), body: body.map(str::to_owned), data };
    asked(Content::Notification { notification, payloads: Payloads::new() })
}

fn prepared(request: &BroadcastRequest) -> Result<SharedRequest, FieldError> {
    prepare(TOPIC_ID, BroadcastId::new(0), request, EXPIRES)
}

fn header(shared: &SharedRequest, name: &str) -> String {
    shared.headers.iter().find(|(field, _)| *field == name).unwrap().1.clone()
}

fn alert_of(bytes: usize) -> String {
    let frame = r#"{"aps":{"alert":""}}"#;
    frame.replace(r#""""#, &format!("\"{}\"", "x".repeat(bytes - frame.len())))
}

#[test]
fn a_notification_is_an_alert_with_its_data_beside_aps() {
    let shared = prepared(&notification(Some("Hello"), Some("World"), &[("k", "v")])).unwrap();
    assert_eq!(&shared.body[..], br#"{"aps":{"alert":{"title":"Hello","body":"World"}},"k":"v"}"#);
    assert_eq!(header(&shared, PUSH_TYPE), "alert");
    assert_eq!(header(&shared, PRIORITY), "10");
    assert_eq!(header(&shared, TOPIC), TOPIC_ID);
    assert_eq!(header(&shared, EXPIRATION), "1800000060");
}

#[test]
fn a_notification_of_data_alone_is_a_background_push() {
    let shared = prepared(&notification(None, None, &[("k", "v")])).unwrap();
    assert_eq!(&shared.body[..], br#"{"aps":{"content-available":1},"k":"v"}"#);
    assert_eq!((header(&shared, PUSH_TYPE), header(&shared, PRIORITY)), ("background".to_owned(), "5".to_owned()));
    assert_eq!(prepared(&notification(None, None, &[])).unwrap_err().field, "notification");
    assert_eq!(prepared(&notification(None, None, &[("aps", "v")])).unwrap_err().field, "notification.data");
}

#[test]
fn a_raw_payload_goes_as_it_came_and_overrides_the_notification() {
    let text = r#"{ "aps" : {"alert":"Hello"} , "x":1.50 }"#;
    assert_eq!(&prepared(&raw(text)).unwrap().body[..], text.as_bytes());
    let both = Content::Notification {
        notification: Notification { title: Some("T".to_owned()), ..Notification::default() },
        payloads: Payloads::from([("apns".to_owned(), text.to_owned())]),
    };
    assert_eq!(&prepared(&asked(both)).unwrap().body[..], text.as_bytes());
}

#[test]
fn a_payload_that_is_no_object_names_its_field() {
    for bad in ["", "{", "[]", "\"x\"", "null", "{}", "{} {}"] {
        assert_eq!(prepared(&raw(bad)).unwrap_err().field, "payloads.apns", "{bad}");
    }
    assert_eq!(prepared(&asked(Content::Payloads(Payloads::new()))).unwrap_err().field, "payloads.apns");
    assert_eq!(prepared(&asked(Content::Template(BTreeMap::new()))).unwrap_err().field, "template");
}

/// T14.
#[test]
fn the_limit_is_4096_bytes_and_5120_for_calls() {
    let voip = |bytes| prepare("com.example.app.voip", BroadcastId::new(0), &raw(&alert_of(bytes)), EXPIRES);
    assert!(prepared(&raw(&alert_of(4_096))).is_ok());
    assert_eq!(prepared(&raw(&alert_of(4_097))).unwrap_err().field, "payloads.apns");
    assert!(voip(5_120).is_ok());
    assert_eq!(voip(5_121).unwrap_err().field, "payloads.apns");
    let long = "x".repeat(4_096);
    assert_eq!(prepared(&notification(Some(&long), None, &[])).unwrap_err().field, "notification");
}

#[test]
fn the_push_type_follows_topic_and_payload() {
    let of = |topic: &str, payload: &str| {
        let shared = prepare(topic, BroadcastId::new(0), &raw(payload), EXPIRES).unwrap();
        (header(&shared, PUSH_TYPE), header(&shared, PRIORITY))
    };
    let rows = [
        ("a", r#"{"aps":{"content-available":1}}"#, "background", "5"),
        ("a", r#"{"aps":{"content-available":1},"k":2}"#, "background", "5"),
        ("a", r#"{"aps":{"content-available":1,"alert":"x"}}"#, "alert", "10"),
        ("a", r#"{"aps":{"content-available":0}}"#, "alert", "10"),
        ("a", r#"{"mdm":"magic"}"#, "mdm", "10"),
        ("a", r#"{"k":1}"#, "alert", "10"),
        ("a.voip", r#"{"aps":{"content-available":1}}"#, "voip", "10"),
        ("a.voip-ptt", r#"{"aps":{}}"#, "pushtotalk", "10"),
        ("a.complication", r#"{"aps":{}}"#, "complication", "10"),
        ("a.pushkit.fileprovider", r#"{"aps":{}}"#, "fileprovider", "10"),
        ("a.push-type.liveactivity", r#"{"aps":{}}"#, "liveactivity", "10"),
        ("a.push-type.controls", r#"{"aps":{}}"#, "controls", "10"),
        ("a.push-type.widgets", r#"{"aps":{}}"#, "widgets", "10"),
        ("a.location-query", r#"{"aps":{}}"#, "location", "10"),
    ];
    for (topic, payload, push_type, priority) in rows {
        assert_eq!(of(topic, payload), (push_type.to_owned(), priority.to_owned()), "{topic} {payload}");
    }
}

#[test]
fn priority_expiry_and_collapse_key_are_the_callers() {
    let mut request = raw(r#"{"aps":{"alert":"x"}}"#);
    request.priority = Priority::Normal;
    request.ttl_seconds = 0;
    request.collapse_key = Some("score".to_owned());
    let shared = prepared(&request).unwrap();
    assert_eq!(header(&shared, PRIORITY), "5");
    assert_eq!(header(&shared, EXPIRATION), "0");
    assert_eq!(header(&shared, COLLAPSE_ID), "score");
    request.collapse_key = None;
    let id = BroadcastId::new(7);
    let shared = prepare(TOPIC_ID, id, &request, EXPIRES).unwrap();
    assert_eq!(header(&shared, COLLAPSE_ID), id.to_string());
    for bad in ["é".repeat(33), "a\nb".to_owned(), " a".to_owned()] {
        request.collapse_key = Some(bad);
        assert_eq!(prepared(&request).unwrap_err().field, "collapse_key");
    }
}

#[test]
fn what_the_caller_says_stands_over_the_rest() {
    let own = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = r#"{"aps":{"alert":"x"}}"#.to_owned();
        asked(Content::Raw(Raw { platform: Platform::Apns, body, headers, format: "apple".into(), handles: None }))
    };
    let shared = prepared(&own(&[
        (TOPIC, "com.example.app.voip"),
        (PUSH_TYPE, "voip"),
        (PRIORITY, "5"),
        (EXPIRATION, "0"),
        (COLLAPSE_ID, "score"),
        (ID, "one for all devices would be none"),
    ]))
    .unwrap();
    assert_eq!(
        shared.headers,
        [
            (TOPIC, "com.example.app.voip".to_owned()),
            (PUSH_TYPE, "voip".to_owned()),
            (PRIORITY, "5".to_owned()),
            (EXPIRATION, "0".to_owned()),
            (COLLAPSE_ID, "score".to_owned()),
        ]
    );
    for (name, value) in [
        (PUSH_TYPE, "loud"),
        (PRIORITY, "7"),
        (EXPIRATION, "tomorrow"),
        (EXPIRATION, "-1"),
        (COLLAPSE_ID, &"x".repeat(65)),
    ] {
        assert_eq!(prepared(&own(&[(name, value)])).unwrap_err().field, name, "{value}");
    }
    assert_eq!(prepared(&own(&[(PUSH_TYPE, "background"), (PRIORITY, "10")])).unwrap_err().field, PRIORITY);
    assert_eq!(header(&prepared(&own(&[(PUSH_TYPE, "background")])).unwrap(), PRIORITY), "5");
}
