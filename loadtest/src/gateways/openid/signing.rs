//! The keys of the simulated provider, and every way to sign with them, the wrong ones too.
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeyPair as RsaPair,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::gateways::apns::KeyError;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// RS256, by the newest published key.
    #[default]
    Rsa,
    /// ES256, by the published key.
    Ec,
    /// RS256, by a key that is not published, under the name of one that is.
    Stranger,
    /// RS256, by a key of a name that is not published.
    Unpublished,
    /// `alg` none, no signature.
    None,
    /// HS256, with the published RSA key's text as its secret.
    Hmac,
    /// RS256, with a changed claim after signing.
    Tampered,
    /// RS256, with an extension that must be understood.
    Critical,
}

/// Keys that are published, and one that is not.
pub(super) struct KeyRing {
    /// The last signs.
    published: Vec<RsaKey>,
    stranger: RsaKey,
    ec: EcdsaKeyPair,
}

struct RsaKey {
    kid: String,
    pair: RsaPair,
}

impl RsaKey {
    fn generate() -> Result<Self, KeyError> {
        let pair = RsaPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048)?;
        Ok(Self { kid: format!("rsa-{:08x}", fastrand::u32(..)), pair })
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl KeyRing {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { published: vec![RsaKey::generate()?], stranger: RsaKey::generate()?, ec })
    }

    /// Another key signs from now on; the old one is published no longer.
    pub(super) fn rotate(&mut self) {
        if let Ok(key) = RsaKey::generate() {
            self.published = vec![key];
        }
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value, signing: Signing) -> String {
        let Some(current) = self.published.last() else { return String::new() };
        let (alg, kid) = match signing {
            Signing::Ec => ("ES256", "ec-1"),
            Signing::None => ("none", current.kid.as_str()),
            Signing::Hmac => ("HS256", current.kid.as_str()),
            Signing::Unpublished => ("RS256", self.stranger.kid.as_str()),
            _ => ("RS256", current.kid.as_str()),
        };
        let mut header = json!({"alg": alg, "typ": "JWT", "kid": kid});
        if signing == Signing::Critical {
            header["crit"] = json!(["exp"]);
        }
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let rsa = |key: &RsaKey| {
            let mut signature = vec![0; key.pair.public_modulus_len()];
            // A signature that was not made is one that does not fit.
            let _ = key.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
            signature
        };
        let signature = match signing {
            Signing::Rsa | Signing::Tampered | Signing::Critical => rsa(current),
            Signing::Stranger | Signing::Unpublished => rsa(&self.stranger),
            Signing::Ec => self
                .ec
                .sign(&SystemRandom::new(), message.as_bytes())
                .map(|signature| signature.as_ref().to_vec())
                .unwrap_or_default(),
            Signing::None => Vec::new(),
            Signing::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, public_pem(current).as_bytes());
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        let message = match signing {
            Signing::Tampered => {
                let mut claims = claims.clone();
                claims["sub"] = json!("somebody else");
                format!("{}.{}", b64(header.to_string()), b64(claims.to_string()))
            }
            _ => message,
        };
        format!("{message}.{}", b64(signature))
    }

    /// What is published.
    pub(super) fn document(&self) -> Value {
        let rsa = |key: &RsaKey| {
            let public = key.pair.public_key();
            let (n, e) = (public.modulus(), public.exponent());
            let (n, e) = (b64(n.big_endian_without_leading_zero()), b64(e.big_endian_without_leading_zero()));
            json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": n, "e": e})
        };
        let mut keys: Vec<Value> = self.published.iter().map(rsa).collect();
        let point = self.ec.public_key().as_ref();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..65]));
        keys.push(json!({"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": "ec-1", "x": x, "y": y}));
        // What a reader has to step over.
        keys.push(json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"}));
        json!({ "keys": keys })
    }
}

/// The text that everybody may read, as an attacker would use it for a secret.
fn public_pem(key: &RsaKey) -> String {
    let body = STANDARD.encode(key.pair.public_key().as_ref());
    format!("-----BEGIN RSA PUBLIC KEY-----\n{body}\n-----END RSA PUBLIC KEY-----\n")
}
