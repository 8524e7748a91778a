//! Simulated Facebook and Twitter, as far as signing in goes, over TLS on one loopback port. Tokens are known with the app
//! that they were given to; signatures of OAuth 1.0a are computed and compared.
use std::{collections::BTreeMap, net::SocketAddr};

use http::Method;
use parking_lot::Mutex;
use serde_json::Value;

use super::{
    apns::StartError,
    authority::Authority,
    faults::Fault,
    provider::{Asked, Pages, Provider},
    served::{Form, Said, Served, form, respond},
};

mod facebook;
mod twitter;

/// How both are set up.
#[derive(Clone, Debug)]
pub struct SocialConfig {
    /// A loopback address; absent, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Facebook's app id, Twitter's consumer key.
    pub client_id: String,
    pub client_secret: String,
}

impl Default for SocialConfig {
    fn default() -> Self {
        Self { listen: None, client_id: "1234567890".to_owned(), client_secret: "a secret&more".to_owned() }
    }
}

/// A token of Facebook.
#[derive(Clone, Debug)]
pub struct FacebookToken {
    /// The app that it was given to.
    pub app_id: String,
    pub user_id: String,
    pub is_valid: bool,
    /// Unix seconds; 0 for never.
    pub expires_at: i64,
    /// `USER`, `APP` or `PAGE`.
    pub kind: &'static str,
}

/// Both services. Dropping it ends every connection at once and frees the port.
#[derive(Debug)]
pub struct SocialSim {
    served: Served<Provider<Social>>,
}

#[derive(Debug, Default)]
struct State {
    /// Facebook's, by their text.
    tokens: BTreeMap<String, FacebookToken>,
    /// Codes and the redirect addresses that they are for.
    codes: BTreeMap<String, String>,
    /// Twitter's request tokens: secret, callback, and the verifier once somebody said yes.
    requests: BTreeMap<String, (String, String, Option<String>)>,
    /// Twitter's access tokens: the consumer key that they were given to, and the secret.
    accesses: BTreeMap<String, (String, String)>,
    /// The next person says no.
    refuses: bool,
}

#[derive(Debug)]
struct Social {
    config: SocialConfig,
    base: String,
    state: Mutex<State>,
}

impl SocialSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: SocialConfig, authority: &Authority) -> Result<Self, StartError> {
        let listen = config.listen;
        let pages = |base| Social { config, base, state: Mutex::default() };
        Ok(Self { served: Provider::start(listen, authority, pages).await? })
    }

    fn pages(&self) -> &Social {
        &self.served.api().pages
    }

    /// For `issuer` of the sections `facebook` and `twitter`.
    pub fn issuer(&self) -> String {
        self.pages().base.clone()
    }

    /// A token that Facebook knows from now on.
    pub fn give(&self, text: &str, token: FacebookToken) {
        self.pages().state.lock().tokens.insert(text.to_owned(), token);
    }

    /// A good token of this app for a user.
    pub fn good_token(&self, user_id: &str) -> FacebookToken {
        let (app_id, user_id) = (self.pages().config.client_id.clone(), user_id.to_owned());
        FacebookToken { app_id, user_id, is_valid: true, expires_at: 0, kind: "USER" }
    }

    /// An access token that Twitter knows from now on, with its secret, given to the app of that consumer key.
    pub fn give_access(&self, token: &str, secret: &str, consumer_key: &str) {
        self.pages().state.lock().accesses.insert(token.to_owned(), (consumer_key.to_owned(), secret.to_owned()));
    }

    /// The next person says no.
    pub fn refuse(&self) {
        self.pages().state.lock().refuses = true;
    }

    pub fn set_fault(&self, path: &str, fault: Option<Fault>) {
        self.served.api().faults.set(path, fault);
    }

    pub fn asked(&self, path: &str) -> u64 {
        self.served.api().faults.asked(path)
    }
}

fn get<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn word(prefix: &str) -> String {
    format!("{prefix}-{:032x}", fastrand::u128(..))
}

impl Pages for Social {
    fn answer(&self, asked: &Asked<'_>) -> Said {
        let Asked { head, path, query, body, .. } = asked;
        match (&head.method, *path) {
            (&Method::GET, "/dialog/oauth") => self.dialog(query),
            (&Method::POST, "/oauth/access_token") if head.headers.contains_key("authorization") => {
                self.access_token(head)
            }
            (&Method::POST, "/oauth/access_token") => self.code(&form(body)),
            (&Method::GET, "/debug_token") => self.debug(query),
            (&Method::GET, "/me") => self.me(query),
            (&Method::POST, "/oauth/request_token") => self.request_token(head),
            (&Method::GET, "/oauth/authenticate") => self.authenticate(query),
            (&Method::GET, "/1.1/account/verify_credentials.json") => self.verify(head, query),
            _ => respond(404, Value::Null.to_string()),
        }
    }
}
