//! Both token endpoints (push-services.md 3.2): who may ask, and which tokens are good until when.
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use parking_lot::RwLock;

use super::WnsConfig;

const LIVE_PATH: &str = "/accesstoken.srf";

#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) config: WnsConfig,
    /// Good tokens with the second at which they end.
    tokens: RwLock<HashMap<String, i64>>,
    given: AtomicU64,
}

impl Accounts {
    pub(super) fn new(config: WnsConfig) -> Self {
        Self { config, tokens: RwLock::default(), given: AtomicU64::new(0) }
    }

    fn entra_path(&self) -> String {
        format!("/{}/oauth2/v2.0/token", self.config.tenant_id)
    }

    pub(super) fn is_token_request(&self, path: &str) -> bool {
        path == LIVE_PATH || path.ends_with("/oauth2/v2.0/token")
    }

    /// Answers a request for a token at `now`, Unix seconds.
    pub(super) fn grant(&self, path: &str, form: &[u8], now: i64) -> Response<Full<Bytes>> {
        let form: HashMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let is = |name: &str, wanted: &str| form.get(name).is_some_and(|value| value == wanted);
        let live = path == LIVE_PATH;
        let (id, scope) = match live {
            true => (&self.config.package_sid, "notify.windows.com"),
            false => (&self.config.client_id, "https://wns.windows.com/.default"),
        };
        let error = if !live && path != self.entra_path() {
            Some((400, "invalid_request"))
        } else if !is("grant_type", "client_credentials") {
            Some((400, "unsupported_grant_type"))
        } else if !is("scope", scope) {
            Some((400, "invalid_scope"))
        } else if !is("client_id", id) || !is("client_secret", &self.config.client_secret) {
            Some((if live { 400 } else { 401 }, "invalid_client"))
        } else {
            None
        };
        if let Some((status, word)) = error {
            return json(status, &serde_json::json!({ "error": word }));
        }
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!("wns-{number}-{:016x}", fastrand::u64(..));
        self.tokens.write().insert(token.clone(), now + i64::from(self.config.token_seconds));
        // As the real ones differ: text in one, a number in the other.
        let seconds = self.config.token_seconds;
        let expires_in = if live { serde_json::json!(seconds) } else { serde_json::json!(seconds.to_string()) };
        json(200, &serde_json::json!({ "access_token": token, "token_type": "bearer", "expires_in": expires_in }))
    }

    pub(super) fn is_good(&self, token: &str, now: i64) -> bool {
        self.tokens.read().get(token).is_some_and(|ends| *ends > now)
    }

    pub(super) fn forget_tokens(&self) {
        self.tokens.write().clear();
    }

    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

fn json(status: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
