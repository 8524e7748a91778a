use std::collections::BTreeMap;

use super::*;
use crate::model::broadcast::{Lane, Payloads};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn request(content: Content) -> BroadcastRequest {
    BroadcastRequest {
        audience: String::new(),
        content,
        ttl_seconds: 600,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    }
}

fn raw(payload: &Value) -> BroadcastRequest {
    request(Content::Payloads(Payloads::from([("fcm".to_owned(), payload.to_string())])))
}

fn portable(title: Option<&str>, data: &[(&str, &str)]) -> BroadcastRequest {
    let data = data.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>();
    let notification = Notification { title: title.map(str::to_owned), body: None, data };
    request(Content::Notification { notification, payloads: Payloads::new() })
}

fn id() -> BroadcastId {
    BroadcastId::new(7)
}

fn prepared(request: &BroadcastRequest) -> Result<Bytes, FieldError> {
    prepare(id(), request, NOW.plus(request.ttl()), NOW).map(|shared| shared.body)
}

fn message_of(body: &Bytes) -> Value {
    serde_json::from_slice::<Value>(body).unwrap()["message"].take()
}

#[test]
fn a_portable_notification_has_life_priority_and_keys_for_every_leg() {
    let id = BroadcastId::new(7);
    let body = prepare(
        id,
        &portable(Some("Hi"), &[("k", "v")]),
        NOW.plus(request(Content::Payloads(Payloads::new())).ttl()),
        NOW,
    );
    let id = id.to_string();
    assert_eq!(
        message_of(&body.unwrap().body),
        json!({
            "notification": {"title": "Hi"},
            "data": {"k": "v"},
            "android": {"ttl": "600s", "priority": "HIGH", "collapse_key": id, "notification": {"tag": id}},
            "apns": {"headers": {"apns-expiration": "1700000600", "apns-priority": "10", "apns-collapse-id": id}},
            "webpush": {"headers": {"TTL": "600", "Urgency": "high"}, "notification": {"tag": id}},
        })
    );
}

#[test]
fn what_the_caller_wrote_stands() {
    let own = json!({
        "android": {"ttl": "5s", "priority": "NORMAL", "collapseKey": "mine", "notification": {"tag": "own", "body": "x"}},
        "apns": {"headers": {"apns-collapse-id": "c", "apns-priority": "1", "apns-expiration": "9"}},
        "webpush": {"headers": {"TTL": "1", "Urgency": "low"}},
    });
    assert_eq!(message_of(&prepared(&raw(&own)).unwrap()), own);
    let second = json!({"android_v2": {"x": 1}});
    let body = message_of(&prepared(&raw(&second)).unwrap());
    assert_eq!((body.get("android"), &body["android_v2"]), (None, &json!({"x": 1})));
}

#[test]
fn data_alone_is_quiet_on_apple_s_leg_and_shows_nothing() {
    let body = message_of(&prepared(&portable(None, &[("k", "v")])).unwrap());
    assert_eq!(body["apns"]["headers"]["apns-priority"], "5");
    assert_eq!(body["android"].get("notification"), None);
    assert_eq!(body["webpush"].get("notification"), None);
}

#[test]
fn no_life_means_now_or_never_and_none_is_longer_than_four_weeks() {
    let mut now_or_never = portable(Some("x"), &[]);
    now_or_never.ttl_seconds = 0;
    let body = message_of(&prepared(&now_or_never).unwrap());
    assert_eq!((&body["android"]["ttl"], &body["apns"]["headers"]["apns-expiration"]), (&json!("0s"), &json!("0")));
    now_or_never.ttl_seconds = 30 * 86_400;
    assert_eq!(message_of(&prepared(&now_or_never).unwrap())["android"]["ttl"], "2419200s");
}

#[test]
fn each_rule_names_its_field() {
    let long = "x".repeat(LONGEST);
    for (payload, field) in [
        (json!({"token": "x"}), "payloads.fcm.token"),
        (json!({"topic": "x"}), "payloads.fcm.topic"),
        (json!({"data": {"n": 1}}), "payloads.fcm.data.n"),
        (json!({"data": "x"}), "payloads.fcm.data"),
        (json!({"data": {"from": "x"}}), "payloads.fcm.data.from"),
        (json!({"data": {"google.x": "x"}}), "payloads.fcm.data.google.x"),
        (json!({"data": {"k": long}}), "payloads.fcm"),
        (json!({"android": {}, "android_v2": {}}), "payloads.fcm.android_v2"),
        (json!({"android": 1}), "payloads.fcm.android"),
        (json!({"apns": {"headers": 1}}), "payloads.fcm.apns.headers"),
    ] {
        assert_eq!(prepared(&raw(&payload)).unwrap_err().field, field, "{field}");
    }
    let mut keyed = portable(Some("x"), &[]);
    keyed.collapse_key = Some("k".repeat(65));
    assert_eq!(prepared(&keyed).unwrap_err().field, "collapse_key");
    assert_eq!(prepared(&portable(Some(&long), &[])).unwrap_err().field, "notification");
    assert_eq!(prepared(&portable(None, &[])).unwrap_err().field, "notification");
}

#[test]
fn the_target_is_put_in_whatever_its_kind_or_letters() {
    let body = prepared(&portable(Some("x"), &[])).unwrap();
    let with = |channel: &str| message_of(&address(&body, channel.as_bytes()));
    let token = with("cTokenOfADevice:APA91b-_x");
    assert_eq!((&token["token"], token.get("fid")), (&json!("cTokenOfADevice:APA91b-_x"), None));
    let installation = with("dAAAAAAAAAAAAAAAAAAAA_");
    assert_eq!((&installation["fid"], installation.get("token")), (&json!("dAAAAAAAAAAAAAAAAAAAA_"), None));
    assert_eq!(with(r#"a"b\c"#)["token"], r#"a"b\c"#);
    let mut without = with("t");
    without.as_object_mut().unwrap().remove("token");
    assert_eq!(without, message_of(&body));
}
