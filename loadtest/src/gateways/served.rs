//! Services whose requests hyper's server takes, one by one: connections, scripts and receipts; what each service checks
//! and says is an [`Api`]. A script's stream events have no meaning here.
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Token,
    answer::Answer,
    apns::StartError,
    authority::Authority,
    counters::Counters,
    listener,
    receipts::{Draft, Fate, FullRequest, Receipts},
    script::{Act, ActiveScript, Script},
    session::Shared,
};
use crate::{clock::Clock, http2::ErrorCode};

/// The longest body that is read at all.
const READ_LIMIT: usize = 1 << 20;

/// Over HTTP/1.1 alone.
pub(super) const HTTP1: &[&[u8]] = &[b"http/1.1"];
/// Over whichever the client has.
pub(super) const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

pub(super) type Said = Response<Full<Bytes>>;

/// The part of a service that knows its API.
pub(super) trait Api: Send + Sync + 'static {
    /// Answers what is no push, as a request for an access token: no script decides on it, no receipt is written, and it
    /// counts as no request.
    fn aside(&self, _head: &Parts, _body: &[u8], _now: i64) -> Option<Said> {
        None
    }

    /// Whether a request is never answered.
    fn hangs(&self, _head: &Parts) -> bool {
        false
    }

    /// Verifies a push; `now` is Unix seconds.
    fn judge(&self, head: &Parts, body: &[u8], now: i64) -> Judged;

    /// An answer as the service writes it.
    fn said(&self, answer: &Answer, judged: &Pushed) -> Said;

    /// Whether a script's answer for one device is said of it within an answer that accepts the others.
    fn is_apart(&self, _answer: &Answer) -> bool {
        false
    }

    /// Whether that answer says that the device gets the push; receipts book it as 200, and nothing else.
    fn is_accepted(&self, answer: &Answer) -> bool {
        answer.status == 200
    }
}

/// What verification found.
pub(super) struct Judged {
    pub(super) pushed: Pushed,
    /// The answer of the service itself; without one the script decides.
    pub(super) refusal: Option<Answer>,
}

/// What was pushed, as receipts have it.
#[derive(Default)]
pub(super) struct Pushed {
    /// None when the request named none that can be read.
    pub(super) token: Option<Token>,
    /// The devices that the same request names besides.
    pub(super) more: Vec<Token>,
    /// Of all these whom the script has the answer name apart.
    pub(super) apart: Vec<Token>,
    /// `body_hash` of the body, without what differs from device to device.
    pub(super) body: u64,
    /// `collapse_hash`, 0 without a key.
    pub(super) collapse: u32,
    /// The body that a kept request has, where it is not the one that arrived.
    pub(super) clear: Option<Vec<u8>>,
}

/// A running service. Dropping it ends every connection at once and frees the port.
#[derive(Debug)]
pub(super) struct Served<A> {
    address: SocketAddr,
    state: Arc<State<A>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

pub(super) struct State<A> {
    shared: Shared,
    api: A,
    tls: TlsAcceptor,
}

impl<A: std::fmt::Debug> std::fmt::Debug for State<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("shared", &self.shared).field("api", &self.api).finish_non_exhaustive()
    }
}

/// Of every such service.
pub(super) struct Options {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub(super) listen: Option<SocketAddr>,
    pub(super) protocols: &'static [&'static [u8]],
    pub(super) keep_requests: bool,
    pub(super) script: Script,
}

