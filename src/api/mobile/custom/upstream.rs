//! Where requests are passed on to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use crate::config::{Access, ApiConfig, ConfigError};
use crate::gateway::tls;

/// How long a connection may take; what answers so late is away.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection that carries nothing for so long is closed; shorter than the usual patience of servers with idle ones.
const IDLE: Duration = Duration::from_secs(4);
/// Requests under way at once. Each holds two connections.
const AT_ONCE: usize = 1_024;

/// The app's own code.
pub struct Upstream {
    /// Without a slash at its end.
    pub(super) base: String,
    pub(super) access: Access,
    /// For the beginning of an answer, and for each next piece of it.
    pub(super) patience: Duration,
    pub(super) slots: Arc<Semaphore>,
    pub(super) client: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("base", &self.base).field("access", &self.access).finish_non_exhaustive()
    }
}

impl Upstream {
    /// The upstream that a configuration names. Contacts nobody; the error is about `mobile.api.ca_file`.
    pub fn new(config: &ApiConfig) -> Result<Self, ConfigError> {
        let refused = |rule: String| {
            let got = config.ca_file.as_ref().map_or_else(String::new, |file| file.display().to_string());
            ConfigError { key: "mobile.api.ca_file".to_owned(), rule, got }
        };
        let ca = config.ca_file.as_ref().map(std::fs::read_to_string).transpose();
        let ca = ca.map_err(|error| refused(format!("must name a readable file; {error}")))?;
        let tls = tls::roots(ca.as_deref()).and_then(|roots| tls::client_config(roots, None, &[]));
        let tls = tls.map_err(|error| refused(error.rule.to_string()))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self {
            base: config.upstream.expose().trim_end_matches('/').to_owned(),
            access: config.access,
            patience: Duration::from_secs(u64::from(config.timeout_seconds)),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            client,
        })
    }
}
