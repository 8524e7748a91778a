//! Push subscriptions of browsers (`push-services.md` 4.1): where to send, and the two keys to encrypt with.

use std::borrow::Cow;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Length of an uncompressed point of P-256.
pub const POINT: usize = 65;
/// Length of the authentication secret (RFC 8291 section 3.2).
pub const SECRET: usize = 16;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What the channel of a `browser` target holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The URL that messages go to: whoever knows it can address the browser.
    pub endpoint: Cow<'a, str>,
    /// The browser's public key.
    pub public: [u8; POINT],
    pub secret: [u8; SECRET],
}

/// The stored form; members in the order of their names.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    auth: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    #[serde(borrow)]
    p256dh: Cow<'a, str>,
}

impl<'a> Subscription<'a> {
    /// Reads a subscription as apps write it: `endpoint`, `p256dh` and `auth`, the keys also within `keys`, in any of the
    /// forms of base64. The keys are checked here, once: a wrong one would make every message unreadable. The error says
    /// the rule.
    pub fn of_document(written: &'a Value) -> Result<Self, &'static str> {
        let member = |name: &str| {
            written.get(name).or_else(|| written.get("keys").and_then(|keys| keys.get(name))).and_then(Value::as_str)
        };
        let (Some(endpoint), Some(p256dh), Some(auth)) = (member("endpoint"), member("p256dh"), member("auth")) else {
            return Err("must have the members endpoint, p256dh and auth");
        };
        let public = decoded(p256dh)
            .filter(|public| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public[..]).is_ok())
            .ok_or("must have a p256dh that is a point of P-256: 65 bytes, uncompressed, in base64url")?;
        let secret = decoded(auth).ok_or("must have an auth of 16 bytes in base64url")?;
        Ok(Self { endpoint: Cow::Borrowed(endpoint), public, secret })
    }

    /// The bytes that a target carries: equal for subscriptions that say the same.
    pub fn to_channel(&self) -> Vec<u8> {
        let stored = Stored {
            auth: URL_SAFE_NO_PAD.encode(self.secret).into(),
            endpoint: Cow::Borrowed(&self.endpoint),
            p256dh: URL_SAFE_NO_PAD.encode(self.public).into(),
        };
        // Three texts cannot fail to be written.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads them back; none for what [`to_channel`](Self::to_channel) does not write.
    pub fn of_channel(channel: &'a [u8]) -> Option<Self> {
        let Stored { auth, endpoint, p256dh } = serde_json::from_slice(channel).ok()?;
        Some(Self { endpoint, public: decoded(&p256dh)?, secret: decoded(&auth)? })
    }
}

impl std::fmt::Debug for Subscription<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription(***)")
    }
}

/// Exactly so many bytes; a point begins with 4, which says that it is uncompressed.
fn decoded<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let alphabet = if text.contains(['+', '/']) { &STANDARD } else { &URL_SAFE };
    let mut bytes = [0; LENGTH];
    let length = GeneralPurpose::new(alphabet, LENIENT).decode_slice(text, &mut bytes).ok()?;
    (length == LENGTH && (LENGTH != POINT || bytes[0] == 4)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The receiver of RFC 8291 appendix A.
    const PUBLIC: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn of(p256dh: &str, auth: &str) -> Result<Vec<u8>, &'static str> {
        let written = json!({"endpoint": "https://push.example/\"x\"", "p256dh": p256dh, "auth": auth});
        Subscription::of_document(&written).map(|subscription| subscription.to_channel())
    }

    #[test]
    fn every_form_of_base64_and_of_the_document_is_one_channel() {
        let channel = of(PUBLIC, SECRET).unwrap();
        let standard = |text: &str| text.replace('-', "+").replace('_', "/");
        for (public, secret) in [
            (PUBLIC.to_owned() + "=", SECRET.to_owned() + "=="),
            (standard(PUBLIC), standard(SECRET)),
            (standard(PUBLIC) + "=", standard(SECRET) + "=="),
        ] {
            assert_eq!(of(&public, &secret).unwrap(), channel);
        }
        let nested = json!({"endpoint": "https://push.example/\"x\"", "keys": {"p256dh": PUBLIC, "auth": SECRET}});
        assert_eq!(Subscription::of_document(&nested).unwrap().to_channel(), channel);
        let read = Subscription::of_channel(&channel).unwrap();
        assert_eq!((read.endpoint.as_ref(), read.public[0]), ("https://push.example/\"x\"", 4));
        assert_eq!(read.to_channel(), channel);
    }

    #[test]
    fn keys_that_nobody_can_have_are_refused() {
        let off_the_curve = PUBLIC.replace("iw4", "iw5");
        for bad in ["", "BA", &PUBLIC[..86], &off_the_curve, &PUBLIC.replacen('B', "C", 1), &"A".repeat(87), "ä"] {
            assert!(of(bad, SECRET).unwrap_err().contains("p256dh"), "{bad}");
        }
        for bad in ["", "AAAA", &"A".repeat(23), "BTBZMqHH6r4Tts7J*aSIgg"] {
            assert!(of(PUBLIC, bad).unwrap_err().contains("auth"), "{bad}");
        }
        assert_eq!(Subscription::of_channel(b"{}"), None);
        assert_eq!(Subscription::of_channel(br#"{"auth":"A","endpoint":"https://h","p256dh":"B"}"#), None);
    }
}
