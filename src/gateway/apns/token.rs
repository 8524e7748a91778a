//! Provider tokens (`push-services.md` 1.2): a JWT, ES256, that says which team sends.
//!
//! One [`Mint`] per (team, key) in a process, found through [`Mints`], so that all connections of all hubs with that key
//! send the same bytes. Three clocks rule it:
//!
//! - a token older than 60 minutes is refused by the service: a new one is made at 50;
//! - a new one more often than every 20 minutes is refused too: none is made earlier;
//! - a connection may change its token at most every 20 minutes. So a connection never *begins* with a token older than
//!   35 minutes: 20 minutes later, when it may change, the token is still good.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parking_lot::Mutex;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use crate::clock::{BootInstant, SharedClock};
use crate::gateway::transport::Authorization;
use crate::model::field::FieldError;

/// The service refuses older tokens.
pub const TOKEN_LIFE: Duration = Duration::from_mins(60);
/// Age at which a new token is made.
pub const REFRESH_AGE: Duration = Duration::from_mins(50);
/// The service refuses tokens that change more often.
pub const CHANGE_INTERVAL: Duration = Duration::from_mins(20);
/// The oldest token that a connection begins with.
pub const OLDEST_AT_OPENING: Duration = Duration::from_mins(35);
/// What is left of a token's life when it is no longer sent: time for a request to arrive.
const MARGIN: Duration = Duration::from_mins(2);
/// `iat` lies this far back, because a token from the future is refused and clocks differ.
const BACKDATED_SECONDS: i64 = 5;

/// A `.p8` key with the two names that Apple gave it.
#[derive(Clone)]
pub struct ProviderKey {
    team_id: Box<str>,
    key_id: Box<str>,
    pair: Arc<EcdsaKeyPair>,
}

impl ProviderKey {
    /// Checks the names and reads the key (PKCS#8 PEM, P-256). The error's field is `team_id`, `key_id` or `key`.
    pub fn new(team_id: &str, key_id: &str, key_pem: &str) -> Result<Self, FieldError> {
        let name = |field: &'static str, text: &str| {
            if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                Ok(text.into())
            } else {
                Err(FieldError::new(field, "must be 1 to 64 letters and digits"))
            }
        };
        let rule = || FieldError::new("key", "must be a P-256 private key as PKCS#8 PEM (a .p8 file)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| rule())?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).map_err(|_| rule())?;
        Ok(Self { team_id: name("team_id", team_id)?, key_id: name("key_id", key_id)?, pair: Arc::new(pair) })
    }

    /// The signed token (RFC 7515 compact form) issued at `iat` seconds since 1970; `None` when the signature failed.
    fn sign(&self, iat: i64) -> Option<String> {
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.key_id);
        let claims = format!(r#"{{"iss":"{}","iat":{iat}}}"#, self.team_id);
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderKey({}/{} ***)", self.team_id, self.key_id)
    }
}

/// The mints of a process, by key. A mint stays for good: one made anew for a reloaded hub would forget when it last
/// minted.
#[derive(Debug)]
pub struct Mints {
    clock: SharedClock,
    mints: Mutex<HashMap<MintKey, Arc<Mint>>>,
}

/// The public key stands beside the names, so that a hub with a wrong key under the right names spoils only its own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MintKey {
    team_id: Box<str>,
    key_id: Box<str>,
    public: Box<[u8]>,
}

impl Mints {
    /// None yet.
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { clock, mints: Mutex::default() })
    }

    /// The mint of this key.
    pub fn of(&self, key: &ProviderKey) -> Arc<Mint> {
        let named = MintKey {
            team_id: key.team_id.clone(),
            key_id: key.key_id.clone(),
            public: key.pair.public_key().as_ref().into(),
        };
        let mut mints = self.mints.lock();
        Arc::clone(mints.entry(named).or_insert_with(|| {
            Arc::new(Mint { clock: Arc::clone(&self.clock), key: key.clone(), state: Mutex::default() })
        }))
    }
}

/// Makes the tokens of one key.
#[derive(Debug)]
pub struct Mint {
    clock: SharedClock,
    key: ProviderKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last two tokens, the newest last.
    current: Option<Token>,
    previous: Option<Token>,
    /// The newest token that the service called expired and that was replaced; 0: none.
    expired: u64,
    /// The service found that tokens change too often: until then none is made, and the older one is sent while it is
    /// good.
    frozen_until: Option<BootInstant>,
}

