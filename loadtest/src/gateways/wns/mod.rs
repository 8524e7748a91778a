//! A simulated WNS (push-services.md section 3): HTTP/1.1 over TLS on a loopback port, with both token endpoints.
//!
//! - `accounts`: who may ask for tokens, and the tokens that are good.
//! - `verification`: what WNS checks in a request, and its answers.
mod accounts;
mod verification;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::accounts::Accounts;
use super::{
    Simulated, Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    counters::{Counters, Counts},
    listener,
    receipts::{Draft, Fate, FullRequest, Receipts, body_hash, collapse_hash},
    script::{Act, ActiveScript, Script},
    session::Shared,
};
use crate::clock::Clock;

/// The longest body that is read at all.
const READ_LIMIT: usize = 1 << 20;

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
    address: SocketAddr,
    state: Arc<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    shared: Shared,
    accounts: Accounts,
    tls: TlsState,
}

struct TlsState(TlsAcceptor);

impl std::fmt::Debug for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsState")
    }
}

impl WnsSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start_under(config: WnsConfig, authority: &Authority) -> Result<Self, StartError> {
        let (tcp, address) = listener::bind(config.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let mut tls = authority.server_config(false)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let shared = Shared {
            receipts: Receipts::default(),
            counters: Counters::default(),
            clock: Clock::default(),
            script: watch::Sender::new(Arc::new(ActiveScript::new(config.script.clone()))),
            keep_requests: config.keep_requests,
            streams: 1,
        };
        let tls = TlsState(TlsAcceptor::from(Arc::new(tls)));
        let state = Arc::new(State { shared, accounts: Accounts::new(config), tls });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accept(tcp, Arc::clone(&state), tasks.clone(), stop.clone()));
        tasks.close();
        Ok(Self { address, state, tasks, stop })
    }

    /// Ends every connection without a word and waits until the port is free.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
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
        format!("localhost:{}", self.address.port())
    }

    /// The channel URI of a device.
    pub fn channel(&self, token: &Token) -> String {
        format!("{}/?token={token}", self.endpoint())
    }

    pub fn tenant_id(&self) -> &str {
        &self.state.accounts.config.tenant_id
    }

    pub fn client_id(&self) -> &str {
        &self.state.accounts.config.client_id
    }

    /// Every token given so far is refused from now on.
    pub fn forget_tokens(&self) {
        self.state.accounts.forget_tokens();
    }

    /// How many tokens were given.
    pub fn tokens_given(&self) -> u64 {
        self.state.accounts.given()
    }

    /// Returns once the counts are as wanted; put a timeout around it where a failure must end.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.state.shared.counters.wait_until(reached).await
    }
}

async fn accept(tcp: TcpListener, state: Arc<State>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of descriptors, or gone before it was taken: the next one may do.
                Err(_) => {
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(stream, state) => {}
            }
        });
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let counters = &state.shared.counters;
    Counters::add(&counters.connections_ever, 1);
    if state.shared.script.borrow().script.refuse_connections.is_some() {
        counters.announce();
        return drop(stream.set_zero_linger());
    }
    let Ok(stream) = state.tls.0.accept(stream).await else {
        Counters::add(&counters.handshakes_failed, 1);
        return counters.announce();
    };
    Counters::add(&counters.connections_open, 1);
    counters.announce();
    let answering = service_fn(|request| answer(request, &state));
    // How a connection ends is the peer's business, or the script's.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await);
    counters.connections_open.fetch_sub(1, Ordering::Relaxed);
    counters.announce();
}

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the script ends this connection")]
struct Cut;

async fn answer(request: Request<Incoming>, state: &State) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, READ_LIMIT).collect().await.map_err(|_| Cut)?.to_bytes();
    if state.accounts.is_token_request(head.uri.path()) {
        return Ok(state.accounts.grant(head.uri.path(), &body, state.shared.clock.unix_seconds()));
    }
    Counters::add(&state.shared.counters.requests, 1);
    let said = push(&head, &body, state).await;
    state.shared.counters.announce();
    said.map(|answer| response(&answer))
}

/// Judges a push, books it, and says what is answered.
async fn push(head: &http::request::Parts, body: &[u8], state: &State) -> Result<Answer, Cut> {
    let shared = &state.shared;
    let active = Arc::clone(&shared.script.borrow());
    let token = verification::device(&head.uri);
    let refusal = verification::refusal(head, body, &state.accounts, shared.clock.unix_seconds());
    let (act, latency) = match &refusal {
        Some(_) => (None, 0),
        None => active.decide(token.as_ref().unwrap_or(&Token::unreadable())),
    };
    let collapse = head.headers.get("x-wns-tag").map_or(0, |tag| collapse_hash(tag.as_bytes()));
    let draft = Draft {
        token: token.unwrap_or_else(Token::unreadable),
        id: uuid::Uuid::now_v7().into_bytes(),
        status: 0,
        reason: None,
        fate: Fate::Answered,
        body: body_hash(body),
        collapse,
        full: shared.keep_requests.then(|| Box::new(full(head, body))),
    };
    let answer = match (refusal, act) {
        (Some(refusal), _) => refusal,
        (None, None) => Answer::accepted(),
        (None, Some(Act::Answer(answer))) => answer.clone(),
        (None, Some(Act::Reset { accepted, .. })) => {
            let status = if *accepted { 200 } else { 0 };
            shared.receipts.add(&mut vec![Draft { status, fate: Fate::Reset, ..draft }]);
            return Err(Cut);
        }
        (None, Some(Act::Stall { accepted })) => {
            let status = if *accepted { 200 } else { 0 };
            shared.receipts.add(&mut vec![Draft { status, fate: Fate::Stalled, ..draft }]);
            shared.counters.announce();
            return std::future::pending().await;
        }
    };
    shared.receipts.add(&mut vec![draft.outcome(Fate::Answered, &answer)]);
    let delay = answer.delay_ms.unwrap_or(latency);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    Ok(answer)
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::IM_A_TEAPOT);
    let mut set = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    };
    match (answer.status, &answer.reason) {
        (200, reason) => set("x-wns-status", reason.as_deref().unwrap_or("received")),
        (_, Some(reason)) => set("x-wns-error-description", reason),
        (_, None) => {}
    }
    if let Some(text) = &answer.retry_after {
        set(RETRY_AFTER.as_str(), text);
    }
    response
}

fn full(head: &http::request::Parts, body: &[u8]) -> FullRequest {
    let mut headers = vec![(":path".to_owned(), head.uri.to_string())];
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.extend(head.headers.iter().map(|(name, value)| (name.to_string(), text(value))));
    FullRequest { headers, body: body.to_vec() }
}

impl Simulated for WnsSim {
    fn shared(&self) -> &Shared {
        &self.state.shared
    }
}

impl Drop for WnsSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
