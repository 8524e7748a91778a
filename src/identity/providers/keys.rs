//! The keys by which a provider signs (RFC 7517). Each is pinned to one algorithm, of those with a public key: `none` and
//! HMAC are no key's, so a token cannot be "signed" with what everybody may read. What a token's own header says of keys
//! (`jku`, `jwk`, `x5u`) is never followed.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value as Json;

/// A document of keys.
#[derive(Deserialize)]
pub(super) struct KeyDocument {
    keys: Vec<Json>,
}

/// A key as the document has it; what it says beyond is not ours.
#[derive(Deserialize)]
struct Written {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    /// Microsoft's alone.
    #[serde(default)]
    issuer: Option<String>,
}

/// A key that verifies.
pub(super) struct Key {
    kid: Option<String>,
    /// For whose tokens, where the document says so.
    pub(super) issuer: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The keys of a provider that can be used.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

impl From<KeyDocument> for KeySet {
    /// A key that cannot be used is left out: it spoils nobody else's.
    fn from(document: KeyDocument) -> Self {
        Self(document.keys.into_iter().filter_map(|key| read(serde_json::from_value(key).ok()?)).collect())
    }
}

fn read(key: Written) -> Option<Key> {
    if key.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let named = key.alg.as_deref();
    let (algorithm, decoding) = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            let algorithm = match named {
                None | Some("RS256") => Algorithm::RS256,
                Some("RS384") => Algorithm::RS384,
                Some("RS512") => Algorithm::RS512,
                Some("PS256") => Algorithm::PS256,
                Some("PS384") => Algorithm::PS384,
                Some("PS512") => Algorithm::PS512,
                Some(_) => return None,
            };
            (algorithm, DecodingKey::from_rsa_components(key.n.as_deref()?, key.e.as_deref()?).ok()?)
        }
        ("EC", Some(curve)) => {
            let algorithm = match (curve, named) {
                ("P-256", None | Some("ES256")) => Algorithm::ES256,
                ("P-384", None | Some("ES384")) => Algorithm::ES384,
                _ => return None,
            };
            (algorithm, DecodingKey::from_ec_components(key.x.as_deref()?, key.y.as_deref()?).ok()?)
        }
        ("OKP", Some("Ed25519")) if matches!(named, None | Some("EdDSA" | "Ed25519")) => {
            (Algorithm::EdDSA, DecodingKey::from_ed_components(key.x.as_deref()?).ok()?)
        }
        _ => return None,
    };
    Some(Key { kid: key.kid, issuer: key.issuer, algorithm, decoding })
}

impl KeySet {
    /// The key that a token with this header was signed with. One without a name is the only one of its algorithm.
    pub(super) fn find(&self, header: &Header) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == header.alg);
        match &header.kid {
            Some(kid) => fitting.find(|key| key.kid.as_ref() == Some(kid)),
            None => {
                let only = fitting.next()?;
                fitting.next().is_none().then_some(only)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(keys: Json) -> KeySet {
        serde_json::from_value::<KeyDocument>(json!({"keys": keys})).unwrap().into()
    }

    fn rsa(kid: &str) -> Json {
        json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"})
    }

    fn header(alg: Algorithm, kid: Option<&str>) -> Header {
        Header { kid: kid.map(str::to_owned), ..Header::new(alg) }
    }

    #[test]
    fn a_key_has_one_algorithm() {
        let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
        let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
        let mut pss = rsa("pss");
        pss["alg"] = json!("PS256");
        let set = set(json!([rsa("r"), pss, {"kty": "EC", "crv": "P-256", "kid": "e", "x": x, "y": y, "use": "sig"}]));
        let finds = |alg, kid| set.find(&header(alg, Some(kid))).map(|key| key.algorithm);
        assert_eq!(finds(Algorithm::RS256, "r"), Some(Algorithm::RS256));
        assert_eq!(finds(Algorithm::PS256, "pss"), Some(Algorithm::PS256));
        assert_eq!(finds(Algorithm::ES256, "e"), Some(Algorithm::ES256));
        for (alg, kid) in [
            (Algorithm::HS256, "r"),
            (Algorithm::HS256, "e"),
            (Algorithm::RS512, "r"),
            (Algorithm::RS256, "pss"),
            (Algorithm::RS256, "e"),
            (Algorithm::ES384, "e"),
            (Algorithm::RS256, "other"),
        ] {
            assert_eq!(finds(alg, kid), None, "{alg:?} {kid}");
        }
    }

    #[test]
    fn what_cannot_verify_is_left_out() {
        let mut encrypting = rsa("a");
        encrypting["use"] = json!("enc");
        let mut odd = rsa("b");
        odd["alg"] = json!("RSA-OAEP");
        let set = set(json!([
            encrypting, odd, 7, {}, {"kty": "oct", "kid": "h", "k": "c2VjcmV0", "alg": "HS256"},
            {"kty": "EC", "crv": "secp256k1", "kid": "k", "x": "AA", "y": "AA"}, {"kty": "RSA", "kid": "no"},
        ]));
        assert!(set.0.is_empty(), "{set:?}");
    }

    #[test]
    fn a_token_without_a_name_needs_an_only_key() {
        assert!(set(json!([rsa("a")])).find(&header(Algorithm::RS256, None)).is_some());
        assert!(set(json!([rsa("a"), rsa("b")])).find(&header(Algorithm::RS256, None)).is_none());
    }
}
