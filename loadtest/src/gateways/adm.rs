//! A simulated ADM (push-services.md 5.1): HTTP/1.1 over TLS on a loopback port, with its token endpoint.
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{Method, header::RETRY_AFTER, request::Parts};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    receipts::{body_hash, collapse_hash},
    script::Script,
    served::{Api, HTTP1, Judged, Options, Pushed, Said, Served, respond, set, text},
    session::Shared,
};

const TOKEN_PATH: &str = "/auth/O2/token";
/// Longest `data`, in bytes.
const LONGEST: usize = 6_144;

/// How the service is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    pub client_id: String,
    pub client_secret: String,
    /// Seconds that a token lives.
    pub token_seconds: u32,
    /// Keeps headers and body of every request, for [`Receipts::full`](super::Receipts::full).
    pub keep_requests: bool,
    /// The reason of an answer is the service's word.
    pub script: Script,
}

impl Default for AdmConfig {
    fn default() -> Self {
        Self {
            listen: None,
            client_id: "amzn1.application-oa2-client.1".to_owned(),
            client_secret: "a secret & more".to_owned(),
            token_seconds: 3_600,
            keep_requests: false,
            script: Script::default(),
        }
    }
}

/// A running service. Dropping it ends every connection at once and frees the port.
///
/// The token of a receipt is what the hex digits of the registration id say.
#[derive(Debug)]
pub struct AdmSim {
    served: Served<Adm>,
}

#[derive(Debug)]
struct Adm {
    config: AdmConfig,
    /// Good tokens with the second at which they end.
    tokens: RwLock<HashMap<String, i64>>,
    given: AtomicU64,
}

impl AdmSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: AdmConfig, authority: &Authority) -> Result<Self, StartError> {
        let options = Options {
            listen: config.listen,
            protocols: HTTP1,
            keep_requests: config.keep_requests,
            script: config.script.clone(),
        };
        let api = |_| Adm { config, tokens: RwLock::default(), given: AtomicU64::new(0) };
        Ok(Self { served: Served::start(options, authority, api).await? })
    }

    /// For `endpoint` of a hub.
    pub fn endpoint(&self) -> String {
        self.served.endpoint()
    }

    /// For `token_endpoint` of a hub.
    pub fn token_endpoint(&self) -> String {
        format!("{}{TOKEN_PATH}", self.endpoint())
    }

    /// Every token given so far is refused from now on.
    pub fn forget_tokens(&self) {
        self.served.api().tokens.write().clear();
    }

    /// How many tokens were given.
    pub fn tokens_given(&self) -> u64 {
        self.served.api().given.load(Ordering::Relaxed)
    }
}

impl Adm {
    fn grant(&self, form: &[u8], now: i64) -> Said {
        let form: HashMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let is = |name: &str, wanted: &str| form.get(name).is_some_and(|value| value == wanted);
        let error = if !is("grant_type", "client_credentials") {
            Some((400, "unsupported_grant_type"))
        } else if !is("scope", "messaging:push") {
            Some((400, "invalid_scope"))
        } else if !is("client_id", &self.config.client_id) || !is("client_secret", &self.config.client_secret) {
            Some((401, "invalid_client"))
        } else {
            None
        };
        if let Some((status, word)) = error {
            return respond(status, json!({ "error": word }).to_string());
        }
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!("adm-{number}-{:016x}", fastrand::u64(..));
        self.tokens.write().insert(token.clone(), now + i64::from(self.config.token_seconds));
        let seconds = self.config.token_seconds;
        respond(200, json!({ "access_token": token, "token_type": "bearer", "expires_in": seconds }).to_string())
    }

    fn refusal(&self, head: &Parts, body: &[u8], now: i64) -> Option<Answer> {
        let bad = |word| Some(Answer::refused(400, word));
        let bearer = text(head, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        if head.method != Method::POST {
            return Some(Answer::refused(405, "method"));
        }
        if bearer.is_none_or(|token| self.tokens.read().get(token).is_none_or(|ends| *ends <= now)) {
            return Some(Answer::refused(401, "AccessTokenExpired"));
        }
        if device(head).is_none() {
            return bad("InvalidRegistrationId");
        }
        let types = ["x-amzn-type-version", "x-amzn-accept-type"].map(|name| text(head, name));
        let wanted = ["ADMMessage", "ADMSendResult"].map(|name| format!("com.amazon.device.messaging.{name}@1.0"));
        if types != [Some(wanted[0].as_str()), Some(wanted[1].as_str())] {
            return bad("InvalidType");
        }
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(data) = message["data"].as_object().filter(|data| data.values().all(Value::is_string)) else {
            return bad("InvalidData");
        };
        if serde_json::to_vec(data).map_or(true, |data| data.len() > LONGEST) {
            return Some(Answer::refused(413, "MessageTooLarge"));
        }
        let is_key = |key: &Value| key.as_str().is_some_and(|key| (1..=64).contains(&key.len()));
        if message.get("consolidationKey").is_some_and(|key| !is_key(key)) {
            return bad("InvalidConsolidationKey");
        }
        let is_life = |life: &Value| life.as_u64().is_some_and(|life| (60..=2_678_400).contains(&life));
        if message.get("expiresAfter").is_some_and(|life| !is_life(life)) {
            return bad("InvalidExpiration");
        }
        None
    }
}

/// The device that the path names.
fn device(head: &Parts) -> Option<Token> {
    let digits = head.uri.path().strip_prefix("/messaging/registrations/")?.strip_suffix("/messages")?;
    Token::from_hex(digits.as_bytes()).filter(|token| !token.as_bytes().is_empty())
}

impl Api for Adm {
    fn aside(&self, head: &Parts, body: &[u8], now: i64) -> Option<Said> {
        (head.uri.path() == TOKEN_PATH).then(|| self.grant(body, now))
    }

    fn judge(&self, head: &Parts, body: &[u8], now: i64) -> Judged {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let pushed = Pushed {
            token: device(head),
            body: body_hash(body),
            collapse: message["consolidationKey"].as_str().map_or(0, |key| collapse_hash(key.as_bytes())),
            ..Pushed::default()
        };
        Judged { pushed, refusal: self.refusal(head, body, now) }
    }

    fn said(&self, answer: &Answer, pushed: &Pushed) -> Said {
        let body = match (answer.status, &answer.body, &answer.reason) {
            (_, Some(body), _) => body.clone(),
            (200, None, None) => {
                let token = pushed.token.as_ref().map(ToString::to_string);
                json!({ "registrationID": token }).to_string()
            }
            (_, None, reason) => json!({ "reason": reason }).to_string(),
        };
        let mut response = respond(answer.status, body);
        if let Some(text) = &answer.retry_after {
            set(&mut response, RETRY_AFTER.as_str(), text);
        }
        response
    }
}

impl Simulated for AdmSim {
    fn shared(&self) -> &Shared {
        self.served.shared()
    }
}
