//! What a broadcast says on each platform, and the body that each gateway must then see. The bodies are put together here
//! from what the services document and the API promises, not taken from the service's own rendering.
use serde_json::{Map, Value, json};

use crate::{devices::Platform, gateways::receipts::body_hash};

/// `ttl_seconds` of a broadcast that names none.
const TTL_SECONDS: i64 = 86_400;

/// A title and a text.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

impl Message<'_> {
    /// `payloads` of the request.
    pub(crate) fn payloads(&self, platforms: &[Platform]) -> Value {
        let named = platforms.iter().map(|platform| (platform.label().to_owned(), self.payload(*platform)));
        Value::Object(named.collect::<Map<_, _>>())
    }

    fn payload(&self, platform: Platform) -> Value {
        let Self { title, text } = self;
        match platform {
            Platform::Apns => json!({ "aps": { "alert": { "body": text, "title": title } } }),
            Platform::Fcm => json!({ "notification": { "body": text, "title": title } }),
            Platform::Wns => format!(
                "<toast><visual><binding template=\"ToastGeneric\"><text>{}</text><text>{}</text></binding></visual></toast>",
                escaped(title),
                escaped(text)
            )
            .into(),
            Platform::WebPush => json!({ "body": text, "title": title }),
        }
    }

    /// What receipts of a broadcast must hold as [`Receipt::body`](crate::gateways::Receipt::body). `accepted`: when it
    /// was, milliseconds since 1970.
    pub(crate) fn body(&self, platform: Platform, id: &str, accepted: i64) -> u64 {
        let payload = self.payload(platform);
        match platform {
            Platform::Apns | Platform::WebPush => body_hash(payload.to_string().as_bytes()),
            // A receipt leaves out the target and what is left of the message's life. The rest is what was asked for, and
            // for each leg how urgent it is, when it ends, and the key by which a repeat replaces the first copy
            // (push-services.md 2.2 and 7).
            Platform::Fcm => {
                let shown = json!({ "tag": id });
                let expires = accepted.div_euclid(1_000) + TTL_SECONDS;
                let mut message = payload;
                message["android"] = json!({ "collapse_key": id, "notification": shown, "priority": "HIGH" });
                message["apns"] = json!({ "headers": {
                    "apns-collapse-id": id,
                    "apns-expiration": expires.to_string(),
                    "apns-priority": "10",
                }});
                // An id is longer than a topic may be.
                message["webpush"] = json!({ "headers": { "Urgency": "high" }, "notification": shown });
                body_hash(json!({ "message": message }).to_string().as_bytes())
            }
            Platform::Wns => body_hash(payload.as_str().unwrap_or_default().as_bytes()),
        }
    }
}

/// As the text of an XML element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Message<'_> = Message { title: "<T>", text: "news && !muted" };

    #[test]
    fn each_platform_named_has_a_payload_in_its_own_form() {
        let payloads = MESSAGE.payloads(&[Platform::Apns, Platform::Wns]);
        assert_eq!(payloads["apns"]["aps"]["alert"], json!({ "title": "<T>", "body": "news && !muted" }));
        let toast = payloads["wns"].as_str().unwrap();
        assert!(toast.contains("<text>&lt;T&gt;</text><text>news &amp;&amp; !muted</text>"), "{toast}");
        assert!(payloads.get("fcm").is_none());
    }

    #[test]
    fn bodies_differ_by_platform_and_that_of_fcm_by_broadcast() {
        let of = |platform, id| MESSAGE.body(platform, id, 1_792_567_680_999);
        assert_eq!(of(Platform::Apns, "1"), of(Platform::Apns, "2"));
        assert_eq!(of(Platform::Wns, "1"), of(Platform::Wns, "2"));
        assert_ne!(of(Platform::Fcm, "1"), of(Platform::Fcm, "2"));
        let fcm = concat!(
            r#"{"message":{"android":{"collapse_key":"1","notification":{"tag":"1"},"priority":"HIGH"},"#,
            r#""apns":{"headers":{"apns-collapse-id":"1","apns-expiration":"1792654080","apns-priority":"10"}},"#,
            r#""notification":{"body":"news && !muted","title":"<T>"},"#,
            r#""webpush":{"headers":{"Urgency":"high"},"notification":{"tag":"1"}}}}"#
        );
        assert_eq!(of(Platform::Fcm, "1"), body_hash(fcm.as_bytes()));
    }
}
