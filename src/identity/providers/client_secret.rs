//! How we prove to a provider which app asks.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::error::ProviderError;
use crate::identity::jwt::NumericDate;
use crate::identity::secret::Secret;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// For so long a secret that we sign is good: it is made for one request. Apple takes up to six months.
const SIGNED: Duration = Duration::from_mins(5);
/// Whom Apple's secrets are for.
const APPLE: &str = "https://appleid.apple.com";

/// The secret of an app at a provider.
pub(super) enum ClientSecret {
    /// A public client: PKCE alone ties the answer to the question.
    None,
    Text(Secret),
    /// Apple's is a token that the team's key signs.
    Apple {
        team_id: String,
        key_id: String,
        key: EncodingKey,
    },
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Text(_) => "Text(***)",
            Self::Apple { .. } => "Apple(***)",
        })
    }
}

#[derive(Serialize)]
struct AppleClaims<'a> {
    iss: &'a str,
    iat: NumericDate,
    exp: NumericDate,
    aud: &'a str,
    sub: &'a str,
}

impl ClientSecret {
    /// From a team's key (`AuthKey_KEYID.p8`). The error's field is `client_secret`.
    pub(super) fn apple(team_id: &str, key_id: &str, key_pem: &Secret) -> Result<Self, FieldError> {
        let rule = || FieldError::new("client_secret", "must be a P-256 private key as PKCS#8 PEM (a .p8 file)");
        let key = EncodingKey::from_ec_pem(key_pem.expose().as_bytes()).map_err(|_| rule())?;
        Ok(Self::Apple { team_id: team_id.to_owned(), key_id: key_id.to_owned(), key })
    }

    /// Its text for a request at `now`.
    pub(super) fn text(&self, client_id: &str, now: Timestamp) -> Result<Option<Secret>, ProviderError> {
        match self {
            Self::None => Ok(None),
            Self::Text(text) => Ok(Some(text.clone())),
            Self::Apple { team_id, key_id, key } => {
                let header = Header { kid: Some(key_id.clone()), typ: None, ..Header::new(Algorithm::ES256) };
                let claims = AppleClaims {
                    iss: team_id,
                    iat: NumericDate::at(now),
                    exp: NumericDate::at(now.plus(SIGNED)),
                    aud: APPLE,
                    sub: client_id,
                };
                let signed = jsonwebtoken::encode(&header, &claims, key);
                let signed = signed.map_err(|_| ProviderError::Away("our own proof cannot be signed"))?;
                Ok(Some(Secret::new(signed)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn apples_secret_is_signed_by_the_teams_key() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let secret = ClientSecret::apple("TEAM123456", "KEY1234567", &Secret::new(key.serialize_pem())).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let text = secret.text("com.example.service", now).unwrap().unwrap();
        let header = jsonwebtoken::decode_header(text.expose()).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::ES256, Some("KEY1234567")));
        let pem = key.public_key_pem();
        let verifying = jsonwebtoken::DecodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        let claims: Json = crate::identity::jwt::open(text.expose(), &verifying, Algorithm::ES256).unwrap();
        let expected = json!({
            "iss": "TEAM123456", "sub": "com.example.service", "aud": "https://appleid.apple.com",
            "iat": 1_800_000_000, "exp": 1_800_000_300,
        });
        assert_eq!(claims, expected);
        assert!(ClientSecret::apple("T", "K", &Secret::new("no key")).is_err());
        assert!(!format!("{secret:?}").contains("KEY1234567"));
    }
}
