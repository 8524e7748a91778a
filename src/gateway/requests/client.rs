//! HTTP over TLS to whichever host: kept connections by host, HTTP/2 where it is wanted and offered, no redirects
//! followed, only to addresses that the guard lets pass. What went wrong is told apart by whether the request may have
//! been processed (`push-services.md` 0.5).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower_service::Service;

use super::counted::Counted;
use super::guard::{Barred, Reach, Resolver};
use super::tuning::Tuning;
use crate::gateway::transport::GatewayMeter;

/// The longest body that is read; push services send none and token endpoints a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;

/// Which protocols are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    Http1,
    /// HTTP/2 where the peer takes it, else HTTP/1.1.
    Both,
}

/// Connections of one gateway to one kind of peer. Used on the gateway's own runtime.
pub(crate) struct Client {
    pool: legacy::Client<Dial, Full<Bytes>>,
    hard_timeout: Duration,
    meter: Arc<GatewayMeter>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A field's text; one that is no text counts as absent.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// No answer came. The texts hold no address: a channel is a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection, and nothing was written.
    Unconnected(&'static str),
    /// The peer said that it did not look at the request.
    Unprocessed(&'static str),
    /// The guard lets none of the host's addresses pass; nothing was written.
    Barred,
    /// It was written, and may have been processed.
    Ambiguous(&'static str),
}

impl Client {
    /// `tls` must offer no protocol by itself; the connector does. Every open connection is in `meter`.
    pub(crate) fn new(
        tls: ClientConfig,
        protocols: Protocols,
        reach: Reach,
        tuning: &Tuning,
        meter: Arc<GatewayMeter>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(reach));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let secure = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
        let secure = match protocols {
            Protocols::Http1 => secure.enable_http1().wrap_connector(tcp),
            Protocols::Both => secure.enable_http1().enable_http2().wrap_connector(tcp),
        };
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(tuning.idle)
            .pool_max_idle_per_host(tuning.in_flight)
            // A peer that is gone without a word is noticed while requests wait for it.
            .http2_keep_alive_interval(tuning.hard_timeout / 4)
            .http2_keep_alive_timeout(tuning.open_timeout)
            .build(Dial { secure, reach, patience: tuning.open_timeout, meter: Arc::clone(&meter) });
        Self { pool, hard_timeout: tuning.hard_timeout, meter }
    }

    /// Whether any connection holds.
    pub(crate) fn has_connections(&self) -> bool {
        self.meter.connections() > 0
    }

    /// One exchange. A kept connection that its peer had closed before anything was written is replaced silently.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| failure(&error))?;
            let (head, body) = response.into_parts();
            // Status and fields stand: a body that breaks off takes nothing back.
            let body = Limited::new(body, LONGEST_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(self.hard_timeout, exchange).await.unwrap_or(Err(Failure::Ambiguous("no answer in time")))
    }
}

fn failure(error: &legacy::Error) -> Failure {
    let chain = || {
        let first: &(dyn Error + 'static) = error;
        std::iter::successors(Some(first), |error: &&(dyn Error + 'static)| (*error).source())
    };
    if chain().any(|error| error.is::<Barred>()) {
        Failure::Barred
    } else if error.is_connect() {
        Failure::Unconnected("connect failed")
    } else if chain().filter_map(|error| error.downcast_ref::<h2::Error>()).any(is_unprocessed) {
        Failure::Unprocessed("not processed by its connection")
    } else {
        Failure::Ambiguous("connection lost")
    }
}

/// What HTTP/2 guarantees (`push-services.md` 0.5): of what a GOAWAY of the peer ends, the crate fails only the streams
/// above its last one.
fn is_unprocessed(error: &h2::Error) -> bool {
    (error.is_go_away() && error.is_remote()) || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hard_timeout", &self.hard_timeout).finish_non_exhaustive()
    }
}

/// The connector with one limit for name, TCP and TLS together, so that a peer that is silent then counts as not
/// reached instead of using up the time of the whole request.
#[derive(Clone)]
struct Dial {
    secure: HttpsConnector<HttpConnector<Resolver>>,
    reach: Reach,
    patience: Duration,
    meter: Arc<GatewayMeter>,
}

type Dialled = Result<Counted, Box<dyn std::error::Error + Send + Sync>>;

impl Service<Uri> for Dial {
    type Response = Counted;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Dialled> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.secure.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // An address in the place of a name is never looked up, so the resolver does not see it.
        if let Err(barred) = self.reach.check_literal(uri.host().unwrap_or_default()) {
            return Box::pin(std::future::ready(Err(barred.into())));
        }
        let (dialling, patience, meter) = (self.secure.call(uri), self.patience, Arc::clone(&self.meter));
        Box::pin(async move { Ok(Counted::new(tokio::time::timeout(patience, dialling).await??, meter)) })
    }
}
