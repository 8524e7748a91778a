//! A simulated OpenID Connect provider: discovery, keys, authorization, tokens (OpenID Connect Core 1.0), over TLS on a
//! loopback port. It verifies as a careful one does: client and its secret, redirect address, PKCE, codes good once. What
//! it should not do is set by tests: tokens with other claims, other keys, other algorithms or none, silence, huge answers.
use std::{collections::BTreeMap, net::SocketAddr};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{apns::StartError, authority::Authority, faults::Fault, provider::Provider, served::Served};

mod pages;
mod signing;

use signing::KeyRing;
pub use signing::Signing;

/// Life of ID tokens, in seconds, and of access tokens unless it is set.
const LIFE: i64 = 3_600;

/// How the provider is set up.
#[derive(Clone, Debug)]
pub struct OpenIdConfig {
    /// A loopback address; absent, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Path of the issuer: empty, or `/tenant/v2.0`.
    pub path: String,
    /// What the documents call the issuer's path, where that differs (`/{tenantid}/v2.0`).
    pub said_path: Option<String>,
    pub client_id: String,
    /// A public client has none.
    pub client_secret: Option<String>,
    /// Takes the secret in the form; else in the `Authorization` header.
    pub secret_in_form: bool,
}

impl Default for OpenIdConfig {
    fn default() -> Self {
        Self {
            listen: None,
            path: String::new(),
            said_path: None,
            client_id: "the-app".to_owned(),
            client_secret: Some("a secret+/".to_owned()),
            secret_in_form: true,
        }
    }
}

/// What tokens say instead of what they should. A null takes a claim away.
#[derive(Clone, Debug, Default)]
pub struct Twist {
    pub claims: Map<String, Value>,
    pub signing: Signing,
}

/// A running provider. Dropping it ends every connection at once and frees the port.
#[derive(Debug)]
pub struct OpenIdSim {
    served: Served<Provider<OpenId>>,
}

#[derive(Clone)]
struct Granted {
    redirect_uri: String,
    nonce: Option<String>,
    challenge: Option<String>,
}

struct State {
    keys: KeyRing,
    person: Map<String, Value>,
    twist: Twist,
    codes: BTreeMap<String, Granted>,
    refresh: Vec<String>,
    /// What browsers were sent here with.
    asked: Vec<BTreeMap<String, String>>,
    /// What the next browser is sent back with instead of a code.
    refuses: Option<String>,
    /// Life of access tokens, in seconds.
    access_seconds: i64,
    /// Codes are taken again and again, which they must not be.
    reusable: bool,
    /// A refresh token is good once.
    rotating: bool,
    /// Fresh tokens come without an ID token.
    bare: bool,
    /// What the token endpoint says instead of tokens.
    token_refusal: Option<(u16, String)>,
}

struct OpenId {
    config: OpenIdConfig,
    base: String,
    state: Mutex<State>,
}

impl std::fmt::Debug for OpenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenId").field("base", &self.base).finish_non_exhaustive()
    }
}

impl OpenIdSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or keys and certificates cannot be made.
    pub async fn start_under(config: OpenIdConfig, authority: &Authority) -> Result<Self, StartError> {
        let person =
            json!({"sub": "248289761001", "name": "Ann Other", "email": "ann@example.com", "email_verified": true});
        let state = State {
            keys: KeyRing::generate()?,
            person: person.as_object().cloned().unwrap_or_default(),
            twist: Twist::default(),
            codes: BTreeMap::new(),
            refresh: Vec::new(),
            asked: Vec::new(),
            refuses: None,
            access_seconds: LIFE,
            reusable: false,
            rotating: false,
            bare: false,
            token_refusal: None,
        };
        let listen = config.listen;
        let pages = |base| OpenId { config, base, state: Mutex::new(state) };
        Ok(Self { served: Provider::start(listen, authority, pages).await? })
    }

    fn pages(&self) -> &OpenId {
        &self.served.api().pages
    }

    /// For `issuer` of a provider's section.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.pages().base, self.pages().config.path)
    }

    /// Who signs in here.
    pub fn set_person(&self, claims: Value) {
        self.pages().state.lock().person = claims.as_object().cloned().unwrap_or_default();
    }

    /// What tokens say from now on.
    pub fn set_twist(&self, twist: Twist) {
        self.pages().state.lock().twist = twist;
    }

    /// Another key signs from now on; the old one is published no longer.
    pub fn rotate(&self) {
        self.pages().state.lock().keys.rotate();
    }

    /// The next browser comes back with this error.
    pub fn refuse(&self, error: &str) {
        self.pages().state.lock().refuses = Some(error.to_owned());
    }

    /// How long access tokens last.
    pub fn set_access_seconds(&self, seconds: i64) {
        self.pages().state.lock().access_seconds = seconds;
    }

    /// Takes codes again and again.
    pub fn set_reusable(&self, reusable: bool) {
        self.pages().state.lock().reusable = reusable;
    }

    /// Takes each refresh token once.
    pub fn set_rotating(&self, rotating: bool) {
        self.pages().state.lock().rotating = rotating;
    }

    /// Gives no ID token with fresh tokens, which it need not.
    pub fn set_bare(&self, bare: bool) {
        self.pages().state.lock().bare = bare;
    }

    /// Whoever asks for tokens is refused with this status and word.
    pub fn set_token_refusal(&self, refusal: Option<(u16, &str)>) {
        self.pages().state.lock().token_refusal = refusal.map(|(status, word)| (status, word.to_owned()));
    }

    /// Forgets that it gave out refresh tokens.
    pub fn withdraw(&self) {
        self.pages().state.lock().refresh.clear();
    }

    /// What happens on a path: `/.well-known/openid-configuration`, `/keys`, `/token`.
    pub fn set_fault(&self, path: &str, fault: Option<Fault>) {
        self.served.api().faults.set(path, fault);
    }

    /// How often such a path was asked.
    pub fn asked(&self, path: &str) -> u64 {
        self.served.api().faults.asked(path)
    }

    /// With what browsers were sent here.
    pub fn browsers(&self) -> Vec<BTreeMap<String, String>> {
        self.pages().state.lock().asked.clone()
    }

    /// An ID token for the app, as an app's own library gets it; `twist` instead of the one that is set. `now` is Unix
    /// seconds.
    pub fn id_token(&self, twist: &Twist) -> String {
        let pages = self.pages();
        pages.state.lock().id_token(&pages.said_issuer(), &pages.config.client_id, None, twist, self.now())
    }

    /// Unix seconds, as the provider knows them.
    pub fn now(&self) -> i64 {
        self.served.shared().clock.unix_seconds()
    }
}