#[derive(Clone, Debug)]
struct Token {
    authorization: Authorization,
    minted: BootInstant,
}

impl Token {
    fn age(&self, now: BootInstant) -> Duration {
        now.after(self.minted)
    }

    fn is_good(&self, now: BootInstant) -> bool {
        self.age(now) < TOKEN_LIFE.saturating_sub(MARGIN)
    }
}

/// What follows from `403 ExpiredProviderToken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Send it again with this.
    Renewed(Authorization),
    /// The token was young, or a newer one may not be made yet: our clock or theirs is wrong.
    ClockFault,
}

impl Mint {
    /// The token for a connection that begins. `None`: it could not be signed.
    pub fn for_opening(&self) -> Option<Authorization> {
        self.at_most(OLDEST_AT_OPENING)
    }

    /// The token that should be sent now. `None`: it could not be signed.
    pub fn current(&self) -> Option<Authorization> {
        self.at_most(REFRESH_AGE)
    }

    fn at_most(&self, age: Duration) -> Option<Authorization> {
        let now = self.clock.boot();
        let mut state = self.state.lock();
        if state.current.as_ref().is_none_or(|token| token.age(now) >= age) && state.may_mint(now) {
            self.mint(&mut state, now);
        }
        state.preferred(now)
    }

    /// Whether a token must no longer be sent, whatever a connection's interval says: it is too old, or the service called
    /// it expired.
    pub fn is_dead(&self, number: u64) -> bool {
        let now = self.clock.boot();
        let state = self.state.lock();
        number <= state.expired || state.find(number).is_none_or(|token| !token.is_good(now))
    }

    /// The service called the token with this number expired.
    pub fn expired(&self, number: u64) -> Renewal {
        let now = self.clock.boot();
        let mut state = self.state.lock();
        let young = state.find(number).is_some_and(|token| token.age(now) <= CHANGE_INTERVAL);
        let newest = state.current.as_ref().is_some_and(|token| token.authorization.number == number);
        if young || (newest && !state.may_mint(now)) {
            return Renewal::ClockFault;
        }
        if newest {
            self.mint(&mut state, now);
        }
        match &state.current {
            Some(token) if token.authorization.number != number => {
                let renewed = Renewal::Renewed(token.authorization.clone());
                state.expired = state.expired.max(number);
                renewed
            }
            _ => Renewal::ClockFault,
        }
    }

    /// The service found that tokens change too often. The one to go on with: the previous one while it is good.
    pub fn too_many_updates(&self) -> Option<Authorization> {
        let now = self.clock.boot();
        let mut state = self.state.lock();
        state.frozen_until = Some(now.plus(CHANGE_INTERVAL));
        state.preferred(now)
    }

    fn mint(&self, state: &mut State, now: BootInstant) {
        let iat = self.clock.now().millis().div_euclid(1_000) - BACKDATED_SECONDS;
        let Some(token) = self.key.sign(iat) else {
            tracing::error!(key_id = %self.key.key_id, "a provider token could not be signed");
            return;
        };
        let number = state.current.as_ref().map_or(0, |token| token.authorization.number) + 1;
        let authorization = Authorization { value: Bytes::from(format!("bearer {token}")), number };
        state.previous = state.current.replace(Token { authorization, minted: now });
    }
}

impl State {
    fn is_frozen(&self, now: BootInstant) -> bool {
        self.frozen_until.is_some_and(|until| until > now)
    }

    fn may_mint(&self, now: BootInstant) -> bool {
        let rested = self.current.as_ref().is_none_or(|token| token.age(now) >= CHANGE_INTERVAL);
        rested && (!self.is_frozen(now) || self.current.is_none())
    }

    fn preferred(&self, now: BootInstant) -> Option<Authorization> {
        let previous = self.previous.as_ref().filter(|token| self.is_frozen(now) && token.is_good(now));
        previous.or(self.current.as_ref()).map(|token| token.authorization.clone())
    }

    fn find(&self, number: u64) -> Option<&Token> {
        [&self.current, &self.previous].into_iter().flatten().find(|token| token.authorization.number == number)
    }
}

#[cfg(test)]
mod tests;
