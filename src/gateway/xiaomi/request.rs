//! From a broadcast to the form of every device of it, all but the devices written once (`push-services.md` 5.3).
//!
//! A payload is a JSON object of the form's fields. `extra` may be an object of its own: its members are `extra.NAME`.

use bytes::Bytes;
use form_urlencoded::Serializer;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::gateway::SharedRequest;
use crate::model::broadcast::{BroadcastRequest, Native, Notification};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// The most devices of a request.
pub const AT_ONCE: usize = 1_000;
/// A title has fewer characters.
const TITLE: usize = 50;
/// A description has fewer characters.
const DESCRIPTION: usize = 128;
/// All extras together, names and values, have fewer characters.
const EXTRAS: usize = 2_048;
/// The longest life, in milliseconds.
const LIFE: u64 = 14 * 86_400_000;

const FIELD: &str = "payloads.xiaomi";

/// Whom a message is for: the audience says it.
const DEVICES: [&str; 4] = ["registration_id", "alias", "user_account", "topic"];

/// A form's fields in their order.
type Fields = Vec<(String, String)>;

/// Checks a broadcast and writes its form at `now`. What a payload says itself stays. The errors' field is
/// `payloads.xiaomi` or within, `notification.title`, `notification.body`, `notification` or `template`.
///
/// A repeat must not be shown twice: `extra.jobkey` is the broadcast's, and of one key a phone shows the first alone.
/// `notify_id` is the place in which it is shown, so messages of one collapse key replace each other.
pub fn prepare(
    id: BroadcastId,
    request: &BroadcastRequest,
    package_name: Option<&str>,
    now: Timestamp,
    expires: Timestamp,
) -> Result<SharedRequest, FieldError> {
    let mut fields = match request.content.native(Platform::Xiaomi)? {
        Native::Payload(payload) => written(payload)?,
        Native::Portable(notification) => render(notification)?,
    };
    let key = request.collapse_key.clone().unwrap_or_else(|| id.to_string());
    // The service's ids are whole numbers of 32 bits; those of ours are not negative.
    let place = xxh3_64(key.as_bytes()) & 0x7fff_ffff;
    let life = u64::try_from(expires.since(now).as_millis()).unwrap_or(LIFE).min(LIFE);
    let usual = [
        ("restricted_package_name", package_name.map(str::to_owned)),
        ("notify_id", Some(place.to_string())),
        ("time_to_live", Some(life.to_string())),
        ("extra.jobkey", Some(id.to_string())),
    ];
    for (name, value) in usual {
        if let Some(value) = value.filter(|_| !fields.iter().any(|(known, _)| known == name)) {
            fields.push((name.to_owned(), value));
        }
    }
    let body = Bytes::from(Serializer::new(String::new()).extend_pairs(fields).finish());
    Ok(SharedRequest { headers: Vec::new(), body, broadcast: id, lane: request.lane })
}

/// The fields that a payload writes down.
fn written(payload: &str) -> Result<Fields, FieldError> {
    let Ok(Value::Object(members)) = serde_json::from_str(payload) else {
        return Err(FieldError::new(FIELD, "must be a JSON object: the fields of the message"));
    };
    let mut fields = Fields::new();
    for (name, value) in members {
        if DEVICES.contains(&name.as_str()) {
            return Err(FieldError::new(format!("{FIELD}.{name}"), "must be absent: the audience says who gets it"));
        }
        match value {
            Value::Object(extras) if name == "extra" => {
                for (name, value) in extras {
                    fields.push((format!("extra.{name}"), text(&format!("extra.{name}"), &value)?));
                }
            }
            value => fields.push((name.clone(), text(&name, &value)?)),
        }
    }
    let at = |name: &str| format!("{FIELD}.{name}");
    fewer(&fields, "title", TITLE, &at("title"))?;
    fewer(&fields, "description", DESCRIPTION, &at("description"))?;
    let extras = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix("extra.")?, value)));
    let length: usize = extras.map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if length >= EXTRAS {
        let rule = format!("must have fewer than {EXTRAS} characters together for Xiaomi (have {length})");
        return Err(FieldError::new(at("extra"), rule));
    }
    Ok(fields)
}

/// A field's value. Whatever the service makes of a number, it gets its digits.
fn text(name: &str, value: &Value) -> Result<String, FieldError> {
    let fault = |rule: &'static str| FieldError::new(format!("{FIELD}.{name}"), rule);
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(fault("must be a string or a number")),
    };
    let number = || text.trim().parse::<i64>().ok();
    match name {
        "pass_through" if !matches!(text.as_str(), "0" | "1") => Err(fault("must be 0 or 1")),
        "time_to_live" if number().is_none_or(|life| !(0..=LIFE.cast_signed()).contains(&life)) => {
            Err(fault("must be milliseconds, at most two weeks"))
        }
        // At most a week ahead of when it is sent, which may be long after this.
        "time_to_send" if number().is_none_or(|at| at < 0) => Err(fault("must be milliseconds since 1970")),
        "notify_id" if text.trim().parse::<i32>().is_err() => Err(fault("must be a whole number of 32 bits")),
        _ => Ok(text),
    }
}

