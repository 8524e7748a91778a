//! A simulated OpenID Connect provider: discovery, keys, authorization, tokens (OpenID Connect Core 1.0), over TLS on a
//! loopback port. It verifies as a careful one does: client and its secret, redirect address, PKCE, codes good once. What
//! it should not do is set by tests: tokens with other claims, other keys, other algorithms or none, silence, huge answers.
use std::{collections::BTreeMap, net::SocketAddr};

use aws_lc_rs::digest;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{Method, request::Parts};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    apns::StartError,
    authority::Authority,
    faults::{Fault, Faults},
    script::Script,
    served::{Api, BOTH, Judged, Options, Pushed, Said, Served, respond, set, text},
};

mod signing;

use signing::KeyRing;
pub use signing::Signing;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";
const AUTHORIZE: &str = "/authorize";
const TOKEN: &str = "/token";
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
    served: Served<OpenId>,
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
    faults: Faults,
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
        let options =
            Options { listen: config.listen, protocols: BOTH, keep_requests: false, script: Script::default() };
        let api = |address: SocketAddr| OpenId {
            base: format!("https://localhost:{}", address.port()),
            config,
            faults: Faults::default(),
            state: Mutex::new(state),
        };
        Ok(Self { served: Served::start(options, authority, api).await? })
    }

    fn api(&self) -> &OpenId {
        self.served.api()
    }

    /// For `issuer` of a provider's section.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.api().base, self.api().config.path)
    }

    /// Who signs in here.
    pub fn set_person(&self, claims: Value) {
        self.api().state.lock().person = claims.as_object().cloned().unwrap_or_default();
    }

    /// What tokens say from now on.
    pub fn set_twist(&self, twist: Twist) {
        self.api().state.lock().twist = twist;
    }

    /// Another key signs from now on; the old one is published no longer.
    pub fn rotate(&self) {
        self.api().state.lock().keys.rotate();
    }

    /// The next browser comes back with this error.
    pub fn refuse(&self, error: &str) {
        self.api().state.lock().refuses = Some(error.to_owned());
    }

    /// How long access tokens last.
    pub fn set_access_seconds(&self, seconds: i64) {
        self.api().state.lock().access_seconds = seconds;
    }

    /// Takes codes again and again.
    pub fn set_reusable(&self, reusable: bool) {
        self.api().state.lock().reusable = reusable;
    }

    /// Takes each refresh token once.
    pub fn set_rotating(&self, rotating: bool) {
        self.api().state.lock().rotating = rotating;
    }

    /// Gives no ID token with fresh tokens, which it need not.
    pub fn set_bare(&self, bare: bool) {
        self.api().state.lock().bare = bare;
    }

    /// Whoever asks for tokens is refused with this status and word.
    pub fn set_token_refusal(&self, refusal: Option<(u16, &str)>) {
        self.api().state.lock().token_refusal = refusal.map(|(status, word)| (status, word.to_owned()));
    }

    /// Forgets that it gave out refresh tokens.
    pub fn withdraw(&self) {
        self.api().state.lock().refresh.clear();
    }

    /// What happens on a path: `/.well-known/openid-configuration`, `/keys`, `/token`.
    pub fn set_fault(&self, path: &str, fault: Option<Fault>) {
        self.api().faults.set(path, fault);
    }

    /// How often such a path was asked.
    pub fn asked(&self, path: &str) -> u64 {
        self.api().faults.asked(path)
    }

    /// With what browsers were sent here.
    pub fn browsers(&self) -> Vec<BTreeMap<String, String>> {
        self.api().state.lock().asked.clone()
    }

    /// An ID token for the app, as an app's own library gets it; `twist` instead of the one that is set. `now` is Unix
    /// seconds.
    pub fn id_token(&self, twist: &Twist) -> String {
        let api = self.api();
        api.state.lock().id_token(&api.said_issuer(), &api.config.client_id, None, twist, self.now())
    }

    /// Unix seconds, as the provider knows them.
    pub fn now(&self) -> i64 {
        self.served.shared().clock.unix_seconds()
    }
}

impl State {
    fn id_token(&self, issuer: &str, client_id: &str, nonce: Option<&str>, twist: &Twist, now: i64) -> String {
        let mut claims = self.person.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", json!(issuer));
        put("aud", json!(client_id));
        put("iat", json!(now));
        put("exp", json!(now + LIFE));
        if let Some(nonce) = nonce {
            put("nonce", json!(nonce));
        }
        for (name, value) in &twist.claims {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        self.keys.sign(&Value::Object(claims), twist.signing)
    }
}

type Form = BTreeMap<String, String>;

fn form(bytes: &[u8]) -> Form {
    form_urlencoded::parse(bytes).into_owned().collect()
}

impl OpenId {
    fn said_issuer(&self) -> String {
        format!("{}{}", self.base, self.config.said_path.as_ref().unwrap_or(&self.config.path))
    }

    fn document(&self) -> Said {
        let at = |path: &str| format!("{}{path}", self.base);
        let method = if self.config.secret_in_form { "client_secret_post" } else { "client_secret_basic" };
        let document = json!({
            "issuer": self.said_issuer(),
            "authorization_endpoint": at(AUTHORIZE),
            "token_endpoint": at(TOKEN),
            "jwks_uri": at(KEYS),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": [method],
            "code_challenge_methods_supported": ["S256"],
        });
        respond(200, document.to_string())
    }

