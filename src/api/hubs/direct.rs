//! The handles of direct sends (`notification-hubs.md` 2.5.4, 2.5.5): one in a header, or up to a thousand in a part.

use http::HeaderMap;
use serde_json::{Value, json};

use super::here::{Query, text};
use super::notification::{FORMAT, Format};
use crate::model::broadcast::MOST_HANDLES;
use crate::model::channel::Channel;
use crate::model::field::FieldError;
use crate::model::platform::Platform;

pub const HANDLE: &str = "ServiceBusNotification-DeviceHandle";

/// The platform whose handles a direct send may name.
fn platform(headers: &HeaderMap) -> Result<Platform, FieldError> {
    match Format::of(headers)? {
        Format::Native(_, platform) => Ok(platform),
        Format::Template => {
            Err(FieldError::new(FORMAT, "must name a platform in a direct send: a handle has no template"))
        }
    }
}

/// The handle of a send whose query says that it is direct.
pub fn asked(query: &Query, headers: &HeaderMap) -> Result<Option<Vec<Channel>>, FieldError> {
    if query.has("direct") {
        return one(headers).map(Some);
    }
    if headers.contains_key(HANDLE) {
        // Else a send that was meant for one device would go to everyone.
        return Err(FieldError::new(HANDLE, "must stand only where the query says direct"));
    }
    Ok(None)
}

/// The one handle of the header. That of a browser is its endpoint, with the keys in headers of their own, or the whole
/// subscription as JSON text.
fn one(headers: &HeaderMap) -> Result<Vec<Channel>, FieldError> {
    let platform = platform(headers)?;
    let handle = text(headers, HANDLE)?.filter(|handle| !handle.is_empty());
    let handle = handle.ok_or_else(|| FieldError::new(HANDLE, "is required with direct"))?;
    let written = match (platform, text(headers, "P256DH")?, text(headers, "Auth")?) {
        (Platform::WebPush, Some(p256dh), Some(auth)) => json!({"endpoint": handle, "p256dh": p256dh, "auth": auth}),
        (Platform::WebPush, _, _) if !handle.starts_with('{') => {
            return Err(FieldError::new("P256DH", "is required with Auth, the keys of the browser's subscription"));
        }
        _ => Value::from(handle),
    };
    Ok(vec![Channel::handle(platform, written).map_err(|error| error.at(HANDLE))?])
}

/// The handles of a batch's part: a JSON array, also one in single quotes as a manual of the field shows it.
pub fn many(headers: &HeaderMap, part: &[u8]) -> Result<Vec<Channel>, FieldError> {
    let platform = platform(headers)?;
    let rule = || FieldError::new("devices", "must be a JSON array of 1 to 1000 handles");
    let text = std::str::from_utf8(part).map_err(|_| rule())?;
    let handles: Vec<Value> = match serde_json::from_str(text) {
        Ok(handles) => handles,
        Err(_) => in_single_quotes(text).ok_or_else(rule)?,
    };
    if handles.is_empty() || handles.len() > MOST_HANDLES {
        return Err(rule());
    }
    let read = |(at, written)| Channel::handle(platform, written).map_err(|error| error.at(format!("devices[{at}]")));
    handles.into_iter().enumerate().map(read).collect()
}

/// `['a', 'b']`. Neither a quote nor a backslash can stand in a handle.
fn in_single_quotes(text: &str) -> Option<Vec<Value>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let handles = inner.split(',').map(|handle| {
        let handle = handle.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        (!handle.contains(['\'', '\\', '"'])).then(|| Value::from(handle))
    });
    handles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn headers(format: &'static str, pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("servicebusnotification-format", HeaderValue::from_static(format));
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_header_names_one_handle() {
        const OWN: &str = "servicebusnotification-devicehandle";
        assert_eq!(one(&headers("apple", &[(OWN, "AABB")])).unwrap()[0].bytes(), [0xaa, 0xbb]);
        let keys = [
            (OWN, "https://push.example/x"),
            ("p256dh", "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            ("auth", "BTBZMqHH6r4Tts7J_aSIgg"),
        ];
        let subscription = one(&headers("browser", &keys)).unwrap();
        let whole = [(
            OWN,
            r#"{"endpoint":"https://push.example/x","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}"#,
        )];
        assert_eq!(subscription[0].bytes(), one(&headers("browser", &whole)).unwrap()[0].bytes());
        for (format, pairs, field) in [
            ("apple", &[][..], HANDLE),
            ("apple", &[(OWN, "")], HANDLE),
            ("apple", &[(OWN, "no hex")], HANDLE),
            ("windows", &[(OWN, "http://x/")], HANDLE),
            ("browser", &[(OWN, "https://push.example/x")], "P256DH"),
            ("template", &[(OWN, "x")], FORMAT),
        ] {
            assert_eq!(one(&headers(format, pairs)).unwrap_err().field, field, "{format}");
        }
    }

    #[test]
    fn a_part_names_up_to_a_thousand() {
        let gcm = headers("gcm", &[]);
        let texts =
            |part: &str| many(&gcm, part.as_bytes()).map(|all| all.iter().map(Channel::text).collect::<Vec<_>>());
        for part in [r#"["a","b:c"]"#, " ['a', 'b:c'] ", "['a','b:c']"] {
            assert_eq!(texts(part).unwrap(), ["a", "b:c"], "{part}");
        }
        let browsers = r#"[{"endpoint":"https://push.example/x","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}]"#;
        assert_eq!(many(&headers("browser", &[]), browsers.as_bytes()).unwrap().len(), 1);
        let list = |count: usize| serde_json::to_string(&vec!["a"; count]).unwrap();
        assert_eq!(texts(&list(1_000)).unwrap().len(), 1_000);
        for (part, field) in [
            (list(0), "devices"),
            (list(1_001), "devices"),
            ("{}".to_owned(), "devices"),
            ("['a".to_owned(), "devices"),
            (r#"["a",1]"#.to_owned(), "devices[1]"),
            (r#"["a","b c"]"#.to_owned(), "devices[1]"),
        ] {
            assert_eq!(many(&gcm, part.as_bytes()).unwrap_err().field, field, "{part}");
        }
    }

    proptest! {
        #[test]
        fn no_list_panics(part in "[\\['\",a b\\]{}\\\\]{0,40}") {
            let _ = many(&headers("gcm", &[]), part.as_bytes());
        }

        #[test]
        fn single_quotes_say_the_same(handles in prop::collection::vec("[a-zA-Z0-9:_-]{1,20}", 1..20)) {
            let quoted: Vec<String> = handles.iter().map(|handle| format!("'{handle}'")).collect();
            let read = many(&headers("gcm", &[]), format!("[{}]", quoted.join(", ")).as_bytes()).unwrap();
            prop_assert_eq!(read.iter().map(Channel::text).collect::<Vec<_>>(), handles);
        }
    }
}