impl<A: Api> Served<A> {
    /// Starts on the current Tokio runtime with a certificate of the given authority; `api` is made once the address is
    /// known.
    pub(super) async fn start(
        options: Options,
        authority: &Authority,
        api: impl FnOnce(SocketAddr) -> A,
    ) -> Result<Self, StartError> {
        let (tcp, address) = listener::bind(options.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let mut tls = authority.server_config(false)?;
        tls.alpn_protocols = options.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let shared = Shared {
            receipts: Receipts::default(),
            counters: Counters::default(),
            clock: Clock::default(),
            script: watch::Sender::new(Arc::new(ActiveScript::new(options.script))),
            keep_requests: options.keep_requests,
            streams: 1,
        };
        let state = Arc::new(State { shared, api: api(address), tls: TlsAcceptor::from(Arc::new(tls)) });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accept(tcp, Arc::clone(&state), tasks.clone(), stop.clone()));
        tasks.close();
        Ok(Self { address, state, tasks, stop })
    }

    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:PORT`.
    pub(super) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(super) fn api(&self) -> &A {
        &self.state.api
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.state.shared
    }
}

impl<A> Drop for Served<A> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept<A: Api>(tcp: TcpListener, state: Arc<State<A>>, tasks: TaskTracker, stop: CancellationToken) {
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

async fn serve<A: Api>(stream: TcpStream, state: Arc<State<A>>) {
    let counters = &state.shared.counters;
    Counters::add(&counters.connections_ever, 1);
    if state.shared.script.borrow().script.refuse_connections.is_some() {
        counters.announce();
        return drop(stream.set_zero_linger());
    }
    drop(stream.set_nodelay(true));
    let Ok(stream) = state.tls.accept(stream).await else {
        Counters::add(&counters.handshakes_failed, 1);
        return counters.announce();
    };
    Counters::add(&counters.connections_open, 1);
    counters.announce();
    let serving = Arc::clone(&state);
    let answering = service_fn(move |request| answer(request, Arc::clone(&serving)));
    // How a connection ends is the peer's business, or the script's.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answering).await);
    counters.connections_open.fetch_sub(1, Ordering::Relaxed);
    counters.announce();
}

/// Ends the stream with this code, or where a connection has only one, the connection; without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the script ends this request")]
struct Cut(#[source] h2::Error);

impl Cut {
    fn with(code: ErrorCode) -> Self {
        Self(h2::Reason::from(code.0).into())
    }
}

async fn answer<A: Api>(request: Request<Incoming>, state: Arc<State<A>>) -> Result<Said, Cut> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, READ_LIMIT).collect().await;
    let body = body.map_err(|_| Cut::with(ErrorCode::CANCEL))?.to_bytes();
    if state.api.hangs(&head) {
        return std::future::pending().await;
    }
    if let Some(aside) = state.api.aside(&head, &body, state.shared.clock.unix_seconds()) {
        return Ok(aside);
    }
    Counters::add(&state.shared.counters.requests, 1);
    let said = push(&head, &body, &state).await;
    state.shared.counters.announce();
    said
}

/// Judges a push, books it, and says what is answered.
async fn push<A: Api>(head: &Parts, body: &[u8], state: &State<A>) -> Result<Said, Cut> {
    let shared = &state.shared;
    let active = Arc::clone(&shared.script.borrow());
    let Judged { mut pushed, refusal } = state.api.judge(head, body, shared.clock.unix_seconds());
    let mut tokens = vec![pushed.token.clone().unwrap_or_else(Token::unreadable)];
    tokens.append(&mut pushed.more);
    let (mut act, mut latency) = (None, 0);
    for token in tokens.iter().filter(|_| refusal.is_none()) {
        let (its, slow) = active.decide(token);
        latency = latency.max(slow);
        match its {
            Some(Act::Answer(answer)) if state.api.is_apart(answer) => pushed.apart.push(token.clone()),
            its => act = act.or(its),
        }
    }
    let draft = |token: &Token| Draft {
        token: token.clone(),
        id: uuid::Uuid::now_v7().into_bytes(),
        status: 0,
        reason: None,
        fate: Fate::Answered,
        body: pushed.body,
        collapse: pushed.collapse,
        full: shared.keep_requests.then(|| Box::new(full(head, pushed.clear.as_deref().unwrap_or(body)))),
    };
    let unanswered = |accepted, fate| {
        shared.receipts.add(&mut tokens.iter().map(|token| unanswered(draft(token), accepted, fate)).collect());
    };
    let answer = match (refusal, act) {
        (Some(refusal), _) => refusal,
        (None, None) => Answer::accepted(),
        (None, Some(Act::Answer(answer))) => answer.clone(),
        (None, Some(Act::Reset { accepted, code })) => {
            unanswered(*accepted, Fate::Reset);
            return Err(Cut::with(*code));
        }
        (None, Some(Act::Stall { accepted })) => {
            unanswered(*accepted, Fate::Stalled);
            shared.counters.announce();
            return std::future::pending().await;
        }
    };
    let said = state.api.said(&answer, &pushed);
    let is_accepted = state.api.is_accepted(&answer);
    let booked = |token: &Token| {
        let mut booked = draft(token).outcome(Fate::Answered, &answer);
        booked.status = match booked.status {
            _ if is_accepted && !pushed.apart.contains(token) => 200,
            200 => 400,
            status => status,
        };
        booked
    };
    shared.receipts.add(&mut tokens.iter().map(booked).collect());
    let delay = answer.delay_ms.unwrap_or(latency);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    Ok(said)
}

/// The device got it all the same when `accepted`.
fn unanswered(draft: Draft, accepted: bool, fate: Fate) -> Draft {
    Draft { status: if accepted { 200 } else { 0 }, fate, ..draft }
}

/// An answer of that status, with a body.
pub(super) fn respond(status: u16, body: impl Into<Bytes>) -> Said {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    response
}

/// Sets a field, if the text can be one.
pub(super) fn set(response: &mut Said, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

/// Of a query string, or of a body.
pub(super) type Form = BTreeMap<String, String>;

pub(super) fn form(bytes: &[u8]) -> Form {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// A field's text.
pub(super) fn text<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn full(head: &Parts, body: &[u8]) -> FullRequest {
    let mut headers = vec![(":path".to_owned(), head.uri.to_string())];
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.extend(head.headers.iter().map(|(name, value)| (name.to_string(), text(value))));
    FullRequest { headers, body: body.to_vec() }
}
