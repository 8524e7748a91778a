//! HTTP/1.1 over TLS to whichever host: kept connections by host, one request on each, no redirects followed. What went
//! wrong is told apart by whether the request may have been processed (`push-services.md` 0.5).

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
use super::settings::WnsTuning;
use crate::gateway::transport::GatewayMeter;

/// The longest body that is read; WNS sends none and token endpoints a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;

/// Connections of one gateway to one kind of peer. Used on the gateway's own runtime.
pub(super) struct Client {
    pool: legacy::Client<Dial, Full<Bytes>>,
    hard_timeout: Duration,
    meter: Arc<GatewayMeter>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// No answer came. The texts hold no address: a channel is a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written.
    Safe(&'static str),
    /// It was written, and may have been processed.
    Ambiguous(&'static str),
}

impl Client {
    /// `tls` must offer no protocol by itself; the connector offers HTTP/1.1. Every open connection is in `meter`.
    pub(super) fn new(tls: ClientConfig, tuning: &WnsTuning, meter: Arc<GatewayMeter>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let secure = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(tuning.idle)
            .pool_max_idle_per_host(tuning.in_flight)
            .build(Dial { secure, patience: tuning.open_timeout, meter: Arc::clone(&meter) });
        Self { pool, hard_timeout: tuning.hard_timeout, meter }
    }

    /// Whether any connection holds.
    pub(super) fn has_connections(&self) -> bool {
        self.meter.connections() > 0
    }

    /// One exchange. A kept connection that its peer had closed before anything was written is replaced silently.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| {
                if error.is_connect() { Failure::Safe("connect failed") } else { Failure::Ambiguous("connection lost") }
            })?;
            let (head, body) = response.into_parts();
            // Status and fields stand: a body that breaks off takes nothing back.
            let body = Limited::new(body, LONGEST_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(self.hard_timeout, exchange).await.unwrap_or(Err(Failure::Ambiguous("no answer in time")))
    }
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
    secure: HttpsConnector<HttpConnector>,
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
        let (dialling, patience, meter) = (self.secure.call(uri), self.patience, Arc::clone(&self.meter));
        Box::pin(async move { Ok(Counted::new(tokio::time::timeout(patience, dialling).await??, meter)) })
    }
}
