//! Provider keys: the `.p8` file that a sender signs its JWTs with, and the public half that the service knows.
use std::{fmt, io, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use super::Environment;

/// The key could not be made or used: the crypto library gives no reasons.
#[derive(Debug, thiserror::Error)]
#[error("the crypto library refused a key")]
pub struct KeyError;

impl From<aws_lc_rs::error::Unspecified> for KeyError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

/// An ES256 key with the ids that Apple's portal would show beside it.
pub struct ProviderKey {
    /// Ten characters.
    pub key_id: String,
    /// Ten characters.
    pub team_id: String,
    /// `None`: good for both environments, as old keys are.
    pub environment: Option<Environment>,
    /// Topics that the key may push to; empty = all of its team.
    pub topics: Vec<String>,
    pair: EcdsaKeyPair,
    pem: String,
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKey")
            .field("key_id", &self.key_id)
            .field("team_id", &self.team_id)
            .finish_non_exhaustive()
    }
}

impl ProviderKey {
    /// A fresh key of that team, with a key id of its own.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn generate(team_id: &str) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let der = pair.to_pkcs8v1()?;
        let body = STANDARD.encode(der.as_ref());
        let lines = body.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines = lines.fold(String::new(), |text, line| text + &line + "\n");
        Ok(Self {
            key_id: (0..10).map(|_| fastrand::alphanumeric().to_ascii_uppercase()).collect(),
            team_id: team_id.to_owned(),
            environment: None,
            topics: Vec::new(),
            pem: format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"),
            pair,
        })
    }

    /// The key of a `.p8` file that [`Self::write_p8`] wrote.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn read(team_id: &str, key_id: &str, pem: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
        Ok(Self {
            key_id: key_id.to_owned(),
            team_id: team_id.to_owned(),
            environment: None,
            topics: Vec::new(),
            pair: pair.map_err(|_| KeyError)?,
            pem: pem.to_owned(),
        })
    }

    /// PKCS#8 PEM, the contents of a `.p8` file.
    pub fn p8(&self) -> &str {
        &self.pem
    }

    /// Writes the `.p8` file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_p8(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, &self.pem)
    }

    /// The uncompressed point, 65 bytes.
    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// A provider token (push-services.md 1.2) issued at `issued_at`, Unix seconds: for clients in tests.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn sign(&self, issued_at: i64) -> Result<String, KeyError> {
        let header = serde_json::json!({ "alg": "ES256", "kid": self.key_id });
        let claims = serde_json::json!({ "iss": self.team_id, "iat": issued_at });
        let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
