//! A simulated WNS (push-services.md section 3): HTTP/1.1 over TLS on a loopback port, with both token endpoints.
//!
//! - `accounts`: who may ask for tokens, and the tokens that are good.
//! - `verification`: what WNS checks in a request, and its answers.
mod accounts;
mod verification;

use std::net::SocketAddr;

use http::{header::RETRY_AFTER, request::Parts};
use serde::{Deserialize, Serialize};

use self::accounts::Accounts;
use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    counters::Counts,
    receipts::{body_hash, collapse_hash},
    script::Script,
    served::{Api, HTTP1, Judged, Options, Pushed, Said, Served, respond, set, text},
    session::Shared,
};

/// How the service is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WnsConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    pub tenant_id: String,
    /// The application of the Entra ID flow.
    pub client_id: String,
    /// The package of the older flow.
    pub package_sid: String,
    /// Of both.
    pub client_secret: String,
    /// Seconds that a token lives.
    pub token_seconds: u32,
    /// Keeps headers and body of every request, for [`Receipts::full`]. For tests: millions fill the memory.
    pub keep_requests: bool,
    /// Stream events have no meaning here; a reset ends the connection without an answer.
    pub script: Script,
}

impl Default for WnsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            tenant_id: "example.com".to_owned(),
            client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
            package_sid: "ms-app://S-1-15-2-1-2-3".to_owned(),
            client_secret: "a secret & more".to_owned(),
            token_seconds: 86_400,
            keep_requests: false,
            script: Script::default(),
        }
    }
}

/// A running service. Dropping it ends every connection at once and frees the port.
#[derive(Debug)]
pub struct WnsSim {
    served: Served<Wns>,
}

#[derive(Debug)]
struct Wns {
    accounts: Accounts,
}

impl WnsSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: WnsConfig, authority: &Authority) -> Result<Self, StartError> {
        let options = Options {
            listen: config.listen,
            protocols: HTTP1,
            keep_requests: config.keep_requests,
            script: config.script.clone(),
        };
        let served = Served::start(options, authority, |_| Wns { accounts: Accounts::new(config) }).await?;
        Ok(Self { served })
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

    /// For `token_endpoint` of a hub, with the tenant's place in it.
    pub fn entra_endpoint(&self) -> String {
        format!("{}/{{tenant_id}}/oauth2/v2.0/token", self.endpoint())
    }

    pub fn live_endpoint(&self) -> String {
        format!("{}/accesstoken.srf", self.endpoint())
    }

    /// For `allowed_hosts` of a hub.
    pub fn allowed_host(&self) -> String {
        format!("localhost:{}", self.address().port())
    }

    /// The channel URI of a device.
    pub fn channel(&self, token: &Token) -> String {
        format!("{}/?token={token}", self.endpoint())
    }

    pub fn tenant_id(&self) -> &str {
        &self.served.api().accounts.config.tenant_id
    }

    pub fn client_id(&self) -> &str {
        &self.served.api().accounts.config.client_id
    }

    /// Every token given so far is refused from now on.
    pub fn forget_tokens(&self) {
        self.served.api().accounts.forget_tokens();
    }

    /// How many tokens were given.
    pub fn tokens_given(&self) -> u64 {
        self.served.api().accounts.given()
    }

    /// Returns once the counts are as wanted; put a timeout around it where a failure must end.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.served.shared().counters.wait_until(reached).await
    }
}

impl Api for Wns {
    fn aside(&self, head: &Parts, body: &[u8], now: i64) -> Option<Said> {
        let path = head.uri.path();
        self.accounts.is_token_request(path).then(|| self.accounts.grant(path, body, now))
    }

    fn judge(&self, head: &Parts, body: &[u8], now: i64) -> Judged {
        let pushed = Pushed {
            token: verification::device(&head.uri),
            body: body_hash(body),
            collapse: text(head, "x-wns-tag").map_or(0, |tag| collapse_hash(tag.as_bytes())),
            ..Pushed::default()
        };
        Judged { pushed, refusal: verification::refusal(head, body, &self.accounts, now) }
    }

    fn said(&self, answer: &Answer, _: &Pushed) -> Said {
        let mut response = respond(answer.status, "");
        match (answer.status, &answer.reason) {
            (200, reason) => set(&mut response, "x-wns-status", reason.as_deref().unwrap_or("received")),
            (_, Some(reason)) => set(&mut response, "x-wns-error-description", reason),
            (_, None) => {}
        }
        if let Some(text) = &answer.retry_after {
            set(&mut response, RETRY_AFTER.as_str(), text);
        }
        response
    }
}

impl Simulated for WnsSim {
    fn shared(&self) -> &Shared {
        self.served.shared()
    }
}
