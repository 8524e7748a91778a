//! Simulated Facebook and Twitter, as far as signing in goes, over TLS on one loopback port. Tokens are known with the app
//! that they were given to; signatures of OAuth 1.0a are computed and compared.
use std::{collections::BTreeMap, net::SocketAddr};

use aws_lc_rs::hmac;
use fanfare::identity::{providers::oauth1::signature, secret::Secret};
use http::{Method, request::Parts};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    apns::StartError,
    authority::Authority,
    faults::{Fault, Faults},
    script::Script,
    served::{Api, BOTH, Judged, Options, Pushed, Said, Served, respond, set, text},
};

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
    served: Served<Social>,
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
    faults: Faults,
    state: Mutex<State>,
}

impl SocialSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: SocialConfig, authority: &Authority) -> Result<Self, StartError> {
        let options =
            Options { listen: config.listen, protocols: BOTH, keep_requests: false, script: Script::default() };
        let api = |address: SocketAddr| Social {
            base: format!("https://localhost:{}", address.port()),
            config,
            faults: Faults::default(),
            state: Mutex::default(),
        };
        Ok(Self { served: Served::start(options, authority, api).await? })
    }

    fn api(&self) -> &Social {
        self.served.api()
    }

    /// For `issuer` of the sections `facebook` and `twitter`.
    pub fn issuer(&self) -> String {
        self.api().base.clone()
    }

    /// A token that Facebook knows from now on.
    pub fn give(&self, text: &str, token: FacebookToken) {
        self.api().state.lock().tokens.insert(text.to_owned(), token);
    }

    /// A good token of this app for a user.
    pub fn good_token(&self, user_id: &str) -> FacebookToken {
        let (app_id, user_id) = (self.api().config.client_id.clone(), user_id.to_owned());
        FacebookToken { app_id, user_id, is_valid: true, expires_at: 0, kind: "USER" }
    }

    /// An access token that Twitter knows from now on, with its secret, given to the app of that consumer key.
    pub fn give_access(&self, token: &str, secret: &str, consumer_key: &str) {
        self.api().state.lock().accesses.insert(token.to_owned(), (consumer_key.to_owned(), secret.to_owned()));
    }

    /// The next person says no.
    pub fn refuse(&self) {
        self.api().state.lock().refuses = true;
    }

    pub fn set_fault(&self, path: &str, fault: Option<Fault>) {
        self.api().faults.set(path, fault);
    }

    pub fn asked(&self, path: &str) -> u64 {
        self.api().faults.asked(path)
    }
}

type Form = BTreeMap<String, String>;

fn form(bytes: &[u8]) -> Form {
    form_urlencoded::parse(bytes).into_owned().collect()
}

fn get<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn redirect(to: &str, pairs: &[(&str, &str)]) -> Said {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut said = respond(302, "");
    set(&mut said, "location", &format!("{to}?{query}"));
    said
}

fn word(prefix: &str) -> String {
    format!("{prefix}-{:032x}", fastrand::u128(..))
}

/// Facebook.
impl Social {
    fn dialog(&self, query: &Form) -> Said {
        if get(query, "client_id") != self.config.client_id || get(query, "response_type") != "code" {
            return respond(400, "unknown app");
        }
        let (to, state) = (get(query, "redirect_uri"), get(query, "state"));
        let mut known = self.state.lock();
        if std::mem::take(&mut known.refuses) {
            return redirect(to, &[("error", "access_denied"), ("error_reason", "user_denied"), ("state", state)]);
        }
        let code = word("code");
        known.codes.insert(code.clone(), to.to_owned());
        redirect(to, &[("code", &code), ("state", state)])
    }

    fn graph_error() -> Said {
        let error = json!({"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}});
        respond(400, error.to_string())
    }

    fn code(&self, form: &Form) -> Said {
        let is_app =
            get(form, "client_id") == self.config.client_id && get(form, "client_secret") == self.config.client_secret;
        let mut known = self.state.lock();
        let to = known.codes.remove(get(form, "code"));
        if !is_app || to.as_deref() != Some(get(form, "redirect_uri")) {
            return Self::graph_error();
        }
        let token = word("EAAB");
        let (app_id, user_id) = (self.config.client_id.clone(), "10158000000000001".to_owned());
        let granted = FacebookToken { app_id, user_id, is_valid: true, expires_at: 0, kind: "USER" };
        known.tokens.insert(token.clone(), granted);
        respond(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944}).to_string())
    }

    fn debug(&self, query: &Form) -> Said {
        if get(query, "access_token") != format!("{}|{}", self.config.client_id, self.config.client_secret) {
            return Self::graph_error();
        }
        let known = self.state.lock();
        let data = match known.tokens.get(get(query, "input_token")) {
            Some(token) => json!({
                "app_id": token.app_id, "type": token.kind, "user_id": token.user_id, "is_valid": token.is_valid,
                "expires_at": token.expires_at, "scopes": ["email", "public_profile"],
            }),
            None => json!({"is_valid": false, "error": {"code": 190, "message": "Invalid OAuth access token."}}),
        };
        respond(200, json!({ "data": data }).to_string())
    }

