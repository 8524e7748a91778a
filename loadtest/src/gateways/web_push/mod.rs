//! A simulated push service of browsers (push-services.md section 4): HTTP/2 or HTTP/1.1 over TLS on a loopback port. It
//! verifies who sends, and reads each message with the browser's own key.
//!
//! - [`browser`]: subscriptions, and the keys that messages are read with.
//! - `verification`: what is checked in a request.
pub mod browser;
mod verification;

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{header::RETRY_AFTER, request::Parts};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::browser::Browser;
use self::verification::Seen;
use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    counters::Counts,
    receipts::{body_hash, collapse_hash},
    script::Script,
    served::{Api, BOTH, HTTP1, Judged, Options, Pushed, Said, Served, respond, set, text},
    session::Shared,
};

/// How the service is set up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebPushConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Offers HTTP/1.1 alone, as some services do.
    pub http1: bool,
    /// Keeps headers and body of every request, for [`Receipts::full`](super::Receipts::full), the body in the clear. For
    /// tests: millions fill the memory.
    pub keep_requests: bool,
    /// Of kept requests the body as it came, for readers of other hands.
    pub keep_sealed: bool,
    /// The reason of an answer is Mozilla's `errno` when it is a number, else Apple's word; with 301, 302 and 307 it is
    /// where the endpoint moved.
    pub script: Script,
}

/// A running service. Dropping it ends every connection at once and frees the port.
///
/// The token of a receipt is that of the endpoint, its body is hashed in the clear, its collapse id is the topic. What is
/// answered with 200, 201 or 202 is booked as 200.
#[derive(Debug)]
pub struct WebPushSim {
    served: Served<WebPush>,
}

struct WebPush {
    key: KeyPair,
    /// Its public half in base64url.
    public: String,
    port: u16,
    seen: Seen,
    keep_sealed: bool,
}

impl std::fmt::Debug for WebPush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebPush").field("public", &self.public).finish_non_exhaustive()
    }
}

impl WebPushSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority, and makes the key that its
    /// subscriptions are bound to.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or keys and certificates cannot be made.
    pub async fn start_under(config: WebPushConfig, authority: &Authority) -> Result<Self, StartError> {
        let key = KeyPair::generate().map_err(super::authority::AuthorityError::from)?;
        Self::start_with(config, authority, key).await
    }

    /// The same with a key of PKCS#8 PEM that another service has too: one sender reaches both.
    ///
    /// # Errors
    /// As above.
    pub async fn start_beside(config: WebPushConfig, authority: &Authority, pem: &str) -> Result<Self, StartError> {
        let key = KeyPair::from_pem(pem).map_err(super::authority::AuthorityError::from)?;
        Self::start_with(config, authority, key).await
    }

    async fn start_with(config: WebPushConfig, authority: &Authority, key: KeyPair) -> Result<Self, StartError> {
        let options = Options {
            listen: config.listen,
            protocols: if config.http1 { HTTP1 } else { BOTH },
            keep_requests: config.keep_requests,
            script: config.script,
        };
        let public = URL_SAFE_NO_PAD.encode(key.public_key_raw());
        let keep_sealed = config.keep_sealed;
        let api =
            |address: SocketAddr| WebPush { key, public, port: address.port(), seen: Seen::default(), keep_sealed };
        Ok(Self { served: Served::start(options, authority, api).await? })
    }

    /// Ends every connection without a word and waits until the port is free.
    pub async fn stop(self) {
        self.served.stop().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.served.address()
    }

    pub fn endpoint(&self) -> String {
        self.served.endpoint()
    }

    /// For `vapid_private_key` of a hub, PKCS#8 PEM.
    pub fn vapid_private_key(&self) -> String {
        self.served.api().key.serialize_pem()
    }

    /// The `pushChannel` of a browser.
    pub fn subscription(&self, token: &Token) -> Value {
        let keys = Browser::of(token.as_bytes());
        let (p256dh, auth) = keys.map(|browser| (browser.p256dh(), browser.auth())).unwrap_or_default();
        json!({ "endpoint": format!("{}/wp/{token}", self.endpoint()), "p256dh": p256dh, "auth": auth })
    }

    /// How many different VAPID tokens were taken.
    pub fn vapid_tokens(&self) -> usize {
        self.served.api().seen.count()
    }

    /// How many of them named that origin.
    pub fn vapid_tokens_of(&self, origin: &str) -> usize {
        self.served.api().seen.of(origin)
    }

    /// Returns once the counts are as wanted; put a timeout around it where a failure must end.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.served.shared().counters.wait_until(reached).await
    }
}

impl Api for WebPush {
    fn judge(&self, head: &Parts, body: &[u8], now: i64) -> Judged {
        let checked = verification::check(head, body, &self.public, self.port, &self.seen, now);
        let (clear, refusal) = match checked {
            Ok(clear) => (Some(clear), None),
            Err(refusal) => (None, Some(*refusal)),
        };
        let pushed = Pushed {
            token: verification::device(&head.uri),
            body: body_hash(clear.as_deref().unwrap_or(body)),
            collapse: text(head, "topic").map_or(0, |topic| collapse_hash(topic.as_bytes())),
            clear: clear.filter(|_| !self.keep_sealed),
            ..Pushed::default()
        };
        Judged { pushed, refusal }
    }

    fn said(&self, answer: &Answer, pushed: &Pushed) -> Said {
        let status = if answer.status == 200 { 201 } else { answer.status };
        let reason = answer.reason.as_deref();
        let moves = matches!(status, 301 | 302 | 307);
        let body = match (&answer.body, reason) {
            (Some(body), _) => body.clone(),
            (None, Some(reason)) if !moves => match reason.parse::<u16>() {
                Ok(errno) => json!({ "code": status, "errno": errno, "error": "", "message": "" }).to_string(),
                Err(_) => json!({ "reason": reason }).to_string(),
            },
            (None, _) => String::new(),
        };
        let mut response = respond(status, body);
        match (status, reason, &pushed.token) {
            (_, Some(location), _) if moves => set(&mut response, "location", location),
            (201, _, Some(token)) => set(&mut response, "location", &format!("/m/{token}")),
            _ => {}
        }
        if let Some(text) = &answer.retry_after {
            set(&mut response, RETRY_AFTER.as_str(), text);
        }
        response
    }

    fn is_accepted(&self, answer: &Answer) -> bool {
        matches!(answer.status, 200..=202)
    }
}

impl Simulated for WebPushSim {
    fn shared(&self) -> &Shared {
        self.served.shared()
    }
}