fn fewer(fields: &Fields, name: &str, bound: usize, at: &str) -> Result<(), FieldError> {
    let length = fields.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| value.chars().count());
    if length < bound {
        return Ok(());
    }
    Err(FieldError::new(at.to_owned(), format!("must have fewer than {bound} characters for Xiaomi (has {length})")))
}

/// The portable form. What is shown has a title and a description, so where one is missing the other stands for both, as
/// far as it fits; data goes beside them as the payload, and alone to the app.
fn render(notification: &Notification) -> Result<Fields, FieldError> {
    let Notification { title, body, data } = notification;
    if title.is_none() && body.is_none() && data.is_empty() {
        return Err(FieldError::new("notification", "must have title, body or data"));
    }
    let mut fields = Fields::new();
    let mut set = |name: &str, value: String| fields.push((name.to_owned(), value));
    if let Some(description) = body.as_ref().or(title.as_ref()) {
        let short = || description.chars().take(TITLE - 1).collect();
        set("title", title.clone().unwrap_or_else(short));
        set("description", description.clone());
    }
    let is_silent = title.is_none() && body.is_none();
    set("pass_through", if is_silent { "1" } else { "0" }.to_owned());
    if !data.is_empty() {
        set("payload", json!(data).to_string());
    }
    fewer(&fields, "title", TITLE, "notification.title")?;
    fewer(&fields, "description", DESCRIPTION, "notification.body")?;
    Ok(fields)
}