    fn me(&self, query: &Form) -> Said {
        let text = get(query, "access_token");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.config.client_secret.as_bytes());
        let proof = hex::encode(hmac::sign(&key, text.as_bytes()));
        let known = self.state.lock();
        match known.tokens.get(text) {
            Some(token) if token.is_valid && get(query, "appsecret_proof") == proof => {
                let me = json!({"id": token.user_id, "name": "Bea Facebook", "email": "bea@example.com"});
                respond(200, me.to_string())
            }
            _ => Self::graph_error(),
        }
    }
}

/// Twitter.
impl Social {
    /// The parameters of the protocol, when the signature is right: with the secret of the token that they name.
    fn signed(&self, head: &Parts, query: &Form, secret_of: impl Fn(&str) -> Option<String>) -> Option<Form> {
        let fields = text(head, "authorization")?.strip_prefix("OAuth ")?;
        let mut protocol = Form::new();
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let pair = format!("{name}={}", value.trim_matches('"'));
            protocol.extend(form(pair.replace('+', "%2B").as_bytes()));
        }
        let said = protocol.remove("oauth_signature")?;
        let secret = match protocol.get("oauth_token") {
            Some(token) => Some(secret_of(token)?),
            None => None,
        };
        let all: Vec<(&str, &str)> =
            protocol.iter().chain(query).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let url = format!("{}{}", self.base, head.uri.path());
        let own = Secret::new(self.config.client_secret.clone());
        let expected = signature(head.method.as_str(), &url, &all, &own, secret.as_deref());
        let is_app = get(&protocol, "oauth_consumer_key") == self.config.client_id;
        (is_app && said == expected).then_some(protocol)
    }

    fn unauthorised() -> Said {
        respond(401, json!({"errors": [{"code": 32, "message": "Could not authenticate you."}]}).to_string())
    }

    fn request_token(&self, head: &Parts) -> Said {
        let Some(protocol) = self.signed(head, &Form::new(), |_| None) else { return Self::unauthorised() };
        let (token, secret) = (word("request"), word("secret"));
        let callback = get(&protocol, "oauth_callback").to_owned();
        let body = format!("oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true");
        self.state.lock().requests.insert(token, (secret, callback, None));
        respond(200, body)
    }

    fn authenticate(&self, query: &Form) -> Said {
        let mut known = self.state.lock();
        let refuses = std::mem::take(&mut known.refuses);
        let token = get(query, "oauth_token").to_owned();
        let Some((_, callback, verifier)) = known.requests.get_mut(&token) else {
            return respond(400, "unknown token");
        };
        if refuses {
            return redirect(callback, &[("denied", &token)]);
        }
        let said = word("verifier");
        *verifier = Some(said.clone());
        redirect(callback, &[("oauth_token", &token), ("oauth_verifier", &said)])
    }

    fn access_token(&self, head: &Parts) -> Said {
        let secret_of = |token: &str| self.state.lock().requests.get(token).map(|(secret, ..)| secret.clone());
        let Some(protocol) = self.signed(head, &Form::new(), secret_of) else { return Self::unauthorised() };
        let mut known = self.state.lock();
        let request = known.requests.remove(get(&protocol, "oauth_token"));
        let verifier = request.and_then(|(.., verifier)| verifier);
        if verifier.as_deref() != Some(get(&protocol, "oauth_verifier")) {
            return Self::unauthorised();
        }
        let (token, secret) = (word("access"), word("secret"));
        known.accesses.insert(token.clone(), (self.config.client_id.clone(), secret.clone()));
        respond(200, format!("oauth_token={token}&oauth_token_secret={secret}&user_id=14927800&screen_name=cleo"))
    }

    fn verify(&self, head: &Parts, query: &Form) -> Said {
        let secret_of = |token: &str| {
            let known = self.state.lock();
            let (consumer, secret) = known.accesses.get(token)?;
            (*consumer == self.config.client_id).then(|| secret.clone())
        };
        match self.signed(head, query, secret_of) {
            Some(_) => respond(200, json!({"id_str": "14927800", "name": "Cleo", "screen_name": "cleo"}).to_string()),
            None => Self::unauthorised(),
        }
    }
}

impl Api for Social {
    fn hangs(&self, head: &Parts) -> bool {
        self.faults.is_silent(head.uri.path())
    }

    fn aside(&self, head: &Parts, body: &[u8], _: i64) -> Option<Said> {
        let path = head.uri.path();
        if let Some(said) = self.faults.answer(path) {
            return Some(said);
        }
        let query = form(head.uri.query().unwrap_or_default().as_bytes());
        Some(match (&head.method, path) {
            (&Method::GET, "/dialog/oauth") => self.dialog(&query),
            (&Method::POST, "/oauth/access_token") if head.headers.contains_key("authorization") => {
                self.access_token(head)
            }
            (&Method::POST, "/oauth/access_token") => self.code(&form(body)),
            (&Method::GET, "/debug_token") => self.debug(&query),
            (&Method::GET, "/me") => self.me(&query),
            (&Method::POST, "/oauth/request_token") => self.request_token(head),
            (&Method::GET, "/oauth/authenticate") => self.authenticate(&query),
            (&Method::GET, "/1.1/account/verify_credentials.json") => self.verify(head, &query),
            _ => respond(404, Value::Null.to_string()),
        })
    }

    fn judge(&self, _: &Parts, _: &[u8], _: i64) -> Judged {
        Judged { pushed: Pushed::default(), refusal: Some(Answer::refused(404, "no push service")) }
    }

    fn said(&self, answer: &Answer, _: &Pushed) -> Said {
        respond(answer.status, "")
    }
}
