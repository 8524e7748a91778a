//! JSON web tokens: signature and form alone. What claims must say, and when, is asked by those who know: the library's
//! own checks go by the machine's clock, ours by the service's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::time::Timestamp;

/// The longest token that is looked at, in bytes. Headers are bounded as a whole, bodies are not made of one.
pub(super) const LONGEST: usize = 16 * 1024;

/// What is wrong with a token before its claims are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("invalid token")]
    Malformed,
    #[error("invalid algorithm")]
    Algorithm,
    #[error("invalid signature")]
    Signature,
}

/// The claims of a token that this key signed with this algorithm and no other.
pub(super) fn open<C: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<C, Broken> {
    if token.len() > LONGEST {
        return Err(Broken::Malformed);
    }
    let mut signature_alone = Validation::new(algorithm);
    signature_alone.required_spec_claims.clear();
    signature_alone.validate_exp = false;
    signature_alone.validate_aud = false;
    match jsonwebtoken::decode(token, key, &signature_alone) {
        Ok(token) => Ok(token.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => Broken::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
                Broken::Algorithm
            }
            _ => Broken::Malformed,
        }),
    }
}

/// What a token says of itself, whoever signed it: good for finding whose key to hold it against, and for nothing else.
pub(super) fn unproven<C: DeserializeOwned>(token: &str) -> Option<C> {
    if token.len() > LONGEST {
        return None;
    }
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// Signs claims with HMAC-SHA256; `None` when they cannot be written as JSON.
pub(super) fn sign(claims: &impl Serialize, key: &EncodingKey) -> Option<String> {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, key).ok()
}

/// `aud`: one name or several (RFC 7519 section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// Whether it names this one.
    pub(super) fn names(&self, wanted: &str) -> bool {
        self.all().iter().any(|audience| audience == wanted)
    }

    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Seconds since 1970, which some write with a fraction (RFC 7519 section 2, "NumericDate").
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
pub(super) struct NumericDate(f64);

impl Serialize for NumericDate {
    /// As a whole number: not every reader takes a fraction.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.millis().div_euclid(1_000))
    }
}

impl NumericDate {
    /// The second of a moment.
    #[expect(clippy::cast_precision_loss, reason = "seconds have 53 bits for two hundred million years")]
    pub(super) fn at(moment: Timestamp) -> Self {
        Self(moment.millis().div_euclid(1_000) as f64)
    }

    /// In milliseconds since 1970, the latest or earliest that there is where it is beyond.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is what a date beyond all dates should do")]
    pub(super) fn millis(self) -> i64 {
        (self.0 * 1_000.0).floor() as i64
    }
}
