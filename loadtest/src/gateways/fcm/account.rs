//! Service accounts: the JSON file that a sender signs its assertions with, and the public half that the service knows.
use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::gateways::apns::KeyError;

/// A service account with an RSA key of 2,048 bits.
pub struct Account {
    pub project_id: String,
    pub client_email: String,
    pub private_key_id: String,
    /// Where its assertions are exchanged, and their audience.
    pub token_uri: String,
    pair: KeyPair,
    pem: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

impl Account {
    /// An account with a fresh key.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn generate(project_id: &str, client_email: &str, token_uri: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let body = STANDARD.encode(der.as_ref());
        let lines = body.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines = lines.fold(String::new(), |text, line| text + &line + "\n");
        Ok(Self {
            project_id: project_id.to_owned(),
            client_email: client_email.to_owned(),
            private_key_id: format!("{:032x}", fastrand::u128(..)),
            token_uri: token_uri.to_owned(),
            pem: format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"),
            pair,
        })
    }

    /// The file as Google's console hands it out.
    pub fn json(&self) -> String {
        json!({
            "type": "service_account",
            "project_id": self.project_id,
            "private_key_id": self.private_key_id,
            "private_key": self.pem,
            "client_email": self.client_email,
            "token_uri": self.token_uri,
        })
        .to_string()
    }

    /// An assertion with these claims: for clients in tests.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let message = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of an assertion that this account's key signed.
    pub(super) fn verified(&self, assertion: &str) -> Option<Value> {
        let (message, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let header = read(header)?;
        let kid = header.get("kid").is_none_or(|kid| *kid == self.private_key_id);
        if header.get("alg")? != "RS256" || !kid {
            return None;
        }
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key());
        key.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        read(claims)
    }
}