/// The end of a form: who gets it. None where a channel is no registration id: a comma in one would name another device.
pub(super) fn registration_ids<'a>(channels: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut ids = String::new();
    for channel in channels {
        let id = std::str::from_utf8(channel).ok().filter(|id| !id.is_empty() && !id.contains(','))?;
        if !ids.is_empty() {
            ids.push(',');
        }
        ids.push_str(id);
    }
    let form = Serializer::new(String::new()).append_pair("registration_id", &ids).finish();
    Some(format!("&{form}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::broadcast::{Content, Payloads};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn asked(content: Content) -> BroadcastRequest {
        BroadcastRequest { ttl_seconds: 600, ..BroadcastRequest::everyday(content) }
    }

    fn payload(text: &str) -> BroadcastRequest {
        asked(Content::Payloads(Payloads::from([("xiaomi".to_owned(), text.to_owned())])))
    }

    fn portable(title: Option<&str>, body: Option<&str>, data: &[(&str, &str)]) -> BroadcastRequest {
        let data = data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let notification = Notification { title: title.map(Into::into), body: body.map(Into::into), data };
        asked(Content::Notification { notification, payloads: Payloads::new() })
    }

    fn made(request: &BroadcastRequest) -> Result<BTreeMap<String, String>, FieldError> {
        made_for(BroadcastId::new(1), request)
    }

    fn made_for(id: BroadcastId, request: &BroadcastRequest) -> Result<BTreeMap<String, String>, FieldError> {
        let made = prepare(id, request, Some("com.example"), NOW, NOW.plus(request.ttl()))?;
        Ok(form_urlencoded::parse(&made.body).into_owned().collect())
    }

    #[test]
    fn what_a_payload_leaves_out_is_the_broadcasts() {
        let made_of = |text: &str| made(&payload(text)).unwrap();
        let own = made_of(r#"{"title":"T","extra":{"k":"v","n":1},"extra.m":"w","pass_through":0}"#);
        for (name, value) in [
            ("title", "T"),
            ("pass_through", "0"),
            ("extra.k", "v"),
            ("extra.n", "1"),
            ("extra.m", "w"),
            ("restricted_package_name", "com.example"),
            ("time_to_live", "600000"),
        ] {
            assert_eq!(own[name], value, "{name}");
        }
        assert_eq!(own["extra.jobkey"].len(), 36, "the broadcast's own");
        assert!(own["notify_id"].parse::<i32>().unwrap() >= 0);
        let full = r#"{"extra.jobkey":"j","notify_id":7,"restricted_package_name":"p","time_to_live":"1"}"#;
        let kept = made_of(full);
        assert_eq!(kept.len(), 4);
        assert_eq!((kept["extra.jobkey"].as_str(), kept["time_to_live"].as_str()), ("j", "1"));
        let long = BroadcastRequest { ttl_seconds: 30 * 86_400, ..payload("{}") };
        assert_eq!(made(&long).unwrap()["time_to_live"], "1209600000");
    }

    #[test]
    fn one_collapse_key_is_one_place_and_a_repeat_is_known() {
        let keyed = |key: &str| BroadcastRequest { collapse_key: Some(key.to_owned()), ..payload("{}") };
        let (one, other) = (BroadcastId::new(1), BroadcastId::new(2));
        let said = |name: &str, id, request: &BroadcastRequest| made_for(id, request).unwrap()[name].clone();
        let place = |id, request: &BroadcastRequest| said("notify_id", id, request);
        let job = |id, request: &BroadcastRequest| said("extra.jobkey", id, request);
        assert_eq!(place(one, &keyed("score")), place(other, &keyed("score")));
        assert_ne!(place(one, &keyed("score")), place(one, &keyed("news")));
        assert_ne!(place(one, &payload("{}")), place(other, &payload("{}")));
        assert_eq!(job(one, &keyed("score")), job(one, &keyed("score")));
        assert_ne!(job(one, &keyed("score")), job(other, &keyed("score")));
    }

    #[test]
    fn the_portable_form_is_shown_or_goes_to_the_app() {
        let long = "x".repeat(100);
        let rows = [
            (portable(Some("T"), Some("B"), &[("k", "v")]), Some(("T", "B")), "0", Some(r#"{"k":"v"}"#)),
            (portable(Some("T"), None, &[]), Some(("T", "T")), "0", None),
            (portable(None, Some(&long), &[]), Some((&long[..49], long.as_str())), "0", None),
            (portable(None, None, &[("k", "v")]), None, "1", Some(r#"{"k":"v"}"#)),
        ];
        for (request, shown, silent, data) in rows {
            let form = made(&request).unwrap();
            let text = |name: &str| form.get(name).map(String::as_str);
            assert_eq!(text("title").zip(text("description")), shown);
            assert_eq!((text("pass_through"), text("payload")), (Some(silent), data));
        }
    }

    #[test]
    fn errors_name_their_field() {
        let long = |length: usize| "ä".repeat(length);
        for (request, field) in [
            (payload("[]"), "payloads.xiaomi".to_owned()),
            (payload(r#"{"title":true}"#), "payloads.xiaomi.title".to_owned()),
            (payload(r#"{"payload":{}}"#), "payloads.xiaomi.payload".to_owned()),
            (payload(&json!({"title": long(50)}).to_string()), "payloads.xiaomi.title".to_owned()),
            (payload(&json!({"description": long(128)}).to_string()), "payloads.xiaomi.description".to_owned()),
            (payload(&json!({"extra": {"k": long(2_047)}}).to_string()), "payloads.xiaomi.extra".to_owned()),
            (payload(r#"{"extra":{"k":null}}"#), "payloads.xiaomi.extra.k".to_owned()),
            (payload(r#"{"pass_through":2}"#), "payloads.xiaomi.pass_through".to_owned()),
            (payload(r#"{"time_to_live":1209600001}"#), "payloads.xiaomi.time_to_live".to_owned()),
            (payload(r#"{"time_to_send":"soon"}"#), "payloads.xiaomi.time_to_send".to_owned()),
            (payload(r#"{"notify_id":4294967296}"#), "payloads.xiaomi.notify_id".to_owned()),
            (portable(None, None, &[]), "notification".to_owned()),
            (portable(Some(&long(50)), Some("B"), &[]), "notification.title".to_owned()),
            (portable(Some("T"), Some(&long(128)), &[]), "notification.body".to_owned()),
        ]
        .into_iter()
        .chain(DEVICES.map(|name| (payload(&json!({name: "x"}).to_string()), format!("payloads.xiaomi.{name}"))))
        {
            assert_eq!(made(&request).unwrap_err().field, field);
        }
        for good in [
            json!({"title": long(49), "description": long(127), "extra": {"k": long(2_046)}}),
            json!({"time_to_live": 1_209_600_000, "time_to_send": 1}),
        ] {
            assert!(made(&payload(&good.to_string())).is_ok());
        }
        assert!(made(&portable(Some(&long(49)), Some(&long(127)), &[])).is_ok());
    }

    #[test]
    fn an_id_names_one_device() {
        let ids = |ids: &[&str]| registration_ids(ids.iter().map(|id| id.as_bytes()));
        assert_eq!(ids(&["a", "b&c"]).unwrap(), "&registration_id=a%2Cb%26c");
        for bad in [&["a", "b,c"][..], &[""]] {
            assert_eq!(ids(bad), None, "{bad:?}");
        }
    }
}
