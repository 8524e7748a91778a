//! Verification of provider tokens, with what APNs remembers for each connection (push-services.md 1.2).
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::RwLock;
use serde::Deserialize;

use super::{
    Environment, ProviderKey,
    reason::{self, Reason},
};

/// `iat` may be that many seconds away from now.
const LIFETIME: i64 = 3600;
/// A connection may change to a new token once in so many seconds.
const UPDATE_INTERVAL: i64 = 20 * 60;
/// Tokens that a connection remembers: a client that goes back to an earlier one has not updated.
const REMEMBERED: usize = 8;

/// The public half of a key, as the service knows it.
#[derive(Debug)]
pub(super) struct KnownKey {
    pub(super) key_id: String,
    team_id: String,
    environment: Option<Environment>,
    pub(super) topics: Vec<String>,
    public: Vec<u8>,
    pub(super) revoked: AtomicBool,
}

impl From<&ProviderKey> for KnownKey {
    fn from(key: &ProviderKey) -> Self {
        Self {
            key_id: key.key_id.clone(),
            team_id: key.team_id.clone(),
            environment: key.environment,
            topics: key.topics.clone(),
            public: key.public().to_vec(),
            revoked: AtomicBool::new(false),
        }
    }
}

pub(super) type KnownKeys = RwLock<Vec<Arc<KnownKey>>>;

/// A token whose signature was found good.
#[derive(Clone)]
struct Verified {
    /// The `authorization` value, scheme included.
    text: Box<[u8]>,
    key: Arc<KnownKey>,
    issued_at: i64,
}

/// One connection's view of provider tokens.
pub(super) struct ProviderTokens {
    keys: Arc<KnownKeys>,
    environment: Environment,
    /// Newest first. The signature of equal bytes is checked once.
    seen: Vec<Verified>,
    /// When the connection last changed to a token that it had not used before, Unix seconds.
    updated_at: Option<i64>,
}

impl ProviderTokens {
    pub(super) fn new(keys: Arc<KnownKeys>, environment: Environment) -> Self {
        Self { keys, environment, seen: Vec::new(), updated_at: None }
    }

    /// Checks an `authorization` value at `now`, Unix seconds. The key tells the topics.
    pub(super) fn check(&mut self, authorization: Option<&[u8]>, now: i64) -> Result<&KnownKey, Reason> {
        let text = authorization.ok_or(reason::MISSING_PROVIDER_TOKEN)?;
        let at = match self.seen.iter().position(|seen| *seen.text == *text) {
            Some(at) => at,
            None => {
                let verified = self.verify(text)?;
                in_time(&verified, now)?;
                self.admit(verified, now)?;
                0
            }
        };
        let verified = &self.seen[at];
        in_time(verified, now)?;
        if verified.key.revoked.load(Ordering::Relaxed) {
            return Err(reason::INVALID_PROVIDER_TOKEN);
        }
        Ok(&verified.key)
    }

    fn verify(&self, text: &[u8]) -> Result<Verified, Reason> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            kid: String,
        }
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
            iat: i64,
        }
        let invalid = reason::INVALID_PROVIDER_TOKEN;
        let (scheme, jwt) = text.split_at_checked(7).ok_or(invalid)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(invalid);
        }
        let mut parts = jwt.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid);
        };
        let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid);
        let message = &jwt[..jwt.len() - signature.len() - 1];
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| invalid)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| invalid)?;
        let key = self.keys.read().iter().find(|key| key.key_id == header.kid).cloned().ok_or(invalid)?;
        let good = header.alg == "ES256"
            && claims.iss == key.team_id
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public)
                .verify(message, &decode(signature)?)
                .is_ok();
        if !good {
            return Err(invalid);
        }
        if key.environment.is_some_and(|environment| environment != self.environment) {
            return Err(reason::BAD_ENVIRONMENT_KEY);
        }
        Ok(Verified { text: text.into(), key, issued_at: claims.iat })
    }

    /// Takes up a token that is new to the connection.
    fn admit(&mut self, verified: Verified, now: i64) -> Result<(), Reason> {
        if let Some(first) = self.seen.last() {
            // The first push bound the connection to its team.
            if first.key.team_id != verified.key.team_id {
                return Err(reason::INVALID_PROVIDER_TOKEN);
            }
            let other_key = first.key.key_id != verified.key.key_id;
            if other_key && !(first.key.topics.is_empty() && verified.key.topics.is_empty()) {
                return Err(reason::UNRELATED_KEY);
            }
            // The token that a connection began with is no update.
            if self.updated_at.is_some_and(|updated_at| now - updated_at < UPDATE_INTERVAL) {
                return Err(reason::TOO_MANY_TOKEN_UPDATES);
            }
            self.updated_at = Some(now);
        }
        self.seen.insert(0, verified);
        if self.seen.len() > REMEMBERED {
            // The last one stays: it is what the connection is bound to.
            self.seen.remove(REMEMBERED - 1);
        }
        Ok(())
    }
}

/// Apple documents "within one hour of now"; which reason a clock running ahead gets is unconfirmed.
fn in_time(verified: &Verified, now: i64) -> Result<(), Reason> {
    if now - verified.issued_at > LIFETIME {
        return Err(reason::EXPIRED_PROVIDER_TOKEN);
    }
    if verified.issued_at - now > LIFETIME {
        return Err(reason::INVALID_PROVIDER_TOKEN);
    }
    Ok(())
}