    /// The person says yes at once.
    fn authorize(&self, query: &Form) -> Said {
        let get = |name: &str| query.get(name).map(String::as_str);
        let (Some(redirect_uri), Some(state)) = (get("redirect_uri"), get("state")) else {
            return respond(400, "redirect_uri and state are required");
        };
        if get("client_id") != Some(&self.config.client_id) || get("response_type") != Some("code") {
            return respond(400, "unknown client or response type");
        }
        let mut known = self.state.lock();
        known.asked.push(query.clone());
        let mut pairs = vec![("state", state.to_owned())];
        match known.refuses.take() {
            Some(error) => pairs.push(("error", error)),
            None => {
                let code = format!("code-{:032x}", fastrand::u128(..));
                let granted = Granted {
                    redirect_uri: redirect_uri.to_owned(),
                    nonce: get("nonce").map(str::to_owned),
                    challenge: get("code_challenge").map(str::to_owned),
                };
                known.codes.insert(code.clone(), granted);
                pairs.push(("code", code));
            }
        }
        let answer = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        if get("response_mode") == Some("form_post") {
            // The form that the browser would post by itself.
            let mut said = respond(200, answer);
            set(&mut said, "x-form-action", redirect_uri);
            return said;
        }
        let mut said = respond(302, "");
        set(&mut said, "location", &format!("{redirect_uri}?{answer}"));
        said
    }

    fn is_client(&self, head: &Parts, form: &Form) -> bool {
        let Some(secret) = &self.config.client_secret else {
            return form.get("client_id") == Some(&self.config.client_id) && !form.contains_key("client_secret");
        };
        if self.config.secret_in_form {
            return form.get("client_id") == Some(&self.config.client_id) && form.get("client_secret") == Some(secret);
        }
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let expected = STANDARD.encode(format!("{}:{}", encode(&self.config.client_id), encode(secret)));
        text(head, "authorization") == Some(&format!("Basic {expected}")) && !form.contains_key("client_secret")
    }

    fn token(&self, head: &Parts, form: &Form, now: i64) -> Said {
        let error = |status, word: &str| respond(status, json!({ "error": word }).to_string());
        if !self.is_client(head, form) {
            return error(401, "invalid_client");
        }
        let mut known = self.state.lock();
        if let Some((status, word)) = &known.token_refusal {
            return error(*status, word);
        }
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        let is_renewal = get("grant_type") == "refresh_token";
        let nonce = match get("grant_type") {
            "authorization_code" => {
                let Some(granted) = known.codes.remove(get("code")) else { return error(400, "invalid_grant") };
                if known.reusable {
                    known.codes.insert(get("code").to_owned(), granted.clone());
                }
                let challenge =
                    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, get("code_verifier").as_bytes()));
                let is_its = granted.challenge.is_none_or(|wanted| wanted == challenge);
                if granted.redirect_uri != get("redirect_uri") || !is_its {
                    return error(400, "invalid_grant");
                }
                granted.nonce
            }
            "refresh_token" if known.refresh.iter().any(|given| given == get("refresh_token")) => None,
            "refresh_token" => return error(400, "invalid_grant"),
            _ => return error(400, "unsupported_grant_type"),
        };
        if is_renewal && known.rotating {
            known.refresh.retain(|given| given != get("refresh_token"));
        }
        let refresh = format!("refresh-{:016x}", fastrand::u64(..));
        known.refresh.push(refresh.clone());
        let twist = known.twist.clone();
        let id_token = known.id_token(&self.said_issuer(), &self.config.client_id, nonce.as_deref(), &twist, now);
        let mut body = json!({
            "access_token": format!("access-{:016x}", fastrand::u64(..)),
            "token_type": "Bearer",
            "expires_in": known.access_seconds,
            "refresh_token": refresh,
            "id_token": id_token,
        });
        if let (true, Some(body)) = (is_renewal && known.bare, body.as_object_mut()) {
            body.remove("id_token");
        }
        respond(200, body.to_string())
    }
}

impl Api for OpenId {
    fn hangs(&self, head: &Parts) -> bool {
        self.faults.is_silent(head.uri.path().trim_start_matches(&self.config.path))
    }

    fn aside(&self, head: &Parts, body: &[u8], now: i64) -> Option<Said> {
        let path = head.uri.path();
        let path = path.strip_prefix(self.config.path.as_str()).unwrap_or(path);
        if let Some(said) = self.faults.answer(path) {
            return Some(said);
        }
        let query = form(head.uri.query().unwrap_or_default().as_bytes());
        Some(match (&head.method, path) {
            (&Method::GET, DISCOVERY) => self.document(),
            (&Method::GET, KEYS) => respond(200, self.state.lock().keys.document().to_string()),
            (&Method::GET, AUTHORIZE) => self.authorize(&query),
            (&Method::POST, TOKEN) => self.token(head, &form(body), now),
            _ => respond(404, "nothing here"),
        })
    }

    fn judge(&self, _: &Parts, _: &[u8], _: i64) -> Judged {
        Judged { pushed: Pushed::default(), refusal: Some(Answer::refused(404, "no push service")) }
    }

    fn said(&self, answer: &Answer, _: &Pushed) -> Said {
        respond(answer.status, "")
    }
}
