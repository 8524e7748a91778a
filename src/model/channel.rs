//! Push channels: the address of an app on a device as its push service knows it.

use std::fmt;

use serde_json::Value;

use super::field::FieldError;
use super::platform::Platform;
use super::subscription::Subscription;

/// Longest channel of any platform, in bytes of its text.
const LONGEST: usize = 4096;
/// Longest device token of APNs, in bytes.
const LONGEST_TOKEN: usize = 256;

/// A checked push channel: what the app wrote, and the bytes that are sent, stored and hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    /// As the app wrote it, so that it reads back in the same form. For `browser` either form of
    /// `notification-hubs.md` 2.2.3.
    written: Value,
    /// What targets carry: for APNs the token's bytes, else the text.
    bytes: Box<[u8]>,
}

impl Channel {
    /// Checks a `pushChannel` by the rules of its platform.
    pub fn parse(platform: Platform, written: Value) -> Result<Self, FieldError> {
        let bytes: Box<[u8]> = match (platform, &written) {
            (Platform::Apns, Value::String(text)) => apns_token(text)?,
            (Platform::WebPush, Value::Object(_)) => canonical_subscription(&written)?,
            (Platform::WebPush, Value::String(text)) => canonical_subscription(
                &serde_json::from_str(text).map_err(|_| rule("must be a subscription object or its JSON text"))?,
            )?,
            (Platform::Wns | Platform::Mpns, Value::String(text)) => channel_uri(text)?,
            // The service takes lists of ids: with a comma in it one would be two devices'.
            (Platform::Xiaomi, Value::String(text)) if text.contains(',') => return Err(rule("must not have a comma")),
            (_, Value::String(text)) => opaque_token(text)?,
            (Platform::WebPush, _) => return Err(rule("must be a subscription object or its JSON text")),
            _ => return Err(rule("must be a string")),
        };
        Ok(Self { written, bytes })
    }

    /// Checks the handle of a direct send. Which device tokens are too short is left to APNs: its word is an outcome of
    /// one handle, where a refusal here would be one of the whole send.
    pub fn handle(platform: Platform, written: Value) -> Result<Self, FieldError> {
        if let (Platform::Apns, Value::String(text)) = (platform, &written) {
            let bytes = token_bytes(text)?;
            if bytes.is_empty() || bytes.len() > LONGEST_TOKEN {
                return Err(rule("must be a device token of 1 to 256 bytes in hexadecimal"));
            }
            return Ok(Self { bytes: bytes.into_boxed_slice(), written });
        }
        Self::parse(platform, written)
    }

    /// The channel as text: a token or URI as the app wrote it, a subscription as JSON.
    pub fn text(&self) -> String {
        self.written.as_str().map_or_else(|| self.written.to_string(), str::to_owned)
    }

    /// The bytes that targets carry.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The member as the app wrote it.
    pub fn written(&self) -> &Value {
        &self.written
    }
}

/// A channel is a capability: whoever reads it can address the device, so it never reaches a log (design.md 3.10).
impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel(*** {} bytes)", self.bytes.len())
    }
}

fn rule(text: &'static str) -> FieldError {
    FieldError::new("pushChannel", text)
}

/// An APNs device token (`push-services.md` 1.7): hex in either case, 16 to 256 bytes, the `<…>` and blanks of the old
/// description form taken off.
pub fn apns_token(text: &str) -> Result<Box<[u8]>, FieldError> {
    let bytes = token_bytes(text)?;
    if (16..=LONGEST_TOKEN).contains(&bytes.len()) {
        Ok(bytes.into_boxed_slice())
    } else {
        Err(rule("must be a device token of 16 to 256 bytes in hexadecimal"))
    }
}

fn token_bytes(text: &str) -> Result<Vec<u8>, FieldError> {
    let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
    let decoded = if bare.contains(' ') { hex::decode(bare.replace(' ', "")) } else { hex::decode(bare) };
    decoded.map_err(|_| rule("must be a device token: an even number of hexadecimal digits"))
}

fn opaque_token(text: &str) -> Result<Box<[u8]>, FieldError> {
    if text.is_empty() || text.len() > LONGEST || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(rule("must be a token of 1 to 4096 characters without white space"));
    }
    Ok(text.as_bytes().into())
}

fn channel_uri(text: &str) -> Result<Box<[u8]>, FieldError> {
    let bytes = opaque_token(text)?;
    // Not sliced: the eighth byte may fall within a character.
    if text.len() > 8 && text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")) {
        Ok(bytes)
    } else {
        Err(rule("must be an absolute https:// channel URI"))
    }
}

/// The subscription as targets carry it.
fn canonical_subscription(written: &Value) -> Result<Box<[u8]>, FieldError> {
    let subscription = Subscription::of_document(written).map_err(rule)?;
    channel_uri(&subscription.endpoint)?;
    let canonical = subscription.to_channel();
    if canonical.len() > LONGEST {
        return Err(rule("must not be longer than 4096 characters"));
    }
    Ok(canonical.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(text: &str) -> Result<Channel, FieldError> {
        Channel::parse(Platform::Apns, json!(text))
    }

    #[test]
    fn apns_tokens_compare_without_case_and_description_form() {
        let plain = token(&"0aFf".repeat(16)).unwrap();
        assert_eq!(plain.bytes(), token(&"0AFF".repeat(16)).unwrap().bytes());
        let described = format!("<{}>", "0aff0aff ".repeat(8).trim());
        assert_eq!(plain.bytes(), token(&described).unwrap().bytes());
        assert_eq!(plain.bytes().len(), 32);
    }

    #[test]
    fn broken_channels_name_the_rule() {
        for bad in ["", "0a", "xyz", &"0a".repeat(257), &"0".repeat(63)] {
            assert_eq!(token(bad).unwrap_err().field, "pushChannel", "{bad}");
        }
        for bad in ["http://x.notify.windows.com/", "https://", "https:/\u{e9}x.notify.windows.com/"] {
            assert!(Channel::parse(Platform::Wns, json!(bad)).is_err(), "{bad}");
        }
        assert!(Channel::parse(Platform::Fcm, json!("a b")).is_err());
        assert!(Channel::parse(Platform::Xiaomi, json!("a,b")).is_err());
        assert!(Channel::parse(Platform::Apns, json!(7)).is_err());
    }

    #[test]
    fn subscriptions_in_either_form_are_one_channel() {
        let p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        let object = json!({"endpoint": "https://push.example/x", "p256dh": p256dh, "auth": "BTBZMqHH6r4Tts7J_aSIgg"});
        let text = Value::String(object.to_string());
        let (object, text) = (Channel::parse(Platform::WebPush, object), Channel::parse(Platform::WebPush, text));
        assert_eq!(object.unwrap().bytes(), text.unwrap().bytes());
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", token(&"0aff".repeat(16)).unwrap());
        assert!(!shown.contains("0aff"), "{shown}");
    }
}
