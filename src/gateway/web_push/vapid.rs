//! Who sends: VAPID (RFC 8292). A token for each origin, signed with the hub's key, whose public half the subscriptions
//! were made with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// A token's life: half of what RFC 8292 section 2 allows, so that a clock that is wrong by hours spoils none.
pub const LIFE: Duration = Duration::from_hours(12);
/// Age at which a new one is made. Apple asks not to renew more than once an hour (`push-services.md` 4.2).
pub const RENEWAL_AGE: Duration = Duration::from_hours(10);

/// A key pair of P-256.
#[derive(Clone)]
pub struct VapidKey {
    pair: Arc<EcdsaKeyPair>,
    /// The public half as the `k` of a request has it, and as pages give it to `pushManager.subscribe`.
    public: Box<str>,
}

impl VapidKey {
    /// Reads PEM (PKCS#8 or SEC 1), or the 32 bytes in base64url. The error's field is `vapid_private_key`.
    pub fn read(text: &str) -> Result<Self, FieldError> {
        let rule = || {
            let rule = "must be a P-256 private key: PEM (PKCS#8 or SEC 1), or its 32 bytes in base64url";
            FieldError::new("vapid_private_key", rule)
        };
        let pair = of_pem(text).or_else(|| of_bytes(text)).ok_or_else(rule)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key()).into();
        Ok(Self { pair: Arc::new(pair), public })
    }

    /// The public half: 65 bytes, uncompressed, in base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The value of `Authorization` for one origin, good for [`LIFE`] from `now` on; none when the signature failed.
    pub fn authorization(&self, origin: &str, subject: &str, now: Timestamp) -> Option<HeaderValue> {
        let expires = now.plus(LIFE).millis().div_euclid(1_000);
        let claims = json!({ "aud": origin, "exp": expires, "sub": subject }).to_string();
        let mut token = String::from("vapid t=");
        let start = token.len();
        URL_SAFE_NO_PAD.encode_string(r#"{"typ":"JWT","alg":"ES256"}"#, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(&SystemRandom::new(), &token.as_bytes()[start..]).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token.push_str(",k=");
        token.push_str(&self.public);
        let mut value = HeaderValue::try_from(token).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn of_pem(text: &str) -> Option<EcdsaKeyPair> {
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der()).ok()
}

fn of_bytes(text: &str) -> Option<EcdsaKeyPair> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()?;
    let public = PrivateKey::from_private_key(&ECDH_P256, &bytes).ok()?.compute_public_key().ok()?;
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, public.as_ref()).ok()
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VapidKey({} ***)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    // One key in each form that there is.
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgyfWPiYE+n46HLnH0
KqZOF1fJJU3MYrct3AELtAQ+oRyhRANCAAT+M/SrDepxkU21WCP3O1SUj0EwbZIH
Mtu5pZpTKGSCIA5Zent7wmC6HCJ5mFgJkuk5cwAvMBKiiujwa7t45ewP
-----END PRIVATE KEY-----
";
    const BYTES: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    fn sec1() -> String {
        let der = [
            &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20][..],
            &URL_SAFE_NO_PAD.decode(BYTES).unwrap(),
            &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00],
            &URL_SAFE_NO_PAD.decode(PUBLIC).unwrap(),
        ]
        .concat();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n")
    }

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let padded = format!("{BYTES}=\n");
        for text in [PKCS8, BYTES, &padded, &sec1(), &format!("{parameters}{}", sec1())] {
            assert_eq!(VapidKey::read(text).unwrap().public(), PUBLIC, "{text}");
        }
        let other_curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        for bad in ["", "AAAA", &BYTES[1..], &other_curve, &PKCS8.replace("MIGH", "MIGI"), &"A".repeat(43)] {
            assert_eq!(VapidKey::read(bad).unwrap_err().field, "vapid_private_key", "{bad}");
        }
        assert!(!format!("{:?}", VapidKey::read(BYTES).unwrap()).contains(BYTES));
    }

    #[test]
    fn a_token_names_its_origin_and_ends_within_a_day() {
        let key = VapidKey::read(PKCS8).unwrap();
        let now = Timestamp::from_millis(1_792_567_680_500);
        let value = key.authorization("https://push.example", "mailto:\"a\"@b.example", now).unwrap();
        assert!(value.is_sensitive());
        let text = value.to_str().unwrap();
        let (token, public) = text.strip_prefix("vapid t=").unwrap().split_once(",k=").unwrap();
        assert_eq!(public, PUBLIC);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(json(header), json!({"typ": "JWT", "alg": "ES256"}));
        let expected = json!({
            "aud": "https://push.example", "exp": 1_792_567_680 + 43_200, "sub": "mailto:\"a\"@b.example",
        });
        assert_eq!(json(claims), expected);
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, URL_SAFE_NO_PAD.decode(public).unwrap());
        verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }
}
